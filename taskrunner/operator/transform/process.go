package transform

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flott-dev/flott/taskrunner/operator"
)

// ProcessFunc handles one record with its key.
type ProcessFunc[K comparable, I, O any] = func(K, I, operator.Emit[O]) error

// Process is the factory of an operator with state by key. Declare runs once in each subtask, and once more when the graph is built.
type Process[K comparable, I, O any] struct {
	Key      *operator.Key[K]
	KeyCodec operator.Codec[K]
	Of       func(I) K
	Declare  func(*States[K]) ProcessFunc[K, I, O]
}

// Check declares the states and returns what is wrong with them.
func (p Process[K, I, O]) Check() error {
	_, _, err := p.declare()
	return err
}

func (p Process[K, I, O]) declare() (*States[K], ProcessFunc[K, I, O], error) {
	s := &States[K]{key: p.Key, keyCodec: p.KeyCodec, processing: processing{record: outside}}
	f := p.Declare(s)
	if f == nil && s.err == nil {
		s.err = errors.New("the function that declares state returned no function for the records")
	}
	return s, f, s.err
}

// New implements operator.Factory.
func (p Process[K, I, O]) New(next any) (operator.Operator, error) {
	out, err := operator.AsOutput[O](next)
	if err != nil {
		return nil, err
	}
	s, f, err := p.declare()
	if err != nil {
		return nil, err
	}
	return &processor[K, I, O]{Base: operator.Base[O]{Next: out}, of: p.Of, f: f, states: s, emit: operator.NewEmitter(out)}, nil
}

type processor[K comparable, I, O any] struct {
	operator.Base[O]
	of       func(I) K
	f        ProcessFunc[K, I, O]
	states   *States[K]
	emit     *operator.Emitter[O]
	records  int64
	restored map[string][]byte
}

// Open implements operator.Operator.
func (p *processor[K, I, O]) Open(ctx context.Context, c operator.Context) error {
	for _, t := range p.states.tables {
		if err := t.open(c); err != nil {
			return fmt.Errorf("open state %q: %w", t.name(), err)
		}
		if b, ok := p.restored[t.name()]; ok {
			if err := t.restore(b); err != nil {
				return fmt.Errorf("restore state %q: %w", t.name(), err)
			}
			delete(p.restored, t.name())
		}
	}
	for name := range p.restored {
		return fmt.Errorf("restore state %q: the program declares no such state", name)
	}
	return p.Base.Open(ctx, c)
}

// Collect implements operator.Collector. The head of a chain, where a Process mostly is, calls CollectBatch.
func (p *processor[K, I, O]) Collect(v I, t operator.Time) error {
	return p.CollectBatch([]I{v}, []operator.Time{t})
}

// CollectBatch implements operator.Batcher.
func (p *processor[K, I, O]) CollectBatch(values []I, times []operator.Time) error {
	s := p.states
	defer s.leave()
	for len(values) > 0 {
		n := min(len(values), len(s.keys))
		for i := range n {
			s.keys[i] = p.of(values[i])
		}
		for _, t := range s.tables {
			t.look(s.keys[:n])
		}
		if err := p.window(values[:n], times); err != nil {
			return err
		}
		if values = values[n:]; times != nil {
			times = times[n:]
		}
	}
	return nil
}

// window processes records whose keys are in States.keys.
func (p *processor[K, I, O]) window(values []I, times []operator.Time) error {
	s, t := p.states, operator.NoTime
	for i := range values {
		if times != nil {
			t = times[i]
		}
		p.records++
		s.at, s.record = i, p.records
		err := p.f(s.keys[i], values[i], p.emit.Begin(t))
		if cut := p.emit.End(); cut != nil {
			return cut
		}
		if err != nil {
			return err
		}
		if s.err != nil {
			return s.err
		}
	}
	s.record = outside
	return nil
}

// Snapshot implements operator.Operator: for each state its name and its table, both with their lengths (uvarints).
func (p *processor[K, I, O]) Snapshot(uint64) ([]byte, error) {
	var dst []byte
	for _, t := range p.states.tables {
		b, err := t.snapshot()
		if err != nil {
			return nil, fmt.Errorf("snapshot state %q: %w", t.name(), err)
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(t.name()))), t.name()...)
		dst = append(binary.AppendUvarint(dst, uint64(len(b))), b...)
	}
	return dst, nil
}

// Restore implements operator.Operator.
func (p *processor[K, I, O]) Restore(b []byte) error {
	p.restored = make(map[string][]byte)
	for len(b) > 0 {
		name, rest, err := chunk(b)
		if err != nil {
			return err
		}
		if p.restored[string(name)], b, err = chunk(rest); err != nil {
			return err
		}
	}
	return nil
}

func chunk(b []byte) (head, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, fmt.Errorf("read the states of a process: %w", operator.ErrTruncated)
	}
	b = b[size:]
	return b[:n:n], b[n:], nil
}
