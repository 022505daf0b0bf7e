package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/rpc"
)

// mark is one milestone: it is reached when so many have come.
type mark struct {
	want int64
	have atomic.Int64
	once sync.Once
	at   time.Time     // set before done is closed
	done chan struct{} // closed when want have come
}

func newMark(want int) *mark { return &mark{want: int64(want), done: make(chan struct{})} }

func (m *mark) add(n int) {
	if m.have.Add(int64(n)) >= m.want {
		m.once.Do(func() {
			m.at = time.Now()
			close(m.done)
		})
	}
}

// marks are the milestones of a run as this process sees them. Any goroutine notes what it sees.
type marks struct {
	submitted  *mark // the fake YARN RM has the application
	attempt    *mark // the AM has registered at YARN
	registered *mark // workers at the ResourceManager
	joined     *mark // workers at the JobMaster
	granted    *mark // containers, by the fake YARN RM
	started    *mark // containers, by the fake NodeManagers
	running    *mark // tasks, as their workers said
	refused    atomic.Int64
	failed     chan error // one entry: why the run makes no sense
}

func newMarks(workers, tasks int) *marks {
	return &marks{
		submitted: newMark(1), attempt: newMark(1), granted: newMark(workers), started: newMark(workers), registered: newMark(workers), joined: newMark(workers),
		running: newMark(tasks), failed: make(chan error, 1),
	}
}

// accepted counts a stream that was admitted, or one that came too late.
func (m *marks) accepted(at *mark, err error) {
	if err == nil {
		at.add(1)
	} else if errors.Is(err, rpc.ErrReplayed) {
		m.refused.Add(1)
	}
}

func (m *marks) fail(err error) {
	select {
	case m.failed <- err:
	default:
	}
}
