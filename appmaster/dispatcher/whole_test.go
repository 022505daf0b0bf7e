package dispatcher_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/jobmaster/jobmastertest"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/zkha/ha"
	"github.com/flott-dev/flott/zkha/ha/hatest"
)

// cluster is a ResourceManager without workers of its own.
type cluster struct{ diagnostics string }

func (c *cluster) DeclareRequirements(ids.JobID, string, int)        {}
func (c *cluster) KnowsWorker(context.Context, ids.ResourceID) error { return nil }
func (c *cluster) StopWorkers(context.Context, time.Duration) error  { return nil }
func (c *cluster) Remove(context.Context) error                      { return nil }
func (c *cluster) AddLeftover(context.Context, string) error         { return nil }
func (c *cluster) Finish(_ context.Context, _ resourcemanager.Status, d string) error {
	c.diagnostics = d
	return nil
}

// leader follows the election as bin/roles does: a new Dispatcher per grant.
type leader struct {
	t       *testing.T
	net     *gateway.InProcess
	dialer  gateway.Dialer
	files   *hatest.Files
	cluster *cluster
	exits   chan dispatcher.Exit
	e       *ha.Standalone

	mu      sync.Mutex
	current *dispatcher.Dispatcher
	server  *gateway.InProcessServer
	epoch   ids.Epoch
	events  chan ha.Event
}

func (l *leader) OnLeadership(ev ha.Event) { l.events <- ev }

func (l *leader) follow(ctx context.Context) {
	for {
		select {
		case ev := <-l.events:
			l.take(ev)
		case <-ctx.Done():
			return
		}
	}
}

func (l *leader) take(ev ha.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ev.Kind == ha.Hold {
		l.current.Hold()
		return
	}
	l.close()
	if ev.Kind != ha.Grant {
		return
	}
	d, err := dispatcher.New(dispatcher.Config{
		Epoch: ev.Epoch, ResourceManager: l.cluster, Dialer: l.dialer, Staging: l.cluster,
		Results: ha.NewStandaloneResultStore(l.files, "/staging", l.e.Guard(ev.Epoch)),
		Exit:    func(e dispatcher.Exit) { l.exits <- e }, JobMaster: jobmaster.Config{Address: "am"},
		Application: &dispatcher.Application{Job: ids.JobID{1}, Name: "words", Build: func(context.Context) (dispatcher.Job, error) {
			return dispatcher.Job{Plan: wordsPlan(l.t)}, nil
		}},
	})
	if err != nil {
		l.t.Error(err)
		return
	}
	if l.server, err = l.net.Listen("am", gateway.Endpoints{JobMaster: d}); err != nil {
		l.t.Error(err)
		return
	}
	l.current, l.epoch = d, ev.Epoch
	d.Start(context.Background())
}

func (l *leader) close() {
	if l.current != nil {
		l.server.Kill()
		l.current.Close()
		l.current = nil
	}
}

func wordsPlan(t *testing.T) *plan.Plan {
	src, sink := ids.OperatorID{2}, ids.OperatorID{3}
	split := ids.OperatorID{4}
	p := &plan.Plan{Version: plan.Version, Name: "words", Operators: []plan.Operator{
		{ID: src, Name: "lines", Kind: plan.Source, Func: "f", Bounded: true},
		{ID: split, Name: "split", Kind: plan.Transform, Func: "f"},
		{ID: sink, Name: "out", Kind: plan.Sink, Func: "f"},
	}, Edges: []plan.Edge{
		{ID: ids.EdgeID{5}, From: src, To: split, Ship: plan.Natural, Type: "string", Codec: "string"},
		{ID: ids.EdgeID{6}, From: split, To: sink, Ship: plan.Hash, Type: "string", Codec: "string"},
	}}
	p, err := p.Resolve(2, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newLeader(t *testing.T) *leader {
	l := &leader{
		t: t, net: gateway.NewInProcess(gateway.StreamConfig{}), files: &hatest.Files{}, cluster: &cluster{},
		exits: make(chan dispatcher.Exit, 10), e: ha.NewStandalone(1), events: make(chan ha.Event, 10),
	}
	l.dialer = l.net.Dialer()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.follow(ctx) })
	t.Cleanup(func() {
		l.e.Close()
		cancel()
		wg.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.close()
		l.dialer.Close()
	})
	if err := l.e.Start(ctx, l); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return l
}

func (l *leader) now() (*dispatcher.Dispatcher, ids.Epoch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.epoch
}

func (l *leader) register(w *jobmastertest.Worker) {
	l.t.Helper()
	_, epoch := l.now()
	if resp, err := w.Register(l.t.Context(), "am", epoch, ids.JobID{1}); err != nil || !resp.HasSuccess() {
		l.t.Fatalf("register: %v, %v", resp, err)
	}
}

// TestGrantHoldGrant: a job runs, leadership is held and granted anew, the job runs again under the new epoch and ends well.
func TestGrantHoldGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeader(t)
		te := jobmastertest.New(t, l.net, "w1", 2)
		te.Next = func(a ids.ExecutionAttemptID) *pb.TaskStateChange {
			if a.Epoch == ids.StandaloneEpoch(1, 1) {
				return nil // runs on
			}
			return te.Finished(a)
		}
		l.register(te)
		<-time.After(time.Second)
		d, _ := l.now()
		v, err := d.Job(ids.JobID{1})
		if err != nil || v.Counts[scheduler.TaskRunning] != 4 {
			t.Fatalf("before the hold: %+v, %v", v, err)
		}

		l.e.Hold(nil)
		<-time.After(20 * time.Second) // heartbeats go on: nobody gives anybody up
		if v, _ = d.Job(ids.JobID{1}); v.State != scheduler.JobRunning || !v.OnHold {
			t.Errorf("on hold the job is %s, on hold %v", v.State, v.OnHold)
		}
		if resp, err := te.Register(t.Context(), "am", ids.StandaloneEpoch(1, 1), ids.JobID{1}); err != nil || !resp.HasFailure() {
			t.Errorf("registration on hold: %v, %v, want Failure", resp, err)
		}

		l.e.Grant()
		synctest.Wait()
		if _, err := te.Register(t.Context(), "am", ids.StandaloneEpoch(1, 1), ids.JobID{1}); !isFenced(err) {
			t.Errorf("registration under the old epoch: %v", err)
		}
		l.register(te)
		<-te.Done()
		exit := <-l.exits
		if exit.Status != resourcemanager.Succeeded || l.cluster.diagnostics != "job words finished" {
			t.Errorf("exit %s: %s", exit.Status, l.cluster.diagnostics)
		}
		if left := l.files.Paths(); len(left) > 0 {
			t.Errorf("left in staging: %v", left)
		}
	})
}

func isFenced(err error) bool { return err != nil && rpc.CodeOf(err) == rpc.Fenced }

// TestFailedJobSaysWhy: the first line of the diagnostics is the cause, the rest its details.
func TestFailedJobSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeader(t)
		te := jobmastertest.New(t, l.net, "w1", 2)
		te.Next = func(a ids.ExecutionAttemptID) *pb.TaskStateChange {
			if a.Vertex == (ids.VertexID{3}) && a.Subtask == 1 {
				return te.Failed(a, rpc.UserCode, "parse line 7: not a number\ninput was \"x\"")
			}
			return nil
		}
		l.register(te)
		exit := <-l.exits
		want := "task \"Sink: out\" (2/2) on w1 failed: parse line 7: not a number\ninput was \"x\""
		if exit.Status != resourcemanager.Failed || exit.Diagnostics != want {
			t.Errorf("exit %s: %q, want %q", exit.Status, exit.Diagnostics, want)
		}
	})
}
