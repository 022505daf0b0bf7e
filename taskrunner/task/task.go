package task

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/exchange"
)

// Causes of an early end.
var (
	// ErrCanceled: Cancel has been called.
	ErrCanceled = errors.New("task: canceled")
	errEnded    = errors.New("task: user code has ended its goroutine (runtime.Goexit)")
)

// Task is one execution of one subtask.
type Task struct {
	cfg    Config
	vertex plan.Vertex
	name   string

	ctx    context.Context // ends with the task, or with its cancellation; the cause says why
	cancel context.CancelCauseFunc
	wake   chan struct{} // something has changed for the task's goroutine
	ended  chan struct{}
	wg     sync.WaitGroup
	begun  atomic.Bool

	mail  mailbox
	clock clock
	count counters

	// The task's goroutine.
	chain *chain
	err   error
	stack string
	timer *time.Timer // of waiting sources
	final map[ids.OperatorID][]byte
}

// New makes a task; nothing runs before Start.
func New(cfg Config) (*Task, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	v, ok := cfg.JobGraph.Vertex(cfg.Attempt.Vertex)
	if !ok {
		return nil, fmt.Errorf("make task %s: the job graph has no such vertex", cfg.Attempt)
	}
	if int(cfg.Attempt.Subtask) >= v.Parallelism {
		return nil, fmt.Errorf("make task %s: vertex %q has %d subtasks", cfg.Attempt, v.Name, v.Parallelism)
	}
	t := &Task{cfg: cfg, vertex: v, name: fmt.Sprintf("%s (%d/%d)", v.Name, cfg.Attempt.Subtask+1, v.Parallelism),
		wake: make(chan struct{}, 1), ended: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	return t, nil
}

// Name returns the task's name for people: the vertex and the subtask.
func (t *Task) Name() string { return t.name }

// Attempt returns which execution this is.
func (t *Task) Attempt() ids.ExecutionAttemptID { return t.cfg.Attempt }

// Start runs the task. It is called once.
func (t *Task) Start() {
	t.begun.Store(true)
	t.wg.Go(t.run)
}

// Done is closed after the final state has been reported.
func (t *Task) Done() <-chan struct{} { return t.ended }

// Wait returns when every goroutine of a started task has ended.
func (t *Task) Wait() { t.wg.Wait() }

// Cancel ends the task as CANCELED, and the process (Config.Fatal) if user code does not return.
func (t *Task) Cancel() { t.stop(ErrCanceled) }

// Fail ends the task as FAILED with a cause from outside.
func (t *Task) Fail(cause error) { t.stop(cause) }

func (t *Task) stop(cause error) {
	if t.ctx.Err() != nil {
		return
	}
	t.cancel(cause)
	t.wakeUp()
	if t.begun.Load() {
		t.mail.once.Do(func() { t.wg.Go(t.watch) })
	}
}

// Event hands a payload from the operator's coordinator to the operator. After the task's end it does nothing.
func (t *Task) Event(op ids.OperatorID, payload []byte) {
	t.post(func() error { return t.chain.event(op, payload) })
}

// Metrics returns the totals so far.
func (t *Task) Metrics() Metrics {
	m := Metrics{RecordsIn: t.count.recordsIn.Load(), RecordsOut: t.count.recordsOut.Load(),
		BytesIn: t.count.bytesIn.Load(), BytesOut: t.count.bytesOut.Load()}
	m.BusyMillis, m.IdleMillis, m.BackPressuredMillis = t.clock.totals(time.Now())
	return m
}

// run is the task's goroutine. Everything that has to happen at the end is deferred, so that it also happens when user code panics or
// ends the goroutine.
func (t *Task) run() {
	defer t.end()
	defer func() {
		if r := recover(); r != nil {
			t.err, t.stack = panicError(r), userStack(debug.Stack())
		}
	}()
	t.report(Update{State: Initializing})
	t.clock.start(time.Now())
	t.err = errEnded
	t.err = t.main()
}

// main opens the chain, runs it to the end of its data and ends it in order.
func (t *Task) main() error {
	var err error
	if t.chain, err = t.open(); err != nil {
		return err
	}
	t.report(Update{State: Running})
	if err := t.loop(); err != nil {
		return err
	}
	if t.final, err = t.chain.finals(); err != nil {
		return err
	}
	if err := t.chain.close(); err != nil {
		return err
	}
	return t.chain.finish()
}

// loop takes mail first, then one batch or one poll.
func (t *Task) loop() error {
	c := t.chain
	for {
		if err := t.mail.run(); err != nil {
			return err
		}
		if t.ctx.Err() != nil {
			return context.Cause(t.ctx)
		}
		if !c.available() {
			if err := t.wait(backPressured); err != nil {
				return err
			}
			continue
		}
		ended, worked, err := c.step(t)
		if err != nil {
			return err
		}
		if worked {
			t.count.update(c)
		}
		if ended {
			return nil
		}
	}
}

// wait blocks until something has changed or the task is to end.
func (t *Task) wait(why waiting) error {
	t.clock.begin(why, time.Now())
	defer func() { t.clock.end(time.Now()) }()
	select {
	case <-t.wake:
		return nil
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
}

// waitOutput is Partition's Wait: a wait inside emit.
func (t *Task) waitOutput() error { return t.wait(backPressured) }

func (t *Task) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *Task) post(f func() error) {
	if t.mail.post(f) {
		t.wakeUp()
	}
}

// end releases what the task holds and reports the final state.
func (t *Task) end() {
	defer close(t.ended)
	defer t.cancel(errors.New("task: ended"))
	t.mail.close()
	u := t.outcome()
	if t.chain != nil {
		t.release(&u)
		t.count.update(t.chain)
	}
	t.clock.stop(time.Now())
	u.Metrics = t.Metrics()
	t.report(u)
}

// outcome is the final state by what has happened so far. What fails while a task is cancelled is part of its cancellation.
func (t *Task) outcome() Update {
	cause := context.Cause(t.ctx)
	switch {
	case t.err == nil:
		return Update{State: Finished, Finals: t.final}
	case errors.Is(cause, ErrCanceled), cause == nil && errors.Is(t.err, exchange.ErrProducerFailed):
		return Update{State: Canceled}
	case cause != nil && t.stack == "":
		return t.failed(cause)
	}
	return t.failed(t.err)
}

func (t *Task) failed(err error) Update {
	return Update{State: Failed, Failure: &Failure{Err: err, Task: t.name, Stack: t.stack}}
}

// release closes the chain whatever happened; a panic in there makes a finished task a failed one.
func (t *Task) release(u *Update) {
	err := t.err
	if err == nil {
		err = errors.New("task finished")
	}
	defer t.chain.abort(err)
	defer func() {
		if r := recover(); r != nil {
			t.cfg.Log.Error("closing an operator panicked", "attempt", t.cfg.Attempt.String(), "panic", r)
		}
	}()
	if err := t.chain.close(); err != nil && u.State != Finished {
		t.cfg.Log.Warn("operator did not close", "attempt", t.cfg.Attempt.String(), "error", err)
	}
}

func (t *Task) report(u Update) {
	u.Attempt, u.Generation, u.At = t.cfg.Attempt, t.cfg.Generation, time.Now()
	t.cfg.OnUpdate(u)
}

// watch makes a task that does not end after its cancellation visible, and then fatal.
func (t *Task) watch() {
	tick := time.NewTicker(t.cfg.CancelInterval)
	defer tick.Stop()
	var fatal <-chan time.Time
	if t.cfg.CancelTimeout > 0 {
		timer := time.NewTimer(t.cfg.CancelTimeout)
		defer timer.Stop()
		fatal = timer.C
	}
	for {
		select {
		case <-t.ended:
			return
		case <-tick.C:
			t.cfg.Log.Warn("canceled task goes on", "attempt", t.cfg.Attempt.String(), "task", t.name)
		case <-fatal:
			buf := make([]byte, 1<<20)
			buf = buf[:runtime.Stack(buf, true)]
			t.cfg.Fatal(fmt.Errorf("task %s did not end within %s of its cancellation; goroutines:\n%s", t.name, t.cfg.CancelTimeout, buf))
			fatal = nil
		}
	}
}

func panicError(r any) error {
	if err, ok := r.(error); ok {
		return fmt.Errorf("panic in user code: %w", err)
	}
	return fmt.Errorf("panic in user code: %v", r)
}

// userStack leaves out the frames between the panic and this package's recover.
func userStack(stack []byte) string {
	s := string(stack)
	head, rest, _ := strings.Cut(s, "\n")
	if _, after, ok := strings.Cut(rest, "\npanic("); ok {
		if _, frames, ok := strings.Cut(after, "\n"); ok { // the arguments
			if _, user, ok := strings.Cut(frames, "\n"); ok { // where panic is defined
				return head + "\n" + user
			}
		}
	}
	return s
}
