package registration

import (
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// TestMachine plays events and compares actions.
func TestMachine(t *testing.T) {
	type step struct {
		event Event
		retry time.Duration
		want  Action
	}
	attempt := func(timeout time.Duration, n int) Action { return Action{Do: Attempt, Timeout: timeout, Number: n} }
	wait := func(d time.Duration) Action { return Action{Do: Wait, Delay: d} }
	over := Action{Do: Over}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"success at once", []step{{Start, 0, attempt(100*ms, 1)}, {Succeeded, 0, over}}},
		{"timeouts double up to the maximum", []step{
			{Start, 0, attempt(100*ms, 1)}, {TimedOut, 0, attempt(200*ms, 2)}, {TimedOut, 0, attempt(400*ms, 3)},
			{TimedOut, 0, attempt(800*ms, 4)}, {TimedOut, 0, attempt(1600*ms, 5)}, {TimedOut, 0, attempt(3200*ms, 6)},
			{TimedOut, 0, attempt(6400*ms, 7)}, {TimedOut, 0, attempt(12800*ms, 8)}, {TimedOut, 0, attempt(25600*ms, 9)},
			{TimedOut, 0, attempt(30*time.Second, 10)}, {TimedOut, 0, attempt(30*time.Second, 11)},
		}},
		{"an answered error pauses and starts over", []step{
			{Start, 0, attempt(100*ms, 1)}, {TimedOut, 0, attempt(200*ms, 2)}, {Errored, 0, wait(10 * time.Second)},
			{Waited, 0, attempt(100*ms, 1)},
		}},
		{"a failure pauses as told, or as configured", []step{
			{Start, 0, attempt(100*ms, 1)}, {Failed, 500 * ms, wait(500 * ms)}, {Waited, 0, attempt(100*ms, 1)},
			{Failed, 0, wait(30 * time.Second)}, {Waited, 0, attempt(100*ms, 1)},
		}},
		// random is 0.5: the delay is three quarters of its bound
		{"connect errors back off, until the peer was there", []step{
			{Start, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(50 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(100 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(200 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(400 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(800 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(1000 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{NotSent, 0, wait(1000 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
			{TimedOut, 0, attempt(200*ms, 2)},
			{NotSent, 0, wait(50 * ms * 3 / 4)}, {Waited, 0, attempt(100*ms, 1)},
		}},
		{"rejection", []step{{Start, 0, attempt(100*ms, 1)}, {Rejected, 0, over}}},
		{"fenced", []step{{Start, 0, attempt(100*ms, 1)}, {Fenced, 0, over}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := NewMachine(Config{InitialTimeout: 100 * ms})
			for i, s := range c.steps {
				if got := m.Step(s.event, s.retry, 0.5); got != s.want {
					t.Fatalf("step %d (%d): %+v, want %+v", i, s.event, got, s.want)
				}
			}
		})
	}
}

func TestJitter(t *testing.T) {
	for _, c := range []struct {
		random float64
		want   time.Duration
	}{{0, 25 * ms}, {1, 50 * ms}} {
		m := NewMachine(Config{InitialTimeout: 100 * ms})
		m.Step(Start, 0, 0)
		if got := m.Step(NotSent, 0, c.random).Delay; got != c.want {
			t.Errorf("random %v: %v, want %v", c.random, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	err := Config{InitialTimeout: time.Minute, ErrorDelay: -1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "below the initial timeout") || !strings.Contains(err.Error(), "error delay") {
		t.Errorf("got %v, want both problems", err)
	}
}
