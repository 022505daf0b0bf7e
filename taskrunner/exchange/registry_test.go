package exchange

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/taskrunner/memory"
)

func TestRequestComesFirst(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		r := consume(t, to, 0, at(from))
		newer := consume(t, to, 1, Location{from.Addr(), ids.Generation{Epoch: 2}})
		p := producer(t, from, 0, 2)
		send(t, p.Ports()[0], batch("x"))
		r.expect("x")
		// The second consumer waits for a generation that comes later, and replaces the first.
		q := producer(t, from, 0, 2, func(c *PartitionConfig) { c.Generation = ids.Generation{Epoch: 2} })
		send(t, q.Ports()[1], batch("y"))
		newer.expect("y")
		r.expectError(ErrProducerFailed)
		if _, err := from.OpenPartition(PartitionConfig{Edge: edge, Generation: gen, LastConsumer: 0, Wake: func() {}}); !errors.Is(err, ErrStale) {
			t.Errorf("opening an older generation: %v", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		producer(t, from, 0, 2)
		consume(t, to, 1, Location{from.Addr(), ids.Generation{Epoch: 0, Restart: 9}}).expectError(ErrStale)
		consume(t, to, 0, at(from))
		if from == to { // over a connection either of the two may come first
			consume(t, to, 0, at(from)).expectError(ErrConsumed)
		}
	})
	from, to := side(t, func(c *Config) { c.RequestTimeout = 10 * time.Millisecond }), side(t)
	consume(t, to, 0, at(from)).expectError(ErrPartitionNotFound)
	consume(t, from, 0, at(from)).expectError(ErrPartitionNotFound)
	if len(from.waiting) != 0 {
		t.Errorf("%d requests are kept", len(from.waiting))
	}
}

func TestProducerFails(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		p := producer(t, from, 0, 1)
		send(t, p.Ports()[0], batch("x"))
		r := consume(t, to, 0, at(from))
		r.expect("x")
		p.Fail(errors.New("disk on fire"))
		_, err := r.next()
		if !errors.Is(err, ErrProducerFailed) || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("error %v", err)
		}
	})
}

// TestConsumerLeaves: the producer goes on into the void, and other channels of the same connection are not disturbed.
func TestConsumerLeaves(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		p := producer(t, from, 0, 2)
		gone, stays := consume(t, to, 0, at(from)), consume(t, to, 1, at(from))
		send(t, p.Ports()[0], batch("x"))
		gone.expect("x")
		gone.gate.Close()
		for range 3 * queueLimit {
			send(t, p.Ports()[0], batch("void"))
		}
		send(t, p.Ports()[1], batch("y"))
		stays.expect("y")
		event(t, p.Ports()[0], "end")
		event(t, p.Ports()[1], "end")
		p.Finish()
		stays.expect("<end>")
		if from.registered() != 0 {
			t.Error("the partition is still registered")
		}
	})
}

func TestOneConnectionForBothDirections(t *testing.T) {
	a, b := side(t), side(t)
	pa, pb := producer(t, a, 0, 1), producer(t, b, 1, 1)
	ra := consume(t, b, 0, at(a))
	send(t, pa.Ports()[0], batch("to b"))
	ra.expect("to b")
	rb := &reader{t: t, wake: make(chan struct{}, 1)}
	var err error
	rb.gate, err = a.OpenGate(GateConfig{Subtask: 0, Inputs: []InputConfig{{Edge: edge, FirstProducer: 1, Producers: []Location{at(b)}}}, Wake: waker(rb.wake)})
	if err != nil {
		t.Fatal(err)
	}
	defer rb.gate.Close()
	send(t, pb.Ports()[0], batch("to a"))
	rb.expect("to a")
	for _, e := range []*Exchange{a, b} {
		e.mu.Lock()
		if len(e.conns) != 1 {
			t.Errorf("%d connections, want one", len(e.conns))
		}
		e.mu.Unlock()
	}
}

func TestNotEnoughBuffers(t *testing.T) {
	e := side(t)
	ls := make([]Location, 100)
	for i := range ls {
		ls[i] = Location{"127.0.0.1:1", gen}
	}
	_, err := e.OpenGate(GateConfig{Inputs: []InputConfig{{Edge: edge, Producers: ls}}, Wake: func() {}})
	if !errors.Is(err, memory.ErrInsufficient) {
		t.Errorf("error %v, want %v", err, memory.ErrInsufficient)
	}
}
