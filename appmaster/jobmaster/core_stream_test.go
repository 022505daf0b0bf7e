package jobmaster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

var errReset = errors.New("connection reset")

// running is a job of two subtasks that runs on one worker.
func running(t *testing.T) (*rig, *fakeLink) {
	r := newRig(t, 2)
	l := r.join("w1", inventory(nil))
	r.offer("w1", l, 1, 1, 2)
	for i := range uint32(2) {
		r.task("w1", l, change(i, 7, pb.ExecutionState_RUNNING))
	}
	l.take()
	r.opens = nil
	return r, l
}

func bothSlots(state pb.SlotState) []*pb.Slot {
	return []*pb.Slot{slot(0, 1, state), slot(1, 2, state)}
}

// reconnect breaks the stream and opens a new one with this inventory.
func (r *rig) reconnect(l *fakeLink, inv *pb.JobInventory) *fakeLink {
	r.t.Helper()
	r.c.broken(r.now, "w1", l, errReset)
	next := r.opened()
	r.send("w1", next, pb.ToJobMaster_builder{Inventory: inv}.Build())
	return next
}

func TestDeployLostWithStream(t *testing.T) {
	r := newRig(t, 2)
	l := r.join("w1", inventory(nil))
	r.offer("w1", l, 1, 1, 2)
	r.want("first", l.take(), "accept#1 2", "deploy#1 7.0 7.1")
	l2 := r.reconnect(l, inventory(bothSlots(pb.SlotState_ACTIVE)))
	r.want("not in the inventory: sent again under the same id", l2.take(), "deploy#1 7.0 7.1")
	l3 := r.reconnect(l2, inventory(bothSlots(pb.SlotState_ACTIVE), change(0, 7, pb.ExecutionState_INITIALIZING), change(1, 7, pb.ExecutionState_FINISHED)))
	r.want("in the inventory: done", l3.take())
	if n := len(r.c.workers["w1"].requests); n != 0 {
		t.Errorf("%d requests are outstanding, want 0", n)
	}
	if state := r.c.sched.State(); state != scheduler.JobRunning || len(r.ends) != 0 {
		t.Errorf("job is %s, ended %v", state, r.ends)
	}
}

func TestDeployNotWantedAnyMore(t *testing.T) {
	r := newRig(t, 2)
	l := r.join("w1", inventory(nil))
	r.offer("w1", l, 1, 1, 2)
	r.c.broken(r.now, "w1", l, errReset)
	if err := r.c.cancel(r.now); err != nil {
		t.Fatal(err)
	}
	l2 := r.opened()
	r.send("w1", l2, pb.ToJobMaster_builder{Inventory: inventory(bothSlots(pb.SlotState_ACTIVE))}.Build())
	r.want("a cancelled job deploys nothing", l2.take())
	r.want("end", r.ends, "CANCELED")
}

func TestCancelLostWithStream(t *testing.T) {
	r, l := running(t)
	r.c.broken(r.now, "w1", l, errReset)
	if err := r.c.cancel(r.now); err != nil {
		t.Fatal(err)
	}
	l2 := r.opened()
	r.send("w1", l2, pb.ToJobMaster_builder{Inventory: inventory(bothSlots(pb.SlotState_ACTIVE),
		change(0, 7, pb.ExecutionState_RUNNING), change(1, 7, pb.ExecutionState_CANCELED))}.Build())
	r.want("cancelled again", l2.take(), "cancel 7.0")
	r.task("w1", l2, change(0, 7, pb.ExecutionState_CANCELED))
	r.want("end", r.ends, "CANCELED")
}

func TestUnreachable(t *testing.T) {
	r, l := running(t)
	r.c.broken(r.now, "w1", l, errReset)
	if len(r.opens) != 1 {
		t.Fatalf("a broken stream is opened again at once, got %d openings", len(r.opens))
	}
	r.c.opened(r.now, r.opens[0], nil, rpc.New(rpc.Unreachable, "connection refused"))
	r.want("not lost yet", r.ends)
	r.later[0](r.c, r.now)
	r.want("end", r.ends, "FAILED: worker w1 lost: unreachable at w1:1: connection refused")
	if fmt.Sprint(r.resets) != "[0 1]" {
		t.Errorf("coordinators were told of %v, want [0 1]", r.resets)
	}

	// Who runs it knows more than a broken connection tells.
	r, l = running(t)
	r.c.broken(r.now, "w1", l, errReset)
	r.c.opened(r.now, r.opens[0], nil, rpc.New(rpc.Unreachable, "connection refused"))
	r.c.workerGone(r.now, "w1", errors.New("killed by SIGKILL"))
	r.later[0](r.c, r.now)
	r.want("end", r.ends, "FAILED: worker w1 lost: killed by SIGKILL")

	// It is back before it is lost.
	r, l = running(t)
	r.c.broken(r.now, "w1", l, errReset)
	r.c.opened(r.now, r.opens[0], nil, rpc.New(rpc.Unreachable, "connection refused"))
	r.register("w1", 2)
	r.later[0](r.c, r.now)
	r.want("no end", r.ends)

	// It refuses because it is about to register anew: that is a sign of life.
	r, l = running(t)
	r.c.broken(r.now, "w1", l, errReset)
	r.c.opened(r.now, r.opens[0], nil, &rpc.Error{Code: rpc.Replayed, Outcome: rpc.OutcomeRefused})
	r.want("no end", r.ends)
	r.register("w1", 2)
	l2 := r.opened()
	r.send("w1", l2, pb.ToJobMaster_builder{Inventory: inventory(bothSlots(pb.SlotState_ACTIVE),
		change(0, 7, pb.ExecutionState_RUNNING), change(1, 7, pb.ExecutionState_RUNNING))}.Build())
	r.want("no end", r.ends)
}

func TestSlowReopening(t *testing.T) {
	r, l := running(t)
	r.c.cfg.FailureThreshold = -1 // never unreachable: only silence counts
	r.c.broken(r.now, "w1", l, errReset)
	r.c.opened(r.now, r.opens[0], nil, errReset)
	if len(r.opens) != 1 || len(r.later) != 1 {
		t.Fatalf("%d openings, %d timers, want 1 and 1", len(r.opens), len(r.later))
	}
	r.later[0](r.c, r.now)
	r.later[0](r.c, r.now) // one is under way already
	if len(r.opens) != 2 {
		t.Errorf("%d openings, want 2", len(r.opens))
	}
}

func TestSilence(t *testing.T) {
	r, l := running(t)
	r.now = r.now.Add(r.c.cfg.HeartbeatTimeout - time.Second)
	r.c.tick(r.now)
	if m := l.sent[len(l.sent)-1]; !m.HasHeartbeat() || len(m.GetHeartbeat().GetAllocations()) != 2 || m.GetHeartbeat().GetHold() {
		t.Errorf("heartbeat = %v", m)
	}
	r.want("alive", r.ends)
	r.now = r.now.Add(time.Second)
	r.c.tick(r.now)
	r.want("end", r.ends, "FAILED: worker w1 lost: no heartbeat for 8s")
	if l.closed == nil || len(r.c.pool.slots) != 0 {
		t.Error("a lost worker keeps its stream or slots")
	}
}

func TestWorkerGoneAndLeaving(t *testing.T) {
	r, _ := running(t)
	r.c.workerGone(r.now, "w1", errors.New("its container ended with exit code 137 (killed)"))
	r.want("end", r.ends, "FAILED: worker w1 lost: its container ended with exit code 137 (killed)")
	r.c.workerGone(r.now, "w9", errors.New("nobody we know"))

	r, l := running(t)
	r.send("w1", l, pb.ToJobMaster_builder{Leaving: pb.Leaving_builder{Cause: pb.Failure_builder{Message: "a task did not heed its cancellation"}.Build()}.Build()}.Build())
	r.want("end", r.ends, "FAILED: worker w1 lost: a task did not heed its cancellation")
}

// TestClosedOnPurpose: a worker that closes its stream because it has no slot for the job is not dialled again, nor after the job's end.
func TestClosedOnPurpose(t *testing.T) {
	r := newRig(t, 1)
	l := r.join("w1", inventory(nil))
	r.opens = nil
	r.c.broken(r.now, "w1", l, rpc.New(rpc.Closed, "no slots for the job"))
	if len(r.opens) != 0 || len(r.c.workers) != 0 || len(r.ends) != 0 {
		t.Errorf("%d openings, %d workers, ends %v", len(r.opens), len(r.c.workers), r.ends)
	}

	r, l = running(t)
	for i := range uint32(2) {
		r.task("w1", l, change(i, 7, pb.ExecutionState_FINISHED))
	}
	if err := r.c.conclude(r.now); err != nil {
		t.Fatal(err)
	}
	r.c.broken(r.now, "w1", l, errReset)
	if len(r.opens) != 0 || len(r.c.workers) != 0 {
		t.Errorf("after the end: %d openings, %d workers", len(r.opens), len(r.c.workers))
	}
}

func TestSlotsReconciled(t *testing.T) {
	for name, lose := range map[string]func(r *rig, l *fakeLink){
		"heartbeat": func(r *rig, l *fakeLink) {
			r.send("w1", l, pb.ToJobMaster_builder{Heartbeat: pb.JobHeartbeat_builder{Allocations: [][]byte{ids.AllocationID{1}.Bytes()}}.Build()}.Build())
		},
		"slot lost": func(r *rig, l *fakeLink) {
			m := pb.SlotLost_builder{Allocation: ids.AllocationID{2}.Bytes(), Cause: pb.Failure_builder{Message: "freed"}.Build()}.Build()
			r.send("w1", l, pb.ToJobMaster_builder{SlotLost: m}.Build())
		},
		"inventory": func(r *rig, l *fakeLink) {
			r.reconnect(l, inventory([]*pb.Slot{slot(0, 1, pb.SlotState_ACTIVE)}, change(0, 7, pb.ExecutionState_RUNNING)))
		},
	} {
		r, l := running(t)
		lose(r, l)
		if state := r.c.sched.State(); state != scheduler.JobFailing || len(r.c.pool.slots) != 1 {
			t.Errorf("%s: job is %s with %d slots, want FAILING with 1", name, state, len(r.c.pool.slots))
		}
	}
}

// TestForeignSlots: a new leader takes over ACTIVE slots, but puts nothing into one before the old leader's task there has ended.
func TestForeignSlots(t *testing.T) {
	r := newRig(t, 2)
	l := r.join("w1", inventory([]*pb.Slot{slot(0, 1, pb.SlotState_ACTIVE), slot(1, 2, pb.SlotState_ACTIVE), slot(2, 3, pb.SlotState_ACTIVE)},
		change(0, 6, pb.ExecutionState_RUNNING), change(1, 6, pb.ExecutionState_FINISHED)))
	r.want("after the inventory", l.take(), "free 3", "cancel 6.0", "acknowledge 6.1")
	r.task("w1", l, change(0, 6, pb.ExecutionState_CANCELED))
	r.want("after the old task's end", l.take(), "acknowledge 6.0", "deploy#1 7.0 7.1")
}

func TestEvents(t *testing.T) {
	r, l := running(t)
	fromTask := func(subtask uint32, epoch ids.Epoch, text string) {
		m := pb.FromTask_builder{Attempt: gateway.AttemptToPB(attemptOf(subtask, epoch)), Operator: testOp.Bytes(), Payload: []byte(text)}.Build()
		r.send("w1", l, pb.ToJobMaster_builder{FromTask: m}.Build())
	}
	fromTask(0, 7, "more")
	fromTask(1, 6, "stale")
	r.want("to the coordinator", r.events, "0:more")
	r.c.toTask(r.now, testOp, attemptOf(0, 7), []byte("split"))
	r.c.toTask(r.now, testOp, attemptOf(0, 6), []byte("stale"))
	r.want("to the task", l.take(), "event 0 split")

	// Long before the break: it has arrived. While there is no stream: it waits for the next.
	r.now = r.now.Add(r.c.cfg.HeartbeatTimeout + time.Second)
	r.c.workers["w1"].lastSeen = r.now
	r.c.broken(r.now, "w1", l, errReset)
	r.c.toTask(r.now, testOp, attemptOf(1, 7), []byte("later"))
	all := inventory(bothSlots(pb.SlotState_ACTIVE), change(0, 7, pb.ExecutionState_RUNNING), change(1, 7, pb.ExecutionState_RUNNING))
	l2 := r.opened()
	r.send("w1", l2, pb.ToJobMaster_builder{Inventory: all}.Build())
	r.want("after the reconnect", l2.take(), "event 1 later")

	// Just before the break: nobody knows, so the task fails rather than lose a split in silence.
	r.c.toTask(r.now, testOp, attemptOf(1, 7), []byte("lost?"))
	l2.take()
	l3 := r.reconnect(l2, all)
	r.want("after the unsure break", l3.take(), "cancel 7.1", "cancel 7.0")
	if got, want := r.c.sched.Cause().Sentence(), "the connection to worker w1 broke while its tasks were being given work"; got != want {
		t.Errorf("cause = %q, want %q", got, want)
	}
}

func TestHold(t *testing.T) {
	r, l := running(t)
	r.c.hold = true
	r.task("w1", l, change(0, 7, pb.ExecutionState_FAILED))
	r.offer("w1", l, 9, 7)
	r.c.workerGone(r.now, "w1", errors.New("gone"))
	if state := r.c.sched.State(); state != scheduler.JobRunning {
		t.Errorf("on hold the job became %s", state)
	}
	if err := r.c.cancel(r.now); !errors.Is(err, rpc.ErrOnHold) {
		t.Errorf("cancel on hold: %v", err)
	}
	if err := r.c.conclude(r.now); !errors.Is(err, rpc.ErrOnHold) {
		t.Errorf("conclude on hold: %v", err)
	}
	if a := r.register("w2", 1); !a.resp.HasFailure() {
		t.Errorf("register on hold: %v, %v, want Failure", a.resp, a.err)
	}
	r.want("nothing was sent", l.take())

	r, l = running(t)
	r.c.hold = true
	r.c.tick(r.now)
	if m := l.sent[len(l.sent)-1]; !m.GetHeartbeat().GetHold() {
		t.Error("heartbeats do not say hold")
	}
	r.c.toTask(r.now, testOp, attemptOf(0, 7), []byte("split"))
	r.want("events go on", l.take(), "event 0 split")
}

func TestCoordinatorFailure(t *testing.T) {
	r := newRig(t, 1)
	c, err := newCore(r.now, r.c.cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	c.step(r.now, scheduler.Initialized{})
	c.started(r.now, &coordinatorhost.Error{Operator: "Source: lines", Method: "start", Err: errors.New("open /nope: file does not exist")})
	r.want("end", r.ends, "FAILED: Source: lines: open /nope: file does not exist")
	if fmt.Sprint(r.declared) != "[1]" { // that of the rig itself
		t.Errorf("slots were declared: %v", r.declared)
	}

	r, l := running(t)
	for i := range uint32(2) {
		r.task("w1", l, change(i, 7, pb.ExecutionState_FINISHED))
	}
	r.c.coordinatorFailed(r.now, errors.New("too late to matter"))
	r.want("end", r.ends, "FINISHED")
	r.c.fail(r.now, scheduler.Failure{Message: "commit: target exists"})
	r.want("a failed commit", r.ends, "FINISHED", "FAILED: commit: target exists")
}

func TestSurplusSlots(t *testing.T) {
	r, l := running(t)
	r.c.pool.wanted = 1 // as a later scheduler may want fewer
	idle := ids.AllocationID{9}
	r.c.pool.add(&pooled{allocation: idle, worker: "w1", index: 2})
	r.c.tick(r.now)
	r.c.workers["w1"].lastSeen = r.now.Add(r.c.cfg.SlotIdleTimeout)
	r.c.tick(r.now.Add(r.c.cfg.SlotIdleTimeout))
	r.want("idle and surplus", l.take(), "free 9")
	if len(r.c.pool.slots) != 2 {
		t.Errorf("%d slots are left, want the 2 in use", len(r.c.pool.slots))
	}
}

// TestSecondaryCause: a broken exchange is felt first, the dead worker explains it.
func TestSecondaryCause(t *testing.T) {
	r := newRig(t, 2)
	l1, l2 := r.join("w1", inventory(nil)), r.join("w2", inventory(nil))
	r.offer("w1", l1, 1, 1)
	r.offer("w2", l2, 1, 2)
	felt := change(1, 7, pb.ExecutionState_FAILED)
	felt.SetFailure(pb.Failure_builder{Code: uint32(rpc.Unreachable), Message: "the exchange with w1 broke"}.Build())
	r.task("w2", l2, felt)
	r.want("not ended while w1 may live", r.ends)
	r.c.workerGone(r.now, "w1", errors.New("killed"))
	r.want("end", r.ends, "FAILED: worker w1 lost: killed")
}

// TestLossKeepsItsReason: a lost worker that lives on registers again; that the ResourceManager no longer knows it is no news.
func TestLossKeepsItsReason(t *testing.T) {
	r := newRig(t, 2)
	l1, l2 := r.join("w1", inventory(nil)), r.join("w2", inventory(nil))
	r.offer("w1", l1, 1, 1)
	r.offer("w2", l2, 1, 2)
	r.task("w2", l2, change(1, 7, pb.ExecutionState_RUNNING))
	r.c.workerGone(r.now, "w1", errors.New("its node was lost"))
	again := r.register("w1", 2)
	r.c.opened(r.now, r.opens[len(r.opens)-1], nil, rpc.New(rpc.UnknownWorker, "not registered"))
	if !errors.Is(again.err, rpc.ErrUnknownWorker) || r.c.workers["w1"] != nil {
		t.Errorf("answer = %v, %v, want unknown worker", again.resp, again.err)
	}
	r.task("w2", l2, change(1, 7, pb.ExecutionState_CANCELED))
	r.want("end", r.ends, "FAILED: worker w1 lost: its node was lost")
}
