package heartbeat

import (
	"strings"
	"testing"
	"time"
)

var t0 = time.Unix(1_700_000_000, 0)

func at(ms int) time.Time { return t0.Add(time.Duration(ms) * time.Millisecond) }

// TestMonitor plays scripts: each step is an event at a time, and what the monitor must say after it.
func TestMonitor(t *testing.T) {
	type step struct {
		ms    int
		event string // tick, heard, failed, cancel
		state State
		beat  bool
		next  int // milliseconds; -1: never
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"beats at the interval", []step{
			{0, "tick", Running, true, 2000},
			{1999, "tick", Running, false, 2000},
			{2000, "tick", Running, true, 4000},
			{2000, "tick", Running, false, 4000},
		}},
		{"a late owner does not catch up", []step{
			{0, "tick", Running, true, 2000},
			{6500, "tick", Running, true, 8000},
			{6600, "heard", Running, false, 8500},
		}},
		{"silence", []step{
			{0, "tick", Running, true, 2000},
			{7000, "tick", Running, true, 8000},
			{8000, "tick", TimedOut, false, -1},
			{8001, "heard", TimedOut, false, -1},
		}},
		{"any message resets the timer", []step{
			{7999, "heard", Running, false, 0},
			{8000, "tick", Running, true, 10000},
			{15998, "tick", Running, true, 15999},
			{15999, "tick", TimedOut, false, -1},
		}},
		{"two failures in a row", []step{
			{0, "failed", Running, false, 0},
			{1, "failed", Unreachable, false, -1},
			{2, "cancel", Unreachable, false, -1},
		}},
		{"a message between failures", []step{
			{0, "failed", Running, false, 0},
			{1, "heard", Running, false, 0},
			{2, "failed", Running, false, 0},
		}},
		{"cancel", []step{{0, "cancel", Canceled, false, -1}, {9000, "tick", Canceled, false, -1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Config{}, t0)
			for i, s := range c.steps {
				var beat bool
				switch s.event {
				case "tick":
					_, beat = m.Tick(at(s.ms))
				case "heard":
					m.Heard(at(s.ms))
				case "failed":
					m.Failed()
				case "cancel":
					m.Cancel()
				}
				if m.State() != s.state || beat != s.beat {
					t.Errorf("step %d (%s at %d): %v, beat %v; want %v, %v", i, s.event, s.ms, m.State(), beat, s.state, s.beat)
				}
				want := at(s.next)
				if s.next < 0 {
					want = time.Time{}
				}
				if s.next != 0 && !m.Next().Equal(want) {
					t.Errorf("step %d (%s at %d): next %v, want %v", i, s.event, s.ms, m.Next().Sub(t0), want.Sub(t0))
				}
			}
		})
	}
}

func TestThresholdOff(t *testing.T) {
	m := New(Config{Threshold: -1}, t0)
	for range 100 {
		m.Failed()
	}
	if m.State() != Running {
		t.Errorf("state %v, want RUNNING", m.State())
	}
}

func TestValidate(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	err := Config{Interval: 10 * time.Second, Timeout: 5 * time.Second}.Validate()
	if err == nil || !strings.Contains(err.Error(), "longer than the interval 10s") {
		t.Errorf("timeout below interval: %v", err)
	}
}
