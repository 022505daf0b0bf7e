package main

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/yarn/yarnid"
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

// notice is what a worker tells of itself. Those of other processes come as gob.
type notice struct {
	What      event
	Container yarnid.ContainerID // that ended
	Count     int                // of tasks that run
	Why       string             // it failed
}

type event string

const (
	registered event = "registered" // at the ResourceManager
	joined     event = "joined"     // at the JobMaster
	late       event = "late"       // a stream that was not admitted
	running    event = "running"    // tasks
	ended      event = "ended"
	failed     event = "failed"
)

// note takes what a worker in any process tells.
func (m *marks) note(n notice) {
	switch n.What {
	case registered:
		m.registered.add(1)
	case joined:
		m.joined.add(1)
	case late:
		m.refused.Add(1)
	case running:
		m.running.add(n.Count)
	case failed:
		m.fail(errors.New(n.Why))
	}
}

func newMarks(workers, tasks int) *marks {
	return &marks{
		submitted: newMark(1), attempt: newMark(1), granted: newMark(workers), started: newMark(workers), registered: newMark(workers), joined: newMark(workers),
		running: newMark(tasks), failed: make(chan error, 1),
	}
}

func (m *marks) fail(err error) {
	select {
	case m.failed <- err:
	default:
	}
}
