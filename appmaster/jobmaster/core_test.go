package jobmaster

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
)

var (
	testJob    = ids.JobID{1}
	testOp     = ids.OperatorID{'a'}
	testVertex = ids.VertexID{'a'}
)

const testEpoch ids.Epoch = 7

// rig drives a core by hand: no goroutine, no clock.
type rig struct {
	t   *testing.T
	c   *core
	now time.Time

	opens    []opening
	later    []func(*core, time.Time)
	declared []int
	events   []string
	resets   []int
	states   []scheduler.JobState
	ends     []string
}

func newRig(t *testing.T, parallelism int) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Unix(1000, 0)}
	cfg := Config{
		Job: testJob, Epoch: testEpoch, Plan: &plan.Plan{Name: "test"}, Log: slog.New(slog.DiscardHandler),
		Graph: &plan.JobGraph{Vertices: []plan.Vertex{{
			ID: testVertex, Name: "a", Operators: []ids.OperatorID{testOp}, Parallelism: parallelism, MaxParallelism: 128,
		}}},
	}.withDefaults()
	c, err := newCore(r.now, cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	r.c = c
	c.step(r.now, scheduler.Initialized{})
	c.started(r.now, nil)
	return r
}

func (r *rig) open(o opening)                                  { r.opens = append(r.opens, o) }
func (r *rig) after(_ time.Duration, f func(*core, time.Time)) { r.later = append(r.later, f) }
func (r *rig) declare(n int)                                   { r.declared = append(r.declared, n) }
func (r *rig) subtaskFailed(_ []ids.OperatorID, subtask int)   { r.resets = append(r.resets, subtask) }
func (r *rig) stateChanged(s scheduler.JobState, _ time.Time)  { r.states = append(r.states, s) }
func (r *rig) ended(s scheduler.JobState, cause scheduler.Failure) {
	text := s.String()
	if !cause.IsZero() {
		text += ": " + cause.Sentence()
	}
	r.ends = append(r.ends, text)
}
func (r *rig) event(_ ids.OperatorID, a ids.ExecutionAttemptID, payload []byte) {
	r.events = append(r.events, fmt.Sprintf("%d:%s", a.Subtask, payload))
}

// fakeLink records what is sent.
type fakeLink struct {
	sent   []*pb.FromJobMaster
	closed error
}

func (l *fakeLink) Send(m *pb.FromJobMaster) error { l.sent = append(l.sent, m); return nil }
func (l *fakeLink) Close(cause error)              { l.closed = cause }

// take returns what was sent since the last take, as text, without heartbeats.
func (l *fakeLink) take() []string {
	var out []string
	for _, m := range l.sent {
		if text := messageText(m); text != "" {
			out = append(out, text)
		}
	}
	l.sent = nil
	return out
}

func messageText(m *pb.FromJobMaster) string {
	attempts := func(list []*pb.ExecutionAttempt) string {
		var s []string
		for _, a := range list {
			s = append(s, fmt.Sprintf("%d.%d", a.GetEpoch(), a.GetSubtask()))
		}
		return strings.Join(s, " ")
	}
	switch m.WhichMessage() {
	case pb.FromJobMaster_Deploy_case:
		var list []*pb.ExecutionAttempt
		for _, t := range m.GetDeploy().GetTasks() {
			list = append(list, t.GetAttempt())
		}
		return fmt.Sprintf("deploy#%d %s", m.GetDeploy().GetRequestId(), attempts(list))
	case pb.FromJobMaster_Cancel_case:
		return "cancel " + attempts(m.GetCancel().GetAttempts())
	case pb.FromJobMaster_Acknowledge_case:
		return "acknowledge " + attempts(m.GetAcknowledge().GetAttempts())
	case pb.FromJobMaster_SlotOfferResult_case:
		return fmt.Sprintf("accept#%d %d", m.GetSlotOfferResult().GetRequestId(), len(m.GetSlotOfferResult().GetAccepted()))
	case pb.FromJobMaster_FreeSlot_case:
		return fmt.Sprintf("free %d", m.GetFreeSlot().GetAllocation()[0])
	case pb.FromJobMaster_ToTask_case:
		return fmt.Sprintf("event %d %s", m.GetToTask().GetAttempt().GetSubtask(), m.GetToTask().GetPayload())
	case pb.FromJobMaster_JobDone_case:
		return "done"
	}
	return ""
}

func (r *rig) want(what string, got []string, want ...string) {
	r.t.Helper()
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		r.t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

type answer struct {
	resp *pb.RegistrationResponse
	err  error
}

func (r *rig) register(worker string, attempt uint64) *answer {
	a := &answer{}
	r.c.register(r.now, request(worker, attempt), func(resp *pb.RegistrationResponse, err error) {
		if a.resp != nil || a.err != nil {
			r.t.Error("answered twice")
		}
		a.resp, a.err = resp, err
	})
	return a
}

func request(worker string, attempt uint64) *pb.RegisterAtJobMasterRequest {
	return pb.RegisterAtJobMasterRequest_builder{
		Epoch: uint64(testEpoch), Job: testJob.Bytes(), ResourceId: worker, Attempt: attempt, Address: worker + ":1",
	}.Build()
}

// opened answers the newest opening with a new link.
func (r *rig) opened() *fakeLink {
	r.t.Helper()
	o := r.opens[len(r.opens)-1]
	l := &fakeLink{}
	if !r.c.opened(r.now, o, l, nil) {
		r.t.Fatalf("stream to %s was not taken", o.worker)
	}
	return l
}

// join registers a worker, opens its stream and sends an inventory.
func (r *rig) join(worker string, inventory *pb.JobInventory) *fakeLink {
	r.t.Helper()
	r.register(worker, 1)
	l := r.opened()
	r.send(worker, l, pb.ToJobMaster_builder{Inventory: inventory}.Build())
	return l
}

func (r *rig) send(worker string, l link, m *pb.ToJobMaster) {
	r.c.message(r.now, ids.ResourceID(worker), l, m)
}

func (r *rig) offer(worker string, l link, request uint64, allocations ...byte) {
	b := pb.SlotOffer_builder{RequestId: request, DataAddress: worker + ":2"}
	for i, a := range allocations {
		b.Slots = append(b.Slots, slot(uint32(i), a, pb.SlotState_ALLOCATED))
	}
	r.send(worker, l, pb.ToJobMaster_builder{SlotOffer: b.Build()}.Build())
}

func slot(index uint32, allocation byte, state pb.SlotState) *pb.Slot {
	return pb.Slot_builder{Index: index, Job: testJob.Bytes(), Allocation: ids.AllocationID{allocation}.Bytes(), State: state}.Build()
}

func attemptOf(subtask uint32, epoch ids.Epoch) ids.ExecutionAttemptID {
	return ids.ExecutionAttemptID{Job: testJob, Vertex: testVertex, Subtask: subtask, Epoch: epoch}
}

func change(subtask uint32, epoch ids.Epoch, state pb.ExecutionState) *pb.TaskStateChange {
	return pb.TaskStateChange_builder{
		Attempt: gateway.AttemptToPB(attemptOf(subtask, epoch)), Generation: gateway.GenerationToPB(ids.Generation{Epoch: epoch}), State: state,
		Allocation: ids.AllocationID{byte(subtask + 1)}.Bytes(),
	}.Build()
}

func (r *rig) task(worker string, l link, c *pb.TaskStateChange) {
	r.send(worker, l, pb.ToJobMaster_builder{TaskState: c}.Build())
}

func inventory(slots []*pb.Slot, executions ...*pb.TaskStateChange) *pb.JobInventory {
	return pb.JobInventory_builder{Slots: slots, Executions: executions, DataAddress: "data:2"}.Build()
}

func TestRegistrationRefusals(t *testing.T) {
	r := newRig(t, 1)
	r.register("w1", 5)
	r.opened()
	cases := []struct {
		name string
		edit func(*pb.RegisterAtJobMasterRequest)
		want error
	}{
		{"stale epoch", func(q *pb.RegisterAtJobMasterRequest) { q.SetEpoch(6) }, rpc.ErrFenced},
		{"future epoch", func(q *pb.RegisterAtJobMasterRequest) { q.SetEpoch(8) }, rpc.ErrFenced},
		{"other job", func(q *pb.RegisterAtJobMasterRequest) { q.SetJob(ids.JobID{2}.Bytes()) }, rpc.ErrUnknownJob},
		{"no job", func(q *pb.RegisterAtJobMasterRequest) { q.SetJob(nil) }, rpc.ErrUnknownJob},
		{"replayed attempt", func(q *pb.RegisterAtJobMasterRequest) { q.SetAttempt(4) }, rpc.ErrReplayed},
		{"no address", func(q *pb.RegisterAtJobMasterRequest) { q.SetAddress("") }, &rpc.Error{Code: rpc.Invalid}},
	}
	for _, c := range cases {
		q := request("w1", 6)
		c.edit(q)
		var got error
		r.c.register(r.now, q, func(_ *pb.RegistrationResponse, err error) { got = err })
		if !errors.Is(got, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, got, c.want)
		}
	}
	if len(r.opens) != 1 {
		t.Errorf("%d streams were opened, want 1", len(r.opens))
	}
}

func TestRegistrationAttempts(t *testing.T) {
	r := newRig(t, 1)
	first, again := r.register("w1", 1), r.register("w1", 1)
	if len(r.opens) != 1 || first.resp != nil || again.resp != nil {
		t.Fatalf("the answer must wait for one stream: %d openings, %v, %v", len(r.opens), first, again)
	}
	newer := r.register("w1", 2)
	if !first.resp.HasFailure() || !again.resp.HasFailure() {
		t.Error("the superseded attempt was not answered with Failure")
	}
	stale := &fakeLink{}
	if r.c.opened(r.now, r.opens[0], stale, nil) || stale.closed == nil || newer.resp != nil {
		t.Error("the stream of a superseded attempt was taken")
	}
	l := r.opened()
	if !newer.resp.HasSuccess() || newer.resp.GetEpoch() != uint64(testEpoch) {
		t.Errorf("answer = %v, want success", newer.resp)
	}
	if same := r.register("w1", 2); !same.resp.HasSuccess() || len(r.opens) != 2 {
		t.Errorf("a repeated registration is idempotent, got %v after %d openings", same.resp, len(r.opens))
	}

	// A newer attempt replaces the stream; the old one's words do not count any more.
	r.register("w1", 3)
	r.opened()
	if l.closed == nil {
		t.Error("the replaced stream was not closed")
	}
	r.send("w1", l, pb.ToJobMaster_builder{Inventory: inventory(nil)}.Build())
	if r.c.workers["w1"].inventory {
		t.Error("a message of a replaced stream counted")
	}
}

func TestRegistrationNotReached(t *testing.T) {
	r := newRig(t, 1)
	a := r.register("w1", 1)
	r.c.opened(r.now, r.opens[0], nil, rpc.New(rpc.Unreachable, "connection refused"))
	if !a.resp.HasFailure() {
		t.Errorf("answer = %v, %v, want Failure", a.resp, a.err)
	}
	b := r.register("w2", 1)
	r.c.opened(r.now, r.opens[1], nil, rpc.New(rpc.UnknownWorker, "never heard of it"))
	if !errors.Is(b.err, rpc.ErrUnknownWorker) || r.c.workers["w2"] != nil {
		t.Errorf("answer = %v, %v, want unknown worker", b.resp, b.err)
	}
}

func TestInventoryComesFirst(t *testing.T) {
	r := newRig(t, 1)
	r.register("w1", 1)
	l := r.opened()
	r.offer("w1", l, 1, 1)
	if l.closed == nil || len(r.c.pool.slots) != 0 {
		t.Error("a stream that does not begin with an inventory was believed")
	}
}

func TestLife(t *testing.T) {
	r := newRig(t, 3)
	if fmt.Sprint(r.declared) != "[3]" {
		t.Fatalf("declared %v, want [3]", r.declared)
	}
	l1, l2 := r.join("w1", inventory(nil)), r.join("w2", inventory(nil))
	r.offer("w1", l1, 11, 1, 2)
	r.want("w1 waits", l1.take(), "accept#11 2")
	r.offer("w2", l2, 21, 3, 4)
	r.want("w2: one slot is surplus, the answer goes ahead of the tasks", l2.take(), "accept#21 1", "deploy#2 7.2")
	r.want("w1 gets its tasks in one message", l1.take(), "deploy#1 7.0 7.1")
	r.send("w1", l1, pb.ToJobMaster_builder{Response: pb.Response_builder{RequestId: 1}.Build()}.Build())
	r.offer("w1", l1, 12, 1, 2)
	r.want("a repeated offer is accepted again", l1.take(), "accept#12 2")
	for i := range uint32(2) {
		r.task("w1", l1, change(i, 7, pb.ExecutionState_RUNNING))
		r.task("w1", l1, change(i, 7, pb.ExecutionState_FINISHED))
	}
	r.task("w2", l2, change(2, 7, pb.ExecutionState_RUNNING))
	r.send("w2", l2, pb.ToJobMaster_builder{Heartbeat: pb.JobHeartbeat_builder{
		Tasks:       []*pb.TaskMetrics{pb.TaskMetrics_builder{Attempt: gateway.AttemptToPB(attemptOf(2, 7)), RecordsOut: 9}.Build()},
		Allocations: [][]byte{ids.AllocationID{3}.Bytes()},
	}.Build()}.Build())
	if got := r.c.makeView().Vertices[0].Metrics.RecordsOut; got != 9 {
		t.Errorf("records out = %d, want 9", got)
	}
	if len(r.ends) != 0 {
		t.Errorf("ended early: %v", r.ends)
	}
	r.task("w2", l2, change(2, 7, pb.ExecutionState_FINISHED))
	r.want("end", r.ends, "FINISHED")
	r.want("nothing is acknowledged before the end is stored", append(l1.take(), l2.take()...))
	if err := r.c.conclude(r.now); err != nil {
		t.Fatal(err)
	}
	r.want("w1 at the end", l1.take(), "acknowledge 7.0 7.1", "done")
	r.want("w2 at the end", l2.take(), "acknowledge 7.2", "done")
	if fmt.Sprint(r.declared) != "[3 0]" || r.c.sched.State() != scheduler.JobFinished {
		t.Errorf("declared %v in state %s", r.declared, r.c.sched.State())
	}
	if err := r.c.cancel(r.now); err == nil || !strings.Contains(err.Error(), "FINISHED") {
		t.Errorf("cancel after the end: %v", err)
	}
}

func TestDeployRefused(t *testing.T) {
	r := newRig(t, 1)
	l := r.join("w1", inventory(nil))
	r.offer("w1", l, 1, 1)
	refusal := pb.ToJobMaster_builder{Response: pb.Response_builder{RequestId: 1,
		Failure: pb.Failure_builder{Code: uint32(rpc.PlanMismatch), Message: "the plans differ: operator x is new"}.Build()}.Build()}.Build()
	r.send("w1", l, refusal)
	r.send("w1", l, refusal) // replayed: closed already
	r.want("end", r.ends, "FAILED: worker w1 refused the tasks: the plans differ: operator x is new")
}

func TestViewAndWaiting(t *testing.T) {
	r := newRig(t, 3)
	r.c.notEnoughResources(r.now, "the queue has room for 1 of 2 workers", false)
	l := r.join("w1", inventory(nil))
	r.offer("w1", l, 1, 1, 2)
	const want = "the job wants 3 slots and has 2, from 1 workers; the queue has room for 1 of 2 workers"
	v := r.c.makeView()
	if v.WaitingFor != want || len(v.Workers) != 1 || v.Workers[0].Slots != 2 || !v.Workers[0].Connected {
		t.Errorf("view = %+v, waits for %q", v.Workers, v.WaitingFor)
	}
	r.now = r.now.Add(r.c.cfg.SlotRequestTimeout)
	r.c.workers["w1"].lastSeen = r.now
	r.c.tick(r.now)
	r.want("end", r.ends, "FAILED: no slots after 5m0s (slot.request.timeout): "+want)
}

func TestNeverEnough(t *testing.T) {
	r := newRig(t, 1)
	r.c.notEnoughResources(r.now, "no node has 8 GiB", true)
	r.want("end", r.ends, "FAILED: no node has 8 GiB")
}
