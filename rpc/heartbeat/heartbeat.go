package heartbeat

import (
	"errors"
	"fmt"
	"time"
)

// State is what a monitor thinks of its peer.
type State uint8

const (
	// Running is a peer that was heard of within the timeout.
	Running State = iota
	// TimedOut is a peer that was silent for the timeout.
	TimedOut
	// Unreachable is a peer that could not be reached Threshold times in a row.
	Unreachable
	// Canceled is a peer nobody watches any more.
	Canceled
)

// String prints Flink's name.
func (s State) String() string {
	return [...]string{"RUNNING", "TIMEOUT", "UNREACHABLE", "CANCELED"}[s]
}

// Config has the options heartbeat.interval, heartbeat.timeout and heartbeat.rpc-failure-threshold.
type Config struct {
	Interval  time.Duration // between heartbeats sent; 0 means 2 s
	Timeout   time.Duration // of silence; 0 means 8 s
	Threshold int           // consecutive failures; 0 means 2, negative never
}

// WithDefaults fills in the defaults.
func (c Config) WithDefaults() Config {
	if c.Interval == 0 {
		c.Interval = 2 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 8 * time.Second
	}
	if c.Threshold == 0 {
		c.Threshold = 2
	}
	return c
}

// Validate reports values that cannot work together.
func (c Config) Validate() error {
	c = c.WithDefaults()
	var bad []error
	if c.Interval <= 0 || c.Timeout <= 0 {
		bad = append(bad, fmt.Errorf("heartbeat interval %v and timeout %v must be positive", c.Interval, c.Timeout))
	}
	if c.Timeout <= c.Interval {
		bad = append(bad, fmt.Errorf("heartbeat timeout %v must be longer than the interval %v", c.Timeout, c.Interval))
	}
	return errors.Join(bad...)
}

// Monitor watches one peer. It is confined to its owner's goroutine.
type Monitor struct {
	cfg      Config
	state    State
	lastSeen time.Time
	nextBeat time.Time
	failures int
}

// New starts to watch at now; the first heartbeat is due at once.
func New(cfg Config, now time.Time) *Monitor {
	return &Monitor{cfg: cfg.WithDefaults(), lastSeen: now, nextBeat: now}
}

// State returns the state as of the last event.
func (m *Monitor) State() State { return m.state }

// LastSeen returns when the peer was last heard of.
func (m *Monitor) LastSeen() time.Time { return m.lastSeen }

// Heard records any message from the peer.
func (m *Monitor) Heard(now time.Time) {
	if m.state != Running {
		return
	}
	m.lastSeen = now
	m.failures = 0
}

// Failed records that the peer could not be reached (a connect refused, a connection reset), and returns the state after it.
func (m *Monitor) Failed() State {
	if m.state == Running {
		m.failures++
		if m.cfg.Threshold > 0 && m.failures >= m.cfg.Threshold {
			m.state = Unreachable
		}
	}
	return m.state
}

// Cancel ends the watch.
func (m *Monitor) Cancel() {
	if m.state == Running {
		m.state = Canceled
	}
}

// Tick is to be called at Next and may be called at any time. It returns the state and whether a heartbeat is due now; that one counts as
// sent.
func (m *Monitor) Tick(now time.Time) (state State, beat bool) {
	if m.state != Running {
		return m.state, false
	}
	if !now.Before(m.lastSeen.Add(m.cfg.Timeout)) {
		m.state = TimedOut
		return m.state, false
	}
	if now.Before(m.nextBeat) {
		return Running, false
	}
	m.nextBeat = m.nextBeat.Add(m.cfg.Interval)
	if m.nextBeat.Before(now) { // the owner was late: do not catch up
		m.nextBeat = now.Add(m.cfg.Interval)
	}
	return Running, true
}

// Next returns when Tick must be called again; the zero time when never.
func (m *Monitor) Next() time.Time {
	if m.state != Running {
		return time.Time{}
	}
	if timeout := m.lastSeen.Add(m.cfg.Timeout); timeout.Before(m.nextBeat) {
		return timeout
	}
	return m.nextBeat
}
