package resourcemanager

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// core is the state of the loop. Its methods run on the loop, do no I/O and never block.
type core struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	redial  func(id ids.ResourceID, conn *connection) // opens the stream again, aside
	wake    func()                                    // some deadline may have come nearer
	slots   *slotmanager.Manager
	workers map[ids.ResourceID]*worker

	wanted   int  // workers, as the slot manager declared
	asked    int  // as last told to the driver and not yet announced
	attached bool // the driver's Owned has come
	hold     bool
	ending   bool // no worker is started any more

	failures  []time.Time // of starts, within the last minute
	coolUntil time.Time
	settled   time.Time // until when previous workers may still come before new ones are asked for

	requests    map[ids.RequestID]request
	lastRequest ids.RequestID
	reason      string // why workers do not come
	jobs        map[ids.JobID]bool
	gone        func() // called whenever a worker is forgotten
}

// request is a question on a worker's stream that is not answered yet.
type request struct {
	conn   *connection
	answer func(failure *pb.Failure) slotmanager.Event
}

func newCore(cfg Config, now func() time.Time) *core {
	return &core{
		cfg: cfg, log: cfg.Log, now: now,
		redial: func(ids.ResourceID, *connection) {}, wake: func() {}, gone: func() {},
		slots:    slotmanager.New(cfg.Slots),
		workers:  make(map[ids.ResourceID]*worker),
		requests: make(map[ids.RequestID]request),
		jobs:     make(map[ids.JobID]bool),
	}
}

// step gives the slot manager an event and carries out what it decides.
func (c *core) step(ev slotmanager.Event) {
	for _, e := range c.slots.Step(c.now(), ev) {
		c.perform(e)
	}
	c.balance()
	c.wake()
}

func (c *core) perform(e slotmanager.Effect) {
	switch e := e.(type) {
	case slotmanager.DeclareWorkers:
		c.log.Info("workers wanted", "total", e.Total, "known", c.known())
		c.wanted = e.Total
	case slotmanager.Allocate:
		c.allocate(e)
	case slotmanager.AskRelease:
		c.ask(e.Worker, func(id ids.RequestID) *pb.FromResourceManager {
			return pb.FromResourceManager_builder{
				CanBeReleased: pb.CanBeReleased_builder{RequestId: uint64(id)}.Build(),
			}.Build()
		}, func(f *pb.Failure) slotmanager.Event {
			return slotmanager.CanRelease{Worker: e.Worker, Instance: e.Instance, Yes: f == nil}
		})
	case slotmanager.Release:
		c.dismiss(c.workers[e.Worker], "idle")
	case slotmanager.Reject:
		c.dismiss(c.workers[e.Worker], fmt.Sprintf("more than %d slots (slotmanager.number-of-slots.max)", e.Limit))
	case slotmanager.NotEnough:
		c.cfg.Jobs.NotEnoughResources(e.Job,
			fmt.Sprintf("%d slots more are needed than slotmanager.number-of-slots.max = %d allows", e.Missing, e.Limit), true)
	}
}

func (c *core) allocate(e slotmanager.Allocate) {
	c.ask(e.Worker, func(id ids.RequestID) *pb.FromResourceManager {
		return pb.FromResourceManager_builder{RequestSlot: pb.RequestSlot_builder{
			RequestId: uint64(id), SlotIndex: uint32(e.Slot), Job: e.Job.Bytes(),
			Allocation: e.Allocation.Bytes(), JobMasterAddress: e.JobMaster,
		}.Build()}.Build()
	}, func(f *pb.Failure) slotmanager.Event {
		return slotmanager.Allocated{Worker: e.Worker, Instance: e.Instance, Allocation: e.Allocation, Refused: f != nil}
	})
}

// ask sends a question on a worker's stream. When the stream breaks first, the next inventory answers it.
func (c *core) ask(id ids.ResourceID, message func(ids.RequestID) *pb.FromResourceManager,
	answer func(*pb.Failure) slotmanager.Event) {
	w := c.workers[id]
	if w == nil || w.conn == nil || w.conn.link == nil {
		return
	}
	c.lastRequest++
	c.requests[c.lastRequest] = request{w.conn, answer}
	c.send(w, message(c.lastRequest))
}

// send ignores the error: a broken stream is reported by its reader.
func (c *core) send(w *worker, m *pb.FromResourceManager) {
	if w.conn != nil && w.conn.link != nil {
		_ = w.conn.link.Send(m)
	}
}

// balance makes the workers asked for fit what is wanted: asks for missing ones, releases those that have not registered yet.
func (c *core) balance() {
	if !c.attached || c.hold {
		return
	}
	missing := c.wanted - c.known()
	if c.ending {
		missing = 0
	}
	for _, w := range c.inState(starting) {
		if missing >= 0 {
			break
		}
		if !w.previous {
			c.dismiss(w, "no longer needed")
			missing++
		}
	}
	outstanding := max(0, missing)
	if now := c.now(); outstanding > c.asked && (now.Before(c.coolUntil) || now.Before(c.settled)) {
		return
	}
	if outstanding != c.asked {
		c.asked = outstanding
		c.cfg.Driver.Request(c.cfg.Epoch, outstanding)
	}
}

// known counts the workers that are here or on their way.
func (c *core) known() int {
	return len(c.workers) - len(c.inState(leaving))
}

// inState returns the workers in a state, newest name last, so that decisions are reproducible.
func (c *core) inState(s workerState) []*worker {
	var ws []*worker
	for _, w := range c.workers {
		if w.state == s {
			ws = append(ws, w)
		}
	}
	slices.SortFunc(ws, func(a, b *worker) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return ws
}

// dismiss tells a worker to exit and makes the driver end it.
func (c *core) dismiss(w *worker, reason string) {
	if w == nil || w.state == leaving {
		return
	}
	c.log.Info("releasing worker", "worker", string(w.ID), "reason", reason)
	c.send(w, goodbye(reason))
	w.state = leaving
	c.cfg.Driver.Release(c.cfg.Epoch, w.ID, reason)
}

func goodbye(reason string) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{Goodbye: pb.Goodbye_builder{Reason: reason, Exit: true}.Build()}.Build()
}

// tick runs at heartbeats and deadlines.
func (c *core) tick() {
	now := c.now()
	for _, w := range c.inState(starting) {
		if !w.deadline.IsZero() && !now.Before(w.deadline) {
			c.log.Warn("worker did not register in time", "worker", string(w.ID), "node", w.Node)
			c.startFailed(now)
			c.dismiss(w, fmt.Sprintf("did not register within %s (resourcemanager.taskmanager-registration.timeout)",
				c.cfg.RegistrationTimeout))
		}
	}
	for _, w := range c.inState(registered) {
		if silent := now.Sub(w.conn.seen); silent >= c.cfg.HeartbeatTimeout {
			c.lose(w, fmt.Errorf("worker %s on %s has been silent for %s (heartbeat.timeout)", w.ID, w.Node,
				silent.Round(time.Millisecond)))
		}
	}
	c.step(slotmanager.Tick{})
}

// beat sends a heartbeat to every worker.
func (c *core) beat() {
	for _, w := range c.workers {
		c.send(w, pb.FromResourceManager_builder{
			Heartbeat: pb.ResourceManagerHeartbeat_builder{Hold: c.hold}.Build(),
		}.Build())
	}
}

// nextDeadline is when tick is due next, or the zero time.
func (c *core) nextDeadline() time.Time {
	next := c.slots.NextDeadline()
	consider := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, w := range c.workers {
		switch w.state {
		case starting:
			consider(w.deadline)
		case registered:
			consider(w.conn.seen.Add(c.cfg.HeartbeatTimeout))
		}
	}
	if now := c.now(); now.Before(c.coolUntil) {
		consider(c.coolUntil)
	} else if now.Before(c.settled) {
		consider(c.settled)
	}
	return next
}

// lose forgets a registered worker that is given up, and ends what may be left of it.
func (c *core) lose(w *worker, cause error) {
	c.dismiss(w, cause.Error())
	c.disconnect(w, cause)
}

// disconnect ends a worker's registration and tells the jobs.
func (c *core) disconnect(w *worker, cause error) {
	if w.conn == nil {
		return
	}
	conn := w.conn
	w.conn = nil
	c.dropRequests(conn)
	if conn.link != nil {
		conn.link.Close(cause)
	}
	c.cfg.Jobs.WorkerGone(w.ID, cause)
	c.step(slotmanager.Unregister{Worker: w.ID})
}

func (c *core) dropRequests(conn *connection) {
	for id, r := range c.requests {
		if r.conn == conn {
			delete(c.requests, id)
		}
	}
}

// startFailed counts a failed start; too many within a minute stop asking for a while.
func (c *core) startFailed(now time.Time) {
	c.failures = append(slices.DeleteFunc(c.failures, func(t time.Time) bool { return now.Sub(t) > time.Minute }), now)
	if float64(len(c.failures)) > c.cfg.MaxStartFailures {
		c.coolUntil = now.Add(c.cfg.StartRetryInterval)
		c.log.Warn("workers keep failing to start, pausing", "failures in the last minute", len(c.failures),
			"pause", c.cfg.StartRetryInterval)
	}
}
