package executor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

func TestInventoryOfASlotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		second := ids.NewAllocationID()
		send(t, r.rm, requestSlot(2, 1, r.job, second, "am"))
		next(t, r.rm)
		r.takeOffer(second)
		r.deployed()
		other := r.attempt
		other.Subtask = 1
		r.deploy(101, other)
		next(t, r.jm)
		r.runtime.state(other, pb.ExecutionState_FINISHED)
		r.wantState(other, pb.ExecutionState_FINISHED)
		send(t, r.jm, freeSlot(r.alloc))
		synctest.Wait()
		r.runtime.state(r.attempt, pb.ExecutionState_CANCELED)
		r.wantState(r.attempt, pb.ExecutionState_CANCELED)
		r.wantAvailable()
		wait(time.Second)
		r.jm.Close(errors.New("broken"))
		_, inv := r.l.jobRegistered()
		if len(inv.GetSlots()) != 1 || len(inv.GetExecutions()) != 0 {
			t.Errorf("inventory %v, want the other slot and nothing of the one taken back", inv)
		}
	})
}

func TestMessagesOfAnOldStreamAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		gate := make(chan struct{})
		r.te.loop.Post(func(*core) { <-gate })
		opened := make(chan *gateway.JobMasterStream)
		go func() {
			s, err := r.l.openJob(t.Context(), r.l.jobTry, r.job.Bytes())
			if err != nil {
				t.Error(err)
			}
			opened <- s
		}()
		synctest.Wait() // the new stream stands in the mailbox
		send(t, r.jm, freeSlot(r.alloc))
		synctest.Wait() // and the message of the old one behind it
		close(gate)
		if m := next(t, <-opened); len(m.GetInventory().GetSlots()) != 1 {
			t.Errorf("got %v, want an inventory with the slot", m)
		}
		if got := r.slotState(); got != pb.SlotState_ACTIVE {
			t.Errorf("slot is %s, want ACTIVE: the old stream's message came too late", got)
		}
	})
}

func TestReplacedStreamMayHaveLostMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		r.runtime.events(fromTask(r.attempt, "a"))
		synctest.Wait()
		if _, err := r.l.openJob(t.Context(), r.l.jobTry, r.job.Bytes()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if m := r.runtime.last(); !m.HasCancel() {
			t.Errorf("the runtime got %v, want a cancellation", m)
		}
	})
}

func TestRuntimesOfAJobFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.runtime.gate = make(chan struct{})
		send(t, r.jm, jobDone())
		r.wantAvailable()
		send(t, r.rm, requestSlot(2, 0, r.job, r.alloc, "am"))
		next(t, r.rm)
		r.l.jobRegistered()
		wait(time.Second)
		if n := len(r.runtimes); n != 1 {
			t.Errorf("%d runtimes while the first is closing, want 1", n)
		}
		close(r.runtime.gate)
		synctest.Wait()
		if n := len(r.runtimes); n != 2 {
			t.Errorf("%d runtimes after the first has closed, want 2", n)
		}
	})
}

func TestDeployOfAnotherEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		for _, epoch := range []uint64{0, 4, 6} {
			send(t, r.jm, pb.FromJobMaster_builder{Deploy: pb.Deploy_builder{
				RequestId: 100 + epoch, Generation: pb.Generation_builder{Epoch: epoch}.Build(),
				Tasks: []*pb.TaskDeployment{pb.TaskDeployment_builder{
					Attempt: gateway.AttemptToPB(r.attempt), Allocation: r.alloc.Bytes()}.Build()},
			}.Build()}.Build())
			if got := codeOf(next(t, r.jm).GetResponse()); got != rpc.Fenced {
				t.Errorf("deployment of epoch %d on a stream of epoch 5: got code %d, want %d", epoch, got, rpc.Fenced)
			}
		}
		if r.runtime.last() != nil {
			t.Error("the runtime was given a deployment of another epoch")
		}
	})
}

// TestRefusedDeployLeavesTheSlotAsItWas: the deployment comes before the answer to the slot's offer, or after it.
func TestRefusedDeployLeavesTheSlotAsItWas(t *testing.T) {
	for _, c := range []struct {
		name     string
		answered bool
		want     pb.SlotState
	}{{"offer is out", false, pb.SlotState_ALLOCATED}, {"offer was accepted", true, pb.SlotState_ACTIVE}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t)
				r.alloc = ids.NewAllocationID()
				send(t, r.rm, requestSlot(2, 1, r.job, r.alloc, "am"))
				next(t, r.rm)
				state := func() pb.SlotState {
					send(t, r.rm, beat())
					return next(t, r.rm).GetHeartbeat().GetSlots()[1].GetState()
				}
				accept := func(o *pb.SlotOffer) {
					send(t, r.jm, pb.FromJobMaster_builder{SlotOfferResult: pb.SlotOfferResult_builder{
						RequestId: o.GetRequestId(), Accepted: [][]byte{r.alloc.Bytes()}}.Build()}.Build())
					synctest.Wait()
				}
				offer := next(t, r.jm).GetSlotOffer()
				if c.answered {
					accept(offer)
				}
				r.runtime.refuse = errors.New("no room")
				r.deploy(100, r.attempt)
				if m := next(t, r.jm); !m.GetResponse().HasFailure() {
					t.Fatalf("answer to the deployment: %v, want a failure", m)
				}
				if got := state(); got != c.want {
					t.Errorf("slot is %s after the refusal, want %s", got, c.want)
				}
				if !c.answered {
					accept(offer)
				}
				if got := state(); got != pb.SlotState_ACTIVE {
					t.Errorf("slot is %s when its offer was accepted, want ACTIVE", got)
				}
			})
		})
	}
}
