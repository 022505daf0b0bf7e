package rest

import (
	"context"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
)

// Leader is what one term of leadership has to show. It is a value: a request works with the one it got, also when the term ends
// meanwhile.
type Leader struct {
	Epoch      ids.Epoch
	Dispatcher Dispatcher
	Workers    ResourceManager
}

// Dispatcher is what REST needs of it; *dispatcher.Dispatcher says what the methods do.
type Dispatcher interface {
	Overview() dispatcher.Overview
	Jobs() []*jobmaster.View
	Job(id ids.JobID) (*jobmaster.View, error)
	Result(id ids.JobID) (*dispatcher.Result, error)
	EndingStep() string
	CancelJob(ctx context.Context, id ids.JobID) error
	Shutdown(ctx context.Context) error
}

// ResourceManager is what REST needs of it.
type ResourceManager interface {
	Overview(ctx context.Context) (resourcemanager.Overview, error)
	Workers(ctx context.Context) ([]resourcemanager.View, error)
}

// Logs reaches the log files of a worker.
type Logs interface {
	TaskExecutor(addr string) gateway.TaskExecutor
}

var (
	_ Dispatcher      = (*dispatcher.Dispatcher)(nil)
	_ ResourceManager = (*resourcemanager.ResourceManager)(nil)
	_ Logs            = gateway.Dialer(nil)
)
