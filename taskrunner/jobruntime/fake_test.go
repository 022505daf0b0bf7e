package jobruntime

import (
	"slices"
	"sync"
	"testing"

	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/task"
)

var job = ids.JobID{9}

// buildFunc is a Program.
type buildFunc func(program.Context) (*program.Graph, error)

func (f buildFunc) Build(ctx program.Context) (*program.Graph, error) { return f(ctx) }

// simplePlan is a source and a sink that are not chained.
func simplePlan(t *testing.T, parallelism int, sinkFunc string) *plan.Plan {
	t.Helper()
	p := &plan.Plan{Version: plan.Version, Name: "test", Operators: []plan.Operator{
		{ID: ids.OperatorID{1}, Name: "numbers", Kind: plan.Source, Func: "main.numbers", Bounded: true},
		{ID: ids.OperatorID{2}, Name: "out", Kind: plan.Sink, Func: sinkFunc},
	}, Edges: []plan.Edge{{ID: ids.EdgeID{1}, From: ids.OperatorID{1}, To: ids.OperatorID{2}, Ship: plan.Rebalance, Type: "int64"}},
		Params: []plan.Param{{Name: "start", Value: "1"}}}
	r, err := p.Resolve(parallelism, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func attempt(vertex byte, subtask, n uint32) ids.ExecutionAttemptID {
	return ids.ExecutionAttemptID{Job: job, Vertex: ids.VertexID{vertex}, Subtask: subtask, Epoch: 5, N: n}
}

// deployMessage deploys attempts of a plan, with state for the first operator.
func deployMessage(t *testing.T, request uint64, p *plan.Plan, g ids.Generation, attempts ...ids.ExecutionAttemptID) *pb.FromJobMaster {
	t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	digest := p.Digest()
	b := pb.Deploy_builder{RequestId: request, Generation: gateway.GenerationToPB(g), Plan: raw, PlanDigest: digest[:]}
	for _, a := range attempts {
		b.Tasks = append(b.Tasks, pb.TaskDeployment_builder{
			Attempt: gateway.AttemptToPB(a), Allocation: []byte("allocation------"),
			State: []*pb.OperatorState{pb.OperatorState_builder{Operator: ids.OperatorID{1}.Bytes(), State: []byte("s")}.Build()},
		}.Build())
	}
	b.Locations = []*pb.Location{
		pb.Location_builder{Vertex: ids.VertexID{1}.Bytes(), FirstSubtask: 0, LastSubtask: 0, DataAddress: "here:1", Generation: b.Generation}.Build(),
		pb.Location_builder{Vertex: ids.VertexID{1}.Bytes(), FirstSubtask: 1, LastSubtask: 2, DataAddress: "there:1", Generation: b.Generation}.Build(),
	}
	return pb.FromJobMaster_builder{Deploy: b.Build()}.Build()
}

func cancelMessage(a ...ids.ExecutionAttemptID) *pb.FromJobMaster {
	return pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: gateway.AttemptsToPB(a)}.Build()}.Build()
}

// fakeTask is a task that does what the test says.
type fakeTask struct {
	cfg  task.Config
	done chan struct{}

	mu       sync.Mutex
	started  bool
	canceled bool
	got      []string
}

func (f *fakeTask) Start() {
	f.mu.Lock()
	f.started = true
	f.mu.Unlock()
	f.report(task.Update{State: task.Initializing})
}

func (f *fakeTask) Cancel() {
	f.mu.Lock()
	first := !f.canceled
	f.canceled = true
	f.mu.Unlock()
	if first {
		go f.end(task.Update{State: task.Canceled})
	}
}

func (f *fakeTask) Event(op ids.OperatorID, payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, string(payload))
}

func (f *fakeTask) events() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

func (f *fakeTask) Metrics() task.Metrics { return task.Metrics{RecordsIn: 3} }
func (f *fakeTask) Wait()                 { <-f.done }

func (f *fakeTask) report(u task.Update) {
	u.Attempt, u.Generation = f.cfg.Attempt, f.cfg.Generation
	f.cfg.OnUpdate(u)
}

func (f *fakeTask) end(u task.Update) {
	f.report(u)
	close(f.done)
}

// harness is a Runtime with fake tasks; what it says comes through events.
type harness struct {
	*Runtime
	t      *testing.T
	events chan *pb.ToJobMaster

	mu    sync.Mutex
	tasks map[ids.ExecutionAttemptID]*fakeTask
	made  int
	fail  error // of making the next task
}

func newHarness(t *testing.T, p program.Program) *harness {
	t.Helper()
	h := &harness{t: t, events: make(chan *pb.ToJobMaster, 1000), tasks: map[ids.ExecutionAttemptID]*fakeTask{}}
	r, err := New(Config{Job: job, Program: p, Events: func(m *pb.ToJobMaster) { h.events <- m }, Fatal: func(err error) { t.Error(err) },
		newTask: func(cfg task.Config) (runner, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.fail != nil {
				return nil, h.fail
			}
			f := &fakeTask{cfg: cfg, done: make(chan struct{})}
			h.tasks[cfg.Attempt] = f
			h.made++
			return f, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	h.Runtime = r
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

func (h *harness) task(a ids.ExecutionAttemptID) *fakeTask {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tasks[a]
}

func (h *harness) answer(request uint64) *pb.Failure {
	h.t.Helper()
	m := <-h.events
	if !m.HasResponse() || m.GetResponse().GetRequestId() != request {
		h.t.Fatalf("got %v, want the answer to request %d", m, request)
	}
	return m.GetResponse().GetFailure()
}

func (h *harness) state(a ids.ExecutionAttemptID, want pb.ExecutionState) *pb.TaskStateChange {
	h.t.Helper()
	m := <-h.events
	got, _ := gateway.AttemptFromPB(m.GetTaskState().GetAttempt())
	if !m.HasTaskState() || got != a || m.GetTaskState().GetState() != want {
		h.t.Fatalf("got %v, want state %s of %s", m, want, a)
	}
	return m.GetTaskState()
}
