package jobmaster

import (
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
)

// View is the job at one moment, for REST and the CLI; nobody changes it afterwards.
type View struct {
	*scheduler.View
	Name       string
	Epoch      ids.Epoch
	Plan       *plan.Plan
	Graph      *plan.JobGraph
	WaitingFor string   // a sentence while slots are missing
	Workers    []Worker // by id
	OnHold     bool
}

// Worker is a TaskExecutor that serves the job.
type Worker struct {
	ID        ids.ResourceID
	Address   string
	Connected bool
	Slots     int // in use for the job
}

func (c *core) makeView() *View {
	v := &View{
		View: c.sched.View(), Name: c.cfg.Plan.Name, Epoch: c.cfg.Epoch, Plan: c.cfg.Plan, Graph: c.cfg.Graph,
		WaitingFor: c.waitingFor(), OnHold: c.hold,
	}
	for _, w := range c.sorted() {
		v.Workers = append(v.Workers, Worker{ID: w.id, Address: w.address, Connected: w.ready(), Slots: len(c.pool.byWorker[w.id])})
	}
	return v
}
