package yarndriver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// containerState is where a container is; it ends by being forgotten.
type containerState int

const (
	starting containerState = iota // its start is on the way
	running                        // the NodeManager has accepted it
	leaving                        // given back; its end is awaited
)

type container struct {
	amrm.Container
	state containerState
}

// core is the state of the loop.
type core struct {
	cfg  Config
	self actor.Self[core]
	log  *slog.Logger

	epoch ids.Epoch
	sink  func(resourcemanager.Event)

	containers  map[yarnid.ContainerID]*container
	outstanding int
	lastSeq     uint64 // of the last Allocated event
	waiting     func() bool
	since       time.Time // when outstanding rose from 0

	nodes    int            // of the cluster; 0: not known
	failures map[string]int // starts failed in a row, by host
	avoided  map[string]bool
	reg      bool // the session is registered: the owned containers are known

}

func newCore(cfg Config, self actor.Self[core]) *core {
	return &core{
		cfg: cfg, self: self, log: cfg.Log,
		sink:       func(resourcemanager.Event) {},
		containers: make(map[yarnid.ContainerID]*container),
		failures:   make(map[string]int),
		avoided:    make(map[string]bool),
	}
}

// attach makes a newer epoch's ResourceManager the one that is listened and told to.
func (c *core) attach(epoch ids.Epoch, sink func(resourcemanager.Event)) {
	if epoch < c.epoch {
		return
	}
	c.epoch, c.sink = epoch, sink
	if c.reg {
		c.tellOwned()
	}
}

// registered takes over what earlier attempts left.
func (c *core) registered(reg amrm.Registration) {
	c.reg = true
	for _, p := range reg.PreviousContainers {
		c.adopt(p)
	}
	c.tellOwned()
}

// adopt takes over a container of an earlier attempt, unless its node cannot be talked to.
func (c *core) adopt(ct amrm.Container) bool {
	if !c.cfg.Reachable(ct.Node) {
		c.log.Info("releasing container of an earlier attempt: no token for its node", "container", ct.ID.String())
		c.cfg.Session.Release(ct.ID)
		return false
	}
	c.containers[ct.ID] = &container{ct, running}
	return true
}

func (c *core) tellOwned() {
	var owned []resourcemanager.Worker
	for _, ct := range c.containers {
		if ct.state != leaving {
			owned = append(owned, c.worker(ct.Container))
		}
	}
	c.sink(resourcemanager.Owned{Workers: owned})
}

func (c *core) worker(ct amrm.Container) resourcemanager.Worker {
	return resourcemanager.Worker{ID: resourceID(ct.ID), Node: ct.Node.String(), LogURL: c.cfg.LogURL(ct)}
}

func (c *core) request(epoch ids.Epoch, outstanding int) {
	if epoch != c.epoch || outstanding == c.outstanding {
		return
	}
	c.setOutstanding(outstanding)
	c.log.Info("asking for containers", "outstanding", outstanding, "memory_mb", c.cfg.Worker.MemoryMB, "vcores", c.cfg.Worker.VCores)
	c.cfg.Session.SetAsk(amrm.Ask{
		AskKey: c.cfg.Key, Resource: c.cfg.Worker, NodeLabel: c.cfg.NodeLabel, Count: outstanding, AsOf: c.lastSeq,
	})
}

// setOutstanding keeps the timer that tells people what is awaited.
func (c *core) setOutstanding(n int) {
	if c.outstanding == 0 && n > 0 {
		c.since = c.self.Now()
	}
	c.outstanding = n
	if c.waiting != nil {
		c.waiting()
		c.waiting = nil
	}
	if n > 0 {
		c.waiting = c.self.After(c.cfg.WaitNotice, (*core).notice)
	} else {
		c.sink(resourcemanager.Waiting{})
	}
}

// notice says for what the application waits, again and again while it does.
func (c *core) notice() {
	reason := fmt.Sprintf("YARN has not given %d container(s) of %d MiB and %d vcore(s) yet", c.outstanding,
		c.cfg.Worker.MemoryMB, c.cfg.Worker.VCores)
	if c.nodes > 0 {
		reason += fmt.Sprintf(" (%d nodes)", c.nodes)
	}
	c.log.Info("waiting for containers", "outstanding", c.outstanding, "waited", c.self.Now().Sub(c.since).Round(time.Second))
	c.sink(resourcemanager.Waiting{Reason: reason})
	c.waiting = c.self.After(6*c.cfg.WaitNotice, (*core).notice)
}

// release gives a container back: the NodeManager is asked to stop it, and the YARN RM is told that it is free.
func (c *core) release(epoch ids.Epoch, worker ids.ResourceID, reason string) {
	id, err := yarnid.ParseContainerID(string(worker))
	ct := c.containers[id]
	if epoch != c.epoch || err != nil || ct == nil || ct.state == leaving {
		return
	}
	c.log.Info("releasing container", "container", string(worker), "reason", reason)
	started := ct.state == running
	ct.state = leaving
	if !started {
		c.cfg.Session.Release(id)
		return
	}
	actor.Go(c.self, func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		var last error
		c.cfg.NodeManagers.Stop(ctx, []nm.Target{{ID: id, Node: ct.Node}}, func(r nm.Result) { last = r.Err })
		return struct{}{}, last
	}, func(c *core, _ struct{}, err error) {
		if err != nil {
			c.log.Info("container was not stopped by its node", "container", string(worker), "cause", err)
		}
		c.cfg.Session.Release(id)
	})
}

// suspect looks whether YARN knows of a worker's end.
func (c *core) suspect(epoch ids.Epoch, worker ids.ResourceID) {
	id, err := yarnid.ParseContainerID(string(worker))
	if epoch == c.epoch && err == nil && c.containers[id] != nil {
		c.cfg.Session.Expect(id)
	}
}

// start starts containers at their nodes.
func (c *core) start(granted []amrm.Container) {
	actor.Go(c.self, func(ctx context.Context) (struct{}, error) {
		var requests []nm.StartRequest
		for _, ct := range granted {
			launch, err := c.cfg.Launch(ct)
			if err != nil {
				c.self.Post(func(c *core) { c.started(nm.Result{Target: nm.Target{ID: ct.ID, Node: ct.Node}, Err: err}) })
				continue
			}
			requests = append(requests, nm.StartRequest{Target: nm.Target{ID: ct.ID, Node: ct.Node}, Token: ct.Token, Context: launch})
		}
		c.cfg.NodeManagers.Start(ctx, requests, func(r nm.Result) { c.self.Post(func(c *core) { c.started(r) }) })
		return struct{}{}, nil
	}, func(*core, struct{}, error) {})
}
