package jobruntime

import (
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/taskrunner/task"
)

// runner is what a Runtime needs of a task; *task.Task is one.
type runner interface {
	Start()
	Cancel()
	// Event hands a payload to one operator of the task.
	Event(op ids.OperatorID, payload []byte)
	Metrics() task.Metrics
	// Wait returns when every goroutine of a started task has ended.
	Wait()
}

type newTask func(task.Config) (runner, error)

func engineTask(cfg task.Config) (runner, error) { return task.New(cfg) }
