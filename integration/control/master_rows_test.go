package control

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// workerMessage is a message of one of the played workers.
type workerMessage struct {
	from func(l *leader) *played
	make func(l *leader) proto.Message
}

// workerSample is a message upon which a leader acts when it comes over a live stream.
type workerSample struct {
	kind string
	workerMessage
	answered func(*pb.FromJobMaster) bool // how it shows, if that is only an answer; nil: what can be seen of the leader changes
}

func w1(l *leader) *played { return l.w1 }
func w2(l *leader) *played { return l.w2 }
func w3(l *leader) *played { return l.w3 }
func w4(l *leader) *played { return l.w4 }

func toRM(from func(*leader) *played, make func(l *leader) *pb.ToResourceManager) workerMessage {
	return workerMessage{from, func(l *leader) proto.Message { return make(l) }}
}

func toJM(from func(*leader) *played, make func(l *leader) *pb.ToJobMaster) workerMessage {
	return workerMessage{from, func(l *leader) proto.Message { return make(l) }}
}

var (
	freeReport = pb.SlotReport_builder{Slots: []*pb.Slot{pb.Slot_builder{State: pb.SlotState_FREE}.Build()}}.Build()
	leaving    = pb.Leaving_builder{Cause: oops}.Build()
)

// fromWorker has one sample of every kind.
var fromWorker = []workerSample{
	{"ToResourceManager.inventory", toRM(w4, func(*leader) *pb.ToResourceManager {
		return pb.ToResourceManager_builder{Inventory: freeReport}.Build()
	}), nil},
	{"ToResourceManager.heartbeat", toRM(w4, func(*leader) *pb.ToResourceManager {
		return pb.ToResourceManager_builder{Heartbeat: freeReport}.Build()
	}), nil},
	{"ToResourceManager.response", toRM(w3, func(l *leader) *pb.ToResourceManager { return rmResponse(l.releaseRequest, nil) }), nil},
	{"ToResourceManager.slot_available", toRM(w4, func(l *leader) *pb.ToResourceManager { return slotAvailable(l.foreign) }), nil},
	{"ToResourceManager.leaving", toRM(w3, func(*leader) *pb.ToResourceManager {
		return pb.ToResourceManager_builder{Leaving: leaving}.Build()
	}), nil},
	{"ToJobMaster.inventory", toJM(w2, func(l *leader) *pb.ToJobMaster { return l.w2.inventory(pb.SlotState_ACTIVE) }), nil}, // its task is gone
	{"ToJobMaster.heartbeat", toJM(w1, func(*leader) *pb.ToJobMaster {
		return pb.ToJobMaster_builder{Heartbeat: &pb.JobHeartbeat{}}.Build() // its slot is gone
	}), nil},
	{"ToJobMaster.slot_offer", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.w1.slotOffer(777) }),
		func(m *pb.FromJobMaster) bool { return m.GetSlotOfferResult().GetRequestId() == 777 }},
	{"ToJobMaster.response", toJM(w1, func(l *leader) *pb.ToJobMaster { return jobResponse(l.w1.deployRequest, oops) }), nil},
	{"ToJobMaster.task_state", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return taskState(l.w1.change(l.w1.running, pb.ExecutionState_FAILED))
	}), nil},
	{"ToJobMaster.from_task", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.fromTask(l.w1.running) }), nil},
	{"ToJobMaster.slot_lost", toJM(w1, func(l *leader) *pb.ToJobMaster { return slotLost(l.w1.allocation) }), nil},
	{"ToJobMaster.leaving", toJM(w1, func(*leader) *pb.ToJobMaster { return pb.ToJobMaster_builder{Leaving: leaving}.Build() }), nil},
}

func slotAvailable(a ids.AllocationID) *pb.ToResourceManager {
	return pb.ToResourceManager_builder{SlotAvailable: pb.SlotAvailable_builder{Allocation: a.Bytes()}.Build()}.Build()
}

func slotLost(a ids.AllocationID) *pb.ToJobMaster {
	return pb.ToJobMaster_builder{SlotLost: pb.SlotLost_builder{Allocation: a.Bytes(), Cause: oops}.Build()}.Build()
}

func (l *leader) fromTask(a ids.ExecutionAttemptID) *pb.ToJobMaster {
	return pb.ToJobMaster_builder{FromTask: pb.FromTask_builder{
		Attempt: gateway.AttemptToPB(a), Operator: l.vertex.Operators[0].Bytes(), Payload: []byte("hello"),
	}.Build()}.Build()
}

// TestLiveStreamsOfWorkers shows that the leader acts upon each sample, so that TestDeadStreamsOfWorkers proves something.
func TestLiveStreamsOfWorkers(t *testing.T) {
	for _, s := range fromWorker {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			l := newLeader(t)
			before := l.settled()
			m, w := s.make(l), s.from(l)
			if got := kindOf(m); got != s.kind {
				t.Fatalf("sample of %s is a %s", s.kind, got)
			}
			w.send(w.ends, m)
			if s.answered != nil {
				until(t, w.jm, s.answered)
				return
			}
			eventually(t, "the leader acts upon it", func() bool { return l.look() != before })
		})
	}
}

// TestDeadStreamsOfWorkers sends each kind of message over a stream whose leader has been followed by another, and over one that the
// worker has replaced by registering again. The stream is closed with the reason, and nothing can be seen of the message.
func TestDeadStreamsOfWorkers(t *testing.T) {
	for _, s := range fromWorker {
		t.Run(s.kind+"/"+string(staleEpoch), func(t *testing.T) {
			t.Parallel()
			l := newLeader(t)
			w := s.from(l)
			old, m := w.ends, s.make(l)
			l.lead(newEpoch)
			before := l.settled()
			w.send(old, m)
			expectClosed(t, old, m, rpc.Stopped)
			w.done()
			if after := l.settled(); after != before {
				t.Errorf("the leader acted upon it:\n%s\nbefore:\n%s", after, before)
			}
		})
		t.Run(s.kind+"/"+string(replayed), func(t *testing.T) {
			t.Parallel()
			l := newLeader(t)
			w := s.from(l)
			m := s.make(l)
			old := w.again()
			before := l.settled()
			w.send(old, m)
			expectClosed(t, old, m, rpc.Superseded)
			w.done()
			if after := l.settled(); after != before {
				t.Errorf("the leader acted upon it:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// expectClosed reads the stream that m belongs to until it ends.
func expectClosed(t *testing.T, old ends, m proto.Message, want rpc.Code) {
	t.Helper()
	var got rpc.Code
	if _, ok := m.(*pb.ToResourceManager); ok {
		got = closedBy(t, old.rm)
	} else {
		got = closedBy(t, old.jm)
	}
	if got != want {
		t.Errorf("the stream was closed with %v, want %v", got, want)
	}
}

// workerRow is a message over a live stream that a leader must not act upon.
type workerRow struct {
	kind  string
	fault fault
	what  string
	workerMessage
}

var workerRows = []workerRow{
	{"ToResourceManager.inventory", unknown, "slot of a job that is not here: it counts as taken", toRM(w4, func(l *leader) *pb.ToResourceManager {
		return pb.ToResourceManager_builder{Inventory: pb.SlotReport_builder{Slots: []*pb.Slot{l.foreignSlot()}}.Build()}.Build()
	})},
	{"ToResourceManager.heartbeat", unknown, "slot that the worker does not have", toRM(w4, func(l *leader) *pb.ToResourceManager {
		return slotReport(l.foreignSlot(), pb.Slot_builder{Index: 1, State: pb.SlotState_FREE}.Build())
	})},
	{"ToResourceManager.response", unknown, "request that was never made", toRM(w4, func(l *leader) *pb.ToResourceManager { return rmResponse(1<<40, oops) })},
	{"ToResourceManager.response", unknown, "request to another worker", toRM(w4, func(l *leader) *pb.ToResourceManager { return rmResponse(l.releaseRequest, nil) })},
	{"ToResourceManager.response", replayed, "request that was answered, refused now", toRM(w1, func(l *leader) *pb.ToResourceManager {
		return rmResponse(l.w1.slotRequest, oops)
	})},
	{"ToResourceManager.slot_available", unknown, "allocation that is not there", toRM(w4, func(l *leader) *pb.ToResourceManager { return slotAvailable(nobody) })},
	{"ToResourceManager.slot_available", unknown, "allocation of another worker", toRM(w4, func(l *leader) *pb.ToResourceManager { return slotAvailable(l.w1.allocation) })},
	{"ToJobMaster.inventory", unknown, "execution that is not the job's", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return l.w1.inventory(pb.SlotState_ACTIVE, l.w1.change(l.w1.running, pb.ExecutionState_RUNNING), l.w1.change(l.other(l.w1.running), pb.ExecutionState_FAILED))
	})},
	{"ToJobMaster.inventory", staleEpoch, "execution of an earlier epoch", toJM(w1, func(l *leader) *pb.ToJobMaster {
		old := l.w1.running
		old.Epoch--
		return l.w1.inventory(pb.SlotState_ACTIVE, l.w1.change(l.w1.running, pb.ExecutionState_RUNNING), l.w1.change(old, pb.ExecutionState_RUNNING))
	})},
	{"ToJobMaster.inventory", unknown, "execution of another worker", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return l.w1.inventory(pb.SlotState_ACTIVE, l.w1.change(l.w1.running, pb.ExecutionState_RUNNING), l.w1.change(l.w2.running, pb.ExecutionState_FAILED))
	})},
	{"ToJobMaster.heartbeat", unknown, "slot that is not the job's", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return pb.ToJobMaster_builder{Heartbeat: pb.JobHeartbeat_builder{Allocations: [][]byte{l.w1.allocation.Bytes(), nobody.Bytes()}}.Build()}.Build()
	})},
	{"ToJobMaster.heartbeat", unknown, "metrics of an execution on another worker", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return pb.ToJobMaster_builder{Heartbeat: pb.JobHeartbeat_builder{
			Allocations: [][]byte{l.w1.allocation.Bytes()},
			Tasks:       []*pb.TaskMetrics{pb.TaskMetrics_builder{Attempt: gateway.AttemptToPB(l.w2.running), RecordsIn: 99}.Build()},
		}.Build()}.Build()
	})},
	{"ToJobMaster.slot_offer", unknown, "slot that is not wanted", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.w1.slotOffer(20, nobody) })},
	{"ToJobMaster.slot_offer", unknown, "slot of another worker", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.w1.slotOffer(20, l.w2.allocation) })},
	{"ToJobMaster.slot_offer", replayed, "offer that was answered", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.w1.slotOffer(l.w1.offerID) })},
	{"ToJobMaster.response", unknown, "request that was never made", toJM(w1, func(*leader) *pb.ToJobMaster { return jobResponse(1<<40, oops) })},
	{"ToJobMaster.response", unknown, "request to another worker", toJM(w2, func(l *leader) *pb.ToJobMaster { return jobResponse(l.w1.deployRequest, oops) })},
	{"ToJobMaster.response", replayed, "request that was answered, refused now", toJM(w2, func(l *leader) *pb.ToJobMaster {
		return jobResponse(l.w2.deployRequest, oops)
	})},
	{"ToJobMaster.task_state", staleEpoch, "generation of an earlier epoch", toJM(w1, func(l *leader) *pb.ToJobMaster {
		c := l.w1.change(l.w1.running, pb.ExecutionState_FAILED)
		c.SetGeneration(gateway.GenerationToPB(ids.Generation{Epoch: oldEpoch - 1}))
		return taskState(c)
	})},
	{"ToJobMaster.task_state", staleEpoch, "execution of an earlier epoch", toJM(w1, func(l *leader) *pb.ToJobMaster {
		old := l.w1.running
		old.Epoch--
		return taskState(l.w1.change(old, pb.ExecutionState_FAILED))
	})},
	{"ToJobMaster.task_state", unknown, "execution that is not the job's", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return taskState(l.w1.change(l.other(l.w1.running), pb.ExecutionState_FAILED))
	})},
	{"ToJobMaster.task_state", unknown, "execution of another worker", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return taskState(l.w1.change(l.w2.running, pb.ExecutionState_FAILED))
	})},
	{"ToJobMaster.task_state", replayed, "state that was left", toJM(w1, func(l *leader) *pb.ToJobMaster {
		return taskState(l.w1.change(l.w1.running, pb.ExecutionState_INITIALIZING))
	})},
	{"ToJobMaster.from_task", unknown, "execution that is not the job's", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.fromTask(l.other(l.w1.running)) })},
	{"ToJobMaster.from_task", unknown, "execution of another worker", toJM(w1, func(l *leader) *pb.ToJobMaster { return l.fromTask(l.w2.running) })},
	{"ToJobMaster.from_task", unknown, "operator without coordinator", toJM(w1, func(l *leader) *pb.ToJobMaster {
		m := l.fromTask(l.w1.running)
		m.GetFromTask().SetOperator(ids.OperatorID{0xee}.Bytes())
		return m
	})},
	{"ToJobMaster.slot_lost", unknown, "slot that is not the job's", toJM(w1, func(*leader) *pb.ToJobMaster { return slotLost(nobody) })},
	{"ToJobMaster.slot_lost", unknown, "slot of another worker", toJM(w1, func(l *leader) *pb.ToJobMaster { return slotLost(l.w2.allocation) })},
}

// other is an execution of the same subtask that nobody deployed.
func (l *leader) other(a ids.ExecutionAttemptID) ids.ExecutionAttemptID {
	a.N += 7
	return a
}

// TestWorkerRows sends what a leader must drop over live streams.
func TestWorkerRows(t *testing.T) {
	for _, r := range workerRows {
		t.Run(r.kind+"/"+string(r.fault)+"/"+r.what, func(t *testing.T) {
			t.Parallel()
			l := newLeader(t)
			before := l.settled()
			m, w := r.make(l), r.from(l)
			if got := kindOf(m); got != r.kind {
				t.Fatalf("message of %s is a %s", r.kind, got)
			}
			w.send(w.ends, m)
			w.done()
			if after := l.settled(); after != before {
				t.Errorf("the leader acted upon it:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}
