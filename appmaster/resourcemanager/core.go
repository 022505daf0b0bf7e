package resourcemanager

import (
	"cmp"
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
	count   [numWorkerStates]int // workers by state
	due     time.Time            // no worker's deadline is before this; zero: none has one

	wanted   int  // workers, as the slot manager declared
	asked    int  // as last told to the driver and not yet announced
	attached bool // the driver's Owned has come
	hold     bool
	ending   bool // no worker is started any more

	failures  []time.Time // of starts, within the last minute
	coolUntil time.Time
	settled   time.Time // until when previous workers may still come before new ones are asked for

	lastRequest ids.RequestID
	reason      string // why workers do not come
	jobs        map[ids.JobID]bool
	gone        func() // called whenever a worker is forgotten
}

func newCore(cfg Config, now func() time.Time) *core {
	return &core{
		cfg: cfg, log: cfg.Log, now: now,
		redial: func(ids.ResourceID, *connection) {}, wake: func() {}, gone: func() {},
		slots:   slotmanager.New(cfg.Slots),
		workers: make(map[ids.ResourceID]*worker),
		jobs:    make(map[ids.JobID]bool),
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
	w.conn.requests[c.lastRequest] = answer
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
	if missing < 0 && c.count[starting] > 0 {
		surplus := c.choose(func(w *worker) bool { return w.state == starting && !w.previous })
		for _, w := range surplus[:min(len(surplus), -missing)] {
			c.dismiss(w, "no longer needed")
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
func (c *core) known() int { return len(c.workers) - c.count[leaving] }

// choose returns workers by name, so that decisions are reproducible.
func (c *core) choose(which func(*worker) bool) []*worker {
	var ws []*worker
	for _, w := range c.workers {
		if which(w) {
			ws = append(ws, w)
		}
	}
	slices.SortFunc(ws, func(a, b *worker) int { return cmp.Compare(a.ID, b.ID) })
	return ws
}

// add makes a worker known.
func (c *core) add(w *worker) {
	c.workers[w.ID] = w
	c.count[w.state]++
	c.considerDue(w)
}

func (c *core) forget(w *worker) {
	delete(c.workers, w.ID)
	c.count[w.state]--
}

func (c *core) move(w *worker, to workerState) {
	c.count[w.state]--
	w.state = to
	c.count[to]++
	c.considerDue(w)
}

// dismiss tells a worker to exit and makes the driver end it.
func (c *core) dismiss(w *worker, reason string) {
	if w == nil || w.state == leaving {
		return
	}
	c.log.Info("releasing worker", "worker", string(w.ID), "reason", reason)
	c.send(w, goodbye(reason))
	c.move(w, leaving)
	c.cfg.Driver.Release(c.cfg.Epoch, w.ID, reason)
}

func goodbye(reason string) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{Goodbye: pb.Goodbye_builder{Reason: reason, Exit: true}.Build()}.Build()
}

// tick runs when a deadline may have come.
func (c *core) tick() {
	now := c.now()
	late := c.choose(func(w *worker) bool { due := c.deadline(w); return !due.IsZero() && !now.Before(due) })
	for _, w := range late {
		if w.state == starting {
			c.log.Warn("worker did not register in time", "worker", string(w.ID), "node", w.Node)
			c.startFailed(now)
			c.dismiss(w, fmt.Sprintf("did not register within %s (resourcemanager.taskmanager-registration.timeout)",
				c.cfg.RegistrationTimeout))
		}
	}
	for _, w := range late {
		if w.state == registered {
			c.lose(w, fmt.Errorf("worker %s on %s has been silent for %s (heartbeat.timeout)", w.ID, w.Node,
				now.Sub(w.conn.seen).Round(time.Millisecond)))
		}
	}
	c.due = time.Time{}
	for _, w := range c.workers {
		c.considerDue(w)
	}
	c.step(slotmanager.Tick{})
}

// deadline is when a worker is given up, or the zero time.
func (c *core) deadline(w *worker) time.Time {
	switch {
	case w.state == starting:
		return w.deadline
	case w.state == registered && w.conn != nil:
		return w.conn.seen.Add(c.cfg.HeartbeatTimeout)
	}
	return time.Time{}
}

// considerDue keeps c.due not after the worker's deadline. Heartbeats, which move a deadline away, leave it to the next tick.
func (c *core) considerDue(w *worker) {
	c.due = earlier(c.due, c.deadline(w))
}

// beat sends a heartbeat to every worker, the same frozen message.
func (c *core) beat() {
	m := pb.FromResourceManager_builder{Heartbeat: pb.ResourceManagerHeartbeat_builder{Hold: c.hold}.Build()}.Build()
	for _, w := range c.workers {
		c.send(w, m)
	}
}

// nextDeadline is when tick is due next, perhaps a little early, or the zero time.
func (c *core) nextDeadline() time.Time {
	next := earlier(c.slots.NextDeadline(), c.due)
	if now := c.now(); now.Before(c.coolUntil) {
		next = earlier(next, c.coolUntil)
	} else if now.Before(c.settled) {
		next = earlier(next, c.settled)
	}
	return next
}

// earlier of two moments; the zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
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
	clear(conn.requests)
	if conn.link != nil {
		conn.link.Close(cause)
	}
	c.cfg.Jobs.WorkerGone(w.ID, cause)
	c.step(slotmanager.Unregister{Worker: w.ID})
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
