package dispatcher

import (
	"fmt"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
)

type jobID = ids.JobID

// Overview counts jobs as REST's /overview does.
type Overview struct{ Running, Finished, Cancelled, Failed int }

// Overview counts the jobs. Queries never wait for the loop.
func (d *Dispatcher) Overview() Overview {
	var o Overview
	for _, j := range *d.jobs.Load() {
		switch j.view().State {
		case scheduler.JobFinished:
			o.Finished++
		case scheduler.JobCanceled:
			o.Cancelled++
		case scheduler.JobFailed:
			o.Failed++
		default:
			o.Running++
		}
	}
	return o
}

// Jobs shows all jobs of this epoch in the order of submission.
func (d *Dispatcher) Jobs() []*jobmaster.View {
	var views []*jobmaster.View
	for _, j := range *d.jobs.Load() {
		views = append(views, j.view())
	}
	return views
}

// Job shows one job; rpc.ErrUnknownJob.
func (d *Dispatcher) Job(id ids.JobID) (*jobmaster.View, error) {
	if j := d.find(id); j != nil {
		return j.view(), nil
	}
	return nil, &rpc.Error{Code: rpc.UnknownJob, Msg: fmt.Sprintf("Job %s not found", id)}
}

// Result returns the stored end of a job, nil while it has none; rpc.ErrUnknownJob.
func (d *Dispatcher) Result(id ids.JobID) (*Result, error) {
	if j := d.find(id); j != nil {
		return j.result.Load(), nil
	}
	return nil, &rpc.Error{Code: rpc.UnknownJob, Msg: fmt.Sprintf("Job %s not found", id)}
}

// EndingStep names the step of the end that a job, or the application, is in; empty while none is.
func (d *Dispatcher) EndingStep() string {
	if p := d.phase.Load(); p != nil {
		return *p
	}
	return ""
}
