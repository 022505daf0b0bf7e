package actor

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// core is the state of the loops in these tests.
type core struct {
	self Self[core]
	log  []string
	n    int
}

func newCore(t *testing.T, cfg Config[core]) *Loop[core] {
	t.Helper()
	l := New(t.Name(), func(self Self[core]) *core { return &core{self: self} }, cfg)
	t.Cleanup(l.Close)
	return l
}

func startCore(t *testing.T, cfg Config[core]) *Loop[core] {
	t.Helper()
	l := newCore(t, cfg)
	l.Start(t.Context())
	return l
}

func (c *core) add(s string) { c.log = append(c.log, s) }

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 100_000
		l := startCore(t, Config[core]{})
		for i := range messages {
			l.Post(func(c *core) {
				if c.n != i {
					t.Errorf("message %d ran as number %d", i, c.n)
				}
				c.n++
			})
		}
		got, err := Call(t.Context(), l, func(c *core) (int, error) { return c.n, nil })
		if got != messages || err != nil {
			t.Errorf("Call after %d posts = %d, %v", messages, got, err)
		}
		if st := l.Stats(); st.Handled < messages || st.Depth > 1 {
			t.Errorf("stats = %+v", st)
		}
		l.Close()
	})
}

func TestManySenders(t *testing.T) {
	l := startCore(t, Config[core]{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, err := Call(t.Context(), l, func(c *core) (int, error) { c.n++; return c.n, nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got, _ := Call(t.Context(), l, func(c *core) (int, error) { return c.n, nil }); got != 8000 {
		t.Errorf("counted %d, want 8000", got)
	}
}

func TestCloseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		l := startCore(t, Config[core]{OnStop: func(c *core) {
			c.add("stop")
			Go(c.self, func(context.Context) (int, error) { t.Error("work started in OnStop"); return 0, nil }, func(*core, int, error) {})
			log = c.log
		}})
		gate := make(chan struct{})
		l.Post(func(c *core) {
			Go(c.self, func(ctx context.Context) (string, error) {
				<-ctx.Done()
				return "late", nil
			}, func(c *core, v string, _ error) { t.Errorf("then ran with %q after the loop had stopped", v) })
			<-gate
			c.add("first")
		})
		l.Post(func(c *core) {
			if c.self.Post(func(*core) { t.Error("a post during the drain ran") }) {
				t.Error("a post during the drain was accepted")
			}
			c.add("second")
		})
		go l.Close()
		synctest.Wait()
		if l.Post(func(*core) {}) {
			t.Error("a closing loop accepted a post")
		}
		if _, err := Call(t.Context(), l, func(*core) (int, error) { return 0, nil }); err != ErrStopped {
			t.Errorf("Call on a closing loop: %v, want %v", err, ErrStopped)
		}
		close(gate)
		l.Close()
		if len(log) != 3 || log[0] != "first" || log[1] != "second" || log[2] != "stop" {
			t.Errorf("ran %q, want first, second, stop", log)
		}
	})
}

func TestPendingAskGetsErrStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCore(t, Config[core]{})
		var kept Reply[int]
		errs := make(chan error, 1)
		go func() {
			_, err := Ask(t.Context(), l, func(c *core, r Reply[int]) { kept = r })
			errs <- err
		}()
		synctest.Wait()
		l.Close()
		if err := <-errs; err != ErrStopped {
			t.Errorf("unanswered Ask: %v, want %v", err, ErrStopped)
		}
		kept.Send(1, nil) // too late, must not block
	})
}

func TestEndOfContextStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := newCore(t, Config[core]{OnStop: func(c *core) { c.n = 42 }})
		l.Start(ctx)
		cancel()
		<-l.Done()
		if l.state.n != 42 {
			t.Error("OnStop did not run")
		}
	})
}

func TestNeverStarted(t *testing.T) {
	l := newCore(t, Config[core]{})
	l.Post(func(*core) { t.Error("ran without Start") })
	l.Close()
	if _, err := Call(t.Context(), l, func(*core) (int, error) { return 0, nil }); err != ErrStopped {
		t.Errorf("Call: %v, want %v", err, ErrStopped)
	}
	l.Start(t.Context())
	l.Close()
}

func TestAskAnsweredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCore(t, Config[core]{})
		v, err := Ask(t.Context(), l, func(c *core, r Reply[string]) {
			Go(c.self, func(context.Context) (string, error) { return "slow", nil },
				func(c *core, v string, err error) { r.Send(v, err) })
		})
		if v != "slow" || err != nil {
			t.Errorf("Ask = %q, %v", v, err)
		}
		l.Close()
	})
}

func TestCallEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCore(t, Config[core]{})
		gate := make(chan struct{})
		l.Post(func(*core) { <-gate })
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := Call(ctx, l, func(*core) (int, error) { t.Error("ran after its caller had gone"); return 0, nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Call: %v", err)
		}
		close(gate)
		l.Close()
	})
}

// TestMutualCall shows what two loops that wait for each other get: a timeout of virtual time, at once.
func TestMutualCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := startCore(t, Config[core]{}), startCore(t, Config[core]{})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := Call(ctx, a, func(*core) (int, error) {
			return Call(ctx, b, func(*core) (int, error) {
				return Call(ctx, a, func(*core) (int, error) { return 1, nil })
			})
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("mutual call: %v", err)
		}
		a.Close()
		b.Close()
	})
}

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCore(t, Config[core]{})
		start := time.Now()
		fired := make(chan time.Duration, 1)
		l.Post(func(c *core) {
			c.self.After(time.Hour, func(c *core) { fired <- c.self.Now().Sub(start) })
			c.self.After(24*time.Hour, func(*core) { t.Error("fired after Close") })
			cancel := c.self.After(time.Minute, func(*core) { t.Error("fired after cancel") })
			if !cancel() || cancel() {
				t.Error("cancel must report true once")
			}
		})
		if d := <-fired; d != time.Hour {
			t.Errorf("fired after %v, want 1h", d)
		}
		// Fired and queued, then cancelled by an earlier closure.
		gate := make(chan struct{})
		l.Post(func(c *core) {
			cancel := c.self.After(time.Millisecond, func(*core) { t.Error("ran although cancel said true") })
			<-gate
			if !cancel() {
				t.Error("cancel of a queued timer reported false")
			}
		})
		time.AfterFunc(2*time.Millisecond, func() { close(gate) })
		if _, err := Call(t.Context(), l, func(*core) (int, error) { return 0, nil }); err != nil {
			t.Error(err)
		}
		l.Close()
		if n := len(l.timers); n != 0 {
			t.Errorf("%d timers are left", n)
		}
	})
}

type closer struct{ closed chan struct{} }

func (c closer) Close() error { close(c.closed); return nil }

// TestResultThatNobodyTakes closes what work has made when the loop stops before it can take it.
func TestResultThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCore(t, Config[core]{})
		c := closer{make(chan struct{})}
		l.Post(func(s *core) {
			Go(s.self, func(ctx context.Context) (closer, error) { <-ctx.Done(); return c, nil }, func(*core, closer, error) {})
		})
		synctest.Wait()
		l.Close()
		select {
		case <-c.closed:
		default:
			t.Error("the result was not closed")
		}
	})
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := startCore(t, Config[core]{})
		l.Post(func(*core) { <-time.After(500 * time.Millisecond) }) // busy for a known virtual time
		for range 3 {
			l.Post(func(*core) {})
		}
		<-time.After(100 * time.Millisecond)
		if st := l.Stats(); st.Depth != 4 || st.OldestAge != 100*time.Millisecond {
			t.Errorf("while busy: %+v, want depth 4, oldest 100ms", st)
		}
		<-time.After(time.Second)
		if st := l.Stats(); st.Depth != 0 || st.OldestAge != 0 || st.Busy != 500*time.Millisecond || st.Handled != 4 {
			t.Errorf("when idle: %+v", st)
		}
		l.Close()
	})
}

func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	l := startCore(t, Config[core]{})
	l.Post(func(*core) { runtime.Goexit() })
	if _, err := Call(t.Context(), l, func(*core) (int, error) { return 0, nil }); err != ErrStopped {
		t.Errorf("Call: %v, want %v", err, ErrStopped)
	}
	l.Close()
}

func BenchmarkCall(b *testing.B) {
	l := New("bench", func(self Self[core]) *core { return &core{self: self} }, Config[core]{})
	l.Start(b.Context())
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Call(b.Context(), l, func(c *core) (int, error) { return c.n, nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPost(b *testing.B) {
	l := New("bench", func(self Self[core]) *core { return &core{self: self} }, Config[core]{})
	l.Start(b.Context())
	defer l.Close()
	b.ReportAllocs()
	f := func(c *core) { c.n++ }
	for b.Loop() {
		l.Post(f)
	}
}
