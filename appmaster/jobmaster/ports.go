package jobmaster

import (
	"context"
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
)

// Profile is the share of a worker that a slot is; sizes in bytes. The zero value means the workers' default slot.
type Profile struct {
	CPUMillis                               uint32
	TaskHeap, TaskOffHeap, Network, Managed uint64
}

// Requirement is how many slots of a profile a job wants in all.
type Requirement struct {
	Profile Profile
	Count   int
}

// ResourceManager is what a JobMaster needs of the ResourceManager.
type ResourceManager interface {
	// DeclareRequirements replaces what the job wanted before; an empty list withdraws everything. It must not block. The
	// ResourceManager answers, when it has something to say, by NotEnoughResources and WorkerGone.
	DeclareRequirements(job ids.JobID, epoch ids.Epoch, wanted []Requirement)
	// KnowsWorker says whether the worker is registered; the error says why not (rpc.UnknownWorker on the wire).
	KnowsWorker(ctx context.Context, worker ids.ResourceID) error
}

// Listener is told what happens to the job, in order, on the JobMaster's loop: it must not block.
type Listener interface {
	// JobStateChanged tells every change of the job's state.
	JobStateChanged(job ids.JobID, state scheduler.JobState, at time.Time)
	// TasksEnded says that no task is alive any more and how the job is to end; cause is zero unless FAILED. It is called again
	// with FAILED when Fail was called after FINISHED.
	TasksEnded(job ids.JobID, state scheduler.JobState, cause scheduler.Failure)
}

// link is the sending half of a worker's stream; *gateway.JobMasterStream.
type link interface {
	Send(m *fromJobMaster) error
	Close(cause error)
}
