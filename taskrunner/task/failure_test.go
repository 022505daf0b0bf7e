package task_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/task"
)

// script is a source whose polls a test decides.
type script struct {
	operator.Base[event]
	poll   func(s *script) (operator.Poll, error)
	open   func() error
	close  func() error
	events []string
	n      int
}

func scripted(s *script) operator.Transform[event] {
	return func(next operator.Output[event]) (operator.Operator, error) {
		c := *s
		c.Next = next
		return &c, nil
	}
}

func (s *script) Open(ctx context.Context, c operator.Context) error {
	if s.open != nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	return s.Base.Open(ctx, c)
}

func (s *script) Poll() (operator.Poll, error) { return s.poll(s) }

func (s *script) Close() error {
	if s.close != nil {
		return s.close()
	}
	return nil
}

func (s *script) HandleEvent(p []byte) error {
	s.events = append(s.events, string(p))
	s.Send(append([]byte("got "), p...))
	return nil
}

func (s *script) emit(n int) error {
	for range n {
		if err := s.Next.Collect(event{Key: int64(s.n % keys), Value: 1, Payload: strings.Repeat("x", 64)}, operator.NoTime); err != nil {
			return err
		}
		s.n++
	}
	return nil
}

// endless emits for ever.
func endless() *script {
	return &script{poll: func(s *script) (operator.Poll, error) {
		return operator.Poll{Status: operator.More}, s.emit(100)
	}}
}

func (c *cluster) states() string {
	var out []string
	for _, u := range c.last() {
		out = append(out, u.State.String())
	}
	return strings.Join(out, " ")
}

// running waits until every task is RUNNING.
func (c *cluster) running() {
	for {
		c.mu.Lock()
		n := 0
		for _, us := range c.updates {
			if us[len(us)-1].State >= task.Running {
				n++
			}
		}
		c.mu.Unlock()
		if n == len(c.tasks) {
			return
		}
		runtime.Gosched()
	}
}

func (c *cluster) cancel() {
	for _, tk := range c.tasks {
		tk.Cancel()
	}
}

func eachWay(t *testing.T, f func(t *testing.T, workers int)) {
	for _, n := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", n), func(t *testing.T) { f(t, n) })
	}
}

func TestCancel(t *testing.T) {
	eachWay(t, func(t *testing.T, workers int) {
		g, jg := pipeline(t, 0, 2, scripted(endless()), &results{last: map[int64]int64{}})
		c := newCluster(t, workers, time.Millisecond)
		c.deploy(g, jg, nil)
		c.running()
		c.cancel()
		c.wait()
		if got := c.states(); got != "CANCELED CANCELED CANCELED CANCELED" {
			t.Errorf("states %s", got)
		}
	})
}

// TestCancelInsideEmit cancels a producer that waits for room because its consumer is stuck in user code.
func TestCancelInsideEmit(t *testing.T) {
	g, jg := pipeline(t, 0, 1, scripted(endless()), &results{})
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.Nodes[id(4)] = operator.Terminal(func() (operator.Operator, error) {
		return &blocking{func() { once.Do(func() { close(stuck) }); <-release }}, nil
	})
	c := newCluster(t, 1, time.Millisecond)
	c.deploy(g, jg, nil)
	<-stuck
	for c.tasks[0].Metrics().BackPressuredMillis == 0 {
		runtime.Gosched()
	}
	c.tasks[0].Cancel()
	<-c.tasks[0].Done()
	c.tasks[1].Cancel()
	close(release)
	c.wait()
	if got := c.states(); got != "CANCELED CANCELED" {
		t.Errorf("states %s", got)
	}
}

// TestCancelEndsEmittingWithoutEnd has user code that never returns while it can emit.
func TestCancelEndsEmittingWithoutEnd(t *testing.T) {
	g, jg := pipeline(t, 0, 1, scripted(&script{poll: func(s *script) (operator.Poll, error) {
		for {
			if err := s.emit(1); err != nil {
				return operator.Poll{}, err
			}
		}
	}}), &results{last: map[int64]int64{}})
	c := newCluster(t, 1, time.Millisecond)
	c.deploy(g, jg, nil)
	c.running()
	c.tasks[0].Cancel()
	c.wait()
	if got := c.states(); got != "CANCELED CANCELED" {
		t.Errorf("states %s", got)
	}
}

// blocking is a sink that calls f for each record.
type blocking struct{ f func() }

func (b *blocking) Open(context.Context, operator.Context) error { return nil }
func (b *blocking) Control(operator.Event) error                 { return nil }
func (b *blocking) Snapshot(uint64) ([]byte, error)              { return nil, nil }
func (b *blocking) Restore([]byte) error                         { return nil }
func (b *blocking) Notify(uint64, operator.Outcome) error        { return nil }
func (b *blocking) Close() error                                 { return nil }
func (b *blocking) Collect(event, operator.Time) error           { b.f(); return nil }

func TestFailures(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name   string
		source *script
		mapper func(event) event
		want   string // in the failure
		is     error
		stack  string
	}{
		{name: "panic", mapper: func(event) event { panic("user mistake") }, want: "panic in user code: user mistake", stack: "TestFailures"},
		{name: "panic with error", mapper: func(event) event { panic(boom) }, want: "panic in user code: boom", is: boom, stack: "TestFailures"},
		{name: "nil map", mapper: func(e event) event { var list []int; e.Key = int64(list[len(list)]); return e }, want: "index out of range", stack: "TestFailures"},
		{name: "goexit", mapper: func(event) event { runtime.Goexit(); return event{} }, want: "Goexit"},
		{name: "error of poll", source: &script{poll: func(*script) (operator.Poll, error) { return operator.Poll{}, boom }}, want: "boom", is: boom},
		{name: "nonsense of poll", source: &script{poll: func(*script) (operator.Poll, error) { return operator.Poll{}, nil }}, want: "answered a poll with 0"},
		{name: "error of open", source: &script{open: func() error { return boom }}, want: `open operator "numbers": boom`, is: boom},
		{name: "error of close", source: &script{poll: func(*script) (operator.Poll, error) { return operator.Poll{Status: operator.End}, nil },
			close: func() error { return boom }}, want: `close operator "numbers": boom`, is: boom},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, workers int) {
				head := operator.Factory(newSequence(10))
				if c.source != nil {
					head = scripted(c.source)
				}
				g, jg := pipeline(t, 10, 1, head, &results{last: map[int64]int64{}})
				if c.mapper != nil {
					g.Nodes[id(2)] = newMapper(c.mapper)
				}
				cl := newCluster(t, workers, time.Millisecond)
				cl.deploy(g, jg, nil)
				cl.wait()
				us := cl.last()
				if us[0].State != task.Failed || us[0].Failure == nil {
					t.Fatalf("state %s, want FAILED", us[0].State)
				}
				f := us[0].Failure
				if !strings.Contains(f.Err.Error(), c.want) || c.is != nil && !errors.Is(f.Err, c.is) {
					t.Errorf("failure %v, want %q", f.Err, c.want)
				}
				if (f.Stack != "") != (c.stack != "") || !strings.Contains(f.Stack, c.stack) {
					t.Errorf("stack %q, want the user's with %q", f.Stack, c.stack)
				}
				if f.Task != "Source: numbers -> map (1/1)" {
					t.Errorf("task %q", f.Task)
				}
				// The consumer did nothing wrong: the producer's end cancels it.
				if us[1].State != task.Canceled {
					t.Errorf("consumer: state %s (%v), want CANCELED", us[1].State, us[1].Failure)
				}
			})
		})
	}
}

func TestFailFromOutside(t *testing.T) {
	g, jg := pipeline(t, 0, 1, scripted(endless()), &results{last: map[int64]int64{}})
	c := newCluster(t, 1, time.Millisecond)
	c.deploy(g, jg, nil)
	c.running()
	gone := errors.New("slot is gone")
	c.tasks[0].Fail(gone)
	c.tasks[0].Cancel() // too late: the first cause counts
	c.wait()
	if u := c.last()[0]; u.State != task.Failed || !errors.Is(u.Failure.Err, gone) {
		t.Errorf("%s, %+v", u.State, u.Failure)
	}
}

// TestWatchdog has user code that does not return after a cancellation.
func TestWatchdog(t *testing.T) {
	release, stuck := make(chan struct{}), make(chan struct{})
	g, jg := pipeline(t, 0, 1, scripted(&script{poll: func(*script) (operator.Poll, error) {
		close(stuck)
		<-release
		panic("while being cancelled")
	}}), &results{last: map[int64]int64{}})
	c := newCluster(t, 1, time.Millisecond)
	fatal := make(chan error, 4)
	c.deploy(g, jg, func(cfg *task.Config) {
		cfg.CancelInterval, cfg.CancelTimeout = time.Millisecond, 5*time.Millisecond
		cfg.Fatal = func(err error) { fatal <- err }
	})
	<-stuck
	c.cancel()
	err := <-fatal
	for _, want := range []string{"Source: numbers -> map (1/1)", "5ms", "TestWatchdog"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("fatal error without %q: %.300v", want, err)
		}
	}
	close(release)
	c.wait()
	if got := c.states(); got != "CANCELED CANCELED" || len(fatal) != 0 {
		t.Errorf("states %s, %d more fatal errors; want CANCELED, also for a panic meanwhile", got, len(fatal))
	}
}

func TestCoordinatorEvents(t *testing.T) {
	got := make(chan string, 10)
	g, jg := pipeline(t, 0, 1, scripted(&script{poll: func(s *script) (operator.Poll, error) {
		switch len(s.events) {
		case 0:
			return operator.Poll{Status: operator.Wait}, nil
		case 1:
			return operator.Poll{Status: operator.Wait, After: time.Hour}, nil
		}
		if s.n == 0 {
			ready := make(chan struct{})
			close(ready)
			return operator.Poll{Status: operator.Wait, Ready: ready}, s.emit(7)
		}
		if s.n == 7 {
			return operator.Poll{Status: operator.Wait, After: time.Nanosecond}, s.emit(1)
		}
		return operator.Poll{Status: operator.End}, nil
	}}), &results{last: map[int64]int64{}})
	c := newCluster(t, 1, time.Millisecond)
	c.deploy(g, jg, func(cfg *task.Config) {
		cfg.Send = func(op ids.OperatorID, p []byte) { got <- op.String()[:2] + " " + string(p) }
	})
	c.running()
	for _, s := range []string{"first", "second"} {
		c.tasks[0].Event(id(1), []byte(s))
		if g := <-got; g != "01 got "+s {
			t.Errorf("coordinator got %q", g)
		}
	}
	c.wait()
	if u := c.last()[1]; u.State != task.Finished || u.Metrics.RecordsIn != 8 {
		t.Errorf("%s with %d records, want FINISHED with 8", u.State, u.Metrics.RecordsIn)
	}
	c.tasks[0].Event(id(1), nil) // after the end: nothing happens
}

func TestEventForOthersFails(t *testing.T) {
	for op, want := range map[byte]string{2: "takes none", 4: "not in this task"} {
		g, jg := pipeline(t, 0, 1, scripted(endless()), &results{last: map[int64]int64{}})
		c := newCluster(t, 1, time.Millisecond)
		c.deploy(g, jg, nil)
		c.tasks[0].Event(id(op), nil)
		c.wait()
		if u := c.last()[0]; u.State != task.Failed || !strings.Contains(u.Failure.Err.Error(), want) {
			t.Errorf("%s, %+v; want a failure with %q", u.State, u.Failure, want)
		}
	}
}

func TestBadGraphs(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(nodes map[ids.OperatorID]any, edges map[ids.EdgeID]any)
		want   string
	}{
		{"no node", func(n map[ids.OperatorID]any, _ map[ids.EdgeID]any) { delete(n, id(2)) }, `make operator "map": its node <nil> is no operator.Factory`},
		{"no edge", func(_ map[ids.OperatorID]any, e map[ids.EdgeID]any) { e[id(2)] = 7 }, "is no operator.EdgeNode"},
		{"wrong type", func(n map[ids.OperatorID]any, _ map[ids.EdgeID]any) {
			n[id(2)] = newMapper(func(s string) event { return event{} })
		}, "does not take records of type task_test.event"},
		{"no source", func(n map[ids.OperatorID]any, _ map[ids.EdgeID]any) {
			n[id(1)] = newMapper(func(e event) event { return e })
		}, "is no source"},
		{"no operator", func(n map[ids.OperatorID]any, _ map[ids.EdgeID]any) {
			n[id(2)] = operator.Transform[event](func(operator.Output[event]) (operator.Operator, error) { return nil, nil })
		}, "made no operator"},
		{"wrong edge", func(_ map[ids.OperatorID]any, e map[ids.EdgeID]any) { e[id(3)] = e[id(2)] }, "open hash edge"},
	} {
		g, jg := pipeline(t, 1, 1, nil, &results{last: map[int64]int64{}})
		c.change(g.Nodes, g.Edges)
		cl := newCluster(t, 1, time.Millisecond)
		cl.deploy(g, jg, nil)
		<-cl.tasks[0].Done()
		cl.cancel()
		cl.wait()
		if u := cl.last()[0]; u.State != task.Failed || !strings.Contains(u.Failure.Err.Error(), c.want) {
			t.Errorf("%s: %s, %+v; want a failure with %q", c.name, u.State, u.Failure, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := task.New(task.Config{}); err == nil || !strings.Contains(err.Error(), "the graph is missing") {
		t.Errorf("error %v", err)
	}
	g, jg := pipeline(t, 1, 1, nil, &results{})
	c := newCluster(t, 1, 0)
	for _, a := range []ids.ExecutionAttemptID{{Vertex: id(9)}, {Vertex: id(1), Subtask: 1}} {
		cfg := task.Config{Attempt: a, Graph: g, Plan: g.Plan, JobGraph: jg, Exchange: c.exchanges[0], Fatal: func(error) {}}
		cfg.Locate = nil
		if _, err := task.New(cfg); err == nil {
			t.Error("a task without Locate was made")
		}
	}
}
