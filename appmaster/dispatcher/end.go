package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/zkha/ha"
)

// ending is one run of endSteps: of a job, of the application, or of both. Its fields are set before it begins and then belong to
// its goroutine, until the result comes back to the loop.
type ending struct {
	job    *job // nil: the application only
	state  scheduler.JobState
	cause  scheduler.Failure
	result *Result // stored, or about to be
	from   int     // index of the first step
	app    bool    // the application ends too
	stop   context.CancelCauseFunc
}

// scope says whose end a step belongs to.
type scope uint8

const (
	ofJob scope = 1 << iota
	ofApplication
)

// endStep is one step of an end. A step whose patience has run out is passed over with a warning, unless failed decides otherwise.
type endStep struct {
	name     string
	scope    scope
	when     func(e *ending) bool
	patience pause
	do       func(ctx context.Context, d *Dispatcher, e *ending) error
	failed   func(ctx context.Context, d *Dispatcher, e *ending, err error) error
}

var (
	always  = func(*ending) bool { return true }
	forever = pause{first: 200 * time.Millisecond, max: 10 * time.Second, each: time.Minute}
	some    = pause{tries: 8, first: 200 * time.Millisecond, max: 5 * time.Second} // about 20 s, and what the tries take
	tidy    = pause{tries: 4, first: 200 * time.Millisecond, max: time.Second, each: 5 * time.Second}
)

// Where an end goes on whose result is stored, and where YARN has let go of the application.
const (
	afterStore      = 3
	afterUnregister = 7
)

// endSteps is the order of an end; doc.go explains it.
var endSteps = [...]endStep{
	{
		name: "commit", scope: ofJob, patience: some,
		when:   func(e *ending) bool { return e.state == scheduler.JobFinished && e.job.running() != nil },
		do:     func(ctx context.Context, _ *Dispatcher, e *ending) error { return e.job.running().Commit(ctx) },
		failed: commitFailed,
	},
	{
		name: "discard", scope: ofJob, patience: some,
		when: func(e *ending) bool { return e.state != scheduler.JobFinished && e.job.running() != nil },
		do:   func(ctx context.Context, _ *Dispatcher, e *ending) error { return e.job.running().Discard(ctx) },
	},
	{name: "store result", scope: ofJob, patience: forever, when: always, do: storeResult, failed: storeFailed},
	{name: "end tasks", scope: ofJob, patience: pause{tries: 1}, when: always, do: endTasks},
	{
		name: "stop workers", scope: ofApplication, patience: pause{tries: 2, each: 15 * time.Second}, when: always,
		do: func(ctx context.Context, d *Dispatcher, _ *ending) error {
			return d.cfg.ResourceManager.StopWorkers(ctx, d.cfg.WorkerGrace)
		},
	},
	{
		name: "clean job", scope: ofJob, patience: some, when: always,
		do: func(ctx context.Context, d *Dispatcher, e *ending) error { return d.cfg.JobData.Remove(ctx, e.job.id) },
	},
	{name: "unregister", scope: ofApplication, patience: forever, when: always, do: unregister},
	{
		name: "remove result", scope: ofJob, patience: tidy, when: func(e *ending) bool { return e.app },
		do: func(ctx context.Context, d *Dispatcher, e *ending) error { return d.cfg.Results.Remove(ctx, e.job.id) },
	},
	{
		name: "remove staging", scope: ofApplication, patience: tidy, when: always,
		do: func(ctx context.Context, d *Dispatcher, _ *ending) error { return d.cfg.Staging.Remove(ctx) },
	},
}

// commitFailed turns the end into FAILED; the steps that follow see that.
func commitFailed(ctx context.Context, _ *Dispatcher, e *ending, err error) error {
	if err := e.job.running().Fail(ctx, err); err != nil {
		return err
	}
	e.state, e.cause = scheduler.JobFailed, e.job.view().Cause
	return nil
}

func storeResult(ctx context.Context, d *Dispatcher, e *ending) error {
	if e.result == nil {
		e.result = &Result{Job: e.job.id, Name: e.job.view().Name, State: e.state, Start: e.job.start, End: time.Now()}
		if e.state == scheduler.JobFailed {
			e.result.Cause, e.result.Details = e.cause.Sentence(), e.cause.Details()
			e.result.CauseKind = e.cause.Kind
		}
	}
	data, err := e.result.encode()
	if err != nil {
		return err
	}
	return d.cfg.Results.Store(ctx, e.job.id, data)
}

// storeFailed yields to a result that is there already: whatever this leader thinks, that is how the job ended.
func storeFailed(ctx context.Context, d *Dispatcher, e *ending, err error) error {
	d.log.Warn("result not stored", "job_id", e.job.id, "err", err)
	if !errors.Is(err, ha.ErrStored) {
		return nil // nobody can read a result there: later attempts cannot either
	}
	stored, err := d.loadResult(ctx, e.job.id)
	if err == nil && stored != nil {
		e.result, e.state = stored, stored.State
	}
	return err
}

func endTasks(ctx context.Context, _ *Dispatcher, e *ending) error {
	defer e.job.result.Store(e.result) // last: who sees the result sees the job's terminal state too
	if m := e.job.running(); m != nil {
		return m.Conclude(ctx)
	}
	e.job.still.Store(stillView(e.job.id, e.result.Name, e.result.Start, e.result.State, e.result.End, e.result.failure()))
	return nil
}

func unregister(ctx context.Context, d *Dispatcher, e *ending) error {
	exit := e.exit()
	return d.cfg.ResourceManager.Finish(ctx, exit.Status, exit.Diagnostics)
}

// exit is how the application ends; one without a job, a session, has succeeded.
func (e *ending) exit() Exit {
	if e.result == nil {
		return Exit{Status: resourcemanager.Succeeded, Diagnostics: "the session was shut down"}
	}
	return Exit{Status: e.result.Status(), Diagnostics: e.result.Diagnostics()}
}

// begin runs an end in a goroutine of its own. When it is over, so is the job, and perhaps the application.
func (c *core) begin(e *ending) {
	if c.hold {
		return // the next leader begins it
	}
	if e.job != nil {
		e.job.ending = e
		e.app = c.leave && c.cfg().Application != nil
	} else {
		e.app = true
		c.leaver = e
	}
	// Both exist before the goroutine, so that Hold and Close can stop an end that has not begun to run.
	stopped, stop := context.WithCancelCause(context.Background())
	e.stop = stop
	actor.Go(c.self, func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stopped, func() { cancel(context.Cause(stopped)) })()
		return struct{}{}, c.d.runEnd(ctx, e)
	}, func(c *core, _ struct{}, err error) { c.ended(e, err) })
}

// runEnd does the steps in order. An error means that the end stopped where it was; another leader goes on.
func (d *Dispatcher) runEnd(ctx context.Context, e *ending) error {
	for i := e.from; i < len(endSteps); i++ {
		s := &endSteps[i]
		if i == afterUnregister && e.app {
			// Nobody leads an application that YARN has written off, and a leader who found no result any more would run the job again:
			// what is left is done whatever happens to this one's leadership.
			ctx = context.WithoutCancel(ctx)
		}
		mine := e.job != nil && s.scope&ofJob != 0 || e.app && s.scope&ofApplication != 0
		if !mine || !s.when(e) {
			continue
		}
		if d.cfg.onStep != nil {
			if err := d.cfg.onStep(s.name); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("before end step %s: %w", s.name, context.Cause(ctx))
		}
		d.phase.Store(&s.name)
		d.log.Info("end step", "step", s.name)
		err := retry(ctx, s.patience, func(ctx context.Context) error { return s.do(ctx, d, e) })
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return fmt.Errorf("end step %s: %w", s.name, context.Cause(ctx))
		case lost(err):
			return fmt.Errorf("end step %s: %w", s.name, err)
		case s.failed != nil:
			if err := s.failed(ctx, d, e, err); err != nil {
				return fmt.Errorf("end step %s: %w", s.name, err)
			}
		default:
			d.log.Warn("end step given up", "step", s.name, "err", err)
		}
	}
	if e.app {
		d.cfg.Exit(e.exit())
	}
	return nil
}

// lost says that somebody else leads, or may: nothing may be done any more.
func lost(err error) bool {
	return errors.Is(err, rpc.ErrFenced) || errors.Is(err, rpc.ErrOnHold) || errors.Is(err, rpc.ErrStopped)
}

// permanent says that repeating cannot help.
func permanent(err error) bool {
	if of, ok := errors.AsType[*coordinatorhost.Error](err); ok && of.Stack != "" {
		return true // user code panicked
	}
	return lost(err) || errors.Is(err, ha.ErrStored) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// pause says how often, and with what pauses between, something is tried.
type pause struct {
	tries      int           // 0: for ever
	first, max time.Duration // pauses double from first to max
	each       time.Duration // bounds one try; 0: no bound
}

// retry repeats f with growing pauses until it succeeds, its tries are used up, its error is permanent or ctx ends.
func retry(ctx context.Context, p pause, f func(context.Context) error) error {
	wait := p.first
	for try := 1; ; try++ {
		err := limited(ctx, p.each, f)
		if err == nil || try == p.tries || permanent(err) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		wait = min(2*wait, p.max)
	}
}

func limited(ctx context.Context, each time.Duration, f func(context.Context) error) error {
	if each > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, each)
		defer cancel()
	}
	return f(ctx)
}

// ended takes the result of an end.
func (c *core) ended(e *ending, err error) {
	if err != nil {
		c.d.log.Warn("end not completed", "err", err)
		return
	}
	if !e.app {
		c.leaveIfIdle()
	}
}

// leaveIfIdle ends the application when that is wanted and no job runs or is ending. The status is that of the application's job.
func (c *core) leaveIfIdle() {
	if !c.leave || c.leaver != nil || c.hold {
		return
	}
	for _, j := range c.jobs {
		if j.result.Load() == nil {
			return
		}
	}
	e := &ending{}
	if c.cfg().Application != nil && len(c.jobs) == 1 {
		if c.jobs[0].ending != nil && c.jobs[0].ending.app {
			return // its own end does it
		}
		e.job, e.result, e.from = c.jobs[0], c.jobs[0].result.Load(), afterStore
	}
	e.app = true
	c.leaver = e
	c.begin(e)
}

// loadResult reads a stored end, repeating itself until ctx ends: without an answer nothing can be decided.
func (d *Dispatcher) loadResult(ctx context.Context, job jobID) (*Result, error) {
	var data []byte
	var found bool
	err := retry(ctx, forever, func(ctx context.Context) (err error) {
		if data, found, err = d.cfg.Results.Load(ctx, job); err != nil {
			d.log.Warn("stored result not read", "job_id", job, "err", err)
		}
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	result, err := decodeResult(data)
	if err != nil { // reading it again will not help: the application ends, and says why
		now := time.Now()
		return &Result{Job: job, State: scheduler.JobFailed, StateName: scheduler.JobFailed.String(), Start: now, End: now,
			Cause: "the stored result of the job cannot be read: " + err.Error()}, nil
	}
	return result, nil
}
