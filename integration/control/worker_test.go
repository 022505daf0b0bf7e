package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/rpc/registration"
	"github.com/flott-dev/flott/rpc/transport"
	"github.com/flott-dev/flott/taskrunner/executor"
	"github.com/flott-dev/flott/taskrunner/jobruntime"
	"github.com/flott-dev/flott/zkha/ha"
)

// limit bounds what a test waits for; only a failing test waits that long.
const limit = 20 * time.Second

const (
	workerID           = ids.ResourceID("container_1_0001_01_000002")
	oldEpoch ids.Epoch = 5
	newEpoch ids.Epoch = 6
)

// forever is a job of one vertex whose tasks run until they are cancelled.
func forever(env *flow.Env, _ []string) error {
	flow.ForEach(flow.Generate(env, func(n int64) int64 { return n }, flow.GenerateOptions{PerSecond: 100}), func(int64) error { return nil })
	return nil
}

var foreverProgram = flow.Program(forever)

// foreverPlan is the plan of forever with two subtasks.
func foreverPlan(t testing.TB) (*plan.Plan, *plan.JobGraph) {
	t.Helper()
	g, err := foreverProgram.Build(program.Context{Parallelism: 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.Plan.Resolve(2, 0)
	if err != nil {
		t.Fatal(err)
	}
	jg, err := plan.Chain(p)
	if err != nil {
		t.Fatal(err)
	}
	return p, jg
}

// lane is a leader's end of the two streams to a worker.
type lane struct {
	epoch ids.Epoch
	rm    *gateway.ResourceManagerStream
	jm    *gateway.JobMasterStream
}

// worker is a real TaskExecutor with a real job runtime, served over gRPC, and the leader that a test plays for it: three slots; slot 0 is
// active and runs subtask 0 of a job, slot 1 is offered to the job, slot 2 is free.
type worker struct {
	t      *testing.T
	te     *executor.Executor
	addr   string
	leader string // address
	dialer gateway.Dialer

	job             ids.JobID
	active, offered ids.AllocationID
	running         ids.ExecutionAttemptID
	plan            *plan.Plan
	vertex          plan.Vertex

	lane       // the current one
	offerID    uint64
	answeredID uint64 // of an offer that has been answered
	mu         sync.Mutex
	opening    sync.Mutex // held while a stream is opened
	deaths     []error
	rmStreams  chan *gateway.ResourceManagerStream
	jobStreams chan *gateway.JobMasterStream
	lastJobTry uint64 // under mu
	lastRMTry  uint64
}

func newWorker(t *testing.T) *worker {
	t.Helper()
	w := &worker{
		t: t, job: ids.NewJobID(), active: ids.NewAllocationID(), offered: ids.NewAllocationID(),
		rmStreams: make(chan *gateway.ResourceManagerStream, 16), jobStreams: make(chan *gateway.JobMasterStream, 16),
		dialer: transport.NewDialer(transport.DialerConfig{}), lane: lane{epoch: oldEpoch},
	}
	t.Cleanup(func() { w.dialer.Close() })
	var graph *plan.JobGraph
	w.plan, graph = foreverPlan(t)
	w.vertex = graph.Vertices[0]
	w.running = w.attempt(0, oldEpoch, 1)
	leader, err := transport.Listen(transport.ServerConfig{}, gateway.Endpoints{ResourceManager: playedResourceManager{w}, JobMaster: playedJobMaster{w}})
	if err != nil {
		t.Fatal(err)
	}
	w.leader = leader.Addr()
	t.Cleanup(leader.Kill)
	w.startExecutor()
	w.rm = receive(t, w.rmStreams)
	until(t, w.rm, func(m *pb.ToResourceManager) bool { return m.HasInventory() })
	w.giveJob()
	return w
}

func (w *worker) startExecutor() {
	logs := w.t.TempDir()
	if err := os.WriteFile(filepath.Join(logs, "taskmanager.log"), []byte("a line\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	dialer := transport.NewDialer(transport.DialerConfig{})
	te, err := executor.New(executor.Config{
		Worker: pb.RegisterTaskExecutorRequest_builder{ResourceId: string(workerID), NodeId: "node:1", Slots: 3}.Build(),
		LogDir: logs, Leaders: ha.Fixed{ha.ResourceManager: ha.Leader{Address: w.leader, Epoch: oldEpoch}}, Dialer: dialer,
		OpenRuntime: func(_ context.Context, job ids.JobID, events func(*pb.ToJobMaster)) (executor.Runtime, error) {
			return jobruntime.New(jobruntime.Config{Job: job, Program: foreverProgram, Context: program.Context{Parallelism: 2}, Events: events, Fatal: w.die})
		},
		Fatal: w.die, SlotTimeout: time.Hour, RegistrationTimeout: -1, Retry: registration.Config{RefusedDelay: 50 * time.Millisecond},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	server, err := transport.Listen(transport.ServerConfig{}, gateway.Endpoints{TaskExecutor: te})
	if err != nil {
		w.t.Fatal(err)
	}
	w.te, w.addr = te, server.Addr()
	te.Start(context.WithoutCancel(w.t.Context()), server.Addr())
	w.t.Cleanup(func() {
		if err := te.Close(); err != nil {
			w.t.Errorf("close the executor: %v", err)
		}
		server.Kill()
		dialer.Close()
	})
}

func (w *worker) die(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaths = append(w.deaths, err)
}

func (w *worker) attempt(subtask uint32, epoch ids.Epoch, n uint32) ids.ExecutionAttemptID {
	return ids.ExecutionAttemptID{Job: w.job, Vertex: w.vertex.ID, Subtask: subtask, Epoch: epoch, N: n}
}

type (
	playedResourceManager struct{ w *worker }
	playedJobMaster       struct{ w *worker }
)

// RegisterTaskExecutor opens the stream under the epoch that the worker believes in.
func (p playedResourceManager) RegisterTaskExecutor(_ context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	w := p.w
	w.opening.Lock() // asked again with the same number, the worker gets the answer to the first call: a second stream would replace the first
	defer w.opening.Unlock()
	w.mu.Lock()
	again := w.lastRMTry == req.GetAttempt()
	w.lastRMTry = req.GetAttempt()
	w.mu.Unlock()
	if again {
		return succeeded(req.GetEpoch()), nil
	}
	s, err := w.openRM(context.Background(), ids.Epoch(req.GetEpoch()), req.GetAttempt())
	if err != nil {
		return nil, err
	}
	w.rmStreams <- s
	return succeeded(req.GetEpoch()), nil
}

// RegisterTaskExecutor does the same for the job.
func (p playedJobMaster) RegisterTaskExecutor(_ context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	w := p.w
	w.opening.Lock()
	defer w.opening.Unlock()
	w.mu.Lock()
	again := w.lastJobTry == req.GetAttempt()
	w.lastJobTry = req.GetAttempt()
	w.mu.Unlock()
	if again {
		return succeeded(req.GetEpoch()), nil
	}
	s, err := w.openJob(context.Background(), ids.Epoch(req.GetEpoch()), req.GetAttempt())
	if err != nil {
		return nil, err
	}
	w.jobStreams <- s
	return succeeded(req.GetEpoch()), nil
}

func succeeded(epoch uint64) *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{Epoch: epoch, Success: pb.RegistrationSuccess_builder{
		InstanceId: ids.NewInstanceID().Bytes(), ResourceId: "am"}.Build()}.Build()
}

func (w *worker) header(epoch ids.Epoch, attempt uint64, job []byte) *pb.StreamOpen {
	return pb.StreamOpen_builder{
		Epoch: uint64(epoch), ResourceId: string(workerID), Attempt: attempt, InstanceId: ids.NewInstanceID().Bytes(), Job: job,
	}.Build()
}

func (w *worker) openRM(ctx context.Context, epoch ids.Epoch, attempt uint64) (*gateway.ResourceManagerStream, error) {
	return w.dialer.TaskExecutor(w.addr).OpenResourceManager(ctx, w.header(epoch, attempt, nil))
}

func (w *worker) openJob(ctx context.Context, epoch ids.Epoch, attempt uint64) (*gateway.JobMasterStream, error) {
	return w.dialer.TaskExecutor(w.addr).OpenJob(ctx, w.header(epoch, attempt, w.job.Bytes()))
}

// attempts are the newest registration attempts that the worker made.
func (w *worker) attempts() (rm, job uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastRMTry, w.lastJobTry
}

// giveJob gives the worker its job: see worker.
func (w *worker) giveJob() {
	w.t.Helper()
	w.send(w.lane, w.requestSlot(1, 0, w.active))
	w.jm = receive(w.t, w.jobStreams)
	w.answerOffer(w.active)
	w.send(w.lane, w.deploy(1, w.running, w.active))
	until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.GetTaskState().GetState() == pb.ExecutionState_RUNNING })
	w.send(w.lane, w.requestSlot(2, 1, w.offered))
	w.offerID = until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.HasSlotOffer() }).GetSlotOffer().GetRequestId()
}

func (w *worker) answerOffer(accepted ids.AllocationID) {
	w.t.Helper()
	offer := until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.HasSlotOffer() }).GetSlotOffer()
	w.answeredID = offer.GetRequestId()
	w.send(w.lane, offerResult(w.answeredID, accepted))
}

func offerResult(request uint64, accepted ...ids.AllocationID) *pb.FromJobMaster {
	var list [][]byte
	for _, a := range accepted {
		list = append(list, a.Bytes())
	}
	return pb.FromJobMaster_builder{SlotOfferResult: pb.SlotOfferResult_builder{RequestId: request, Accepted: list}.Build()}.Build()
}

func (w *worker) requestSlot(request uint64, index uint32, a ids.AllocationID) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{RequestSlot: pb.RequestSlot_builder{
		RequestId: request, SlotIndex: index, Job: w.job.Bytes(), Allocation: a.Bytes(), JobMasterAddress: w.leader}.Build()}.Build()
}

// deploy deploys one subtask into a slot.
func (w *worker) deploy(request uint64, a ids.ExecutionAttemptID, slot ids.AllocationID) *pb.FromJobMaster {
	data, err := w.plan.Marshal()
	if err != nil {
		w.t.Fatal(err)
	}
	digest := w.plan.Digest()
	return pb.FromJobMaster_builder{Deploy: pb.Deploy_builder{
		RequestId: request, Generation: gateway.GenerationToPB(ids.Generation{Epoch: a.Epoch}), Plan: data, PlanDigest: digest[:],
		Tasks: []*pb.TaskDeployment{pb.TaskDeployment_builder{Attempt: gateway.AttemptToPB(a), Allocation: slot.Bytes()}.Build()},
	}.Build()}.Build()
}

// send sends a message on the stream that it belongs to. A stream that has ended takes nothing any more.
func (w *worker) send(l lane, m proto.Message) {
	w.t.Helper()
	var err error
	switch m := m.(type) {
	case *pb.FromResourceManager:
		err = l.rm.Send(m)
	case *pb.FromJobMaster:
		err = l.jm.Send(m)
	default:
		w.t.Fatalf("cannot send %T", m)
	}
	if err != nil && l == w.lane {
		w.t.Fatalf("send: %v", err)
	}
}

// reopen opens both streams again, as after a break: the new ones take the old ones' place.
func (w *worker) reopen() (old lane) {
	w.t.Helper()
	old = w.lane
	rm, job := w.attempts()
	var err error
	if w.rm, err = w.openRM(w.t.Context(), w.epoch, rm); err != nil {
		w.t.Fatal(err)
	}
	if w.jm, err = w.openJob(w.t.Context(), w.epoch, job); err != nil {
		w.t.Fatal(err)
	}
	return old
}

// lead lets the leader of a higher epoch open its streams.
func (w *worker) lead(epoch ids.Epoch) (old lane) {
	w.t.Helper()
	old = w.lane
	rm, _ := w.attempts()
	s, err := w.openRM(w.t.Context(), epoch, rm)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lane = lane{epoch: epoch, rm: s, jm: receive(w.t, w.jobStreams)} // the worker looks for the new JobMaster by itself
	return old
}

// state is all that a leader can see of the worker: its slots, the executions it has, and whether it wants to die. It waits until what was
// sent on the current streams before has been acted upon.
func (w *worker) state() string {
	w.t.Helper()
	w.send(w.lane, pb.FromResourceManager_builder{Heartbeat: &pb.ResourceManagerHeartbeat{}}.Build())
	report := until(w.t, w.rm, func(m *pb.ToResourceManager) bool { return m.HasHeartbeat() }).GetHeartbeat()
	var lines []string
	var active [][]byte
	for _, s := range report.GetSlots() {
		lines = append(lines, fmt.Sprintf("slot %d %s %x", s.GetIndex(), s.GetState(), s.GetAllocation()))
		if s.GetState() == pb.SlotState_ACTIVE {
			active = append(active, s.GetAllocation())
		}
	}
	lines = append(lines, w.executions(active)...)
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(append(lines, fmt.Sprintf("deaths %v", w.deaths)), "\n")
}

// executions reads the job's inventory from a stream that takes the current one's place.
func (w *worker) executions(active [][]byte) []string {
	w.t.Helper()
	if w.jm.Err() == nil {
		w.send(w.lane, pb.FromJobMaster_builder{Heartbeat: pb.JobMasterHeartbeat_builder{Allocations: active}.Build()}.Build())
		if _, err := tryUntil(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.HasHeartbeat() }); err != nil {
			w.t.Logf("the job's stream ended: %v", err)
		}
	}
	_, attempt := w.attempts()
	s, err := w.openJob(w.t.Context(), w.epoch, attempt)
	if errors.Is(err, rpc.ErrUnknownJob) {
		return []string{"no job"}
	}
	if err != nil {
		w.t.Fatalf("open the job's stream: %v", err)
	}
	w.jm = s
	inventory := until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.HasInventory() }).GetInventory()
	var lines []string
	for _, e := range inventory.GetExecutions() {
		a, err := gateway.AttemptFromPB(e.GetAttempt())
		if err != nil {
			w.t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("execution %s %s", a, e.GetState()))
	}
	slices.Sort(lines)
	for _, s := range inventory.GetSlots() {
		if s.GetState() == pb.SlotState_ALLOCATED {
			w.offerID = until(w.t, w.jm, func(m *pb.ToJobMaster) bool { return m.HasSlotOffer() }).GetSlotOffer().GetRequestId()
			break
		}
	}
	return lines
}

// receive waits for an entry of a channel.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(limit):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// until returns the next message that cond wants; others are passed over.
func until[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R], cond func(R) bool) R {
	t.Helper()
	m, err := tryUntil(t, s, cond)
	if err != nil {
		t.Fatalf("the stream ended: %v", err)
	}
	return m
}

func tryUntil[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R], cond func(R) bool) (R, error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("not within the limit"))
	defer cancel()
	for {
		m, err := s.Recv(ctx)
		if ctx.Err() != nil {
			t.Fatalf("receive: %v", context.Cause(ctx))
		}
		if err != nil || cond(m) {
			return m, err
		}
	}
}

// closedBy reads a stream to its end and returns the code of the peer's reason: that of the cause of a close.
func closedBy[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R]) rpc.Code {
	t.Helper()
	_, err := tryUntil(t, s, func(R) bool { return false })
	var e *rpc.Error
	if !errors.As(err, &e) || e.Code != rpc.Closed {
		t.Errorf("end of the stream: got %v, want that the peer closed it", err)
		return rpc.CodeOf(err)
	}
	return rpc.CodeOf(e.Cause)
}

// eventually tries cond until it holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, over := time.NewTicker(10*time.Millisecond), time.After(limit)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
