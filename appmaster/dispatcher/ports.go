package dispatcher

import (
	"context"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/rpc/ids"
)

// ResourceManager is what the Dispatcher needs of it, beside what its JobMasters do.
type ResourceManager interface {
	jobmaster.ResourceManager
	// StopWorkers ends all workers, by RPC first and their containers second. Idempotent.
	StopWorkers(ctx context.Context, reason string) error
	// Finish unregisters the application and returns when that is acknowledged. The first line of diagnostics is for people in a
	// hurry. Idempotent.
	Finish(ctx context.Context, status ApplicationStatus, diagnostics string) error
}

// Staging is the application's staging directory.
type Staging interface {
	// Remove deletes it with all it holds. Idempotent.
	Remove(ctx context.Context) error
	// AddLeftover notes a place outside, before it is created, that is to be swept if the application dies.
	AddLeftover(ctx context.Context, uri string) error
}

// JobData is what is kept of a job while it runs: graph, checkpoints.
type JobData interface {
	// Clean removes it. Idempotent.
	Clean(ctx context.Context, job ids.JobID) error
}

// ResultStore keeps the ends of jobs over leaders and attempts; zkha/ha has the implementations.
type ResultStore interface {
	// Load returns the stored end; found is false when there is none.
	Load(ctx context.Context, job ids.JobID) (data []byte, found bool, err error)
	// Store creates it once, under the epoch's fence: rpc.ErrFenced when another leader has been granted. Storing the same bytes
	// again succeeds.
	Store(ctx context.Context, job ids.JobID, data []byte) error
	// Remove deletes it, and what else the application keeps there. Idempotent.
	Remove(ctx context.Context, job ids.JobID) error
}
