package executor

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/zkha/ha"
)

// core is the state of the loop.
type core struct {
	cfg     Config
	log     *slog.Logger
	self    actor.Self[core]
	address string // where this worker is served
	roster  *gateway.Roster

	slots  *slots
	rm     link[*pb.ToResourceManager, *pb.FromResourceManager]
	giveUp time.Time // when having no ResourceManager becomes fatal; zero: not armed
	jobs   map[ids.JobID]*job
	// closing are jobs whose runtime is on its way out; another one waits for it.
	closing map[ids.JobID]chan struct{}

	lastRequest uint64 // of offers, and of deployments as runtimes see them
	armed       time.Time
	disarm      func() bool
	dead        bool // Fatal has been called
}

func newCore(cfg Config, self actor.Self[core]) *core {
	w := cfg.Worker
	return &core{
		cfg: cfg, log: cfg.Log, self: self,
		roster: &gateway.Roster{Resource: ids.ResourceID(w.GetResourceId())},
		slots:  newSlots(int(w.GetSlots()), w.GetSlotProfile(), cfg.SlotTimeout),
		jobs:   map[ids.JobID]*job{}, closing: map[ids.JobID]chan struct{}{},
	}
}

// start begins the wait for a ResourceManager. Leaders come from the retrieval.
func (c *core) start(address string) {
	c.address = address
	c.armGiveUp()
	c.arm()
}

// leader takes where the ResourceManager is now. A leader that is not known any more is kept as long as it is heard of.
func (c *core) leader(l ha.Leader) {
	known := c.rm.target
	if l.Epoch != 0 && l.Epoch < known.Epoch || l.Address == known.Address && (l.Epoch == 0 || l.Epoch == known.Epoch) {
		return
	}
	if l.Address == "" {
		c.log.Info("no leader is known")
		if c.rm.stream == nil {
			c.rm.stop()
			c.rm.target.Address = ""
		}
		return
	}
	c.log.Info("leader found", "address", l.Address, "epoch", l.Epoch)
	c.rm.target = l
	c.rm.since = time.Time{}
	if c.rm.stream != nil && c.rm.epoch != l.Epoch {
		dropped(c, &c.rm, c.rm.stream, errMoved, resourceManager()) // registers anew
	} else if c.rm.stream == nil {
		c.register()
	}
	c.arm()
}

func (c *core) armGiveUp() {
	if c.cfg.RegistrationTimeout > 0 {
		c.giveUp = c.self.Now().Add(c.cfg.RegistrationTimeout)
	}
}

// fatal asks for the end of the process, once.
func (c *core) fatal(err error) {
	if c.dead {
		return
	}
	c.dead = true
	c.log.Info("worker has to end", "reason", err)
	c.cfg.Fatal(err)
}

// tick does what has become due.
func (c *core) tick() {
	now := c.self.Now()
	if !c.giveUp.IsZero() && !now.Before(c.giveUp) {
		c.giveUp = time.Time{}
		c.fatal(&RegistrationTimeoutError{c.cfg.RegistrationTimeout})
	}
	for _, s := range c.slots.expired(now) {
		c.takeBack(s, fmt.Sprintf("the JobMaster did not take the slot within %v (taskmanager.slot.timeout)", c.cfg.SlotTimeout), true)
	}
	check(c, &c.rm, now, resourceManager())
	for _, j := range c.sortedJobs() {
		check(c, &j.link, now, j.peer())
	}
}

// arm sets the one timer to the nearest deadline. It is called after whatever may have moved one.
func (c *core) arm() {
	next := earliest(c.giveUp, c.slots.next(), c.rm.next())
	for _, j := range c.jobs {
		next = earliest(next, j.link.next())
	}
	if next.IsZero() || !c.armed.IsZero() && !next.Before(c.armed) {
		return
	}
	if c.disarm != nil {
		c.disarm()
	}
	c.armed = next
	c.disarm = c.self.After(next.Sub(c.self.Now()), func(c *core) {
		c.armed, c.disarm = time.Time{}, nil
		c.tick()
		c.arm()
	})
}

func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// shutDown is the loop's last act: the leader learns that the worker leaves.
func (c *core) shutDown() {
	leaving := pb.Leaving_builder{Cause: gateway.FailureToPB(errStopping, c.self.Now())}.Build()
	c.rm.stop()
	c.rm.send(c, pb.ToResourceManager_builder{Leaving: leaving}.Build())
	for _, j := range c.jobs {
		j.link.stop()
		j.link.send(c, pb.ToJobMaster_builder{Leaving: leaving}.Build())
	}
	c.roster.CloseAll(errStopping)
}

// closeRuntimes ends all tasks; it waits. The loop has ended.
func (c *core) closeRuntimes() error {
	var errs []error
	for _, j := range c.jobs {
		if j.runtime != nil {
			errs = append(errs, j.runtime.Close())
			j.runtime = nil
		}
	}
	return errors.Join(errs...)
}
