package dispatcher

import (
	"time"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
)

func statusOf(s scheduler.JobState) resourcemanager.Status {
	switch s {
	case scheduler.JobFinished:
		return resourcemanager.Succeeded
	case scheduler.JobFailed:
		return resourcemanager.Failed
	case scheduler.JobCanceled:
		return resourcemanager.Canceled
	}
	return resourcemanager.Unknown
}

// Result is the end of a job as it is stored and shown.
type Result struct {
	Job       ids.JobID          `json:"job"`
	Name      string             `json:"name"`
	State     scheduler.JobState `json:"-"`
	StateName string             `json:"state"`
	Start     time.Time          `json:"start"`
	End       time.Time          `json:"end"`
	Cause     string             `json:"cause,omitempty"`      // one sentence, FAILED only
	Details   string             `json:"details,omitempty"`    // what the sentence leaves out
	CauseKind string             `json:"cause_kind,omitempty"` // Go type of the innermost error
}

// NetRuntime is how long the job ran.
func (r *Result) NetRuntime() time.Duration { return r.End.Sub(r.Start) }

// Status is how the application ended if this job was its only one.
func (r *Result) Status() resourcemanager.Status { return statusOf(r.State) }

// Diagnostics is what YARN shows: the first line says it all, the rest explains.
func (r *Result) Diagnostics() string {
	switch r.State {
	case scheduler.JobFinished:
		return "job " + r.Name + " finished"
	case scheduler.JobCanceled:
		return "job " + r.Name + " was cancelled"
	}
	if r.Details == "" {
		return r.Cause
	}
	return r.Cause + "\n" + r.Details
}

// Exit says that the application has ended and how; the process is to end now.
type Exit struct {
	Status      resourcemanager.Status
	Diagnostics string
}

func (r *Result) failure() scheduler.Failure {
	if r.State != scheduler.JobFailed {
		return scheduler.Failure{}
	}
	return scheduler.Failure{Message: r.Cause + "\n" + r.Details, Kind: r.CauseKind, At: r.End}
}
