package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
)

// core is the Dispatcher's state, confined to its loop.
type core struct {
	d      *Dispatcher
	self   actor.Self[core]
	jobs   []*job
	hold   bool
	leave  bool // the application is to end when no job runs any more
	leaver *ending
}

func (c *core) cfg() *Config { return &c.d.cfg }

func (c *core) add(j *job) {
	c.publish(append(slices.Clone(c.jobs), j))
}

// publish replaces the list of jobs; readers may hold the old one.
func (c *core) publish(jobs []*job) {
	c.jobs = jobs
	c.d.jobs.Store(&jobs)
}

func (c *core) start() {
	app := c.cfg().Application
	if app == nil {
		return
	}
	j := newJob(app.Job, app.Name, c.self.Now())
	c.add(j)
	c.leave = true
	actor.Go(c.self, func(ctx context.Context) (*Result, error) { return c.d.loadResult(ctx, app.Job) },
		func(c *core, r *Result, err error) {
			switch {
			case err != nil: // cancelled: loadResult repeats itself for ever
				c.d.log.Debug("stored result not read", "job_id", j.id, "err", err)
			case r != nil:
				c.d.log.Info("the job has ended before; only the remaining steps are done", "job_id", j.id, "state", r.StateName)
				j.result.Store(r)
				j.still.Store(stillView(j.id, r.Name, r.Start, r.State, r.End, r.failure()))
				c.begin(&ending{job: j, result: r, from: afterStore})
			default:
				c.build(j, app)
			}
		})
}

// build makes the job in a goroutine of its own; user code may run there.
func (c *core) build(j *job, app *Application) {
	actor.Go(c.self, func(ctx context.Context) (_ Job, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = &coordinatorhost.Error{Operator: "the job program", Method: "build", Stack: string(debug.Stack()), Err: fmt.Errorf("panic: %v", p)}
			}
		}()
		return app.Build(ctx)
	}, func(c *core, spec Job, err error) {
		if err == nil {
			spec.ID = j.id
			err = c.run(j, spec)
		}
		if err != nil {
			c.neverRan(j, err)
		}
	})
}

// neverRan ends a job that could not even be made.
func (c *core) neverRan(j *job, err error) {
	now := c.self.Now()
	cause := jobmaster.FailureOf(err, now)
	j.still.Store(stillView(j.id, j.view().Name, j.start, scheduler.JobFailing, now, cause))
	c.begin(&ending{job: j, state: scheduler.JobFailed, cause: cause})
}

// run gives a job its JobMaster.
func (c *core) run(j *job, spec Job) error {
	cfg := c.cfg().JobMaster
	cfg.Job, cfg.Epoch, cfg.Plan, cfg.Coordinators = spec.ID, c.cfg().Epoch, spec.Plan, spec.Coordinators
	cfg.ResourceManager, cfg.Dialer, cfg.Listener = c.cfg().ResourceManager, c.cfg().Dialer, listener{c.self}
	cfg.AddLeftover, cfg.Log = c.cfg().Staging.AddLeftover, c.cfg().Log
	m, err := c.cfg().newMaster(cfg)
	if err != nil {
		return err
	}
	j.master.Store(&m)
	if c.hold {
		m.Hold()
	}
	m.Start(context.Background()) // ended by Close
	if j.cancelled {
		c.cancelMaster(j, nil)
	}
	return nil
}

func (c *core) submit(spec Job, r actor.Reply[struct{}]) {
	switch {
	case c.hold:
		r.Send(struct{}{}, jobmaster.ErrOnHold)
		return
	case c.leave || c.cfg().Application != nil:
		r.Send(struct{}{}, ErrShuttingDown)
		return
	case c.d.find(spec.ID) != nil:
		r.Send(struct{}{}, ErrDuplicateJob)
		return
	case spec.Plan == nil:
		r.Send(struct{}{}, errors.New("submit job: no plan"))
		return
	}
	j := newJob(spec.ID, spec.Plan.Name, c.self.Now())
	c.add(j)
	actor.Go(c.self, func(ctx context.Context) (*Result, error) { return c.d.loadResult(ctx, spec.ID) },
		func(c *core, stored *Result, err error) {
			if err == nil && stored != nil {
				err = ErrDuplicateJob
			}
			if err == nil {
				err = c.run(j, spec)
			}
			if err != nil {
				c.remove(j)
			}
			r.Send(struct{}{}, err)
		})
}

func (c *core) remove(j *job) {
	c.publish(slices.DeleteFunc(slices.Clone(c.jobs), func(o *job) bool { return o == j }))
}

func (c *core) cancelJob(id ids.JobID, r actor.Reply[struct{}]) {
	j := c.d.find(id)
	switch {
	case j == nil:
		r.Send(struct{}{}, &rpc.Error{Code: rpc.UnknownJob, Msg: fmt.Sprintf("no job %s", id)})
	case c.hold:
		r.Send(struct{}{}, jobmaster.ErrOnHold)
	case j.view().State.Terminal():
		r.Send(struct{}{}, &jobmaster.EndedError{Job: id, State: j.view().State})
	case j.running() == nil:
		j.cancelled = true
		r.Send(struct{}{}, nil)
	default:
		c.cancelMaster(j, func(err error) { r.Send(struct{}{}, err) })
	}
}

func (c *core) cancelMaster(j *job, answer func(error)) {
	m := j.running()
	actor.Go(c.self, func(ctx context.Context) (struct{}, error) { return struct{}{}, m.Cancel(ctx) }, func(_ *core, _ struct{}, err error) {
		if answer != nil {
			answer(err)
		}
	})
}

func (c *core) shutdown() error {
	if c.hold {
		return jobmaster.ErrOnHold
	}
	c.leave = true
	for _, j := range c.jobs {
		switch {
		case j.result.Load() != nil || j.ending != nil:
		case j.running() == nil:
			j.cancelled = true
		default:
			c.cancelMaster(j, nil)
		}
	}
	c.leaveIfIdle()
	return nil
}

// listener takes the JobMasters' words to the loop.
type listener struct{ self actor.Self[core] }

// JobStateChanged is of no interest here: the JobMaster's view shows it.
func (l listener) JobStateChanged(ids.JobID, scheduler.JobState, time.Time) {}

// TasksEnded begins the end of the job.
func (l listener) TasksEnded(id ids.JobID, state scheduler.JobState, cause scheduler.Failure) {
	l.self.Post(func(c *core) {
		if j := c.d.find(id); j != nil && j.ending == nil {
			c.begin(&ending{job: j, state: state, cause: cause})
		} // else the end in progress itself turned FINISHED into FAILED
	})
}

func (c *core) holdNow() {
	c.hold = true
	for _, j := range c.jobs {
		if m := j.running(); m != nil {
			m.Hold()
		}
		if j.ending != nil {
			j.ending.stop(jobmaster.ErrOnHold)
		}
	}
	if c.leaver != nil {
		c.leaver.stop(jobmaster.ErrOnHold)
	}
}

// stop is the last thing on the loop: ends in progress are cancelled, Close waits for them.
func (c *core) stop() {
	for _, j := range c.jobs {
		if j.ending != nil {
			j.ending.stop(jobmaster.ErrClosed)
		}
	}
	if c.leaver != nil {
		c.leaver.stop(jobmaster.ErrClosed)
	}
}
