package control

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// leaderSample is a message of a leader upon which a worker acts when it comes over a live stream.
type leaderSample struct {
	kind string
	make func(w *worker) proto.Message
	// answered says how the worker shows that it acted, if that is only an answer; nil: its state changes.
	answered func(*pb.ToResourceManager) bool
}

func fromRM(kind string, make func(w *worker) *pb.FromResourceManager, answered func(*pb.ToResourceManager) bool) leaderSample {
	return leaderSample{"FromResourceManager." + kind, func(w *worker) proto.Message { return make(w) }, answered}
}

func fromJM(kind string, make func(w *worker) *pb.FromJobMaster) leaderSample {
	return leaderSample{"FromJobMaster." + kind, func(w *worker) proto.Message { return make(w) }, nil}
}

// fromLeader has one sample of every kind.
var fromLeader = []leaderSample{
	fromRM("heartbeat", func(*worker) *pb.FromResourceManager {
		return pb.FromResourceManager_builder{Heartbeat: &pb.ResourceManagerHeartbeat{}}.Build()
	}, func(m *pb.ToResourceManager) bool { return m.HasHeartbeat() }),
	fromRM("request_slot", func(w *worker) *pb.FromResourceManager { return w.requestSlot(100, 2, ids.AllocationID{9}) }, nil),
	fromRM("free_slot", func(w *worker) *pb.FromResourceManager { return freeSlot(100, w.active) }, nil),
	fromRM("can_be_released", func(*worker) *pb.FromResourceManager {
		return pb.FromResourceManager_builder{CanBeReleased: pb.CanBeReleased_builder{RequestId: 100}.Build()}.Build()
	}, func(m *pb.ToResourceManager) bool { return m.GetResponse().GetRequestId() == 100 }),
	fromRM("goodbye", func(*worker) *pb.FromResourceManager {
		return pb.FromResourceManager_builder{Goodbye: pb.Goodbye_builder{Exit: true, Reason: "test"}.Build()}.Build()
	}, nil),
	fromJM("heartbeat", func(w *worker) *pb.FromJobMaster { return jobBeat() }), // lists no slot: the worker frees what it believes to give
	fromJM("slot_offer_result", func(w *worker) *pb.FromJobMaster { return offerResult(w.offerID, w.offered) }),
	fromJM("deploy", func(w *worker) *pb.FromJobMaster { return w.deploy(100, w.attempt(1, w.epoch, 1), w.offered) }),
	fromJM("cancel", func(w *worker) *pb.FromJobMaster { return cancelTask(w.running) }),
	fromJM("free_slot", func(w *worker) *pb.FromJobMaster { return jobFreeSlot(w.active) }),
	fromJM("to_task", func(w *worker) *pb.FromJobMaster { return w.toTask(w.running) }), // an operator without coordinator fails by it
	fromJM("acknowledge", func(w *worker) *pb.FromJobMaster { return acknowledge(w.attempt(1, w.epoch, 2)) }),
	fromJM("job_done", func(w *worker) *pb.FromJobMaster {
		return pb.FromJobMaster_builder{JobDone: pb.JobDone_builder{Reason: "test"}.Build()}.Build()
	}),
}

func freeSlot(request uint64, a ids.AllocationID) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{FreeSlot: pb.FreeSlot_builder{RequestId: request, Allocation: a.Bytes(), Reason: "test"}.Build()}.Build()
}

func jobBeat(slots ...ids.AllocationID) *pb.FromJobMaster {
	var list [][]byte
	for _, a := range slots {
		list = append(list, a.Bytes())
	}
	return pb.FromJobMaster_builder{Heartbeat: pb.JobMasterHeartbeat_builder{Allocations: list}.Build()}.Build()
}

func cancelTask(a ids.ExecutionAttemptID) *pb.FromJobMaster {
	return pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: gateway.AttemptsToPB([]ids.ExecutionAttemptID{a})}.Build()}.Build()
}

func acknowledge(a ids.ExecutionAttemptID) *pb.FromJobMaster {
	return pb.FromJobMaster_builder{Acknowledge: pb.AcknowledgeFinals_builder{Attempts: gateway.AttemptsToPB([]ids.ExecutionAttemptID{a})}.Build()}.Build()
}

func jobFreeSlot(a ids.AllocationID) *pb.FromJobMaster {
	return pb.FromJobMaster_builder{FreeSlot: pb.FromJobMaster_FreeSlot_builder{Allocation: a.Bytes(), Reason: "test"}.Build()}.Build()
}

func (w *worker) toTask(a ids.ExecutionAttemptID) *pb.FromJobMaster {
	return pb.FromJobMaster_builder{ToTask: pb.ToTask_builder{
		Attempt: gateway.AttemptToPB(a), Operator: w.vertex.Operators[0].Bytes(), Payload: []byte("?"),
	}.Build()}.Build()
}

// endOne lets subtask 1 run in the offered slot and end there, so that the worker keeps its final state; for acknowledge.
func (w *worker) endOne() {
	w.t.Helper()
	a := w.attempt(1, w.epoch, 2)
	w.send(w.lane, w.deploy(50, a, w.offered))
	in := func(s pb.ExecutionState) func(*pb.ToJobMaster) bool {
		return func(m *pb.ToJobMaster) bool {
			return m.GetTaskState().GetState() == s && m.GetTaskState().GetAttempt().GetSubtask() == 1
		}
	}
	until(w.t, w.jm, in(pb.ExecutionState_RUNNING))
	w.send(w.lane, cancelTask(a))
	until(w.t, w.jm, in(pb.ExecutionState_CANCELED))
}

// prepared is a worker that is ready for a sample, and its state.
func prepared(t *testing.T, s leaderSample) (*worker, string) {
	t.Helper()
	w := newWorker(t)
	if s.kind == "FromJobMaster.acknowledge" {
		w.endOne()
	}
	return w, w.state()
}

// TestLiveStreamsOfLeaders shows that a worker acts upon each sample, so that TestDeadStreamsOfLeaders proves something.
func TestLiveStreamsOfLeaders(t *testing.T) {
	for _, s := range fromLeader {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			w, before := prepared(t, s)
			m := s.make(w)
			if got := kindOf(m); got != s.kind {
				t.Fatalf("sample of %s is a %s", s.kind, got)
			}
			w.send(w.lane, m)
			if s.answered != nil {
				until(t, w.rm, s.answered)
				return
			}
			eventually(t, "the worker acts upon it", func() bool { return w.state() != before })
		})
	}
}

// TestDeadStreamsOfLeaders sends each kind of message over a stream whose epoch is over, and over one that another has replaced. The stream
// is closed with the reason, and nothing changes at the worker.
func TestDeadStreamsOfLeaders(t *testing.T) {
	for _, s := range fromLeader {
		for _, c := range []struct {
			fault fault
			kill  func(w *worker) lane
			want  rpc.Code
		}{
			{staleEpoch, func(w *worker) lane { return w.lead(newEpoch) }, rpc.Fenced},
			{replayed, (*worker).reopen, rpc.Superseded},
		} {
			t.Run(s.kind+"/"+string(c.fault), func(t *testing.T) {
				t.Parallel()
				w, before := prepared(t, s)
				m := s.make(w)
				old := c.kill(w)
				w.send(old, m)
				if got := closedBy(t, old.rm); got != c.want {
					t.Errorf("the ResourceManager's stream was closed with %v, want %v", got, c.want)
				}
				if got := closedBy(t, old.jm); got != c.want {
					t.Errorf("the job's stream was closed with %v, want %v", got, c.want)
				}
				if after := w.state(); after != before {
					t.Errorf("the worker acted upon it:\n%s\nbefore:\n%s", after, before)
				}
			})
		}
	}
}

// leaderRow is a message over a live stream that a worker must not act upon.
type leaderRow struct {
	kind  string
	fault fault
	what  string
	make  func(w *worker) proto.Message
	want  rpc.Code // with which it is refused; 0: answered as before, or dropped
}

func rowRM(kind string, f fault, what string, want rpc.Code, make func(w *worker) *pb.FromResourceManager) leaderRow {
	return leaderRow{"FromResourceManager." + kind, f, what, func(w *worker) proto.Message { return make(w) }, want}
}

func rowJM(kind string, f fault, what string, want rpc.Code, make func(w *worker) *pb.FromJobMaster) leaderRow {
	return leaderRow{"FromJobMaster." + kind, f, what, func(w *worker) proto.Message { return make(w) }, want}
}

var nobody = ids.AllocationID{0xff}

var leaderRows = []leaderRow{
	rowRM("request_slot", unknown, "slot that does not exist", rpc.NoSlot, func(w *worker) *pb.FromResourceManager {
		return w.requestSlot(100, 7, nobody)
	}),
	rowRM("request_slot", unknown, "slot that another allocation has", rpc.NoSlot, func(w *worker) *pb.FromResourceManager {
		return w.requestSlot(100, 0, nobody)
	}),
	rowRM("request_slot", unknown, "allocation that another slot has", rpc.NoSlot, func(w *worker) *pb.FromResourceManager {
		return w.requestSlot(100, 2, w.active)
	}),
	rowRM("request_slot", unknown, "job without id", rpc.Invalid, func(w *worker) *pb.FromResourceManager {
		m := w.requestSlot(100, 2, nobody)
		m.GetRequestSlot().SetJob(nil)
		return m
	}),
	rowRM("request_slot", replayed, "request that was answered, for another slot", 0, func(w *worker) *pb.FromResourceManager {
		return w.requestSlot(1, 2, nobody)
	}),
	rowRM("request_slot", replayed, "allocation that is there already", 0, func(w *worker) *pb.FromResourceManager {
		return w.requestSlot(100, 0, w.active)
	}),
	rowRM("free_slot", unknown, "allocation that is not there", 0, func(w *worker) *pb.FromResourceManager { return freeSlot(100, nobody) }),
	rowRM("free_slot", unknown, "no allocation id", rpc.Invalid, func(w *worker) *pb.FromResourceManager {
		m := freeSlot(100, nobody)
		m.GetFreeSlot().SetAllocation([]byte{1})
		return m
	}),
	rowRM("free_slot", replayed, "request id that was answered", 0, func(w *worker) *pb.FromResourceManager { return freeSlot(1, w.active) }),
	rowJM("heartbeat", unknown, "slot that is not the job's", rpc.NoSlot, func(w *worker) *pb.FromJobMaster { return jobBeat(w.active, nobody) }),
	rowJM("slot_offer_result", unknown, "offer that was never made", 0, func(w *worker) *pb.FromJobMaster { return offerResult(w.offerID + 1000) }),
	rowJM("slot_offer_result", unknown, "offer without number", 0, func(w *worker) *pb.FromJobMaster { return offerResult(0) }),
	rowJM("slot_offer_result", replayed, "offer that was answered", 0, func(w *worker) *pb.FromJobMaster { return offerResult(w.answeredID) }),
	rowJM("deploy", staleEpoch, "generation of an earlier epoch", rpc.Fenced, func(w *worker) *pb.FromJobMaster {
		return w.deploy(100, w.attempt(0, oldEpoch-1, 9), w.active)
	}),
	rowJM("deploy", unknown, "slot that is not there", rpc.NoSlot, func(w *worker) *pb.FromJobMaster {
		return w.deploy(100, w.attempt(1, w.epoch, 1), nobody)
	}),
	rowJM("deploy", unknown, "another plan", rpc.PlanMismatch, func(w *worker) *pb.FromJobMaster {
		m := w.deploy(100, w.attempt(1, w.epoch, 1), w.active)
		other := *w.plan
		other.Operators = append(other.Operators[:0:0], other.Operators...)
		other.Operators[0].Func = "another"
		data, err := other.Marshal()
		if err != nil {
			w.t.Fatal(err)
		}
		digest := other.Digest()
		m.GetDeploy().SetPlan(data)
		m.GetDeploy().SetPlanDigest(digest[:])
		return m
	}),
	rowJM("deploy", replayed, "request that was answered, with another task", 0, func(w *worker) *pb.FromJobMaster {
		return w.deploy(1, w.attempt(1, w.epoch, 1), w.active)
	}),
	rowJM("deploy", replayed, "execution that runs", 0, func(w *worker) *pb.FromJobMaster { return w.deploy(100, w.running, w.active) }),
	rowJM("deploy", replayed, "earlier execution of a subtask that runs", rpc.Replayed, func(w *worker) *pb.FromJobMaster {
		return w.deploy(100, w.attempt(0, w.epoch, 0), w.active)
	}),
	rowJM("cancel", unknown, "execution that is not there", 0, func(w *worker) *pb.FromJobMaster { return cancelTask(w.attempt(0, w.epoch, 2)) }),
	rowJM("free_slot", unknown, "slot that is not there", 0, func(w *worker) *pb.FromJobMaster { return jobFreeSlot(nobody) }),
	rowJM("to_task", unknown, "execution that is not there", 0, func(w *worker) *pb.FromJobMaster { return w.toTask(w.attempt(0, w.epoch, 2)) }),
	rowJM("acknowledge", unknown, "execution that is not there", 0, func(w *worker) *pb.FromJobMaster {
		return acknowledge(w.attempt(1, w.epoch, 7))
	}),
	rowJM("acknowledge", unknown, "execution that has not ended", 0, func(w *worker) *pb.FromJobMaster { return acknowledge(w.running) }),
}

// TestLeaderRows sends what a worker must refuse, or drop, over live streams.
func TestLeaderRows(t *testing.T) {
	for _, r := range leaderRows {
		t.Run(r.kind+"/"+string(r.fault)+"/"+r.what, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t)
			before := w.state()
			m := r.make(w)
			if got := kindOf(m); got != r.kind {
				t.Fatalf("message of %s is a %s", r.kind, got)
			}
			w.send(w.lane, m)
			if got, answered := w.refusal(m); answered && got != r.want {
				t.Errorf("refused with %v, want %v", got, r.want)
			} else if !answered && r.want != 0 {
				t.Errorf("no answer, want %v", r.want)
			}
			if after := w.state(); after != before {
				t.Errorf("the worker acted upon it:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// refusal is the code with which the worker answers a message, 0 for success; false when the message gets no answer.
func (w *worker) refusal(m proto.Message) (rpc.Code, bool) {
	w.t.Helper()
	response := func(r *pb.Response) rpc.Code { return rpc.Code(r.GetFailure().GetCode()) }
	switch m := m.(type) {
	case *pb.FromResourceManager:
		id := m.GetRequestSlot().GetRequestId() + m.GetFreeSlot().GetRequestId()
		return response(until(w.t, w.rm, func(m *pb.ToResourceManager) bool { return m.GetResponse().GetRequestId() == id }).GetResponse()), true
	case *pb.FromJobMaster:
		switch {
		case m.HasDeploy():
			id := m.GetDeploy().GetRequestId()
			return response(until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.GetResponse().GetRequestId() == id }).GetResponse()), true
		case m.HasHeartbeat():
			lost := until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.HasSlotLost() }).GetSlotLost()
			return rpc.Code(lost.GetCause().GetCode()), true
		}
	}
	return 0, false
}
