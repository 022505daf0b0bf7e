package task

import (
	"sync"
	"sync/atomic"
)

// mailbox holds what comes from outside until the task's goroutine takes it. It is unbounded: what posts to it is bounded by the streams
// of the control plane.
type mailbox struct {
	pending atomic.Bool
	once    sync.Once // guards the start of the watchdog

	mu     sync.Mutex
	mails  []func() error
	closed bool
}

// post reports whether the mail will be taken, if the task lives that long.
func (m *mailbox) post(f func() error) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.mails = append(m.mails, f)
	m.pending.Store(true)
	return true
}

// run takes all mails there are.
func (m *mailbox) run() error {
	if !m.pending.Load() {
		return nil
	}
	m.mu.Lock()
	mails := m.mails
	m.mails = nil
	m.pending.Store(false)
	m.mu.Unlock()
	for _, f := range mails {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (m *mailbox) close() {
	m.mu.Lock()
	m.closed, m.mails = true, nil
	m.mu.Unlock()
}
