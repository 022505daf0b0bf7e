package program

import (
	"context"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
)

// Program is a job program as the engine sees it.
type Program interface {
	// Build makes the job's graph. Called with the same Context it yields the same digest, in every process.
	Build(ctx Context) (*Graph, error)
}

// Context is what a build may depend on.
type Context struct {
	Args []string // the job's own arguments, without the program's name
	// Params are the recorded values of flow.Param; nil in the submitter, which evaluates them.
	Params []plan.Param
	// Parallelism is parallelism.default, MaxParallelism pipeline.max-parallelism (0: not set). They are for the builder to read;
	// effective values are set by plan.Resolve.
	Parallelism    int
	MaxParallelism int
	Mode           plan.RuntimeMode
	// Pipeline are the pipeline.* options that change what a build yields, by key.
	Pipeline map[string]string
}

// Graph is a plan and the nodes that carry the job's types.
type Graph struct {
	Plan  *plan.Plan
	Nodes map[ids.OperatorID]any // operator.Factory; for coordinated ones also operator.CoordinatorFactory
	Edges map[ids.EdgeID]any     // operator.EdgeNode
}

// Coordinator is the part of a source or sink that runs once per job, in the AM. All methods but Start's Send are called from one
// goroutine of the host, one at a time, with a context that ends with the leadership.
type Coordinator interface {
	// Start begins the work and may do I/O; its error fails the job: input missing, output exists, no permission.
	Start(ctx context.Context, c CoordinatorContext) error
	// HandleEvent takes what a subtask's operator sent.
	HandleEvent(ctx context.Context, subtask int, attempt ids.ExecutionAttemptID, payload []byte) error
	// SubtaskReset says that a subtask restarts: what was given to it and is not part of the restored state returns.
	SubtaskReset(ctx context.Context, subtask int) error
	// Snapshot returns the coordinator's state for a checkpoint.
	Snapshot(ctx context.Context, checkpoint uint64) ([]byte, error)
	// Restore is called before Start with the state of the restored checkpoint.
	Restore(ctx context.Context, state []byte) error
	// Commit gets what every subtask left in its final state, by subtask; it is idempotent.
	Commit(ctx context.Context, finals [][]byte) error
	// Discard is called instead of Commit after a failure or cancellation, once no task can write any more: it removes what no
	// checkpoint names.
	Discard(ctx context.Context) error
	// Close ends the work; nothing is called after it.
	Close() error
}

// CoordinatorContext is what a running coordinator may use.
type CoordinatorContext struct {
	Job         ids.JobID
	Operator    ids.OperatorID
	Parallelism int
	// Send delivers a payload to the operator's instance in one subtask; to an execution that is not the current one it does nothing.
	// It never blocks and may be called from any goroutine.
	Send func(subtask int, attempt ids.ExecutionAttemptID, payload []byte)
	// AddLeftover records a path that has to be removed if the job ends without a result, before the path is created.
	AddLeftover func(ctx context.Context, uri string) error
	// Fail fails the job from a goroutine of the coordinator's own. May be called from any goroutine.
	Fail func(cause error)
}
