package control

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/rpc/transport"
	"github.com/flott-dev/flott/zkha/ha"
	"github.com/flott-dev/flott/zkha/ha/hatest"
)

// leader is a real ResourceManager and Dispatcher with a running job, served over gRPC, and the four workers that a test plays for them:
// w1 and w2 run a subtask each; w3 is idle and was asked whether it can be released, w4 has a slot in use for a job that nobody knows here.
type leader struct {
	t           *testing.T
	addr        string
	fence       fence.Leader
	term        atomic.Pointer[term]
	dialer      gateway.Dialer
	driver      *driver
	files       *hatest.Files
	coordinator *coordinator
	job         ids.JobID
	plan        *plan.Plan
	vertex      plan.Vertex

	w1, w2, w3, w4 *played
	releaseRequest uint64 // that w3 has not answered
	foreign        ids.AllocationID
}

// term is what one epoch has.
type term struct {
	epoch ids.Epoch
	rm    *resourcemanager.ResourceManager
	d     *dispatcher.Dispatcher
}

func newLeader(t *testing.T) *leader {
	t.Helper()
	l := &leader{
		t: t, dialer: transport.NewDialer(transport.DialerConfig{}), driver: &driver{}, files: &hatest.Files{},
		coordinator: &coordinator{}, job: ids.NewJobID(), foreign: ids.NewAllocationID(),
	}
	var graph *plan.JobGraph
	l.plan, graph = foreverPlan(t)
	l.vertex = graph.Vertices[0]
	server, err := transport.Listen(transport.ServerConfig{}, gateway.Endpoints{
		ResourceManager: presentResourceManager{l}, JobMaster: presentJobMaster{l}, Leader: &l.fence,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.addr = server.Addr()
	t.Cleanup(func() {
		l.end()
		server.Kill()
		l.dialer.Close()
	})
	l.w1, l.w2, l.w3, l.w4 = newPlayed(t, l, "w1"), newPlayed(t, l, "w2"), newPlayed(t, l, "w3"), newPlayed(t, l, "w4")
	for _, w := range l.workers() {
		l.driver.owned = append(l.driver.owned, resourcemanager.Worker{ID: w.id})
	}
	l.lead(oldEpoch)
	return l
}

func (l *leader) workers() []*played { return []*played{l.w1, l.w2, l.w3, l.w4} }

// lead begins an epoch: new components, to which all workers register as described at leader.
func (l *leader) lead(epoch ids.Epoch) {
	l.t.Helper()
	l.end()
	listener := &lateListener{}
	rm, err := resourcemanager.New(resourcemanager.Config{
		Epoch: epoch, Resource: "am", Slots: slotmanager.Config{SlotsPerWorker: 1, IdleTimeout: 50 * time.Millisecond},
		HeartbeatTimeout: time.Minute, Dialer: l.dialer, Driver: l.driver, Jobs: listener,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	d, err := dispatcher.New(dispatcher.Config{
		Epoch: epoch, ResourceManager: rm, Dialer: l.dialer, Results: ha.NewStandaloneResultStore(l.files, "/results", nil), Staging: noStaging{},
		Exit: func(dispatcher.Exit) {}, JobMaster: jobmaster.Config{Address: l.addr, HeartbeatTimeout: time.Minute},
		Application: &dispatcher.Application{Job: l.job, Name: "forever", Build: func(context.Context) (dispatcher.Job, error) {
			return dispatcher.Job{Plan: l.plan, Coordinators: map[ids.OperatorID]program.Coordinator{l.vertex.Operators[0]: l.coordinator}}, nil
		}},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	listener.Store(d)
	l.fence.Set(epoch)
	l.term.Store(&term{epoch, rm, d})
	if err := rm.Start(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	d.Start(context.Background())
	l.settleIn(epoch)
}

// end ends the present epoch, if there is one.
func (l *leader) end() {
	l.fence.Set(0)
	if t := l.term.Swap(nil); t != nil {
		if err := t.d.Close(); err != nil {
			l.t.Error(err)
		}
		t.rm.Close()
	}
}

// settleIn lets the workers register and the job run.
func (l *leader) settleIn(epoch ids.Epoch) {
	l.t.Helper()
	eventually(l.t, "the job wants slots", func() bool {
		v, err := l.term.Load().d.Job(l.job)
		return err == nil && v.WantedSlots == 2 && v.State.String() == "RUNNING"
	})
	for _, w := range []*played{l.w1, l.w2} {
		w.register(epoch, pb.Slot_builder{State: pb.SlotState_FREE}.Build())
		w.takeSlot()
	}
	l.w4.register(epoch, l.foreignSlot())
	for _, w := range []*played{l.w1, l.w2} {
		w.registerJob(epoch)
		w.offer(w.offerID)
	}
	for i, w := range []*played{l.w1, l.w2} {
		w.run(i == 1) // w1 leaves the deployment unanswered
	}
	l.w3.register(epoch, pb.Slot_builder{State: pb.SlotState_FREE}.Build())
	l.releaseRequest = until(l.t, l.w3.rm, func(m *pb.FromResourceManager) bool { return m.HasCanBeReleased() }).GetCanBeReleased().GetRequestId()
	eventually(l.t, "both tasks run", func() bool { return strings.Count(l.look(), "RUNNING on") == 2 })
}

func (l *leader) foreignSlot() *pb.Slot {
	return pb.Slot_builder{State: pb.SlotState_ACTIVE, Job: ids.JobID{9}.Bytes(), Allocation: l.foreign.Bytes()}.Build()
}

// look is all that can be seen of the leader: workers, slots, what it asked the driver for, the job with its tasks, what its coordinator got.
func (l *leader) look() string {
	l.t.Helper()
	t := l.term.Load()
	var out []string
	o, err := t.rm.Overview(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	workers, err := t.rm.Workers(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	out = append(out, fmt.Sprintf("%+v", o))
	for _, w := range workers {
		out = append(out, fmt.Sprintf("worker %s %s, free slots %d", w.ID, w.State, w.FreeSlots))
	}
	out = append(out, l.driver.told()...)
	v, err := t.d.Job(l.job)
	if err != nil {
		l.t.Fatal(err)
	}
	out = append(out, fmt.Sprintf("job %s, slots %d of %d, cause %q, workers %+v", v.State, v.PresentSlots, v.WantedSlots, v.Cause.Message, v.Workers))
	for _, s := range v.Vertices[0].Subtasks {
		out = append(out, fmt.Sprintf("%s %s on %s, %+v", s.Attempt, s.State, s.Worker, s.Metrics))
	}
	return strings.Join(append(out, l.coordinator.got()...), "\n")
}

// settled is look once it stays the same: views are published a moment after what they show.
func (l *leader) settled() string {
	l.t.Helper()
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	last := l.look()
	for same := 0; same < 3; {
		<-tick.C
		now := l.look()
		if same++; now != last {
			last, same = now, 0
		}
	}
	return last
}

type (
	presentResourceManager struct{ l *leader }
	presentJobMaster       struct{ l *leader }
)

// RegisterTaskExecutor goes to the present term's.
func (p presentResourceManager) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	if t := p.l.term.Load(); t != nil {
		return t.rm.RegisterTaskExecutor(ctx, req)
	}
	return gateway.LeaderlessResourceManager{}.RegisterTaskExecutor(ctx, req)
}

// RegisterTaskExecutor goes to the present term's.
func (p presentJobMaster) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	if t := p.l.term.Load(); t != nil {
		return t.d.RegisterTaskExecutor(ctx, req)
	}
	return gateway.LeaderlessJobMaster{}.RegisterTaskExecutor(ctx, req)
}

// lateListener passes the ResourceManager's words on to the Dispatcher, which is made after it.
type lateListener struct {
	atomic.Pointer[dispatcher.Dispatcher]
}

func (l *lateListener) NotEnoughResources(job ids.JobID, reason string, final bool) {
	l.Load().NotEnoughResources(job, reason, final)
}

func (l *lateListener) WorkerGone(worker ids.ResourceID, cause error) {
	l.Load().WorkerGone(worker, cause)
}

// driver has its workers already and notes what it is told.
type driver struct {
	owned []resourcemanager.Worker

	mu   sync.Mutex
	said []string
}

func (d *driver) say(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = append(d.said, fmt.Sprintf(format, args...))
}

func (d *driver) told() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.said)
}

func (d *driver) Attach(_ ids.Epoch, sink func(resourcemanager.Event)) error {
	sink(resourcemanager.Owned{Workers: d.owned})
	return nil
}
func (d *driver) Request(_ ids.Epoch, n int) { d.say("driver: request %d", n) }
func (d *driver) Release(_ ids.Epoch, w ids.ResourceID, reason string) {
	d.say("driver: release %s: %s", w, reason)
}
func (d *driver) Suspect(ids.Epoch, ids.ResourceID) {}
func (d *driver) Finish(_ context.Context, s resourcemanager.Status, diagnostics string) error {
	d.say("driver: finish %s: %s", s, diagnostics)
	return nil
}

// coordinator notes the events of tasks.
type coordinator struct {
	mu     sync.Mutex
	events []string
}

func (c *coordinator) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

func (c *coordinator) HandleEvent(_ context.Context, subtask int, a ids.ExecutionAttemptID, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, fmt.Sprintf("coordinator: %d %s %q", subtask, a, payload))
	return nil
}
func (c *coordinator) Start(context.Context, program.CoordinatorContext) error { return nil }
func (c *coordinator) SubtaskReset(context.Context, int) error                 { return nil }
func (c *coordinator) Snapshot(context.Context, uint64) ([]byte, error)        { return nil, nil }
func (c *coordinator) Restore(context.Context, []byte) error                   { return nil }
func (c *coordinator) Commit(context.Context, [][]byte) error                  { return nil }
func (c *coordinator) Discard(context.Context) error                           { return nil }
func (c *coordinator) Close() error                                            { return nil }

type noStaging struct{}

func (noStaging) Remove(context.Context) error              { return nil }
func (noStaging) AddLeftover(context.Context, string) error { return nil }

// ends are a worker's ends of its two streams.
type ends struct {
	rm *gateway.ToResourceManagerStream
	jm *gateway.ToJobMasterStream
}

// played is a worker that a test plays: it admits every stream.
type played struct {
	l    *leader
	t    *testing.T
	id   ids.ResourceID
	addr string

	ends
	epoch              ids.Epoch
	rmTry, jobTry      uint64
	allocation         ids.AllocationID // of its slot
	slotRequest        uint64           // that brought it
	offerID            uint64
	deployRequest      uint64
	running            ids.ExecutionAttemptID
	rmOpened, jmOpened chan ends
}

func newPlayed(t *testing.T, l *leader, id ids.ResourceID) *played {
	t.Helper()
	w := &played{l: l, t: t, id: id, offerID: 10, rmOpened: make(chan ends, 16), jmOpened: make(chan ends, 16)}
	server, err := transport.Listen(transport.ServerConfig{}, gateway.Endpoints{TaskExecutor: w})
	if err != nil {
		t.Fatal(err)
	}
	w.addr = server.Addr()
	t.Cleanup(server.Kill)
	return w
}

// AcceptResourceManager implements gateway.TaskExecutorServer.
func (w *played) AcceptResourceManager(_ context.Context, _ *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
	w.rmOpened <- ends{rm: s}
	return nil
}

// AcceptJob implements gateway.TaskExecutorServer.
func (w *played) AcceptJob(_ context.Context, _ *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
	w.jmOpened <- ends{jm: s}
	return nil
}

// ListLogs implements gateway.TaskExecutorServer.
func (w *played) ListLogs(context.Context, *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	return nil, rpc.New(rpc.NotFound, "no logs")
}

// ReadLog implements gateway.TaskExecutorServer.
func (w *played) ReadLog(context.Context, *pb.ReadLogRequest) (io.ReadCloser, error) {
	return nil, rpc.New(rpc.NotFound, "no logs")
}

func (w *played) request(epoch ids.Epoch, attempt uint64) *pb.RegisterTaskExecutorRequest {
	return pb.RegisterTaskExecutorRequest_builder{Epoch: uint64(epoch), ResourceId: string(w.id), Attempt: attempt, Address: w.addr, Slots: 1}.Build()
}

func (w *played) jobRequest(epoch ids.Epoch, attempt uint64) *pb.RegisterAtJobMasterRequest {
	return pb.RegisterAtJobMasterRequest_builder{
		Epoch: uint64(epoch), Job: w.l.job.Bytes(), ResourceId: string(w.id), Attempt: attempt, Address: w.addr,
	}.Build()
}

// register registers at the ResourceManager and sends the inventory.
func (w *played) register(epoch ids.Epoch, slots ...*pb.Slot) {
	w.t.Helper()
	w.rmTry++
	w.epoch = epoch
	resp, err := w.l.dialer.ResourceManager(w.l.addr).RegisterTaskExecutor(w.t.Context(), w.request(epoch, w.rmTry))
	if err != nil || !resp.HasSuccess() {
		w.t.Fatalf("register %s: %v, %v", w.id, resp, err)
	}
	w.rm = receive(w.t, w.rmOpened).rm
	w.send(w.ends, pb.ToResourceManager_builder{Inventory: pb.SlotReport_builder{Slots: slots}.Build()}.Build())
}

// takeSlot waits for the request for the worker's slot and grants it.
func (w *played) takeSlot() {
	w.t.Helper()
	r := until(w.t, w.rm, func(m *pb.FromResourceManager) bool { return m.HasRequestSlot() }).GetRequestSlot()
	a, err := ids.AllocationIDFromBytes(r.GetAllocation())
	if err != nil || r.GetJobMasterAddress() != w.l.addr {
		w.t.Fatalf("slot request %v: %v", r, err)
	}
	w.allocation, w.slotRequest = a, r.GetRequestId()
	w.send(w.ends, rmResponse(w.slotRequest, nil))
}

func rmResponse(request uint64, failure *pb.Failure) *pb.ToResourceManager {
	return pb.ToResourceManager_builder{Response: pb.Response_builder{RequestId: request, Failure: failure}.Build()}.Build()
}

// slot is the worker's slot as its inventory lists it.
func (w *played) slot(state pb.SlotState) *pb.Slot {
	return pb.Slot_builder{State: state, Job: w.l.job.Bytes(), Allocation: w.allocation.Bytes()}.Build()
}

// registerJob registers at the JobMaster and sends an inventory of the slot and of the executions given.
func (w *played) registerJob(epoch ids.Epoch, executions ...*pb.TaskStateChange) {
	w.t.Helper()
	w.jobTry++
	resp, err := w.l.dialer.JobMaster(w.l.addr).RegisterTaskExecutor(w.t.Context(), w.jobRequest(epoch, w.jobTry))
	if err != nil || !resp.HasSuccess() {
		w.t.Fatalf("register %s at the JobMaster: %v, %v", w.id, resp, err)
	}
	w.jm = receive(w.t, w.jmOpened).jm
	state := pb.SlotState_ALLOCATED
	if len(executions) > 0 {
		state = pb.SlotState_ACTIVE
	}
	w.send(w.ends, w.inventory(state, executions...))
}

func (w *played) inventory(state pb.SlotState, executions ...*pb.TaskStateChange) *pb.ToJobMaster {
	return pb.ToJobMaster_builder{Inventory: pb.JobInventory_builder{Slots: []*pb.Slot{w.slot(state)}, Executions: executions}.Build()}.Build()
}

// offer offers allocations, its own when none is given, and returns how many were accepted.
func (w *played) offer(request uint64, allocations ...ids.AllocationID) int {
	w.t.Helper()
	w.send(w.ends, w.slotOffer(request, allocations...))
	return len(until(w.t, w.jm, func(m *pb.FromJobMaster) bool { return m.GetSlotOfferResult().GetRequestId() == request }).GetSlotOfferResult().GetAccepted())
}

func (w *played) slotOffer(request uint64, allocations ...ids.AllocationID) *pb.ToJobMaster {
	if len(allocations) == 0 {
		allocations = []ids.AllocationID{w.allocation}
	}
	var slots []*pb.Slot
	for _, a := range allocations {
		slots = append(slots, pb.Slot_builder{State: pb.SlotState_ALLOCATED, Job: w.l.job.Bytes(), Allocation: a.Bytes()}.Build())
	}
	return pb.ToJobMaster_builder{SlotOffer: pb.SlotOffer_builder{RequestId: request, Slots: slots}.Build()}.Build()
}

// run takes the deployment and tells that the task runs.
func (w *played) run(answer bool) {
	w.t.Helper()
	d := until(w.t, w.jm, func(m *pb.FromJobMaster) bool { return m.HasDeploy() }).GetDeploy()
	w.deployRequest = d.GetRequestId()
	var err error
	if w.running, err = gateway.AttemptFromPB(d.GetTasks()[0].GetAttempt()); err != nil {
		w.t.Fatal(err)
	}
	if answer {
		w.send(w.ends, jobResponse(w.deployRequest, nil))
	}
	w.send(w.ends, taskState(w.change(w.running, pb.ExecutionState_RUNNING)))
}

func jobResponse(request uint64, failure *pb.Failure) *pb.ToJobMaster {
	return pb.ToJobMaster_builder{Response: pb.Response_builder{RequestId: request, Failure: failure}.Build()}.Build()
}

func (w *played) change(a ids.ExecutionAttemptID, state pb.ExecutionState) *pb.TaskStateChange {
	c := pb.TaskStateChange_builder{
		Attempt: gateway.AttemptToPB(a), Generation: gateway.GenerationToPB(ids.Generation{Epoch: a.Epoch}), State: state,
		Allocation: w.allocation.Bytes(),
	}
	if state == pb.ExecutionState_FAILED {
		c.Failure = oops
	}
	return c.Build()
}

var oops = pb.Failure_builder{Code: uint32(rpc.NoSlot), Message: "oops"}.Build()

func taskState(c *pb.TaskStateChange) *pb.ToJobMaster {
	return pb.ToJobMaster_builder{TaskState: c}.Build()
}

// send sends a message on the stream that it belongs to; one that has ended takes nothing any more.
func (w *played) send(e ends, m proto.Message) {
	w.t.Helper()
	var err error
	switch m := m.(type) {
	case *pb.ToResourceManager:
		err = e.rm.Send(m)
	case *pb.ToJobMaster:
		err = e.jm.Send(m)
	default:
		w.t.Fatalf("cannot send %T", m)
	}
	if err != nil && e == w.ends {
		w.t.Fatalf("send: %v", err)
	}
}

// again registers anew, as after a break: the new streams take the old ones' place.
func (w *played) again() (old ends) {
	w.t.Helper()
	old = w.ends
	switch w {
	case w.l.w3:
		w.register(w.epoch, pb.Slot_builder{State: pb.SlotState_FREE}.Build())
	case w.l.w4:
		w.register(w.epoch, w.l.foreignSlot())
	default:
		w.register(w.epoch, w.slot(pb.SlotState_ACTIVE))
		w.registerJob(w.epoch, w.change(w.running, pb.ExecutionState_RUNNING))
	}
	return old
}

// done waits until the leader has acted upon what was sent on the current streams before.
func (w *played) done() {
	w.t.Helper()
	if w.jm != nil {
		w.offer(1_000_000, ids.AllocationID{0xee})
	}
	rm := w.l.term.Load().rm
	free := func(want int) {
		eventually(w.t, "the ResourceManager reads the report", func() bool {
			views, err := rm.Workers(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			i := slices.IndexFunc(views, func(v resourcemanager.View) bool { return v.ID == w.id })
			return i >= 0 && views[i].FreeSlots == want
		})
	}
	if w == w.l.w4 {
		w.send(w.ends, slotReport(pb.Slot_builder{State: pb.SlotState_FREE}.Build()))
		free(1)
		w.send(w.ends, slotReport(w.l.foreignSlot()))
		free(0)
	}
}

func slotReport(slots ...*pb.Slot) *pb.ToResourceManager {
	return pb.ToResourceManager_builder{Heartbeat: pb.SlotReport_builder{Slots: slots}.Build()}.Build()
}
