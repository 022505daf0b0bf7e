package actor

import (
	"sync/atomic"
	"time"
)

// Stats is a reading of a loop's counters.
type Stats struct {
	Depth     int           // closures that wait or are in the running batch
	OldestAge time.Duration // upper bound of how long the oldest of them has waited
	Handled   uint64        // closures run since New
	Busy      time.Duration // time spent running closures since New, up to the end of the last batch
}

// counters are written by the loop's goroutine and read by anyone.
type counters struct {
	handled    atomic.Uint64
	batchEnd   atomic.Uint64 // value of handled at the end of the running batch
	batchSince atomic.Int64  // Unix nanoseconds when the running batch began to wait; 0: none runs
	busy       atomic.Int64
	began      time.Time // loop goroutine only
}

func (c *counters) beginBatch(n int, since time.Time) {
	c.batchEnd.Store(c.handled.Load() + uint64(n))
	c.batchSince.Store(since.UnixNano())
	c.began = time.Now()
}

func (c *counters) endBatch() {
	c.busy.Add(int64(time.Since(c.began)))
	c.batchSince.Store(0)
}

// Stats reads the counters. Busy over the time between two readings is the loop's saturation.
func (l *Loop[S]) Stats() Stats {
	l.mu.Lock()
	st := Stats{Depth: len(l.queue)}
	oldest := int64(0)
	if st.Depth > 0 {
		oldest = l.since.UnixNano()
	}
	l.mu.Unlock()
	c := &l.stats
	st.Handled = c.handled.Load()
	if since := c.batchSince.Load(); since != 0 {
		oldest = since
		if end := c.batchEnd.Load(); end > st.Handled {
			st.Depth += int(end - st.Handled)
		}
	}
	if oldest != 0 {
		st.OldestAge = time.Since(time.Unix(0, oldest))
	}
	st.Busy = time.Duration(c.busy.Load())
	return st
}
