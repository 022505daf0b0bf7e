package exchange

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// flusher is the buffer timeout: while a port of the exchange has an open batch, a timer runs, and when it fires, the consumers of batches
// that have got records are woken. Without an open batch nothing runs.
//
// Producers count their open batches on their own goroutines; one goroutine, run, flushes.
type flusher struct {
	timeout time.Duration // not positive: nothing ever runs
	open    atomic.Int32  // open batches of all ports
	armed   atomic.Bool   // the timer runs, or has fired and run is about to look at open

	mu    sync.Mutex // of the timer, and of changes of armed
	timer *time.Timer
}

func (f *flusher) init(timeout time.Duration) {
	if f.timeout = timeout; timeout > 0 {
		f.timer = time.NewTimer(time.Hour)
		f.timer.Stop()
	}
}

// opened counts a batch that may get records, and sees to it that the timer runs.
func (f *flusher) opened() {
	if f.timeout <= 0 {
		return
	}
	f.open.Add(1)
	if f.armed.Load() {
		return // whoever disarms looks at open afterwards
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed.Load() {
		f.armLocked()
	}
}

func (f *flusher) armLocked() {
	f.armed.Store(true)
	f.timer.Reset(f.timeout)
}

// sealed takes back what opened has counted. The timer runs on: there will be another batch soon.
func (f *flusher) sealed() {
	if f.timeout > 0 {
		f.open.Add(-1)
	}
}

// rest stops the timer when there is no open batch.
func (f *flusher) rest() {
	if f.timeout > 0 && f.open.Load() == 0 && f.armed.Load() {
		f.again(false)
	}
}

// again decides whether the timer runs on. When it has fired, it has to be set anew.
func (f *flusher) again(fired bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open.Load() == 0 {
		f.armed.Store(false)
		f.timer.Stop()
	}
	if f.open.Load() > 0 && (fired || !f.armed.Load()) {
		f.armLocked()
	}
}

// run calls each whenever the timer fires, until ctx ends.
func (f *flusher) run(ctx context.Context, each func()) {
	defer f.timer.Stop()
	for {
		select {
		case <-f.timer.C:
		case <-ctx.Done():
			return
		}
		each()
		f.again(true)
	}
}
