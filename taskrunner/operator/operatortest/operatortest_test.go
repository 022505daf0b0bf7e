package operatortest_test

import (
	"encoding/binary"
	"testing"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
)

// running adds up and emits every sum, and the last one again at the end.
type running struct {
	operator.Base[int]
	sum int
}

func newRunning(next operator.Output[int]) (operator.Operator, error) {
	r := &running{}
	r.Next = next
	return r, nil
}

func (r *running) Collect(v int, t operator.Time) error {
	r.sum += v
	return r.Next.Collect(r.sum, t)
}

func (r *running) Control(ev operator.Event) error {
	if ev.Kind == operator.EndOfData {
		if err := r.Next.Collect(r.sum, operator.NoTime); err != nil {
			return err
		}
	}
	return r.Next.Control(ev)
}

func (r *running) Snapshot(uint64) ([]byte, error) {
	return binary.AppendVarint(nil, int64(r.sum)), nil
}

func (r *running) Restore(b []byte) error {
	n, _ := binary.Varint(b)
	r.sum = int(n)
	return nil
}

func TestConform(t *testing.T) {
	operatortest.Conform(t, operatortest.Case[int, int]{Factory: operator.Transform[int](newRunning), Records: []int{1, 2, 3}, Want: []int{1, 3, 6, 6}})
}

// counter is a source of five numbers that waits before each.
type counter struct {
	operator.Base[int]
	at    int
	ready bool
}

func (c *counter) Poll() (operator.Poll, error) {
	if c.at == 5 {
		return operator.Poll{Status: operator.End}, nil
	}
	if c.ready = !c.ready; c.ready {
		done := make(chan struct{})
		close(done)
		return operator.Poll{Status: operator.Wait, Ready: done}, nil
	}
	c.at++
	return operator.Poll{Status: operator.More}, c.Next.Collect(c.at, operator.NoTime)
}

func (c *counter) Snapshot(uint64) ([]byte, error) { return []byte{byte(c.at)}, nil }

func (c *counter) Restore(b []byte) error {
	c.at = int(b[0])
	return nil
}

func TestConformSource(t *testing.T) {
	operatortest.ConformSource(t, operatortest.SourceCase[int]{Want: []int{1, 2, 3, 4, 5}, Factory: operator.Transform[int](
		func(next operator.Output[int]) (operator.Operator, error) {
			c := &counter{}
			c.Next = next
			return c, nil
		})})
}

// swallow is a sink.
type swallow struct{ operator.SinkBase }

func (swallow) Collect(int, operator.Time) error { return nil }

func TestConformSink(t *testing.T) {
	operatortest.Conform(t, operatortest.Case[int, struct{}]{Records: []int{1, 2}, Sink: true,
		Factory: operator.Terminal(func() (operator.Operator, error) { return &swallow{}, nil })})
}
