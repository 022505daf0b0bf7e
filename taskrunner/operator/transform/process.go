package transform

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/state"
)

// States is what a Process function declares its state with, and what carries the current key. It belongs to one subtask.
type States[K comparable] struct {
	key      *operator.Key[K]
	keyCodec operator.Codec[K]
	tables   []table
	current  K
	has      bool // a record is being processed
	err      error
}

// table is one declared state.
type table interface {
	name() string
	open(c operator.Context) error
	snapshot() ([]byte, error)
	restore(b []byte) error
}

var errOutside = errors.New("state is used outside of the processing of a record: it belongs to the record's key")

// fail keeps the first error until the function has returned.
func (s *States[K]) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *States[K]) declare(t table, err error) {
	if err != nil {
		s.fail(fmt.Errorf("state %q: %w", t.name(), err))
		return
	}
	if t.name() == "" {
		s.fail(errors.New("a state has no name"))
	}
	if slices.ContainsFunc(s.tables, func(o table) bool { return o.name() == t.name() }) {
		s.fail(fmt.Errorf("state %q is declared twice", t.name()))
	}
	s.tables = append(s.tables, t)
}

// keyed is one declared state with its table; T is what the table holds.
type keyed[K comparable, T any] struct {
	label  string
	states *States[K]
	codec  operator.Codec[T]
	table  *state.Table[K, T]
}

func (t *keyed[K, T]) name() string { return t.label }

func (t *keyed[K, T]) open(c operator.Context) (err error) {
	t.table, err = newTable(c, t.states.key, t.states.keyCodec, t.codec)
	return err
}

func (t *keyed[K, T]) snapshot() ([]byte, error) { return t.table.Snapshot().Append(nil) }
func (t *keyed[K, T]) restore(b []byte) error    { return t.table.Restore(b) }

// usable reports whether there is a current key.
func (t *keyed[K, T]) usable() bool {
	if !t.states.has || t.table == nil {
		t.states.fail(fmt.Errorf("state %q: %w", t.label, errOutside))
		return false
	}
	return true
}

// get returns the value of the current key, nil when there is none.
func (t *keyed[K, T]) get() *T {
	if !t.usable() {
		return nil
	}
	v, err := t.table.Get(t.states.current)
	if err != nil {
		t.states.fail(err)
	}
	return v
}

// update returns the value of the current key, to be written to; nil after an error.
func (t *keyed[K, T]) update() *T {
	if !t.usable() {
		return nil
	}
	v, err := t.table.Update(t.states.current)
	if err != nil {
		t.states.fail(err)
		return nil
	}
	return v
}

func (t *keyed[K, T]) remove() {
	if !t.usable() {
		return
	}
	if _, err := t.table.Delete(t.states.current); err != nil {
		t.states.fail(err)
	}
}

func (t *keyed[K, T]) fail(err error) { t.states.fail(fmt.Errorf("state %q: %w", t.label, err)) }

// cell is a keyed whose key type is out of sight.
type cell[T any] interface {
	get() *T
	update() *T
	remove()
	fail(error)
}

// ValueState is one value for each key. What Get returns must not be changed; Set does.
type ValueState[V any] struct {
	cell   cell[V]
	cloner *operator.Cloner[V]
}

// NewValueState declares a value for each key; names are unique in a Process.
func NewValueState[V any, K comparable](s *States[K], name string) *ValueState[V] {
	codec, err := operator.CodecOf[V]()
	t := &keyed[K, V]{label: name, states: s, codec: codec}
	s.declare(t, err)
	return &ValueState[V]{cell: t, cloner: clonerOf(codec, err)}
}

func clonerOf[T any](c operator.Codec[T], err error) *operator.Cloner[T] {
	if err != nil {
		return nil
	}
	return operator.NewCloner(c)
}

// Get returns the value of the current key and whether there is one.
func (s *ValueState[V]) Get() (V, bool) {
	if v := s.cell.get(); v != nil {
		return *v, true
	}
	var zero V
	return zero, false
}

// Set keeps a copy of v for the current key.
func (s *ValueState[V]) Set(v V) {
	at := s.cell.update()
	if at == nil {
		return
	}
	v, err := s.cloner.Clone(v)
	if err != nil {
		s.cell.fail(err)
		return
	}
	*at = v
}

// Clear removes the value of the current key.
func (s *ValueState[V]) Clear() { s.cell.remove() }

// MapState is a map for each key. What it returns must not be changed.
type MapState[F comparable, V any] struct {
	cell   cell[map[F]V]
	fields *operator.Cloner[F]
	values *operator.Cloner[V]
}

// NewMapState declares a map for each key; names are unique in a Process.
func NewMapState[F comparable, V any, K comparable](s *States[K], name string) *MapState[F, V] {
	codec, err := operator.CodecOf[map[F]V]()
	t := &keyed[K, map[F]V]{label: name, states: s, codec: codec}
	s.declare(t, err)
	m := &MapState[F, V]{cell: t}
	fields, ferr := operator.CodecOf[F]()
	values, verr := operator.CodecOf[V]()
	m.fields, m.values = clonerOf(fields, ferr), clonerOf(values, verr)
	return m
}

// Get returns the value of a field in the current key's map and whether there is one.
func (s *MapState[F, V]) Get(f F) (V, bool) {
	if m := s.cell.get(); m != nil {
		v, ok := (*m)[f]
		return v, ok
	}
	var zero V
	return zero, false
}

// Set keeps copies of a field and its value in the current key's map.
func (s *MapState[F, V]) Set(f F, v V) {
	at := s.cell.update()
	if at == nil {
		return
	}
	v, err := s.values.Clone(v)
	if err == nil {
		if _, known := (*at)[f]; !known {
			f, err = s.fields.Clone(f)
		}
	}
	if err != nil {
		s.cell.fail(err)
		return
	}
	if *at == nil {
		*at = make(map[F]V)
	}
	(*at)[f] = v
}

// Delete removes a field from the current key's map.
func (s *MapState[F, V]) Delete(f F) {
	m := s.cell.get()
	if m == nil {
		return
	}
	if _, known := (*m)[f]; !known {
		return
	}
	if len(*m) == 1 {
		s.cell.remove()
		return
	}
	if at := s.cell.update(); at != nil {
		delete(*at, f)
	}
}

// Len returns the number of fields in the current key's map.
func (s *MapState[F, V]) Len() int {
	if m := s.cell.get(); m != nil {
		return len(*m)
	}
	return 0
}

// All yields the fields and values of the current key's map, in no order. The map must not be changed meanwhile.
func (s *MapState[F, V]) All() func(yield func(F, V) bool) {
	return func(yield func(F, V) bool) {
		m := s.cell.get()
		if m == nil {
			return
		}
		for f, v := range *m {
			if !yield(f, v) {
				return
			}
		}
	}
}

// Clear removes the current key's map.
func (s *MapState[F, V]) Clear() { s.cell.remove() }

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
	s := &States[K]{key: p.Key, keyCodec: p.KeyCodec}
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

// Collect implements operator.Collector.
func (p *processor[K, I, O]) Collect(v I, t operator.Time) error {
	s := p.states
	s.current, s.has = p.of(v), true
	err := p.f(s.current, v, p.emit.Begin(t))
	s.has = false
	if cut := p.emit.End(); cut != nil {
		return cut
	}
	if err != nil {
		return err
	}
	return s.err
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
