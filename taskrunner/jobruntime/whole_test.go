package jobruntime_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/executor"
	"github.com/flott-dev/flott/taskrunner/jobruntime"
	"github.com/flott-dev/flott/taskrunner/memory"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/zkha/ha"
)

// These tests run a job of two operators on two executors whose runtimes exchange data over TCP; the test plays the AM.

// numbers emits as many numbers as its coordinator says, divided among the subtasks; negative: without end. It asks when it is opened.
type numbers struct {
	operator.Base[int64]
	next, limit int64
	told        bool
	ready       chan struct{}
}

func (s *numbers) Open(ctx context.Context, c operator.Context) error {
	s.next, s.ready = int64(c.Subtask), make(chan struct{}, 1)
	if err := s.Base.Open(ctx, c); err != nil {
		return err
	}
	c.Send([]byte("how many"))
	return nil
}

func (s *numbers) HandleEvent(payload []byte) (err error) {
	s.limit, err = strconv.ParseInt(string(payload), 10, 64)
	s.told = true
	s.ready <- struct{}{}
	return err
}

func (s *numbers) Poll() (operator.Poll, error) {
	if !s.told {
		return operator.Poll{Status: operator.Wait, Ready: s.ready}, nil
	}
	for range operator.MaxBatch {
		if s.limit >= 0 && s.next >= s.limit {
			return operator.Poll{Status: operator.End}, nil
		}
		if err := s.Next.Collect(s.next, operator.NoTime); err != nil {
			return operator.Poll{}, err
		}
		s.next += int64(s.Parallelism)
	}
	return operator.Poll{Status: operator.More}, nil
}

// total adds up what it gets; the sum is what it leaves for its committer. It panics at a number, unless that is negative.
type total struct {
	operator.SinkBase
	sum, panicAt int64
}

func (s *total) Collect(v int64, _ operator.Time) error {
	if v == s.panicAt {
		panic("seven is bad")
	}
	s.sum += v
	return nil
}

func (s *total) Final() ([]byte, error) { return strconv.AppendInt(nil, s.sum, 10), nil }

var source, sink, edge = ids.OperatorID{1}, ids.OperatorID{2}, ids.EdgeID{1}

// sums is the job.
type sums struct{ panicAt int64 }

func (j sums) Build(program.Context) (*program.Graph, error) {
	codec, err := operator.CodecOf[int64]()
	if err != nil {
		return nil, err
	}
	return &program.Graph{
		Plan: &plan.Plan{Version: plan.Version, Name: "sums", Operators: []plan.Operator{
			{ID: source, Name: "numbers", Kind: plan.Source, Func: "numbers", Bounded: true, Coordinated: true},
			{ID: sink, Name: "total", Kind: plan.Sink, Func: "total"},
		}, Edges: []plan.Edge{{ID: edge, From: source, To: sink, Ship: plan.Rebalance, Type: "int64", Codec: codec.Name()}}},
		Nodes: map[ids.OperatorID]any{
			source: operator.Transform[int64](func(next operator.Output[int64]) (operator.Operator, error) {
				s := &numbers{}
				s.Next = next
				return s, nil
			}),
			sink: operator.Terminal(func() (operator.Operator, error) { return &total{panicAt: j.panicAt}, nil }),
		},
		Edges: map[ids.EdgeID]any{edge: operator.Edge[int64]{Codec: codec}},
	}, nil
}

// am is the AM's side of one worker.
type am struct {
	t     *testing.T
	net   gateway.Dialer
	te    *executor.Executor
	name  string
	rm    chan *gateway.ResourceManagerStream
	jm    chan *gateway.JobMasterStream
	data  string
	tasks *gateway.JobMasterStream
	slots *gateway.ResourceManagerStream
	alloc ids.AllocationID
}

func (a *am) success() *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{Epoch: 1, Success: pb.RegistrationSuccess_builder{InstanceId: make([]byte, 16)}.Build()}.Build()
}

type atResourceManager struct{ *am }

func (a atResourceManager) RegisterTaskExecutor(_ context.Context, r *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	s, err := a.net.TaskExecutor(r.GetAddress()).OpenResourceManager(context.Background(), pb.StreamOpen_builder{Epoch: 1,
		ResourceId: r.GetResourceId(), Attempt: r.GetAttempt()}.Build())
	if err != nil {
		return nil, err
	}
	a.rm <- s
	return a.success(), nil
}

type atJobMaster struct{ *am }

func (a atJobMaster) RegisterTaskExecutor(_ context.Context, r *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	s, err := a.net.TaskExecutor(r.GetAddress()).OpenJob(context.Background(), pb.StreamOpen_builder{Epoch: 1,
		ResourceId: r.GetResourceId(), Attempt: r.GetAttempt(), Job: r.GetJob()}.Build())
	if err != nil {
		return nil, err
	}
	a.jm <- s
	return a.success(), nil
}

// startWorker starts a worker with an AM of its own.
func startWorker(t *testing.T, network *gateway.InProcess, name string, p program.Program) *am {
	t.Helper()
	a := &am{t: t, net: network.Dialer(), name: name, rm: make(chan *gateway.ResourceManagerStream, 9), jm: make(chan *gateway.JobMasterStream, 9),
		alloc: ids.NewAllocationID()}
	mem, err := memory.NewNetwork(8 << 20)
	if err != nil {
		t.Fatal(err)
	}
	own := network.Dialer()
	a.te, err = executor.New(executor.Config{
		Worker:  pb.RegisterTaskExecutorRequest_builder{ResourceId: name, Slots: 1}.Build(),
		Leaders: ha.Fixed{ha.ResourceManager: {Address: name + "-am"}}, Dialer: own,
		OpenRuntime: func(_ context.Context, job ids.JobID, events func(*pb.ToJobMaster)) (executor.Runtime, error) {
			return jobruntime.New(jobruntime.Config{Job: job, Program: p, Exchange: exchange.Config{Bind: "127.0.0.1:0", BufferTimeout: time.Millisecond},
				Network: mem, NetworkBytes: 8 << 20, Events: events, Fatal: func(err error) { t.Error(err) }})
		},
		Fatal: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var servers []*gateway.InProcessServer
	for addr, e := range map[string]gateway.Endpoints{
		name:         {TaskExecutor: a.te},
		name + "-am": {ResourceManager: atResourceManager{a}, JobMaster: atJobMaster{a}},
	} {
		s, err := network.Listen(addr, e)
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, s)
	}
	a.te.Start(t.Context(), name)
	t.Cleanup(func() {
		if err := a.te.Close(); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
		a.net.Close() // first: nobody receives on its streams any more
		own.Close()
		for _, s := range servers {
			s.Close()
		}
	})
	return a
}

// takeSlot gives the worker's slot to the job and waits for the offer.
func (a *am) takeSlot(job ids.JobID) {
	a.t.Helper()
	a.slots = <-a.rm
	recv(a.t, a.slots, (*pb.ToResourceManager).HasInventory)
	send(a.t, a.slots, pb.FromResourceManager_builder{RequestSlot: pb.RequestSlot_builder{
		RequestId: 1, Job: job.Bytes(), Allocation: a.alloc.Bytes(), JobMasterAddress: a.name + "-am"}.Build()}.Build())
	a.tasks = <-a.jm
	recv(a.t, a.tasks, (*pb.ToJobMaster).HasInventory)
	o := recv(a.t, a.tasks, (*pb.ToJobMaster).HasSlotOffer).GetSlotOffer()
	a.data = o.GetDataAddress()
	send(a.t, a.tasks, pb.FromJobMaster_builder{SlotOfferResult: pb.SlotOfferResult_builder{
		RequestId: o.GetRequestId(), Accepted: [][]byte{a.alloc.Bytes()}}.Build()}.Build())
}

// recv returns the next message that is wanted; it passes over others but fails at the stream's end.
func recv[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R], wanted func(R) bool) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		m, err := s.Recv(ctx)
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		if wanted(m) {
			return m
		}
	}
}

func send[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R], m S) {
	t.Helper()
	if err := s.Send(m); err != nil {
		t.Fatalf("send: %v", err)
	}
}

// deployAll deploys subtask i of both vertices to worker i.
func deployAll(t *testing.T, job ids.JobID, p *plan.Plan, workers []*am) {
	t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	digest := p.Digest()
	g := pb.Generation_builder{Epoch: 1}.Build()
	var locations []*pb.Location
	for i, w := range workers {
		locations = append(locations, pb.Location_builder{Vertex: source.Bytes(), FirstSubtask: uint32(i), LastSubtask: uint32(i),
			DataAddress: w.data, Generation: g}.Build())
	}
	for i, w := range workers {
		d := pb.Deploy_builder{RequestId: 1, Generation: g, Plan: raw, PlanDigest: digest[:], Locations: locations}
		for _, v := range []ids.OperatorID{source, sink} {
			d.Tasks = append(d.Tasks, pb.TaskDeployment_builder{Allocation: w.alloc.Bytes(), Attempt: gateway.AttemptToPB(
				ids.ExecutionAttemptID{Job: job, Vertex: ids.VertexID(v), Subtask: uint32(i), Epoch: 1})}.Build())
		}
		send(t, w.tasks, pb.FromJobMaster_builder{Deploy: d.Build()}.Build())
		if r := recv(t, w.tasks, (*pb.ToJobMaster).HasResponse).GetResponse(); r.HasFailure() {
			t.Fatalf("deployment to %s refused: %v", w.name, r.GetFailure())
		}
	}
}

// tellHowMany answers the question of the worker's source.
func (a *am) tellHowMany(n int64) {
	a.t.Helper()
	ask := recv(a.t, a.tasks, (*pb.ToJobMaster).HasFromTask).GetFromTask()
	send(a.t, a.tasks, pb.FromJobMaster_builder{ToTask: pb.ToTask_builder{Attempt: ask.GetAttempt(), Operator: ask.GetOperator(),
		Payload: strconv.AppendInt(nil, n, 10)}.Build()}.Build())
}

// finals waits until both of the worker's tasks have ended and returns their last states, source first.
func (a *am) finals() [2]*pb.TaskStateChange {
	a.t.Helper()
	var out [2]*pb.TaskStateChange
	for out[0] == nil || out[1] == nil {
		m := recv(a.t, a.tasks, func(m *pb.ToJobMaster) bool {
			return m.HasTaskState() && m.GetTaskState().GetState() >= pb.ExecutionState_FINISHED
		}).GetTaskState()
		attempt, err := gateway.AttemptFromPB(m.GetAttempt())
		if err != nil {
			a.t.Fatal(err)
		}
		out[attempt.Vertex[0]-1] = m
	}
	return out
}

func (a *am) done() {
	a.t.Helper()
	send(a.t, a.tasks, pb.FromJobMaster_builder{JobDone: &pb.JobDone{}}.Build())
	recv(a.t, a.slots, (*pb.ToResourceManager).HasSlotAvailable)
}

func startJob(t *testing.T, p program.Program) (ids.JobID, []*am) {
	t.Helper()
	network := gateway.NewInProcess(gateway.StreamConfig{})
	job := ids.NewJobID()
	workers := []*am{startWorker(t, network, "w0", p), startWorker(t, network, "w1", p)}
	g, err := p.Build(program.Context{})
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := g.Plan.Resolve(len(workers), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range workers {
		w.takeSlot(job)
	}
	deployAll(t, job, resolved, workers)
	return job, workers
}

func TestWholeJob(t *testing.T) {
	const n = 200_000
	_, workers := startJob(t, sums{panicAt: -1})
	if workers[0].data == workers[1].data || workers[0].data == "" {
		t.Fatalf("data addresses %q and %q, want two", workers[0].data, workers[1].data)
	}
	for _, w := range workers {
		w.tellHowMany(n)
	}
	var sum int64
	var in, out uint64
	for _, w := range workers {
		f := w.finals()
		for _, m := range f {
			if m.GetState() != pb.ExecutionState_FINISHED {
				t.Fatalf("task ended as %v", m)
			}
		}
		left := f[1].GetFinals()
		if len(left) != 1 {
			t.Fatalf("the sink left %v, want its sum", left)
		}
		part, err := strconv.ParseInt(string(left[0].GetState()), 10, 64)
		if err != nil || part == 0 {
			t.Errorf("sum of a sink: %d, %v", part, err)
		}
		sum += part
		out += f[0].GetMetrics().GetRecordsOut()
		in += f[1].GetMetrics().GetRecordsIn()
	}
	if want := int64(n) * (n - 1) / 2; sum != want {
		t.Errorf("the sinks got a sum of %d, want %d", sum, want)
	}
	if in != n || out != n {
		t.Errorf("%d records went out and %d came in, want %d", out, in, n)
	}
	for _, w := range workers {
		w.done()
	}
}

func TestWholeJobCancelled(t *testing.T) {
	job, workers := startJob(t, sums{panicAt: -1})
	for _, w := range workers {
		w.tellHowMany(-1)
	}
	for i, w := range workers {
		var all []ids.ExecutionAttemptID
		for _, v := range []ids.OperatorID{source, sink} {
			all = append(all, ids.ExecutionAttemptID{Job: job, Vertex: ids.VertexID(v), Subtask: uint32(i), Epoch: 1})
		}
		send(t, w.tasks, pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: gateway.AttemptsToPB(all)}.Build()}.Build())
	}
	for _, w := range workers {
		for _, m := range w.finals() {
			// What reads from the other worker may see the end of its producer before its own cancellation.
			if s := m.GetState(); s != pb.ExecutionState_CANCELED && !(s == pb.ExecutionState_FAILED && secondary(m.GetFailure())) {
				t.Errorf("task ended as %v, want CANCELED", m)
			}
		}
		w.done()
	}
}

func secondary(f *pb.Failure) bool {
	c := rpc.Code(f.GetCode())
	return c == rpc.Closed || c == rpc.Unreachable
}

func TestWholeJobPanics(t *testing.T) {
	_, workers := startJob(t, sums{panicAt: 7})
	for _, w := range workers {
		w.tellHowMany(100)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	failures := make(chan *pb.Failure, 2)
	for _, w := range workers {
		go func() {
			for {
				m, err := w.tasks.Recv(ctx)
				if err != nil {
					return
				}
				if f := m.GetTaskState().GetFailure(); f != nil && !secondary(f) {
					failures <- f
					return
				}
			}
		}()
	}
	select {
	case f := <-failures:
		if rpc.Code(f.GetCode()) != rpc.UserCode || !strings.Contains(f.GetMessage(), "seven is bad") || !strings.Contains(f.GetStack(), "Collect") {
			t.Errorf("failure %v, want the panic with its stack", f)
		}
	case <-ctx.Done():
		t.Error("nobody told of the panic")
	}
	cancel()
}

func TestWholeWorkerCloses(t *testing.T) {
	_, workers := startJob(t, sums{panicAt: -1})
	for _, w := range workers {
		w.tellHowMany(-1)
	}
	closed := make(chan error, 1)
	go func() { closed <- workers[0].te.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		m, err := workers[0].tasks.Recv(ctx)
		if errors.Is(err, rpc.ErrStopped) {
			break
		}
		if err != nil {
			t.Fatalf("receive: %v", err)
		}
		if m.HasLeaving() && m.GetLeaving().GetCause() == nil {
			t.Errorf("leaving without a reason: %v", m)
		}
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("close: %v", err)
		}
	case <-ctx.Done():
		t.Error("a worker with endless tasks does not close")
	}
}
