package task_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/task"
)

// arrivals tells when a number of records have come.
type arrivals struct {
	operator.SinkBase
	left int
	all  chan struct{}
}

func (a *arrivals) Collect(event, operator.Time) error {
	if a.left--; a.left == 0 {
		close(a.all)
	}
	return nil
}

// TestWaitingTaskFlushes: what a source has written goes out when it waits, although the buffer timeout is far away.
func TestWaitingTaskFlushes(t *testing.T) {
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			all := make(chan struct{})
			begun := false
			head := scripted(&script{poll: func(s *script) (operator.Poll, error) {
				if !begun {
					begun = true
					return operator.Poll{Status: operator.More}, s.emit(3)
				}
				select {
				case <-all:
					return operator.Poll{Status: operator.End}, nil
				default:
				}
				if s.n++; s.n > 3+1 {
					return operator.Poll{}, errors.New("the records did not come while the source waited")
				}
				return operator.Poll{Status: operator.Wait, Ready: all, After: time.Minute}, nil
			}})
			g, jg := pipeline(t, 0, 1, head, nil)
			g.Nodes[id(4)] = operator.Terminal(func() (operator.Operator, error) { return &arrivals{left: 3, all: all}, nil })
			c := newCluster(t, workers, time.Hour)
			c.deploy(g, jg, nil)
			c.wait()
			for i, u := range c.last() {
				if u.State != task.Finished {
					t.Errorf("task %s: state %s (%v), want FINISHED", c.tasks[i].Name(), u.State, u.Failure)
				}
			}
		})
	}
}
