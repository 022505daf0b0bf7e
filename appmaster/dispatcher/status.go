package dispatcher

import (
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
)

// ApplicationStatus is how the application as a whole ended (Flink: ApplicationStatus).
type ApplicationStatus uint8

// The ends of an application. Unknown is also what a session without jobs that was lost has.
const (
	Unknown ApplicationStatus = iota
	Succeeded
	Failed
	Canceled
)

// String returns Flink's name.
func (s ApplicationStatus) String() string {
	switch s {
	case Succeeded:
		return "SUCCEEDED"
	case Failed:
		return "FAILED"
	case Canceled:
		return "CANCELED"
	}
	return "UNKNOWN"
}

func statusOf(s scheduler.JobState) ApplicationStatus {
	switch s {
	case scheduler.JobFinished:
		return Succeeded
	case scheduler.JobFailed:
		return Failed
	case scheduler.JobCanceled:
		return Canceled
	}
	return Unknown
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

// Status is the application's status if this job was its only one.
func (r *Result) Status() ApplicationStatus { return statusOf(r.State) }

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
	Status      ApplicationStatus
	Diagnostics string
}

func (r *Result) failure() scheduler.Failure {
	if r.State != scheduler.JobFailed {
		return scheduler.Failure{}
	}
	return scheduler.Failure{Message: r.Cause + "\n" + r.Details, Kind: r.CauseKind, At: r.End}
}
