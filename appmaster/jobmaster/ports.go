package jobmaster

import (
	"context"
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
)

// ResourceManager is what a JobMaster needs of the ResourceManager.
type ResourceManager interface {
	// DeclareRequirements sets how many slots the job wants in all, of the workers' default size; 0 withdraws them. jobMaster is where
	// workers offer them. It must not block. The ResourceManager answers by NotEnoughResources and WorkerGone.
	DeclareRequirements(job ids.JobID, jobMaster string, slots int)
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
