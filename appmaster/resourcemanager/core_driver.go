package resourcemanager

import (
	"fmt"

	"github.com/flott-dev/flott/rpc/ids"
)

func (e Owned) apply(c *core) {
	now := c.now()
	c.attached = true
	for _, w := range e.Workers {
		c.add(&worker{Worker: w, state: starting, previous: true, deadline: now.Add(c.cfg.RegistrationTimeout)})
	}
	if len(e.Workers) > 0 {
		c.settled = now.Add(c.cfg.RecoveryTimeout)
	}
	c.balance()
	c.wake()
}

func (e Starting) apply(c *core) {
	if c.workers[e.Worker.ID] != nil {
		return // announced twice
	}
	c.log.Info("worker starting", "worker", string(e.Worker.ID), "node", e.Worker.Node)
	c.add(&worker{Worker: e.Worker, state: starting, deadline: c.now().Add(c.cfg.RegistrationTimeout)})
	c.asked = max(0, c.asked-1)
	c.setReason("")
	c.balance()
	c.wake()
}

func (e Found) apply(c *core) {
	if c.workers[e.Worker.ID] == nil {
		now := c.now()
		c.add(&worker{Worker: e.Worker, state: starting, previous: true, deadline: now.Add(c.cfg.RegistrationTimeout)})
		c.balance()
		c.wake()
	}
}

func (e Gone) apply(c *core) {
	w := c.workers[e.Worker]
	if w == nil {
		return
	}
	cause := e.Cause
	if cause == nil {
		cause = fmt.Errorf("worker %s ended", e.Worker)
	}
	c.log.Info("worker gone", "worker", string(e.Worker), "state", w.state.String(), "cause", cause)
	if w.state == starting && !e.Wanted {
		c.startFailed(c.now())
		c.lastStartFailure(cause)
	}
	c.forget(w)
	c.disconnect(w, cause)
	c.balance()
	c.wake()
	c.gone()
}

// lastStartFailure shows why workers do not come: the next one may fail in the same way.
func (c *core) lastStartFailure(cause error) {
	c.setReason(fmt.Sprintf("the last worker could not be started: %v", cause))
}

func (e Waiting) apply(c *core) { c.setReason(e.Reason) }

func (e Refused) apply(c *core) {
	c.reason = e.Cause.Error()
	for job := range c.jobs {
		c.cfg.Jobs.NotEnoughResources(job, c.reason, true)
	}
}

// setReason tells the jobs why their workers do not come.
func (c *core) setReason(reason string) {
	if reason == c.reason {
		return
	}
	c.reason = reason
	for job := range c.jobs {
		c.cfg.Jobs.NotEnoughResources(job, reason, false)
	}
}

// knows reports whether a worker may register.
func (c *core) knows(id ids.ResourceID) bool {
	w := c.workers[id]
	return w != nil && w.state != leaving
}
