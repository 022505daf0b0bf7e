package jobmaster

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// core is the state of a JobMaster, confined to its loop. Its methods take the time, change the state, send on streams (which
// enqueue) and ask the outside for what takes time; they start no goroutine and do no I/O, so tests call them directly.
type core struct {
	cfg     Config
	out     outside
	log     *slog.Logger
	sched   *scheduler.Scheduler
	pool    pool
	workers map[ids.ResourceID]*worker

	hold        bool
	closed      bool
	lastRequest ids.RequestID
	slotsDue    time.Time // when the wait for slots ends the job; zero while nothing waits
	notEnough   string    // what the ResourceManager said last about missing slots
	dirty       bool      // the published view is out of date
	counted     bool      // only counts of tasks in it are out of date
}

// outside carries out what a core must not do itself. All methods return at once; results come back as calls of core methods.
type outside interface {
	// open checks that the worker is known, dials it and opens the job's stream; then core.opened.
	open(o opening)
	// after calls f on the loop after a while.
	after(d time.Duration, f func(c *core, now time.Time))
	// declare tells the ResourceManager how many slots the job wants.
	declare(count int)
	// event and subtaskFailed go to the coordinators.
	event(op ids.OperatorID, attempt ids.ExecutionAttemptID, payload []byte)
	subtaskFailed(ops []ids.OperatorID, subtask int)
	// stateChanged and ended go to the listener.
	stateChanged(state scheduler.JobState, at time.Time)
	ended(state scheduler.JobState, cause scheduler.Failure)
}

func newCore(now time.Time, cfg Config, out outside) (*core, error) {
	sched, err := scheduler.New(now, scheduler.Config{Job: cfg.Job, Epoch: cfg.Epoch, Graph: cfg.Graph})
	if err != nil {
		return nil, err
	}
	c := &core{cfg: cfg, out: out, log: cfg.Log, sched: sched, workers: map[ids.ResourceID]*worker{}, pool: newPool(), dirty: true}
	return c, nil
}

// step lets the scheduler decide and carries the effects out. While on hold nothing is decided.
func (c *core) step(now time.Time, ev scheduler.Event) {
	if c.hold {
		return
	}
	c.dirty = true
	var deployments []scheduler.Deploy
	for _, e := range c.sched.Step(now, ev) {
		if d, ok := e.(scheduler.Deploy); ok {
			deployments = append(deployments, d)
			continue
		}
		c.deploy(deployments)
		deployments = nil
		c.carryOut(now, e)
	}
	c.deploy(deployments)
}

func (c *core) carryOut(now time.Time, e scheduler.Effect) {
	switch e := e.(type) {
	case scheduler.JobStateChanged:
		c.log.Info("job state changed", "state", e.State)
		c.out.stateChanged(e.State, e.At)
	case scheduler.WantSlots:
		c.pool.want(e.Count)
		c.slotsDue = time.Time{}
		if e.Count > 0 {
			c.slotsDue = now.Add(c.cfg.SlotRequestTimeout)
		}
		c.out.declare(e.Count)
	case scheduler.CancelTasks:
		c.send(e.Worker, pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: gateway.AttemptsToPB(e.Attempts)}.Build()}.Build())
	case scheduler.Acknowledge:
		c.send(e.Worker, pb.FromJobMaster_builder{Acknowledge: pb.AcknowledgeFinals_builder{Attempts: gateway.AttemptsToPB(e.Attempts)}.Build()}.Build())
	case scheduler.SubtaskFailed:
		if v, ok := c.cfg.Graph.Vertex(e.Attempt.Vertex); ok {
			c.out.subtaskFailed(v.Operators, int(e.Attempt.Subtask))
		}
	case scheduler.Ended:
		cause := c.sched.Cause()
		if e.State != scheduler.JobFailed {
			cause = scheduler.Failure{}
		}
		c.out.ended(e.State, cause)
	}
}

// started takes the result of starting the coordinators.
func (c *core) started(now time.Time, err error) {
	if err != nil {
		c.step(now, scheduler.Fail{Cause: FailureOf(err, now)})
		return
	}
	c.step(now, scheduler.Schedule{})
}

// tick is called every HeartbeatInterval: heartbeats, silent workers, slots waited for too long, idle slots.
func (c *core) tick(now time.Time) {
	for _, w := range c.sorted() {
		if silent := now.Sub(w.lastSeen); silent >= c.cfg.HeartbeatTimeout {
			c.loseWorker(now, w.id, fmt.Errorf("no heartbeat for %s", silent.Round(time.Second)))
			continue
		}
		c.beat(w)
	}
	if c.hold {
		return
	}
	if !c.slotsDue.IsZero() && !now.Before(c.slotsDue) && c.waiting() {
		c.slotsDue = time.Time{}
		c.step(now, scheduler.Fail{Cause: scheduler.Failure{Message: "no slots after " + c.cfg.SlotRequestTimeout.String() + " (slot.request.timeout): " + c.waitingFor(), At: now}})
	}
	for _, s := range c.pool.surplus(now, c.cfg.SlotIdleTimeout, c.sched.InUse) {
		c.free(s.worker, s.allocation, "the slot was idle and is not wanted")
	}
}

func (c *core) waiting() bool { return c.sched.State() == scheduler.JobRunning && !c.sched.Placed() }

// waitingFor is a sentence about the slots that are missing; empty when none are.
func (c *core) waitingFor() string {
	if !c.waiting() {
		return ""
	}
	s := fmt.Sprintf("the job wants %d slots and has %d, from %d workers", c.sched.Wanted(), len(c.pool.slots), len(c.pool.byWorker))
	if c.notEnough != "" {
		s += "; " + c.notEnough
	}
	return s
}

// notEnoughResources keeps what the ResourceManager says about missing slots, for people and for the reason of a time-out. When it says
// that they will never come, there is nothing to wait for.
func (c *core) notEnoughResources(now time.Time, reason string, final bool) {
	c.notEnough = reason
	c.dirty = true
	if reason != "" {
		c.log.Warn("not enough resources", "reason", reason, "final", final)
	}
	if final && c.waiting() {
		c.step(now, scheduler.Fail{Cause: scheduler.Failure{Message: reason, At: now}})
	}
}

func (c *core) cancel(now time.Time) error {
	if state := c.sched.State(); state.Terminal() {
		return &EndedError{Job: c.cfg.Job, State: state}
	}
	if c.hold {
		return ErrOnHold
	}
	c.step(now, scheduler.Cancel{})
	return nil
}

func (c *core) fail(now time.Time, cause scheduler.Failure) {
	c.step(now, scheduler.Fail{Cause: cause})
}

// coordinatorFailed takes a coordinator's failure. Once all tasks have ended, commit and discard alone decide.
func (c *core) coordinatorFailed(now time.Time, err error) {
	if c.sched.Ended() {
		c.log.Warn("coordinator failed after the last task", "err", err)
		return
	}
	c.step(now, scheduler.Fail{Cause: FailureOf(err, now)})
}

// conclude makes the end the job's state; the workers are told last, after what they may forget.
func (c *core) conclude(now time.Time) error {
	if c.hold {
		return ErrOnHold
	}
	c.step(now, scheduler.Concluded{})
	state := c.sched.State()
	if !state.Terminal() {
		return fmt.Errorf("conclude job %s: it is still %s", c.cfg.Job, state)
	}
	for _, w := range c.sorted() {
		c.send(w.id, pb.FromJobMaster_builder{JobDone: pb.JobDone_builder{Reason: "the job is " + state.String()}.Build()}.Build())
	}
	c.pool.clear()
	return nil
}

// close ends all streams; the workers keep their tasks for the next leader.
func (c *core) close(cause error) {
	c.closed = true
	for _, w := range c.sorted() {
		c.answer(w, nil, cause)
		if w.link != nil {
			w.link.Close(cause)
			w.link = nil
		}
	}
}

// toTask carries what a coordinator sends to an execution; one that is not alive gets nothing.
func (c *core) toTask(now time.Time, op ids.OperatorID, attempt ids.ExecutionAttemptID, payload []byte) {
	id, ok := c.sched.Current(attempt)
	w := c.workers[id]
	if !ok || w == nil {
		return
	}
	m := pb.FromJobMaster_builder{ToTask: pb.ToTask_builder{Attempt: gateway.AttemptToPB(attempt), Operator: op[:], Payload: payload}.Build()}.Build()
	if !w.ready() {
		w.waiting = append(w.waiting, m) // goes out after the next inventory
		return
	}
	w.sentEvent[attempt] = now
	c.sendTo(w, m)
}
