package registration

import (
	"errors"
	"fmt"
	"time"
)

// Config has the options cluster.registration.*; zero fields have the defaults.
type Config struct {
	InitialTimeout time.Duration // cluster.registration.initial-timeout, 1 s
	MaxTimeout     time.Duration // cluster.registration.max-timeout, 30 s
	ErrorDelay     time.Duration // cluster.registration.error-delay, 10 s; for answered errors
	RefusedDelay   time.Duration // cluster.registration.refused-registration-delay, 30 s; when a Failure names no delay
	ConnectFirst   time.Duration // 50 ms
	ConnectMax     time.Duration // 1 s
}

// WithDefaults fills in the defaults.
func (c Config) WithDefaults() Config {
	for _, f := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&c.InitialTimeout, time.Second}, {&c.MaxTimeout, 30 * time.Second}, {&c.ErrorDelay, 10 * time.Second},
		{&c.RefusedDelay, 30 * time.Second}, {&c.ConnectFirst, 50 * time.Millisecond}, {&c.ConnectMax, time.Second},
	} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	return c
}

// Validate reports values that cannot work.
func (c Config) Validate() error {
	c = c.WithDefaults()
	var bad []error
	for _, f := range []struct {
		name string
		v    time.Duration
	}{{"initial timeout", c.InitialTimeout}, {"max timeout", c.MaxTimeout}, {"error delay", c.ErrorDelay},
		{"refused-registration delay", c.RefusedDelay}, {"first connect delay", c.ConnectFirst}, {"max connect delay", c.ConnectMax}} {
		if f.v < 0 {
			bad = append(bad, fmt.Errorf("registration %s %v is negative", f.name, f.v))
		}
	}
	if c.MaxTimeout < c.InitialTimeout {
		bad = append(bad, fmt.Errorf("registration max timeout %v is below the initial timeout %v", c.MaxTimeout, c.InitialTimeout))
	}
	return errors.Join(bad...)
}

// Event is what happened to the last attempt or wait.
type Event uint8

// The events. Start is the first one; the others answer the Action before them.
const (
	Start     Event = iota
	Waited          // the delay of a Wait has passed
	TimedOut        // no answer within the attempt's timeout
	NotSent         // the peer could not be reached
	Errored         // the call was answered with an error, or its outcome is unknown for another reason than time
	Failed          // answered with Failure
	Fenced          // refused by a responder of a higher epoch
	Rejected        // answered with Rejection
	Succeeded       // answered with Success
)

// Do is the kind of an Action.
type Do uint8

// What to do.
const (
	Attempt Do = iota // register, with Timeout
	Wait              // for Delay
	Over              // nothing more: the last event was terminal
)

// Action is what the machine wants.
type Action struct {
	Do      Do
	Timeout time.Duration // of an Attempt
	Delay   time.Duration // of a Wait
	Number  int           // of an Attempt: 1 for the first since the last pause; above, the one before had no answer in time
}

// Machine is the pure state of one registration. The zero value is not usable; see NewMachine.
type Machine struct {
	cfg     Config
	timeout time.Duration
	number  int
	connect time.Duration
}

// NewMachine returns a machine that waits for Start.
func NewMachine(cfg Config) *Machine {
	m := &Machine{cfg: cfg.WithDefaults()}
	m.connect = m.cfg.ConnectFirst
	return m
}

// Step takes an event and returns what to do next. retryAfter belongs to Failed; random in [0,1) spreads reconnects.
func (m *Machine) Step(e Event, retryAfter time.Duration, random float64) Action {
	switch e {
	case Start, Waited:
		m.number, m.timeout = 1, m.cfg.InitialTimeout
		return m.attempt()
	case TimedOut:
		m.connect = m.cfg.ConnectFirst // the peer is there
		m.number++
		m.timeout = min(2*m.timeout, m.cfg.MaxTimeout)
		return m.attempt()
	case NotSent:
		d := m.connect
		m.connect = min(2*m.connect, m.cfg.ConnectMax)
		return Action{Do: Wait, Delay: time.Duration((0.5 + random/2) * float64(d))}
	case Errored:
		m.connect = m.cfg.ConnectFirst
		return Action{Do: Wait, Delay: m.cfg.ErrorDelay}
	case Failed:
		m.connect = m.cfg.ConnectFirst
		if retryAfter <= 0 {
			retryAfter = m.cfg.RefusedDelay
		}
		return Action{Do: Wait, Delay: retryAfter}
	}
	return Action{Do: Over}
}

func (m *Machine) attempt() Action {
	return Action{Do: Attempt, Timeout: m.timeout, Number: m.number}
}
