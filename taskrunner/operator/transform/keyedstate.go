package transform

import (
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
	tables   []table[K]
	keys     [state.Window]K // of the records that are processed next
	processing
}

// leave ends the processing of records.
func (s *States[K]) leave() {
	clear(s.keys[:])
	s.record = outside
}

// processing says which record is being processed.
type processing struct {
	record int64 // its number, from 1 on; outside when there is none
	at     int   // its place in States.keys
	err    error // the first one, kept until the function has returned
}

const outside = -1

// table is one declared state.
type table[K comparable] interface {
	name() string
	open(c operator.Context) error
	snapshot() ([]byte, error)
	restore(b []byte) error
	look(keys []K)
}

var errOutside = errors.New("state is used outside of the processing of a record: it belongs to the record's key")

func (p *processing) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (s *States[K]) declare(t table[K], err error) {
	if err != nil {
		s.fail(fmt.Errorf("state %q: %w", t.name(), err))
		return
	}
	if t.name() == "" {
		s.fail(errors.New("a state has no name"))
	}
	if slices.ContainsFunc(s.tables, func(o table[K]) bool { return o.name() == t.name() }) {
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
	*lookup[T]
}

// lookup is what is known of the values of the records that come next.
type lookup[T any] struct {
	found [state.Window]*T // as Table.Find gives them; nil: not looked for
	used  bool             // since found was written
}

func (t *keyed[K, T]) name() string { return t.label }

func (t *keyed[K, T]) open(c operator.Context) (err error) {
	t.table, err = newTable(c, t.states.key, t.states.keyCodec, t.codec)
	return err
}

func (t *keyed[K, T]) snapshot() ([]byte, error) { return t.table.Snapshot().Append(nil) }
func (t *keyed[K, T]) restore(b []byte) error    { return t.table.Restore(b) }

// look finds the entries of the keys that come next, if the last ones have been asked for.
func (t *keyed[K, T]) look(keys []K) {
	if t.used {
		t.table.Find(keys, &t.found)
	} else {
		clear(t.found[:])
	}
	t.used = false
}

// cell is the value that a state has for the key of the current record. It is looked up once for each record.
type cell[T any] struct {
	label string
	refs  bool // values refer to memory
	now   *processing
	*lookup[T]
	get  func() (v *T, owned bool, err error) // of the table, with the current key
	make func() (*T, error)
	drop func() (bool, error)

	record int64 // which the rest is about
	at     *T    // the value; none when there is no value
	has    bool  // there is a value
	owned  bool  // it may be written to
	plain  int64 // the record, when the value may be written to and refers to no memory
	none   T
}

// declare adds a state whose table holds values of type T.
func declare[T any, K comparable](s *States[K], name string) (cell[T], operator.Codec[T], error) {
	codec, err := operator.CodecOf[T]()
	t := &keyed[K, T]{label: name, states: s, codec: codec, lookup: &lookup[T]{}}
	s.declare(t, err)
	return cell[T]{label: name, refs: err == nil && codec.References(), now: &s.processing, lookup: t.lookup,
		get:  func() (*T, bool, error) { return t.table.Get(s.keys[s.at]) },
		make: func() (*T, error) { return t.table.Update(s.keys[s.at]) },
		drop: func() (bool, error) {
			clear(t.found[:]) // what is deleted may be given to another key
			return t.table.Delete(s.keys[s.at])
		},
	}, codec, err
}

// find looks for the value of a record that has just come.
func (c *cell[T]) find() {
	if !c.usable() {
		c.keep(nil, false)
		return
	}
	c.used = true
	if at := c.found[c.now.at]; at != nil {
		c.keep(at, true)
		return
	}
	at, owned, err := c.get()
	if err != nil {
		c.fail(err)
	}
	c.keep(at, owned)
}

// keep remembers the value of the current record, nil when there is none.
func (c *cell[T]) keep(at *T, owned bool) {
	c.record, c.at, c.has, c.owned, c.plain = c.now.record, at, at != nil, owned, 0
	if at == nil {
		c.at = &c.none
	} else if owned && !c.refs {
		c.plain = c.record
	}
}

// update returns the value of the current key, to be written to; nil after an error.
func (c *cell[T]) update() *T {
	if c.owned && c.record == c.now.record {
		return c.at
	}
	if !c.usable() {
		return nil
	}
	at, err := c.make()
	if err != nil {
		c.fail(err)
		return nil
	}
	c.keep(at, true)
	return at
}

func (c *cell[T]) remove() {
	if !c.usable() {
		return
	}
	if _, err := c.drop(); err != nil {
		c.fail(err)
	}
	c.keep(nil, false)
}

// usable reports whether there is a current key.
func (c *cell[T]) usable() bool {
	if c.now.record == outside {
		c.fail(errOutside)
		return false
	}
	return true
}

func (c *cell[T]) fail(err error) { c.now.fail(fmt.Errorf("state %q: %w", c.label, err)) }

// ValueState is one value for each key. What Get returns must not be changed; Set does.
type ValueState[V any] struct {
	cell[V]
	cloner *operator.Cloner[V]
}

// NewValueState declares a value for each key; names are unique in a Process.
func NewValueState[V any, K comparable](s *States[K], name string) *ValueState[V] {
	c, codec, err := declare[V](s, name)
	v := &ValueState[V]{cell: c}
	if err == nil {
		v.cloner = operator.NewCloner(codec)
	}
	return v
}

// Get returns the value of the current key and whether there is one. Get and Set are small enough to become parts of their callers; what
// is left for a record is to find its value.
func (s *ValueState[V]) Get() (V, bool) {
	if s.record != s.now.record {
		s.find()
	}
	return *s.at, s.has
}

// Set keeps a copy of v for the current key.
func (s *ValueState[V]) Set(v V) {
	if s.plain == s.now.record {
		*s.at = v
		return
	}
	s.set(v)
}

func (s *ValueState[V]) set(v V) {
	at := s.update()
	if at == nil {
		return
	}
	v, err := s.cloner.Clone(v)
	if err != nil {
		s.fail(err)
		return
	}
	*at = v
}

// Clear removes the value of the current key.
func (s *ValueState[V]) Clear() { s.remove() }

// MapState is a map for each key. What it returns must not be changed.
type MapState[F comparable, V any] struct {
	cell[map[F]V]
	fields *operator.Cloner[F]
	values *operator.Cloner[V]
}

// NewMapState declares a map for each key; names are unique in a Process.
func NewMapState[F comparable, V any, K comparable](s *States[K], name string) *MapState[F, V] {
	c, _, err := declare[map[F]V](s, name)
	m := &MapState[F, V]{cell: c}
	if err == nil {
		m.fields, m.values = operator.NewCloner(operator.MustCodec[F]()), operator.NewCloner(operator.MustCodec[V]())
	}
	return m
}

// current returns the current key's map, nil when there is none.
func (s *MapState[F, V]) current() map[F]V {
	if s.record != s.now.record {
		s.find()
	}
	return *s.at
}

// Get returns the value of a field in the current key's map and whether there is one.
func (s *MapState[F, V]) Get(f F) (V, bool) {
	v, ok := s.current()[f]
	return v, ok
}

// Set keeps copies of a field and its value in the current key's map.
func (s *MapState[F, V]) Set(f F, v V) {
	at := s.update()
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
		s.fail(err)
		return
	}
	if *at == nil {
		*at = make(map[F]V)
	}
	(*at)[f] = v
}

// Delete removes a field from the current key's map.
func (s *MapState[F, V]) Delete(f F) {
	m := s.current()
	if _, known := m[f]; !known {
		return
	}
	if len(m) == 1 {
		s.remove()
		return
	}
	if at := s.update(); at != nil {
		delete(*at, f)
	}
}

// Len returns the number of fields in the current key's map.
func (s *MapState[F, V]) Len() int { return len(s.current()) }

// All yields the fields and values of the current key's map, in no order. The map must not be changed meanwhile.
func (s *MapState[F, V]) All() func(yield func(F, V) bool) {
	return func(yield func(F, V) bool) {
		for f, v := range s.current() {
			if !yield(f, v) {
				return
			}
		}
	}
}

// Clear removes the current key's map.
func (s *MapState[F, V]) Clear() { s.remove() }
