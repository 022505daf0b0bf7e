package jobruntime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/memory"
	"github.com/flott-dev/flott/yarn/dfs"
)

// Config is what a Runtime is made from.
type Config struct {
	Job ids.JobID
	// Program builds the graph, from Context, at the first deployment. When Context has no Params, those of the deployed plan are used.
	Program program.Program
	Context program.Context
	// Exchange configures the data side; Job and Pool are filled in.
	Exchange exchange.Config
	// Network and NetworkBytes are the memory that the exchange's pool is a share of; Network may be nil without Exchange.Bind.
	Network      *memory.Network
	NetworkBytes int
	FS           dfs.Resolver
	// CopyValues: pipeline.object-reuse is false.
	CopyValues bool
	// CancelInterval and CancelTimeout are task.cancellation.interval and .timeout, with task.Config's meaning of zero.
	CancelInterval, CancelTimeout time.Duration
	// Events gets a Response for every Deploy, task states, messages of tasks, and a heartbeat with metrics for every heartbeat sent. It is
	// called on the runtime's loop and must not block.
	Events func(*pb.ToJobMaster)
	// Fatal gets the reason why the process has to end: a task that cannot be stopped. From any goroutine.
	Fatal func(error)
	Log   *slog.Logger

	newTask newTask // for tests; nil: task.New
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("job_id", c.Job)
	if c.newTask == nil {
		c.newTask = engineTask
	}
	return c
}

// Validate joins all that is missing.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(!c.Job.IsZero(), "no job id")
	need(c.Program != nil, "no job program")
	need(c.Events != nil, "nobody takes events")
	need(c.Fatal != nil, "nobody takes fatal errors")
	need(c.Exchange.Bind == "" || c.Network != nil, "a data listener needs network memory")
	return errors.Join(errs...)
}

// Runtime runs the tasks of one job. Its methods are safe for concurrent use.
type Runtime struct {
	cfg      Config
	exchange *exchange.Exchange
	pool     *memory.Pool
	loop     *actor.Loop[core]
	closing  sync.Once
	closed   error // of closing the exchange
}

// New opens the data listener and starts the loop.
func New(cfg Config) (*Runtime, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open runtime of job %s: %w", cfg.Job, err)
	}
	r := &Runtime{cfg: cfg}
	if err := r.open(); err != nil {
		return nil, fmt.Errorf("open runtime of job %s: %w", cfg.Job, err)
	}
	return r, nil
}

// DataAddress is where the job's other runtimes fetch data from; empty without a listener.
func (r *Runtime) DataAddress() string { return r.exchange.Addr() }

// Send takes a Deploy, CancelTasks, ToTask or a heartbeat, to be carried out in order; other messages are not for a runtime and are
// ignored, and so is everything after Close. It never blocks; m belongs to the runtime then.
func (r *Runtime) Send(m *pb.FromJobMaster) {
	r.loop.Post(func(c *core) { c.receive(m) })
}

// Close cancels what runs, waits for its end and releases everything. Events come until it returns, none after.
func (r *Runtime) Close() error {
	tasks, err := actor.Call(context.Background(), r.loop, func(c *core) ([]runner, error) { return c.stop(), nil })
	if err == nil { // else another Close is at work or done
		for _, t := range tasks {
			t.Wait()
		}
	}
	r.loop.Close()
	r.closing.Do(func() {
		if r.closed = r.exchange.Close(); r.pool != nil {
			r.pool.Close()
		}
	})
	return r.closed
}

func (r *Runtime) open() error {
	cfg := r.cfg.Exchange
	cfg.Job = r.cfg.Job
	if r.cfg.Network != nil {
		pool, err := r.cfg.Network.Share(r.cfg.NetworkBytes)
		if err != nil {
			return err
		}
		r.pool, cfg.Pool = pool, pool
	}
	var err error
	if r.exchange, err = exchange.New(cfg); err != nil {
		if r.pool != nil {
			r.pool.Close()
		}
		return err
	}
	r.loop = actor.New("jobruntime "+r.cfg.Job.String(), func(self actor.Self[core]) *core { return newCore(r, self) }, actor.Config[core]{})
	r.loop.Start(context.Background())
	return nil
}
