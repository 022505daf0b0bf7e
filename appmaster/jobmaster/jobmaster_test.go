package jobmaster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/jobmaster/jobmastertest"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

var (
	job = ids.JobID{1}
	op  = ids.OperatorID{2}
)

func testPlan(t *testing.T, parallelism int) *plan.Plan {
	t.Helper()
	p := &plan.Plan{Version: plan.Version, Name: "test", Operators: []plan.Operator{
		{ID: op, Name: "numbers", Kind: plan.Source, Func: "f", Parallelism: parallelism, Bounded: true, Coordinated: true},
	}}
	p, err := p.Resolve(parallelism, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// manager knows all workers but those called "stranger".
type manager struct{ declared chan int }

func (m manager) DeclareRequirements(_ ids.JobID, _ string, slots int) { m.declared <- slots }
func (m manager) KnowsWorker(_ context.Context, w ids.ResourceID) error {
	if w == "stranger" {
		return rpc.New(rpc.UnknownWorker, "not registered")
	}
	return nil
}

type end struct {
	state scheduler.JobState
	cause string
}

type ends chan end

func (e ends) JobStateChanged(ids.JobID, scheduler.JobState, time.Time) {}
func (e ends) TasksEnded(_ ids.JobID, state scheduler.JobState, cause scheduler.Failure) {
	text := ""
	if !cause.IsZero() {
		text = cause.Sentence()
	}
	e <- end{state, text}
}

// coordinator finishes its input by itself and keeps what it is given at the end.
type coordinator struct {
	program.Coordinator
	startErr error
	finals   [][]byte
	discards int
}

func (c *coordinator) Start(context.Context, program.CoordinatorContext) error { return c.startErr }
func (c *coordinator) SubtaskReset(context.Context, int) error                 { return nil }
func (c *coordinator) Commit(_ context.Context, finals [][]byte) error         { c.finals = finals; return nil }
func (c *coordinator) Discard(context.Context) error                           { c.discards++; return nil }
func (c *coordinator) Close() error                                            { return nil }

type world struct {
	t    *testing.T
	net  *gateway.InProcess
	jm   *jobmaster.JobMaster
	rm   manager
	ends ends
}

func newWorld(t *testing.T, parallelism int, c program.Coordinator) *world {
	t.Helper()
	w := &world{t: t, net: gateway.NewInProcess(gateway.StreamConfig{}), rm: manager{make(chan int, 10)}, ends: make(ends, 10)}
	dialer := w.net.Dialer()
	var err error
	w.jm, err = jobmaster.New(jobmaster.Config{
		Job: job, Epoch: 7, Address: "am", Plan: testPlan(t, parallelism), Coordinators: map[ids.OperatorID]program.Coordinator{op: c},
		ResourceManager: w.rm, Dialer: dialer, Listener: w.ends,
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := w.net.Listen("am", gateway.Endpoints{JobMaster: w.jm})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Kill()
		if err := w.jm.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		dialer.Close()
	})
	w.jm.Start(context.Background())
	return w
}

func (w *world) wantEnd(state scheduler.JobState, cause string) {
	w.t.Helper()
	if got := <-w.ends; got != (end{state, cause}) {
		w.t.Errorf("ended as %v, want %v %q", got, state, cause)
	}
}

func TestJobOverInProcessGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{}
		w := newWorld(t, 2, c)
		if n := <-w.rm.declared; n != 2 {
			t.Errorf("declared %d slots, want 2", n)
		}
		for _, id := range []ids.ResourceID{"w1", "w2"} {
			te := jobmastertest.New(t, w.net, id, 1)
			te.Next = func(a ids.ExecutionAttemptID) *pb.TaskStateChange {
				return te.Finished(a, pb.OperatorState_builder{Operator: op.Bytes(), State: []byte{byte(a.Subtask)}}.Build())
			}
			if resp, err := te.Register(t.Context(), "am", 7, job); err != nil || !resp.HasSuccess() {
				t.Fatalf("register %s: %v, %v", id, resp, err)
			}
			defer func() { <-te.Done() }()
		}
		w.wantEnd(scheduler.JobFinished, "")
		if err := w.jm.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.finals) != 2 || c.finals[0][0] != 0 || c.finals[1][0] != 1 {
			t.Errorf("committed %v, want the finals in the order of the subtasks", c.finals)
		}
		if err := w.jm.Conclude(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := w.jm.View(); v.State != scheduler.JobFinished || v.Phases.Running.IsZero() {
			t.Errorf("view: %s, phases %+v", v.State, v.Phases)
		}
	})
}

func TestRegistrationIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, &coordinator{})
		te := jobmastertest.New(t, w.net, "w1", 1)
		if _, err := te.Register(t.Context(), "am", 6, job); !errors.Is(err, rpc.ErrFenced) {
			t.Errorf("stale epoch: %v", err)
		}
		if _, err := te.Register(t.Context(), "am", 7, ids.JobID{9}); !errors.Is(err, rpc.ErrUnknownJob) {
			t.Errorf("unknown job: %v", err)
		}
		stranger := jobmastertest.New(t, w.net, "stranger", 1)
		if _, err := stranger.Register(t.Context(), "am", 7, job); !errors.Is(err, rpc.ErrUnknownWorker) {
			t.Errorf("unknown worker: %v", err)
		}
	})
}

func TestKilledWorkerFailsTheJobAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{}
		w := newWorld(t, 1, c)
		te := jobmastertest.New(t, w.net, "w1", 1)
		te.Next = func(ids.ExecutionAttemptID) *pb.TaskStateChange { return nil }
		<-w.rm.declared // no slot is given to a job that has not asked for one
		if _, err := te.Register(t.Context(), "am", 7, job); err != nil {
			t.Fatal(err)
		}
		for w.jm.View().Phases.Running.IsZero() {
			<-time.After(10 * time.Millisecond)
		}
		killed := time.Now()
		te.Kill()
		got := <-w.ends
		if took := time.Since(killed); got.state != scheduler.JobFailed || took > time.Second {
			t.Errorf("ended as %v after %s, want FAILED within a second", got, took)
		}
		if err := w.jm.Discard(t.Context()); err != nil || c.discards != 1 {
			t.Errorf("discard: %v, %d times", err, c.discards)
		}
	})
}

func TestCoordinatorCannotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, &coordinator{startErr: errors.New("open /nope: file does not exist")})
		w.wantEnd(scheduler.JobFailed, "numbers: open /nope: file does not exist")
		select {
		case n := <-w.rm.declared:
			t.Errorf("declared %d slots for a job that cannot start", n)
		default:
		}
	})
}

func TestNoSlotsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, &coordinator{})
		w.jm.NotEnoughResources("the queue is full", false)
		w.wantEnd(scheduler.JobFailed, "no slots after 5m0s (slot.request.timeout): the job wants 2 slots and has 0, from 0 workers; the queue is full")
	})
}

func TestValidate(t *testing.T) {
	if _, err := jobmaster.New(jobmaster.Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
}
