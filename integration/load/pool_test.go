package main

import (
	"context"
	"encoding/gob"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// lonely is a worker whose ResourceManager does not answer.
func lonely(n int64) assignment {
	return assignment{
		Container: yarnid.ContainerID{ID: n}, Node: yarnid.NodeID{Host: "127.0.0.1", Port: 1}, Slots: 1, Master: "127.0.0.1:1", Epoch: ids.Epoch(1),
	}
}

// await fails the test if nothing comes within ten seconds.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

// TestWorkersEnd: one worker is killed, one is left when there are no more orders; both end.
func TestWorkersEnd(t *testing.T) {
	in, orders := io.Pipe()
	notices, out := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- serveWorkers(in, out); out.Close() }()
	ends := make(chan int64, 2)
	go func() {
		for d := gob.NewDecoder(notices); ; {
			var n notice
			if d.Decode(&n) != nil {
				close(ends)
				return
			}
			if n.What == ended {
				ends <- n.Container.ID
			}
		}
	}()
	e := gob.NewEncoder(orders)
	for _, o := range []order{{Start: true, Worker: lonely(1)}, {Start: true, Worker: lonely(2)}, {Container: lonely(2).Container}} {
		if err := e.Encode(o); err != nil {
			t.Fatal(err)
		}
	}
	if id := await(t, "end of the killed worker", ends); id != 2 {
		t.Errorf("worker %d ended, want 2", id)
	}
	orders.Close()
	if err := await(t, "end of the process", served); err != nil {
		t.Error(err)
	}
	if id := await(t, "end of the worker that was left", ends); id != 1 {
		t.Errorf("worker %d ended, want 1", id)
	}
}

// TestPool looks at each way in which a process of workers ends: none leaves a process or a waiting worker behind.
func TestPool(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(p *pool, cancel func())
		fails bool // the run
		err   bool // close
	}{
		{"closed", func(p *pool, _ func()) { p.in.Close() }, true, false},
		{"interrupted", func(_ *pool, cancel func()) { cancel() }, false, false},
		{"killed by someone", func(p *pool, _ func()) { p.cmd.Process.Kill() }, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := newMarks(1, 1)
			p, err := startPool(ctx, m)
			if err != nil {
				t.Fatal(err)
			}
			w, err := p.start(lonely(1))
			if err != nil {
				t.Fatal(err)
			}
			c.end(p, cancel)
			over := make(chan struct{})
			go func() { w.Wait(); close(over) }()
			await(t, "end of the worker", over)
			if err := p.close(); (err != nil) != c.err {
				t.Errorf("close: got %v, want an error: %v", err, c.err)
			}
			if failed := len(m.failed) > 0; failed != c.fails {
				t.Errorf("the run failed: got %v, want %v", failed, c.fails)
			}
			if err := syscall.Kill(p.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("the process is left: %v", err)
			}
			if _, err := p.start(lonely(2)); err == nil {
				t.Error("a process that has ended starts workers")
			}
		})
	}
}
