package executor

import (
	"context"

	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// Runtime runs the tasks of one job on this worker. jobruntime.Runtime is one; in a session it is a child process.
type Runtime interface {
	// DataAddress is where the job's other runtimes fetch data from; empty when there are none.
	DataAddress() string
	// Send takes a Deploy, CancelTasks, ToTask or a heartbeat (which asks for one) and carries them out in order. It never blocks; m
	// belongs to the runtime then.
	Send(m *pb.FromJobMaster)
	// Close cancels what runs and waits for its end. No event comes after it.
	Close() error
}

// OpenRuntime opens the runtime of a job; it may take its time. events gets, from any goroutine and without blocking: a Response for every
// Deploy, then task states and messages of tasks in their order, and heartbeats with the tasks' metrics. The last state of a task comes
// when the task has released everything.
type OpenRuntime func(ctx context.Context, job ids.JobID, events func(*pb.ToJobMaster)) (Runtime, error)

// Dialer is the part of gateway.Dialer that a worker needs.
type Dialer interface {
	ResourceManager(addr string) gateway.ResourceManager
	JobMaster(addr string) gateway.JobMaster
}
