package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// workersCommand makes this program a process of workers: orders on standard input, notices on standard output, both gob.
const workersCommand = "workers"

// order is what a process of workers is told: to start a worker, or to kill the one of that container.
type order struct {
	Start     bool
	Container yarnid.ContainerID
	Worker    assignment
}

// pool is a process of workers as the harness sees it. It ends when its standard input does, however the harness ended.
type pool struct {
	cmd    *exec.Cmd
	marks  *marks
	in     io.WriteCloser
	killed atomic.Bool   // because the run has no time left
	done   chan struct{} // closed when the process has closed its standard output

	sending sync.Mutex // guards orders and is held while one is written; notices are read all the time
	orders  *gob.Encoder

	mu      sync.Mutex
	workers map[yarnid.ContainerID]*pooled
}

// startPool starts a process, which the end of ctx kills.
func startPool(ctx context.Context, m *marks) (*pool, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &pool{cmd: exec.CommandContext(ctx, self, workersCommand), marks: m, done: make(chan struct{}), workers: map[yarnid.ContainerID]*pooled{}}
	p.cmd.Cancel = func() error {
		p.killed.Store(true)
		return p.cmd.Process.Kill()
	}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for the harness, which ends it
	var out io.Reader
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		out, err = p.cmd.StdoutPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start a process of workers: %w", err)
	}
	p.orders = gob.NewEncoder(p.in)
	go p.read(gob.NewDecoder(out))
	return p, nil
}

// read takes notices until the process ends, and its workers with it.
func (p *pool) read(notices *gob.Decoder) {
	defer close(p.done)
	for {
		var n notice
		if err := notices.Decode(&n); err != nil {
			p.lost(err)
			return
		}
		if n.What == ended {
			p.mu.Lock()
			w := p.workers[n.Container]
			delete(p.workers, n.Container)
			p.mu.Unlock()
			close(w.ended)
		}
		p.marks.note(n)
	}
}

// lost ends the workers that the process had, and the run if it is not over.
func (p *pool) lost(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed.Load() {
		p.marks.fail(fmt.Errorf("a process with %d workers ended: %w", len(p.workers), why))
	}
	for _, w := range p.workers {
		close(w.ended)
	}
	p.workers = nil
}

// start orders a worker. That it cannot start is told by a notice.
func (p *pool) start(a assignment) (yarntest.Process, error) {
	w := &pooled{pool: p, container: a.Container, ended: make(chan struct{})}
	p.mu.Lock()
	gone := p.workers == nil
	if !gone {
		p.workers[a.Container] = w
	}
	p.mu.Unlock()
	if gone {
		return nil, errors.New("the process of workers has ended")
	}
	p.send(order{Start: true, Worker: a})
	return w, nil
}

// send fails only when the process is gone, which read notices.
func (p *pool) send(o order) {
	p.sending.Lock()
	defer p.sending.Unlock()
	_ = p.orders.Encode(o)
}

// close waits for the process, whose workers have ended before.
func (p *pool) close() error {
	p.in.Close()
	<-p.done
	if err := p.cmd.Wait(); err != nil && !p.killed.Load() {
		return fmt.Errorf("a process of workers: %w", err)
	}
	return nil
}

// pooled is a worker in another process.
type pooled struct {
	pool      *pool
	container yarnid.ContainerID
	ended     chan struct{}
	kill      sync.Once
}

// Wait implements yarntest.Process.
func (w *pooled) Wait() (int, string) {
	<-w.ended
	return 0, ""
}

// Kill implements yarntest.Process.
func (w *pooled) Kill() { w.kill.Do(func() { w.pool.send(order{Container: w.container}) }) }

// serveWorkers is a process of workers. It kills those that are left when there are no more orders.
func serveWorkers(in io.Reader, out io.Writer) error {
	var mu sync.Mutex
	notices := gob.NewEncoder(out)
	note := func(n notice) {
		mu.Lock()
		defer mu.Unlock()
		_ = notices.Encode(n) // fails when the harness is gone: orders end then
	}
	workers := map[yarnid.ContainerID]*worker{}
	var running sync.WaitGroup
	defer running.Wait()
	defer func() {
		for _, w := range workers {
			w.Kill()
		}
	}()
	orders := gob.NewDecoder(in)
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		if !o.Start {
			if w := workers[o.Container]; w != nil {
				w.Kill()
			}
			continue
		}
		w, err := startWorker(o.Worker, note)
		if err != nil {
			err = fmt.Errorf("start worker %s: %w", o.Worker.Container, err)
			note(notice{What: failed, Why: err.Error()})
			return err
		}
		workers[o.Worker.Container] = w
		running.Go(func() {
			w.Wait()
			note(notice{What: ended, Container: o.Worker.Container})
		})
	}
}
