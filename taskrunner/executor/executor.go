package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/heartbeat"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/registration"
	"github.com/flott-dev/flott/zkha/ha"
)

// Config is what an Executor is made from.
type Config struct {
	// Worker is what the worker tells about itself: resource id (required), node id, data port, number of slots (required), profiles,
	// hardware, memory, log URL, pid. Epoch, attempt and address are filled in for each registration.
	Worker *pb.RegisterTaskExecutorRequest
	// LogDir is the directory whose files ListLogs and ReadLog show; empty: none.
	LogDir string

	Leaders     ha.Retrieval // of the ResourceManager; its process serves the JobMasters too
	Dialer      Dialer
	OpenRuntime OpenRuntime
	// Fatal is called at most once, on the loop: the worker's process has to end. The error is a *RejectedError, a
	// *RegistrationTimeoutError, or a *DismissedError, after which the exit code is 0. It must not block, nor call Close and wait for it.
	Fatal func(error)

	RegistrationTimeout time.Duration       // taskmanager.registration.timeout; 0: 5 min; negative: never
	SlotTimeout         time.Duration       // taskmanager.slot.timeout; 0: 10 s
	Heartbeat           heartbeat.Config    // heartbeat.*: when a silent leader counts as lost
	Retry               registration.Config // cluster.registration.*
	Log                 *slog.Logger
}

func (c Config) withDefaults() Config {
	c.RegistrationTimeout = cmp.Or(c.RegistrationTimeout, 5*time.Minute)
	c.SlotTimeout = cmp.Or(c.SlotTimeout, 10*time.Second)
	c.Heartbeat = c.Heartbeat.WithDefaults()
	c.Retry = c.Retry.WithDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate joins all that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(c.Worker.GetResourceId() != "", "no resource id")
	need(c.Worker.GetSlots() > 0 && c.Worker.GetSlots() <= maxSlots, fmt.Sprintf("the number of slots is %d, not within 1 and %d", c.Worker.GetSlots(), maxSlots))
	need(c.Leaders != nil && c.Dialer != nil, "Leaders and Dialer are needed")
	need(c.OpenRuntime != nil, "nothing opens job runtimes")
	need(c.Fatal != nil, "nobody takes fatal errors")
	need(c.SlotTimeout >= 0, "the slot timeout is negative")
	errs = append(errs, c.Heartbeat.Validate(), c.Retry.Validate())
	return errors.Join(errs...)
}

// maxSlots bounds the slots of a worker, as taskmanager.numberOfTaskSlots does.
const maxSlots = 1024

// RejectedError: the ResourceManager will never take this worker.
type RejectedError struct{ Reason string }

func (e *RejectedError) Error() string {
	return "the ResourceManager rejected this worker: " + e.Reason
}

// RegistrationTimeoutError: the worker was without ResourceManager for too long.
type RegistrationTimeoutError struct{ After time.Duration }

func (e *RegistrationTimeoutError) Error() string {
	return fmt.Sprintf("no ResourceManager took this worker for %v (taskmanager.registration.timeout)", e.After)
}

// DismissedError: the ResourceManager told the worker to exit. That is no failure.
type DismissedError struct{ Reason string }

func (e *DismissedError) Error() string {
	return "the ResourceManager dismissed this worker: " + e.Reason
}

// Executor is the endpoint. It implements gateway.TaskExecutorServer.
type Executor struct {
	cfg  Config
	loop *actor.Loop[core]
	core *core // for Close, after the loop has ended
	stop func()

	closing  sync.Once
	closeErr error
}

var _ gateway.TaskExecutorServer = (*Executor)(nil)

// New makes an executor; nothing runs before Start.
func New(cfg Config) (*Executor, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make executor: %w", err)
	}
	cfg.Log = cfg.Log.With("worker", cfg.Worker.GetResourceId())
	e := &Executor{cfg: cfg, stop: func() {}}
	e.loop = actor.New("taskexecutor", func(self actor.Self[core]) *core {
		e.core = newCore(cfg, self)
		return e.core
	}, actor.Config[core]{OnStop: func(c *core) { c.shutDown() }})
	return e, nil
}

// Resource returns the worker's id.
func (e *Executor) Resource() ids.ResourceID { return ids.ResourceID(e.cfg.Worker.GetResourceId()) }

// Start begins to look for the leader and to register. address is where this executor is served already. The end of ctx stops the
// loop; Close is still needed. Call it once.
func (e *Executor) Start(ctx context.Context, address string) {
	e.loop.Start(ctx)
	e.loop.Post(func(c *core) { c.start(address) })
	e.stop = e.cfg.Leaders.Watch(ha.ResourceManager, func(l ha.Leader) {
		e.loop.Post(func(c *core) { c.leader(l) })
	})
}

// Close tells the leader that the worker leaves, closes the streams, cancels all tasks and waits for their end. Not to be called from
// Config.Fatal.
func (e *Executor) Close() error {
	e.closing.Do(func() {
		e.stop()
		e.loop.Close()
		e.closeErr = e.core.closeRuntimes()
	})
	return e.closeErr
}

// AcceptResourceManager implements gateway.TaskExecutorServer.
func (e *Executor) AcceptResourceManager(ctx context.Context, open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
	return e.accept(ctx, func(c *core) error { return c.acceptResourceManager(open, s) })
}

// AcceptJob implements gateway.TaskExecutorServer: rpc.ErrUnknownJob for a job that has no slots here.
func (e *Executor) AcceptJob(ctx context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
	return e.accept(ctx, func(c *core) error { return c.acceptJob(open, s) })
}

func (e *Executor) accept(ctx context.Context, f func(*core) error) error {
	_, err := actor.Call(ctx, e.loop, func(c *core) (struct{}, error) {
		defer c.arm()
		return struct{}{}, f(c)
	})
	if errors.Is(err, actor.ErrStopped) {
		return errStopping
	}
	return err
}
