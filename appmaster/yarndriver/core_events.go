package yarndriver

import (
	"errors"
	"fmt"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/nm"
)

// event handles what the session with the YARN RM tells.
func (c *core) event(ev amrm.Event) {
	switch ev := ev.(type) {
	case amrm.Allocated:
		c.allocated(ev)
	case amrm.Completed:
		for _, s := range ev.Statuses {
			c.completed(s)
		}
	case amrm.PreviousContainers:
		for _, ct := range ev.Containers {
			c.found(ct)
		}
	case amrm.ClusterNodes:
		c.nodes = ev.Count
		c.limitAvoided()
	case amrm.AskRejected:
		c.setOutstanding(0)
		c.sink(resourcemanager.Refused{Cause: fmt.Errorf("YARN refuses containers of %d MiB and %d vcores: %s",
			ev.Ask.MemoryMB, ev.Ask.VCores, ev.Reason)})
	case amrm.BlacklistRejected:
		c.log.Warn("blacklist rejected", "hosts", ev.Hosts, "reason", ev.Reason)
	case amrm.Preemption:
		c.log.Warn("YARN will preempt containers", "containers", len(ev.Containers), "strict", ev.Strict)
	case amrm.Reregistered:
		c.log.Warn("the YARN ResourceManager restarted, registered again")
	case amrm.Trouble:
		c.log.Warn("calls to the YARN ResourceManager fail", "cause", ev.Cause)
	case amrm.Recovered:
		c.log.Info("the YARN ResourceManager answers again")
	case amrm.Terminated:
		c.cfg.Fatal(fmt.Errorf("YARN has ended this attempt: %w", ev.Cause))
	}
}

// allocated takes the containers that are outstanding and gives the rest back.
func (c *core) allocated(ev amrm.Allocated) {
	c.lastSeq = ev.Seq
	var use []amrm.Container
	for _, ct := range ev.Containers {
		switch {
		case c.containers[ct.ID] != nil:
			continue
		case ct.AskKey != c.cfg.Key || len(use) >= c.outstanding:
			c.log.Info("releasing surplus container", "container", ct.ID.String())
			c.cfg.Session.Release(ct.ID)
		default:
			use = append(use, ct)
		}
	}
	if len(use) == 0 {
		return
	}
	for _, ct := range use {
		c.containers[ct.ID] = &container{ct, starting}
		c.sink(resourcemanager.Starting{Worker: c.worker(ct)})
	}
	c.setOutstanding(c.outstanding - len(use))
	c.start(use)
}

// found takes over a container of an earlier attempt that became known late; a known one is not news.
func (c *core) found(ct amrm.Container) {
	if c.containers[ct.ID] == nil && c.adopt(ct) {
		c.sink(resourcemanager.Found{Worker: c.worker(ct)})
	}
}

// started handles the NodeManager's answer. An accepted start may still fail: that comes as a completed container.
func (c *core) started(r nm.Result) {
	ct := c.containers[r.ID]
	if ct == nil {
		return
	}
	if r.Err == nil || errors.Is(r.Err, nm.ErrAlreadyStarted) {
		delete(c.failures, ct.Node.Host)
		if ct.state == starting {
			ct.state = running
		} else {
			c.cfg.Session.Release(r.ID) // released while its start was on the way: the release may have come first
		}
		return
	}
	c.nodeFailed(ct.Node.Host)
	delete(c.containers, r.ID)
	c.cfg.Session.Release(r.ID)
	c.sink(resourcemanager.Gone{
		Worker: resourceID(r.ID), Wanted: ct.state == leaving,
		Cause: fmt.Errorf("start container %s on %s: %w", ct.ID, ct.Node, r.Err),
	})
}

func (c *core) completed(s amrm.Status) {
	ct := c.containers[s.ID]
	if ct == nil {
		return
	}
	delete(c.containers, s.ID)
	if ct.state == starting && !s.Released {
		c.nodeFailed(ct.Node.Host)
	}
	c.sink(resourcemanager.Gone{Worker: resourceID(s.ID), Wanted: ct.state == leaving, Cause: exitCause(ct.Container, s)})
}

// nodeFailed counts a failed start and avoids the node when it has had too many, unless too many nodes are avoided already.
func (c *core) nodeFailed(host string) {
	c.failures[host]++
	if c.failures[host] < c.cfg.MaxNodeFailures || c.avoided[host] || 3*(len(c.avoided)+1) > c.nodes {
		return
	}
	c.avoided[host] = true
	c.log.Warn("avoiding node: starts keep failing on it", "host", host, "failures", c.failures[host])
	c.cfg.Session.Blacklist([]string{host}, nil)
}

// limitAvoided forgives all nodes when the cluster has shrunk so far that they are needed.
func (c *core) limitAvoided() {
	if 3*len(c.avoided) <= c.nodes {
		return
	}
	var hosts []string
	for h := range c.avoided {
		hosts = append(hosts, h)
	}
	clear(c.avoided)
	clear(c.failures)
	c.cfg.Session.Blacklist(nil, hosts)
}
