package executor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

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
