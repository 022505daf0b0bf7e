package resourcemanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// Why streams are closed, as the worker learns it.
var (
	errNotCurrent error = rpc.New(rpc.Superseded, "a newer registration has taken its place")
	errClosed     error = rpc.New(rpc.Stopped, "the ResourceManager of this epoch has been closed")
)

// Config is what a ResourceManager needs. Durations of zero take the default in brackets.
type Config struct {
	Epoch    ids.Epoch
	Resource ids.ResourceID // ours, shown to workers
	Slots    slotmanager.Config

	HeartbeatInterval   time.Duration // between two heartbeats to a worker [2 s]
	HeartbeatTimeout    time.Duration // of silence, until a worker is given up [8 s]
	RegistrationTimeout time.Duration // from a worker's start to its registration [5 min]
	MaxStartFailures    float64       // within a minute, before asking pauses [10]
	StartRetryInterval  time.Duration // of that pause [3 s]
	RecoveryTimeout     time.Duration // during which previous workers are awaited before new ones are asked for
	OpenTimeout         time.Duration // to connect back to a worker [10 s]

	Dialer gateway.Dialer
	Driver Driver
	Jobs   JobListener
	Log    *slog.Logger
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.HeartbeatInterval, 2*time.Second)
	def(&c.HeartbeatTimeout, 8*time.Second)
	def(&c.RegistrationTimeout, 5*time.Minute)
	def(&c.StartRetryInterval, 3*time.Second)
	def(&c.OpenTimeout, 10*time.Second)
	if c.MaxStartFailures == 0 {
		c.MaxStartFailures = 10
	}
	if c.Slots.NewAllocation == nil {
		c.Slots.NewAllocation = ids.NewAllocationID
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Epoch == 0 {
		errs = append(errs, errors.New("no epoch"))
	}
	if c.Dialer == nil || c.Driver == nil || c.Jobs == nil {
		errs = append(errs, errors.New("a port is missing"))
	}
	if c.HeartbeatTimeout <= c.HeartbeatInterval {
		errs = append(errs, fmt.Errorf("heartbeat.timeout %s must be greater than heartbeat.interval %s", c.HeartbeatTimeout, c.HeartbeatInterval))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("configure resourcemanager: %w", err)
	}
	return nil
}

// ResourceManager is the handle of the endpoint; its methods may be called from any goroutine.
type ResourceManager struct {
	cfg  Config
	loop *actor.Loop[core]
	self actor.Self[core]
}

var _ gateway.ResourceManager = (*ResourceManager)(nil)

// New makes a ResourceManager of one epoch; nothing happens before Start.
func New(cfg Config) (*ResourceManager, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	rm := &ResourceManager{cfg: cfg}
	rm.loop = actor.New("resourcemanager", func(self actor.Self[core]) *core {
		rm.self = self
		c := newCore(cfg, self.Now)
		c.redial = func(id ids.ResourceID, conn *connection) { rm.reopen(id, conn) }
		c.wake = alarm(self, c)
		return c
	}, actor.Config[core]{OnStop: (*core).stop})
	return rm, nil
}

// Start attaches to the driver and begins to beat. The end of ctx stops the endpoint as Close does.
func (rm *ResourceManager) Start(ctx context.Context) error {
	rm.loop.Start(ctx)
	if err := rm.cfg.Driver.Attach(rm.cfg.Epoch, func(ev Event) {
		rm.loop.Post(func(c *core) { ev.apply(c) })
	}); err != nil {
		rm.loop.Close()
		return fmt.Errorf("attach to the driver: %w", err)
	}
	rm.beat()
	return nil
}

// Close ends the endpoint and its streams, not the workers.
func (rm *ResourceManager) Close() { rm.loop.Close() }

func (c *core) stop() {
	for _, w := range c.workers {
		if w.conn != nil && w.conn.link != nil {
			w.conn.link.Close(errClosed)
		}
	}
}

// alarm returns the core's wake, which runs on the loop: it keeps one timer, for the nearest deadline. When that has moved away, the timer
// is left alone and the tick finds nothing to do: workers' deadlines move with every heartbeat.
func alarm(self actor.Self[core], c *core) func() {
	var cancel func() bool
	var armed time.Time
	var wake func()
	wake = func() {
		next := c.nextDeadline()
		if next.IsZero() || !armed.IsZero() && !next.Before(armed) {
			return
		}
		if cancel != nil {
			cancel()
		}
		armed = next
		cancel = self.After(max(0, next.Sub(self.Now())), func(c *core) {
			cancel, armed = nil, time.Time{}
			c.tick()
			wake()
		})
	}
	return wake
}

func (rm *ResourceManager) beat() {
	rm.self.After(rm.cfg.HeartbeatInterval, func(c *core) {
		c.beat()
		rm.beat()
	})
}

// RegisterTaskExecutor implements [gateway.ResourceManager]: it connects back to the worker and answers when the stream is open.
func (rm *ResourceManager) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	if e := ids.Epoch(req.GetEpoch()); e != 0 && e != rm.cfg.Epoch {
		return nil, &rpc.Error{Code: rpc.Fenced, Epoch: rm.cfg.Epoch,
			Msg: fmt.Sprintf("registration for epoch %d, this leader's is %d", e, rm.cfg.Epoch)}
	}
	return actor.Ask(ctx, rm.loop, func(c *core, reply actor.Reply[*pb.RegistrationResponse]) {
		if err := c.replayed(req); err != nil {
			reply.Send(nil, err)
			return
		}
		if resp := c.admit(req); resp != nil {
			reply.Send(resp, nil)
			return
		}
		o := c.begin(req, reply.Send)
		if o == nil {
			return
		}
		instance := ids.NewInstanceID()
		rm.open(req, instance, func(c *core, l *gateway.ResourceManagerStream, err error) {
			o.answer(rm.accept(c, req, instance, l, err))
		})
	})
}

func (rm *ResourceManager) open(req *pb.RegisterTaskExecutorRequest, instance ids.InstanceID,
	then func(*core, *gateway.ResourceManagerStream, error)) {
	actor.Go(rm.self, func(ctx context.Context) (*gateway.ResourceManagerStream, error) {
		ctx, cancel := context.WithTimeout(ctx, rm.cfg.OpenTimeout)
		defer cancel()
		return rm.cfg.Dialer.TaskExecutor(req.GetAddress()).OpenResourceManager(ctx, pb.StreamOpen_builder{
			Epoch: uint64(rm.cfg.Epoch), ResourceId: req.GetResourceId(),
			Attempt: req.GetAttempt(), InstanceId: instance.Bytes(),
		}.Build())
	}, then)
}

func (rm *ResourceManager) accept(c *core, req *pb.RegisterTaskExecutorRequest, instance ids.InstanceID,
	s *gateway.ResourceManagerStream, err error) *pb.RegistrationResponse {
	var l link
	if err == nil {
		l = s
	}
	resp := c.accept(req, instance, l, err)
	if resp.HasSuccess() {
		id := ids.ResourceID(req.GetResourceId())
		rm.read(id, c.workers[id].conn, s)
	}
	return resp
}

// reopen opens a broken stream of a connection again, with a pause that grows to a second.
func (rm *ResourceManager) reopen(id ids.ResourceID, conn *connection) {
	pause := min(time.Second, 50*time.Millisecond<<min(conn.redials, 5))
	conn.redials++
	rm.self.After(pause, func(*core) {
		instance := conn.instance
		rm.open(conn.request, instance, func(c *core, s *gateway.ResourceManagerStream, err error) {
			var l link
			if err == nil {
				l = s
			}
			if c.reopened(id, conn, l, err) {
				conn.redials = 0
				rm.read(id, conn, s)
			}
		})
	})
}

// read runs the stream's reader until the stream ends, then says so.
func (rm *ResourceManager) read(id ids.ResourceID, conn *connection, s *gateway.ResourceManagerStream) {
	actor.Go(rm.self, func(ctx context.Context) (struct{}, error) {
		for {
			m, err := s.Recv(ctx)
			if err != nil {
				return struct{}{}, err
			}
			rm.self.Post(func(c *core) { c.receive(id, conn, s, m) })
		}
	}, func(c *core, _ struct{}, err error) { c.broken(id, conn, s, err) })
}

// DeclareRequirements sets how many slots a job wants in all; 0 withdraws them. JobMaster is the address that workers offer slots to.
func (rm *ResourceManager) DeclareRequirements(job ids.JobID, jobMaster string, slots int) {
	rm.loop.Post(func(c *core) { c.declareRequirements(job, jobMaster, slots) })
}

func (c *core) declareRequirements(job ids.JobID, jobMaster string, slots int) {
	if slots > 0 {
		c.jobs[job] = true
	} else {
		delete(c.jobs, job)
	}
	c.step(slotmanager.Require{Job: job, JobMaster: jobMaster, Slots: slots})
	if slots > 0 && c.reason != "" {
		c.cfg.Jobs.NotEnoughResources(job, c.reason, false)
	}
}

// KnowsWorker says whether a worker has registered here; if not, the error has code UnknownWorker.
func (rm *ResourceManager) KnowsWorker(ctx context.Context, worker ids.ResourceID) error {
	_, err := actor.Call(ctx, rm.loop, func(c *core) (struct{}, error) {
		if !c.knows(worker) || c.workers[worker].conn == nil {
			return struct{}{}, rpc.New(rpc.UnknownWorker, fmt.Sprintf("worker %s is not registered", worker))
		}
		return struct{}{}, nil
	})
	return err
}

// SetHold makes the ResourceManager accept and start nothing, or go on.
func (rm *ResourceManager) SetHold(hold bool) {
	rm.loop.Post(func(c *core) {
		c.hold = hold
		c.beat()
		c.balance()
	})
}

// StopWorkers tells every worker to exit, then makes the driver end those that are still there after grace, and returns when all are
// gone or ctx ends.
func (rm *ResourceManager) StopWorkers(ctx context.Context, grace time.Duration) error {
	_, err := actor.Ask(ctx, rm.loop, func(c *core, reply actor.Reply[struct{}]) { c.stopWorkers(rm.self, grace, reply) })
	if err != nil {
		return fmt.Errorf("stop workers: %w", err)
	}
	return nil
}

func (c *core) stopWorkers(self actor.Self[core], grace time.Duration, reply actor.Reply[struct{}]) {
	c.ending = true
	c.balance()
	for _, w := range c.workers {
		if w.state != leaving && w.conn != nil {
			c.send(w, goodbye("the application has ended"))
		} else {
			c.dismiss(w, "the application has ended")
		}
	}
	cancel := self.After(grace, func(c *core) {
		for _, w := range c.workers {
			c.dismiss(w, "the application has ended")
		}
	})
	c.gone = func() {
		if len(c.workers) == 0 {
			cancel()
			c.gone = func() {}
			reply.Send(struct{}{}, nil)
		}
	}
	c.gone()
}

// Finish ends the application where it runs.
func (rm *ResourceManager) Finish(ctx context.Context, status Status, diagnostics string) error {
	return rm.cfg.Driver.Finish(ctx, status, diagnostics)
}

// Overview counts workers and slots.
type Overview struct{ Workers, Slots, FreeSlots, Wanted int }

// Overview returns the counts that REST shows.
func (rm *ResourceManager) Overview(ctx context.Context) (Overview, error) {
	return actor.Call(ctx, rm.loop, func(c *core) (Overview, error) {
		w, s, f := c.slots.Overview()
		return Overview{w, s, f, c.wanted}, nil
	})
}

// Workers returns the registered workers, by id.
func (rm *ResourceManager) Workers(ctx context.Context) ([]View, error) {
	return actor.Call(ctx, rm.loop, func(c *core) ([]View, error) {
		var out []View
		for _, w := range c.choose(func(w *worker) bool { return w.state == registered }) {
			out = append(out, View{
				Worker: w.Worker, Registration: w.conn.request, LastHeartbeat: w.conn.seen,
				FreeSlots: c.slots.FreeSlots(w.ID), State: w.state.String(),
			})
		}
		return out, nil
	})
}
