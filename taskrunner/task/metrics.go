package task

import (
	"sync"
	"sync/atomic"
	"time"
)

// counters are the totals that others read while the task runs.
type counters struct {
	recordsIn, recordsOut, bytesIn, bytesOut atomic.Uint64
}

// update publishes the chain's own totals. It runs on the task's goroutine, once per batch.
func (n *counters) update(c *chain) {
	var in, out, bytes uint64
	for _, h := range c.heads {
		in += h.Records()
	}
	for _, w := range c.writers {
		out += w.Records()
	}
	for _, p := range c.partitions {
		bytes += p.Bytes()
	}
	n.recordsIn.Store(in)
	n.recordsOut.Store(out)
	n.bytesOut.Store(bytes)
	if c.gate != nil {
		n.bytesIn.Store(c.gate.Bytes())
	}
}

// waiting is why a task waits.
type waiting uint8

const (
	notWaiting waiting = iota
	idle
	backPressured
)

// clock adds up how long a task waits. It is asked for the time only around waits, not per batch.
type clock struct {
	mu       sync.Mutex
	begun    time.Time
	ended    time.Time
	why      waiting
	since    time.Time
	idleFor  time.Duration
	pressure time.Duration
}

func (c *clock) start(now time.Time) {
	c.mu.Lock()
	c.begun = now
	c.mu.Unlock()
}

func (c *clock) stop(now time.Time) {
	c.mu.Lock()
	c.ended = now
	c.mu.Unlock()
}

func (c *clock) begin(why waiting, now time.Time) {
	c.mu.Lock()
	c.why, c.since = why, now
	c.mu.Unlock()
}

func (c *clock) end(now time.Time) {
	c.mu.Lock()
	c.addLocked(now)
	c.why = notWaiting
	c.mu.Unlock()
}

func (c *clock) addLocked(now time.Time) {
	switch c.why {
	case idle:
		c.idleFor += now.Sub(c.since)
	case backPressured:
		c.pressure += now.Sub(c.since)
	}
	c.since = now
}

// totals returns the milliseconds spent busy, idle and back-pressured, including a wait that goes on.
func (c *clock) totals(now time.Time) (busy, idling, pressured uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun.IsZero() {
		return 0, 0, 0
	}
	if !c.ended.IsZero() {
		now = c.ended
	}
	c.addLocked(now)
	b := max(0, now.Sub(c.begun)-c.idleFor-c.pressure)
	return uint64(b.Milliseconds()), uint64(c.idleFor.Milliseconds()), uint64(c.pressure.Milliseconds())
}
