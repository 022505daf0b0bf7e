package jobmaster

import (
	"context"
	"errors"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// shell is the outside of a core: it turns what the core asks for into goroutines of the loop and their results into messages. Its
// fields are used on the loop only.
type shell struct {
	jm        *JobMaster
	self      actor.Self[core]
	delayed   time.Time     // when a publication of the view is due; zero: none is
	notBefore time.Duration // between two publications, so that a large job's views do not cost more than a little of the time
}

var _ outside = (*shell)(nil)

func newShell(cfg Config) (*JobMaster, error) {
	j := &JobMaster{cfg: cfg}
	sh := &shell{jm: j}
	var err error
	j.loop = actor.New("jobmaster "+cfg.Job.String(), func(self actor.Self[core]) *core {
		sh.self = self
		var c *core
		if c, err = newCore(time.Now(), cfg, sh); err == nil {
			sh.publish(c)
		}
		return c
	}, actor.Config[core]{OnStop: func(c *core) { c.close(ErrClosed); sh.publish(c) }})
	if err != nil {
		return nil, err
	}
	j.shell = sh
	j.host = coordinatorhost.New(coordinatorhost.Config{
		Job: cfg.Job, Coordinators: cfg.Coordinators, Parallelism: parallelism(cfg), Names: names(cfg), AddLeftover: cfg.AddLeftover, Log: cfg.Log,
		Send: func(op ids.OperatorID, _ int, attempt ids.ExecutionAttemptID, payload []byte) {
			j.post(func(c *core, now time.Time) { c.toTask(now, op, attempt, payload) })
		},
		Failed: func(err error) {
			j.post(func(c *core, now time.Time) { c.coordinatorFailed(now, err) })
		},
	})
	return j, nil
}

func parallelism(cfg Config) map[ids.OperatorID]int {
	m := map[ids.OperatorID]int{}
	for i := range cfg.Plan.Operators {
		m[cfg.Plan.Operators[i].ID] = cfg.Plan.Operators[i].Parallelism
	}
	return m
}

func names(cfg Config) map[ids.OperatorID]string {
	m := map[ids.OperatorID]string{}
	for i := range cfg.Plan.Operators {
		m[cfg.Plan.Operators[i].ID] = cfg.Plan.Operators[i].Name
	}
	return m
}

// Start starts the loop and the coordinators; when those have started, slots are declared and tasks deployed. ctx bounds the
// JobMaster's life; Close ends it too.
func (j *JobMaster) Start(ctx context.Context) {
	j.loop.Start(ctx)
	j.post(func(c *core, now time.Time) {
		c.step(now, scheduler.Initialized{})
		j.shell.tickLater()
		actor.Go(j.shell.self, func(ctx context.Context) (struct{}, error) { return struct{}{}, j.host.Start(ctx) },
			func(c *core, _ struct{}, err error) { c.started(time.Now(), err); j.shell.refresh(c) })
	})
}

// Close closes the streams and ends all goroutines; it waits. Tasks on the workers go on, for the next leader to find.
func (j *JobMaster) Close() error {
	j.loop.Close()
	return j.host.Close()
}

// post runs f on the loop and keeps the view fresh.
func (j *JobMaster) post(f func(c *core, now time.Time)) bool {
	return j.loop.Post(func(c *core) { f(c, time.Now()); j.shell.refresh(c) })
}

func (j *JobMaster) call(ctx context.Context, f func(c *core, now time.Time) error) error {
	_, err := actor.Call(ctx, j.loop, func(c *core) (struct{}, error) {
		err := f(c, time.Now())
		j.shell.refresh(c)
		return struct{}{}, err
	})
	if errors.Is(err, actor.ErrStopped) {
		return ErrClosed
	}
	return err
}

func (j *JobMaster) register(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return actor.Ask(ctx, j.loop, func(c *core, r actor.Reply[*pb.RegistrationResponse]) {
		c.register(time.Now(), req, r.Send)
		j.shell.refresh(c)
	})
}

func (s *shell) tickLater() {
	s.self.After(s.jm.cfg.HeartbeatInterval, func(c *core) {
		c.tick(time.Now())
		s.refresh(c)
		s.tickLater()
	})
}

// refresh publishes the view at once when the job's state has changed, else a little later, so that many messages cost one copy. Counts
// alone, which come with every heartbeat, may wait longer.
func (s *shell) refresh(c *core) {
	switch {
	case c.dirty && s.jm.view.Load().State != c.sched.State():
		s.publish(c)
	case c.dirty:
		s.publishWithin(max(viewDelay, s.notBefore))
	case c.counted:
		s.publishWithin(max(countsDelay, s.notBefore))
	}
}

// publishWithin publishes once in a while, however often it is called.
func (s *shell) publishWithin(d time.Duration) {
	due := time.Now().Add(d)
	if !s.delayed.IsZero() && !due.Before(s.delayed) {
		return
	}
	s.delayed = due
	s.self.After(d, func(c *core) {
		if s.delayed.Equal(due) {
			s.delayed = time.Time{}
			s.publish(c)
		}
	})
}

// publishShare is the part of its time that the loop may spend on views while nothing but details changes: 1/publishShare.
const publishShare = 20

func (s *shell) publish(c *core) {
	c.dirty, c.counted = false, false
	begun := time.Now()
	s.jm.view.Store(c.makeView())
	s.notBefore = publishShare * time.Since(begun)
}

// openedStream is a stream on its way to the loop; if that has stopped meanwhile, it is closed.
type openedStream struct{ *gateway.JobMasterStream }

// Close implements io.Closer for actor.Go.
func (o openedStream) Close() error {
	o.JobMasterStream.Close(ErrClosed)
	return nil
}

func (s *shell) open(o opening) {
	cfg := &s.jm.cfg
	actor.Go(s.self, func(ctx context.Context) (openedStream, error) {
		ctx, cancel := context.WithTimeout(ctx, cfg.OpenTimeout)
		defer cancel()
		if err := cfg.ResourceManager.KnowsWorker(ctx, o.worker); err != nil {
			return openedStream{}, err
		}
		stream, err := cfg.Dialer.TaskExecutor(o.address).OpenJob(ctx, pb.StreamOpen_builder{
			Epoch: uint64(cfg.Epoch), ResourceId: string(o.worker), Attempt: o.attempt, InstanceId: o.instance.Bytes(), Job: cfg.Job.Bytes(),
		}.Build())
		return openedStream{stream}, err
	}, func(c *core, stream openedStream, err error) {
		var l link
		if err == nil {
			l = stream.JobMasterStream
		}
		if c.opened(time.Now(), o, l, err) {
			s.read(o.worker, stream.JobMasterStream)
		}
		s.refresh(c)
	})
}

// read is the stream's one reader; it ends with the stream.
func (s *shell) read(worker ids.ResourceID, stream *gateway.JobMasterStream) {
	actor.Go(s.self, func(ctx context.Context) (struct{}, error) {
		for {
			m, err := stream.Recv(ctx)
			if err != nil {
				return struct{}{}, err
			}
			s.jm.post(func(c *core, now time.Time) { c.message(now, worker, stream, m) })
		}
	}, func(c *core, _ struct{}, err error) {
		c.broken(time.Now(), worker, stream, err)
		s.refresh(c)
	})
}

func (s *shell) after(d time.Duration, f func(*core, time.Time)) {
	s.self.After(d, func(c *core) { f(c, time.Now()); s.refresh(c) })
}

func (s *shell) declare(count int) {
	s.jm.cfg.ResourceManager.DeclareRequirements(s.jm.cfg.Job, s.jm.cfg.Address, count)
}

func (s *shell) event(op ids.OperatorID, attempt ids.ExecutionAttemptID, payload []byte) {
	s.jm.host.Event(op, attempt, payload)
}

func (s *shell) subtaskFailed(ops []ids.OperatorID, subtask int) {
	s.jm.host.SubtaskFailed(ops, subtask)
}

func (s *shell) stateChanged(state scheduler.JobState, at time.Time) {
	s.jm.cfg.Listener.JobStateChanged(s.jm.cfg.Job, state, at)
}

func (s *shell) ended(state scheduler.JobState, cause scheduler.Failure) {
	s.jm.cfg.Listener.TasksEnded(s.jm.cfg.Job, state, cause)
}
