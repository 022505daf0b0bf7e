package dispatcher

import (
	"context"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/rpc/ids"
)

// ResourceManager is what the Dispatcher needs of it, beside what its JobMasters do.
type ResourceManager interface {
	jobmaster.ResourceManager
	// StopWorkers tells all workers to exit and ends the containers of those that are still there after grace; it returns when all are
	// gone. Idempotent.
	StopWorkers(ctx context.Context, grace time.Duration) error
	// Finish unregisters the application and returns when that is acknowledged. The first line of diagnostics is for people in a
	// hurry. Idempotent.
	Finish(ctx context.Context, status resourcemanager.Status, diagnostics string) error
}

var (
	_ ResourceManager             = (*resourcemanager.ResourceManager)(nil)
	_ resourcemanager.JobListener = (*Dispatcher)(nil)
)

// Staging is the application's staging directory.
type Staging interface {
	// Remove deletes it with all it holds. Idempotent.
	Remove(ctx context.Context) error
	// AddLeftover notes a place outside, before it is created, that is to be swept if the application dies.
	AddLeftover(ctx context.Context, uri string) error
}

// JobData is what is kept of a job while it runs: its graph (ha.JobStore), its checkpoints.
type JobData interface {
	// Remove deletes it. Idempotent.
	Remove(ctx context.Context, job ids.JobID) error
}
