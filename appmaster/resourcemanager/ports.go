package resourcemanager

import (
	"context"

	"github.com/flott-dev/flott/rpc/ids"
)

// Driver starts and ends workers where the application runs: on YARN, or in this process. It outlives the ResourceManagers of all epochs.
type Driver interface {
	// Attach makes events go to the ResourceManager of this epoch and drops what an older one still asks for. The first event is Owned.
	// The sink must not block; it is called from one goroutine at a time, in order.
	Attach(epoch ids.Epoch, sink func(Event)) error
	// Request sets how many workers, beyond those announced so far, are to come. It does not block; from an older epoch it does nothing.
	Request(epoch ids.Epoch, outstanding int)
	// Release ends a worker, whatever it does. It does not block; Gone follows unless the worker was gone already.
	Release(epoch ids.Epoch, worker ids.ResourceID, reason string)
	// Suspect says that a worker seems to have ended. It does not block; if it has, Gone is to follow soon.
	Suspect(epoch ids.Epoch, worker ids.ResourceID)
	// Finish ends the application where it runs; it returns when that is recorded there.
	Finish(ctx context.Context, status Status, diagnostics string) error
}

// Status is how an application ended (Flink: ApplicationStatus).
type Status int

// The ends of an application.
const (
	Unknown Status = iota
	Succeeded
	Failed
	Canceled
)

func (s Status) String() string {
	return [...]string{"UNKNOWN", "SUCCEEDED", "FAILED", "CANCELED"}[s]
}

// Worker is what a driver knows of a worker that it announces.
type Worker struct {
	ID     ids.ResourceID
	Node   string // host:port of the node's manager, or empty
	LogURL string // where a person finds the worker's files, or empty
}

// Event is what a driver tells; the types below are all there are.
type Event interface {
	apply(c *core)
}

type (
	// Owned lists the workers that live already, from earlier epochs or attempts.
	Owned struct{ Workers []Worker }
	// Starting announces a worker that was requested and is being started. It lowers the outstanding number by one.
	Starting struct{ Worker Worker }
	// Found announces a worker of an earlier attempt that became known late; it was not requested.
	Found struct{ Worker Worker }
	// Gone says that a worker has ended or could not be started.
	Gone struct {
		Worker ids.ResourceID
		Cause  error // what ended it, for people: exit code, host, last lines
		Wanted bool  // it was released or told to exit
	}
	// Waiting says why requested workers do not come, or that nothing stands in the way any more (empty).
	Waiting struct{ Reason string }
	// Refused says that workers of this kind can never come: too large, or an unknown label.
	Refused struct{ Cause error }
)

// JobListener is told what concerns jobs; called on the loop, it must not block.
type JobListener interface {
	// NotEnoughResources says that the job's requirements cannot be met, or no longer stand unmet (empty reason). Final means: never.
	NotEnoughResources(job ids.JobID, reason string, final bool)
	// WorkerGone says that a worker that had registered is lost for good.
	WorkerGone(worker ids.ResourceID, cause error)
}
