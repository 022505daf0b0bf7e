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

// running is a worker with one job that has slot 0, taken by its master.
type running struct {
	*cluster
	l       *leader
	rm      *gateway.ResourceManagerStream
	jm      *gateway.JobMasterStream
	job     ids.JobID
	alloc   ids.AllocationID
	attempt ids.ExecutionAttemptID
	runtime *fakeRuntime
}

func start(t *testing.T) *running {
	t.Helper()
	c := newCluster(t, nil)
	r := &running{cluster: c, l: c.lead("am", 5), job: ids.NewJobID(), alloc: ids.NewAllocationID()}
	r.attempt = ids.ExecutionAttemptID{Job: r.job, Vertex: ids.VertexID{1}, Epoch: 5, N: 1}
	r.l.announce()
	r.rm, _ = r.l.registered()
	send(t, r.rm, requestSlot(1, 0, r.job, r.alloc, "am"))
	if m := next(t, r.rm); !m.HasResponse() || m.GetResponse().GetRequestId() != 1 || m.GetResponse().HasFailure() {
		t.Fatalf("answer to the slot request: %v, want success", m)
	}
	r.jm, _ = r.l.jobRegistered()
	r.takeOffer(r.alloc)
	synctest.Wait()
	r.runtime = c.runtimes[0]
	return r
}

// takeOffer waits for an offer and accepts some of it.
func (r *running) takeOffer(accept ...ids.AllocationID) *pb.SlotOffer {
	r.t.Helper()
	m := next(r.t, r.jm)
	if !m.HasSlotOffer() {
		r.t.Fatalf("got %v, want a slot offer", m)
	}
	b := pb.SlotOfferResult_builder{RequestId: m.GetSlotOffer().GetRequestId()}
	for _, a := range accept {
		b.Accepted = append(b.Accepted, a.Bytes())
	}
	send(r.t, r.jm, pb.FromJobMaster_builder{SlotOfferResult: b.Build()}.Build())
	synctest.Wait()
	return m.GetSlotOffer()
}

func (r *running) deploy(request uint64, attempts ...ids.ExecutionAttemptID) {
	r.t.Helper()
	b := pb.Deploy_builder{RequestId: request, Generation: pb.Generation_builder{Epoch: 5}.Build()}
	for _, a := range attempts {
		b.Tasks = append(b.Tasks, pb.TaskDeployment_builder{Attempt: gateway.AttemptToPB(a), Allocation: r.alloc.Bytes()}.Build())
	}
	send(r.t, r.jm, pb.FromJobMaster_builder{Deploy: b.Build()}.Build())
}

// deployed deploys the attempt and lets it run.
func (r *running) deployed() {
	r.t.Helper()
	r.deploy(100, r.attempt)
	if m := next(r.t, r.jm); !m.HasResponse() || m.GetResponse().GetRequestId() != 100 || m.GetResponse().HasFailure() {
		r.t.Fatalf("answer to the deployment: %v, want success", m)
	}
	r.runtime.state(r.attempt, pb.ExecutionState_RUNNING)
	r.wantState(r.attempt, pb.ExecutionState_RUNNING)
}

func (r *running) wantState(a ids.ExecutionAttemptID, want pb.ExecutionState) *pb.TaskStateChange {
	r.t.Helper()
	m := next(r.t, r.jm)
	got, _ := gateway.AttemptFromPB(m.GetTaskState().GetAttempt())
	if !m.HasTaskState() || got != a || m.GetTaskState().GetState() != want {
		r.t.Fatalf("got %v, want state %s of %s", m, want, a)
	}
	return m.GetTaskState()
}

func (r *running) slotState() pb.SlotState {
	r.t.Helper()
	send(r.t, r.rm, beat())
	return next(r.t, r.rm).GetHeartbeat().GetSlots()[0].GetState()
}

func (r *running) canBeReleased() bool {
	r.t.Helper()
	send(r.t, r.rm, pb.FromResourceManager_builder{CanBeReleased: pb.CanBeReleased_builder{RequestId: 77}.Build()}.Build())
	return !next(r.t, r.rm).GetResponse().HasFailure()
}

func (r *running) wantAvailable() {
	r.t.Helper()
	m := next(r.t, r.rm)
	if a, _ := ids.AllocationIDFromBytes(m.GetSlotAvailable().GetAllocation()); !m.HasSlotAvailable() || a != r.alloc {
		r.t.Fatalf("got %v, want that the slot is available", m)
	}
}

func jobMessage(b pb.FromJobMaster_builder) *pb.FromJobMaster { return b.Build() }

func jobDone() *pb.FromJobMaster {
	return jobMessage(pb.FromJobMaster_builder{JobDone: pb.JobDone_builder{Reason: "FINISHED"}.Build()})
}

func freeSlot(a ids.AllocationID) *pb.FromJobMaster {
	return jobMessage(pb.FromJobMaster_builder{FreeSlot: pb.FromJobMaster_FreeSlot_builder{Allocation: a.Bytes(), Reason: "idle"}.Build()})
}

func acknowledge(a ...ids.ExecutionAttemptID) *pb.FromJobMaster {
	return jobMessage(pb.FromJobMaster_builder{Acknowledge: pb.AcknowledgeFinals_builder{Attempts: gateway.AttemptsToPB(a)}.Build()})
}

func jobBeat(list ...ids.AllocationID) *pb.FromJobMaster {
	b := pb.JobMasterHeartbeat_builder{}
	for _, a := range list {
		b.Allocations = append(b.Allocations, a.Bytes())
	}
	return jobMessage(pb.FromJobMaster_builder{Heartbeat: b.Build()})
}

func TestLifeOfAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		if got := r.slotState(); got != pb.SlotState_ACTIVE {
			t.Fatalf("slot is %s after the offer was accepted, want ACTIVE", got)
		}
		wait(time.Second) // beyond any slot timeout, with heartbeats elsewhere
		r.deployed()
		send(t, r.jm, jobBeat(r.alloc))
		if hb := next(t, r.jm).GetHeartbeat(); len(hb.GetAllocations()) != 1 || hb.GetTasks()[0].GetRecordsIn() != 7 {
			t.Errorf("heartbeat %v, want the slot and the runtime's metrics", hb)
		}
		r.runtime.state(r.attempt, pb.ExecutionState_FINISHED)
		r.wantState(r.attempt, pb.ExecutionState_FINISHED)
		if r.canBeReleased() || r.slotState() != pb.SlotState_ACTIVE {
			t.Error("the worker could be released before the final state was acknowledged")
		}
		send(t, r.jm, acknowledge(r.attempt))
		send(t, r.jm, jobDone())
		r.wantAvailable()
		if !r.canBeReleased() {
			t.Error("the worker is busy after the job's end")
		}
		if err := ended(t, r.jm); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("job's stream ended with %v, want it closed", err)
		}
		synctest.Wait()
		if !r.runtime.closed {
			t.Error("the runtime of a job without slots is open")
		}
	})
}

func TestSlotRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		other := ids.NewAllocationID()
		for _, c := range []struct {
			name string
			m    *pb.FromResourceManager
			want rpc.Code
		}{
			{"occupied", requestSlot(2, 0, ids.NewJobID(), other, "am"), rpc.NoSlot},
			{"the same slot under a new number", requestSlot(3, 0, r.job, r.alloc, "am"), 0},
			{"no such slot", requestSlot(4, 9, r.job, other, "am"), rpc.NoSlot},
			{"no job", requestSlot(5, 1, ids.JobID{}, other, "am"), rpc.Invalid},
			{"no JobMaster", requestSlot(6, 1, r.job, other, ""), rpc.Invalid},
		} {
			send(t, r.rm, c.m)
			if got := codeOf(next(t, r.rm).GetResponse()); got != c.want {
				t.Errorf("%s: got code %d, want %d", c.name, got, c.want)
			}
		}
		send(t, r.jm, freeSlot(r.alloc))
		r.wantAvailable()
		send(t, r.rm, requestSlot(2, 0, r.job, other, "am"))
		if got := codeOf(next(t, r.rm).GetResponse()); got != rpc.NoSlot {
			t.Errorf("request 2 repeated: got code %d, want the answer it got first", got)
		}
		if got := r.slotState(); got != pb.SlotState_FREE {
			t.Errorf("slot is %s after a repeated request, want FREE", got)
		}
		send(t, r.rm, pb.FromResourceManager_builder{FreeSlot: pb.FreeSlot_builder{RequestId: 8, Allocation: other.Bytes()}.Build()}.Build())
		if got := next(t, r.rm).GetResponse(); got.HasFailure() {
			t.Errorf("freeing a slot that is not there: %v, want success", got)
		}
	})
}

func TestSlotThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		b := ids.NewAllocationID()
		send(t, r.rm, requestSlot(2, 1, r.job, b, "am"))
		next(t, r.rm)
		if o := r.takeOffer(); len(o.GetSlots()) != 1 || o.GetDataAddress() != "data:1" {
			t.Errorf("offer %v, want the one new slot", o)
		}
		if m := next(t, r.rm); !m.HasSlotAvailable() || m.GetSlotAvailable().GetSlotIndex() != 1 {
			t.Errorf("got %v, want slot 1 available", m)
		}
		// Offered, but never answered.
		send(t, r.rm, requestSlot(3, 1, r.job, b, "am"))
		next(t, r.rm)
		next(t, r.jm)
		began := time.Now()
		for range 9 {
			send(t, r.rm, beat())
			next(t, r.rm)
			send(t, r.jm, jobBeat(r.alloc))
			if got := len(next(t, r.jm).GetHeartbeat().GetAllocations()); got != 2 {
				t.Fatalf("the worker gives the job %d slots, want 2: one is on offer", got)
			}
			wait(time.Second)
		}
		if m := next(t, r.rm); !m.HasSlotAvailable() || time.Since(began) != 10*time.Second {
			t.Errorf("got %v after %v, want slot 1 available after 10 s", m, time.Since(began))
		}
		if m := next(t, r.jm); !m.HasSlotLost() {
			t.Errorf("got %v, want that the slot is lost", m)
		}
		if got := r.slotState(); got != pb.SlotState_ACTIVE {
			t.Errorf("the other slot is %s, want ACTIVE", got)
		}
	})
}

func TestOnlyTheNewestOfferCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		b := ids.NewAllocationID()
		send(t, r.rm, requestSlot(2, 1, r.job, b, "am"))
		send(t, r.rm, requestSlot(3, 1, r.job, b, "am"))
		next(t, r.rm)
		next(t, r.rm)
		first := next(t, r.jm).GetSlotOffer()
		second := next(t, r.jm).GetSlotOffer()
		result := func(o *pb.SlotOffer, accepted ...[]byte) {
			send(t, r.jm, jobMessage(pb.FromJobMaster_builder{SlotOfferResult: pb.SlotOfferResult_builder{
				RequestId: o.GetRequestId(), Accepted: accepted}.Build()}))
		}
		result(first)
		synctest.Wait()
		result(second, b.Bytes())
		synctest.Wait()
		send(t, r.rm, beat())
		if got := next(t, r.rm).GetHeartbeat().GetSlots()[1].GetState(); got != pb.SlotState_ACTIVE {
			t.Errorf("slot 1 is %s, want ACTIVE", got)
		}
	})
}

func TestDeployIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		sent := len(r.runtime.sent)
		r.deploy(100, r.attempt)
		if m := next(t, r.jm); m.GetResponse().GetRequestId() != 100 || m.GetResponse().HasFailure() {
			t.Errorf("repeated deployment: %v, want the first answer", m)
		}
		if len(r.runtime.sent) != sent {
			t.Error("the repeated deployment reached the runtime")
		}
		stranger := r.attempt
		stranger.N = 2
		send(t, r.jm, jobMessage(pb.FromJobMaster_builder{Deploy: pb.Deploy_builder{
			RequestId: 101, Generation: pb.Generation_builder{Epoch: 5}.Build(), Tasks: []*pb.TaskDeployment{
				pb.TaskDeployment_builder{Attempt: gateway.AttemptToPB(stranger), Allocation: ids.NewAllocationID().Bytes()}.Build()}}.Build()}))
		if m := next(t, r.jm); codeOf(m.GetResponse()) != rpc.NoSlot {
			t.Errorf("deployment into an unknown slot: %v, want code %d", m, rpc.NoSlot)
		}
		r.runtime.refuse = rpc.New(rpc.PlanMismatch, "no")
		r.deploy(102, stranger)
		if m := next(t, r.jm); codeOf(m.GetResponse()) != rpc.PlanMismatch || m.GetResponse().GetRequestId() != 102 {
			t.Errorf("deployment that the runtime refuses: %v, want code %d", m, rpc.PlanMismatch)
		}
		r.runtime.state(r.attempt, pb.ExecutionState_CANCELED)
		r.wantState(r.attempt, pb.ExecutionState_CANCELED)
		send(t, r.jm, freeSlot(r.alloc))
		r.wantAvailable() // what was refused does not count as running
	})
}

func TestFreeingABusySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		send(t, r.jm, freeSlot(r.alloc))
		synctest.Wait()
		if got := r.slotState(); got != pb.SlotState_RELEASING {
			t.Errorf("slot is %s while its task runs, want RELEASING", got)
		}
		if !r.runtime.last().HasCancel() {
			t.Errorf("the runtime got %v, want a cancellation", r.runtime.last())
		}
		r.runtime.state(r.attempt, pb.ExecutionState_CANCELED)
		r.wantState(r.attempt, pb.ExecutionState_CANCELED)
		r.wantAvailable()
		ended(t, r.jm)
		// The job comes back: a new runtime, and a newer registration attempt.
		send(t, r.rm, requestSlot(9, 1, r.job, ids.NewAllocationID(), "am"))
		next(t, r.rm)
		r.l.jobRegistered()
		synctest.Wait()
		if len(r.runtimes) != 2 || !r.runtimes[0].closed || r.l.jobTry != 2 {
			t.Errorf("%d runtimes, attempt %d; want a second of each", len(r.runtimes), r.l.jobTry)
		}
	})
}

func TestFinalsAreRepeatedUntilAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		r.runtime.state(r.attempt, pb.ExecutionState_FINISHED)
		r.wantState(r.attempt, pb.ExecutionState_FINISHED)
		for range 3 {
			wait(time.Second)
			r.jm.Close(errors.New("broken"))
			var inv *pb.JobInventory
			r.jm, inv = r.l.jobRegistered()
			if e := inv.GetExecutions(); len(e) != 1 || e[0].GetState() != pb.ExecutionState_FINISHED {
				t.Fatalf("inventory %v, want the final state", inv)
			}
			if s := inv.GetSlots(); len(s) != 1 || s[0].GetState() != pb.SlotState_ACTIVE || inv.GetDataAddress() != "data:1" {
				t.Fatalf("inventory %v, want the ACTIVE slot and the data address", inv)
			}
		}
		send(t, r.jm, acknowledge(r.attempt))
		synctest.Wait()
		wait(time.Second)
		r.jm.Close(errors.New("broken"))
		if _, inv := r.l.jobRegistered(); len(inv.GetExecutions()) != 0 {
			t.Errorf("inventory %v after the acknowledgement, want no execution", inv)
		}
	})
}

func TestLosingTheJobMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		r.l.answerJM(func(*pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) { return nil, rpc.ErrUnknownJob })
		r.jm.Close(errors.New("broken"))
		for range 60 {
			if got := r.slotState(); got != pb.SlotState_ACTIVE {
				t.Fatalf("slot is %s without JobMaster, want ACTIVE", got)
			}
			wait(time.Second)
		}
		if r.runtime.last().HasCancel() {
			t.Error("the task was cancelled because the JobMaster was lost")
		}
		r.runtime.state(r.attempt, pb.ExecutionState_FINISHED)
		r.runtime.events(fromTask(r.attempt, "hello"))
		synctest.Wait()
		before := len(r.l.jobCalls)
		r.l.answerJM(nil)
		_, inv := r.l.jobRegistered()
		if e := inv.GetExecutions(); len(e) != 1 || e[0].GetState() != pb.ExecutionState_FINISHED {
			t.Errorf("inventory %v, want what has happened meanwhile", inv)
		}
		if before < 100 {
			t.Errorf("%d attempts in a minute, want one each %v", before, notThereYet)
		}
	})
}

func fromTask(a ids.ExecutionAttemptID, payload string) *pb.ToJobMaster {
	return pb.ToJobMaster_builder{FromTask: pb.FromTask_builder{Attempt: gateway.AttemptToPB(a), Operator: ids.OperatorID{1}.Bytes(),
		Payload: []byte(payload)}.Build()}.Build()
}

func TestMessagesOfTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		r.runtime.events(fromTask(r.attempt, "a"))
		if m := next(t, r.jm); string(m.GetFromTask().GetPayload()) != "a" {
			t.Errorf("got %v, want the task's message", m)
		}
		toTask := jobMessage(pb.FromJobMaster_builder{ToTask: pb.ToTask_builder{Attempt: gateway.AttemptToPB(r.attempt), Payload: []byte("b")}.Build()})
		send(t, r.jm, toTask)
		synctest.Wait()
		if m := r.runtime.last(); string(m.GetToTask().GetPayload()) != "b" {
			t.Errorf("the runtime got %v, want the coordinator's message", m)
		}
		// Long after the last message, a break loses nothing; what is said meanwhile waits.
		for range 9 {
			send(t, r.rm, beat())
			next(t, r.rm)
			send(t, r.jm, jobBeat(r.alloc))
			next(t, r.jm)
			wait(time.Second)
		}
		r.l.answerJM(func(*pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
			return r.l.failure(time.Second), nil
		})
		r.jm.Close(errors.New("broken"))
		wait(time.Millisecond)
		r.runtime.events(fromTask(r.attempt, "c"))
		r.l.answerJM(nil)
		r.jm, _ = r.l.jobRegistered()
		if m := next(t, r.jm); string(m.GetFromTask().GetPayload()) != "c" {
			t.Errorf("got %v, want the message that waited", m)
		}
		// It has just spoken when the stream breaks: whether that arrived is not known.
		r.jm.Close(errors.New("broken"))
		r.jm, _ = r.l.jobRegistered()
		synctest.Wait()
		if m := r.runtime.last(); !m.HasCancel() {
			t.Fatalf("the runtime got %v, want a cancellation", m)
		}
		r.runtime.state(r.attempt, pb.ExecutionState_CANCELED)
		if f := r.wantState(r.attempt, pb.ExecutionState_FAILED).GetFailure(); rpc.Code(f.GetCode()) != rpc.Unreachable {
			t.Errorf("failure %v, want code %d", f, rpc.Unreachable)
		}
	})
}

func TestHeartbeatsCompareSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		stranger := ids.NewAllocationID()
		send(t, r.jm, jobBeat(r.alloc, stranger))
		m := next(t, r.jm)
		if a, _ := ids.AllocationIDFromBytes(m.GetSlotLost().GetAllocation()); a != stranger {
			t.Errorf("got %v, want that the worker lacks the slot", m)
		}
		next(t, r.jm)
		hold := jobBeat()
		hold.GetHeartbeat().SetHold(true)
		send(t, r.jm, hold)
		next(t, r.jm)
		if got := r.slotState(); got != pb.SlotState_ACTIVE {
			t.Errorf("slot is %s after a heartbeat on hold, want ACTIVE", got)
		}
		send(t, r.jm, jobBeat())
		r.wantAvailable()
	})
}

func TestNewEpochReachesTheJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		r.runtime.events(fromTask(r.attempt, "to a coordinator that will be gone"))
		next(t, r.jm)
		l2 := r.lead("am2", 6)
		l2.announce()
		_, inv := l2.registered()
		if got := inv.GetSlots()[0].GetState(); got != pb.SlotState_ACTIVE {
			t.Errorf("slot is %s at the new leader, want ACTIVE", got)
		}
		_, job := l2.jobRegistered()
		if e := job.GetExecutions(); len(e) != 1 || e[0].GetState() != pb.ExecutionState_RUNNING {
			t.Errorf("inventory %v at the new JobMaster, want the running task", job)
		}
		synctest.Wait()
		if r.runtime.last().HasCancel() {
			t.Error("a task was failed for what it told the old leader's coordinators")
		}
		if err := ended(t, r.jm); err == nil {
			t.Error("the old JobMaster's stream lives on")
		}
		if _, err := r.l.openJob(t.Context(), l2.jobTry, r.job.Bytes()); !errors.Is(err, rpc.ErrFenced) {
			t.Errorf("stream of the old JobMaster: got %v, want %v", err, rpc.ErrFenced)
		}
	})
}

func TestRuntimeThatDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, nil)
		c.openErr = errors.New("no port")
		l := c.lead("am", 5)
		l.announce()
		rm, _ := l.registered()
		job := ids.NewJobID()
		send(t, rm, requestSlot(1, 0, job, ids.NewAllocationID(), "am"))
		next(t, rm)
		jm, inv := l.jobRegistered()
		if inv.GetDataAddress() != "" {
			t.Errorf("data address %q of a runtime that is not open", inv.GetDataAddress())
		}
		send(t, jm, jobBeat())
		if m := next(t, jm); !m.HasHeartbeat() {
			t.Errorf("got %v, want the answer to the heartbeat", m)
		}
		for range 9 {
			wait(time.Second)
			send(t, rm, beat())
			next(t, rm)
			send(t, jm, jobBeat())
			next(t, jm)
		}
		if m := next(t, rm); !m.HasSlotAvailable() {
			t.Errorf("got %v, want that the slot timed out", m)
		}
	})
}

func TestRejectedByTheJobMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.deployed()
		r.l.answerJM(func(*pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
			return pb.RegistrationResponse_builder{Epoch: 5, Rejection: &pb.RegistrationRejection{}}.Build(), nil
		})
		r.jm.Close(errors.New("broken"))
		wait(time.Second)
		if got := r.slotState(); got != pb.SlotState_RELEASING || !r.runtime.last().HasCancel() {
			t.Errorf("slot is %s and the runtime got %v, want RELEASING and a cancellation", got, r.runtime.last())
		}
		r.runtime.state(r.attempt, pb.ExecutionState_CANCELED)
		r.wantAvailable()
	})
}
