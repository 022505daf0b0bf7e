package yarndriver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Config is what a Driver needs.
type Config struct {
	Session      Session
	NodeManagers NodeManagers
	Launch       Launch
	// Worker is the size of a worker's container.
	Worker amrm.Resource
	// Key tells the asks for workers apart from others; the same for every attempt of the application.
	Key       amrm.AskKey
	NodeLabel string // of workers; empty: the queue's default
	// LogURL makes a container's log address from it, its node's web address included; may be nil.
	LogURL func(c amrm.Container) string
	// Reachable says whether there is an NM token for a node. Containers of earlier attempts on other nodes are given back; nil: all are
	// kept.
	Reachable func(node yarnid.NodeID) bool
	// MaxNodeFailures is how many starts in a row may fail on a node before it is avoided [3].
	MaxNodeFailures int
	// WaitNotice is after how long outstanding containers are reported as awaited [5 s].
	WaitNotice time.Duration
	// Fatal is told when YARN has ended this attempt; the process has to go. It must not block.
	Fatal func(cause error)
	Log   *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxNodeFailures == 0 {
		c.MaxNodeFailures = 3
	}
	if c.WaitNotice == 0 {
		c.WaitNotice = 5 * time.Second
	}
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	if c.Reachable == nil {
		c.Reachable = func(yarnid.NodeID) bool { return true }
	}
	if c.LogURL == nil {
		c.LogURL = func(amrm.Container) string { return "" }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports what is missing.
func (c Config) Validate() error {
	switch {
	case c.Session == nil || c.NodeManagers == nil || c.Launch == nil:
		return errors.New("configure yarndriver: a port is missing")
	case c.Worker.MemoryMB <= 0 || c.Worker.VCores <= 0:
		return fmt.Errorf("configure yarndriver: container of %d MiB and %d vcores", c.Worker.MemoryMB, c.Worker.VCores)
	}
	return nil
}

// Driver is the handle; its methods may be called from any goroutine.
type Driver struct {
	cfg  Config
	loop *actor.Loop[core]
}

var _ resourcemanager.Driver = (*Driver)(nil)

// New makes a driver. The session's events are to be given to OnEvent.
func New(cfg Config) (*Driver, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg}
	d.loop = actor.New("yarndriver", func(self actor.Self[core]) *core { return newCore(cfg, self) }, actor.Config[core]{})
	return d, nil
}

// Start starts the driver's loop; the end of ctx stops it as Close does.
func (d *Driver) Start(ctx context.Context) { d.loop.Start(ctx) }

// Close ends the loop and waits for calls to NodeManagers. Containers are left alone.
func (d *Driver) Close() { d.loop.Close() }

// OnEvent takes the session's events, in order; see amrm.Config.OnEvent.
func (d *Driver) OnEvent(ev amrm.Event) { d.loop.Post(func(c *core) { c.event(ev) }) }

// Register registers the application at the YARN RM, refuses workers that no node of it can hold, and takes over the containers of
// earlier attempts.
func (d *Driver) Register(ctx context.Context, a amrm.Address) (amrm.Registration, error) {
	reg, err := d.cfg.Session.Register(ctx, a)
	if err != nil {
		return amrm.Registration{}, err
	}
	_, err = actor.Call(ctx, d.loop, func(c *core) (struct{}, error) {
		c.registered(reg)
		return struct{}{}, nil
	})
	if err != nil {
		return amrm.Registration{}, fmt.Errorf("take over containers: %w", err)
	}
	return reg, d.fits(reg)
}

// fits compares a worker with the largest container that YARN gives.
func (d *Driver) fits(reg amrm.Registration) error {
	limit := reg.MaxCapability
	switch w := d.cfg.Worker; {
	case reg.Partial || limit.MemoryMB == 0:
		return nil
	case w.MemoryMB > limit.MemoryMB:
		return fmt.Errorf("a worker needs a container of %d MiB, the largest that YARN gives has %d MiB: lower "+
			"taskmanager.memory.process.size", w.MemoryMB, limit.MemoryMB)
	case w.VCores > limit.VCores:
		return fmt.Errorf("a worker needs a container of %d vcores, the largest that YARN gives has %d: lower "+
			"yarn.containers.vcores or taskmanager.numberOfTaskSlots", w.VCores, limit.VCores)
	}
	return nil
}

// Attach implements [resourcemanager.Driver].
func (d *Driver) Attach(epoch ids.Epoch, sink func(resourcemanager.Event)) error {
	if !d.loop.Post(func(c *core) { c.attach(epoch, sink) }) {
		return actor.ErrStopped
	}
	return nil
}

// Request implements [resourcemanager.Driver].
func (d *Driver) Request(epoch ids.Epoch, outstanding int) {
	d.loop.Post(func(c *core) { c.request(epoch, outstanding) })
}

// Release implements [resourcemanager.Driver].
func (d *Driver) Release(epoch ids.Epoch, worker ids.ResourceID, reason string) {
	d.loop.Post(func(c *core) { c.release(epoch, worker, reason) })
}

// Suspect implements [resourcemanager.Driver].
func (d *Driver) Suspect(epoch ids.Epoch, worker ids.ResourceID) {
	d.loop.Post(func(c *core) { c.suspect(epoch, worker) })
}

var finalStatus = map[resourcemanager.Status]amrm.FinalStatus{
	resourcemanager.Succeeded: amrm.FinalSucceeded,
	resourcemanager.Failed:    amrm.FinalFailed,
	resourcemanager.Canceled:  amrm.FinalKilled,
}

// Finish implements [resourcemanager.Driver]: it unregisters the application and returns when the YARN RM has recorded that.
func (d *Driver) Finish(ctx context.Context, status resourcemanager.Status, diagnostics string) error {
	return d.cfg.Session.Unregister(ctx, finalStatus[status], diagnostics, "")
}

func resourceID(id yarnid.ContainerID) ids.ResourceID { return ids.ResourceID(id.String()) }
