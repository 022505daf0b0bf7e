package coordinatorhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
)

// Config is what a Host is made from.
type Config struct {
	Job          ids.JobID
	Coordinators map[ids.OperatorID]program.Coordinator
	Parallelism  map[ids.OperatorID]int    // effective, of each coordinated operator
	Names        map[ids.OperatorID]string // for messages; a missing one shows its id
	// Send carries bytes from a coordinator to one execution; it must not block. Called on the coordinators' goroutines.
	Send func(op ids.OperatorID, subtask int, attempt ids.ExecutionAttemptID, payload []byte)
	// AddLeftover records a place to sweep if the application dies; called before that place is created. nil: nothing is recorded.
	AddLeftover func(ctx context.Context, uri string) error
	// Failed is told the first failure of a coordinator outside Start, Commit and Discard, an *Error. Called on a goroutine of the
	// coordinator; must not block.
	Failed func(err error)
	Log    *slog.Logger
}

// Error is a failure of one coordinator.
type Error struct {
	Operator string // its name
	Method   string // what was being done: "start", "handle an event", …
	Stack    string // of a panic, else empty
	Err      error
}

// Error is one sentence: whose failure and why.
func (e *Error) Error() string {
	if (e.Method == "start" || e.Method == "run") && e.Stack == "" {
		return fmt.Sprintf("%s: %v", e.Operator, e.Err) // the sentence a person sees for a missing input or an existing output
	}
	return fmt.Sprintf("%s: %s: %v", e.Operator, e.Method, e.Err)
}

// Unwrap returns the coordinator's own error.
func (e *Error) Unwrap() error { return e.Err }

// ErrClosed is what waits end with when the host is closed.
var ErrClosed = errors.New("coordinatorhost: closed")

// Host runs the coordinators of one job.
type Host struct {
	cfg     Config
	log     *slog.Logger
	ctx     context.Context // of all user code; ends at Close
	stop    context.CancelFunc
	workers map[ids.OperatorID]*worker
	wg      sync.WaitGroup
	failed  sync.Once
}

// New starts one idle goroutine per coordinator; Close ends them.
func New(cfg Config) *Host {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.AddLeftover == nil {
		cfg.AddLeftover = func(context.Context, string) error { return nil }
	}
	h := &Host{cfg: cfg, log: cfg.Log, workers: map[ids.OperatorID]*worker{}}
	h.ctx, h.stop = context.WithCancel(context.Background())
	for op, c := range cfg.Coordinators {
		w := &worker{op: op, name: cfg.Names[op], coordinator: c, wake: make(chan struct{}, 1)}
		if w.name == "" {
			w.name = "operator " + op.String()
		}
		h.workers[op] = w
		h.wg.Go(func() { w.run(h.ctx) })
	}
	return h
}

// Start starts every coordinator and waits until all have; the error is that of the first that failed, as an *Error.
func (h *Host) Start(ctx context.Context) error {
	return h.each(ctx, "start", func(ctx context.Context, w *worker) error {
		return w.coordinator.Start(ctx, h.contextOf(w))
	})
}

// Event hands over what a subtask sent; it only enqueues. An operator without a coordinator is logged and ignored.
func (h *Host) Event(op ids.OperatorID, attempt ids.ExecutionAttemptID, payload []byte) {
	w := h.workers[op]
	if w == nil {
		h.log.Warn("event for an operator without coordinator", "operator", op, "attempt", attempt)
		return
	}
	w.post(func(ctx context.Context) {
		h.guard(ctx, w, "handle an event", func(ctx context.Context) error {
			return w.coordinator.HandleEvent(ctx, int(attempt.Subtask), attempt, payload)
		})
	})
}

// SubtaskFailed tells the given operators' coordinators that a subtask's execution is gone; what it held is to be given out again.
func (h *Host) SubtaskFailed(ops []ids.OperatorID, subtask int) {
	for _, op := range ops {
		w := h.workers[op]
		if w == nil {
			continue
		}
		w.post(func(ctx context.Context) {
			h.guard(ctx, w, "take back a subtask", func(ctx context.Context) error {
				return w.coordinator.SubtaskReset(ctx, subtask)
			})
		})
	}
}

// Commit makes visible what the finished subtasks handed over, per operator in the order of the subtasks. Idempotent.
func (h *Host) Commit(ctx context.Context, finals map[ids.OperatorID][][]byte) error {
	return h.each(ctx, "commit", func(ctx context.Context, w *worker) error {
		return w.coordinator.Commit(ctx, finals[w.op])
	})
}

// Discard removes what a failed or cancelled job left. Idempotent.
func (h *Host) Discard(ctx context.Context) error {
	return h.each(ctx, "discard", func(ctx context.Context, w *worker) error {
		return w.coordinator.Discard(ctx)
	})
}

// Close cancels what runs, closes every coordinator and waits for all goroutines.
func (h *Host) Close() error {
	h.stop()
	h.wg.Wait()
	var errs []error
	for _, w := range h.workers {
		errs = append(errs, protect(context.Background(), w.name, "close", func(context.Context) error { return w.coordinator.Close() }))
	}
	return errors.Join(errs...)
}

func (h *Host) contextOf(w *worker) program.CoordinatorContext {
	return program.CoordinatorContext{
		Job: h.cfg.Job, Operator: w.op, Parallelism: h.cfg.Parallelism[w.op],
		Send: func(subtask int, attempt ids.ExecutionAttemptID, payload []byte) {
			h.cfg.Send(w.op, subtask, attempt, payload)
		},
		AddLeftover: h.cfg.AddLeftover,
		Fail: func(cause error) {
			h.report(&Error{Operator: w.name, Method: "run", Err: cause})
		},
	}
}

// guard runs an event's handler and reports its failure, after which the coordinator gets no more events.
func (h *Host) guard(ctx context.Context, w *worker, method string, f func(context.Context) error) {
	if w.broken {
		return
	}
	err := protect(ctx, w.name, method, f)
	if err == nil || h.ctx.Err() != nil {
		return
	}
	w.broken = true
	h.report(err)
}

// report tells the first failure.
func (h *Host) report(err error) {
	h.failed.Do(func() {
		if h.cfg.Failed != nil {
			h.cfg.Failed(err)
		}
	})
}

// each runs f once per coordinator, on their goroutines, and waits for all, or for the first that fails: the others are then cancelled,
// and what comes next waits in their queues.
func (h *Host) each(ctx context.Context, method string, f func(context.Context, *worker) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	results := make(chan error, len(h.workers))
	for _, w := range h.workers {
		w.post(func(context.Context) {
			if ctx.Err() != nil {
				results <- context.Cause(ctx)
				return
			}
			results <- protect(ctx, w.name, method, func(ctx context.Context) error { return f(ctx, w) })
		})
	}
	for range h.workers {
		select {
		case err := <-results:
			if err != nil {
				return err
			}
		case <-h.ctx.Done():
			return ErrClosed
		case <-ctx.Done(): // a coordinator that does not heed it goes on alone; what comes next waits in its queue
			return context.Cause(ctx)
		}
	}
	return nil
}

// protect turns a panic of user code into an error that carries its stack. Its result is nil or an *Error.
func protect(ctx context.Context, name, method string, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			cause, ok := p.(error)
			if !ok {
				cause = fmt.Errorf("%v", p)
			}
			err = &Error{Operator: name, Method: method, Stack: string(debug.Stack()), Err: fmt.Errorf("panic: %w", cause)}
		}
	}()
	if err := f(ctx); err != nil {
		return &Error{Operator: name, Method: method, Err: err}
	}
	return nil
}
