package state

import (
	"errors"
	"fmt"
	"iter"

	"github.com/flott-dev/flott/rpc/plan"
)

// pageSize is the most entries of a page.
const pageSize = 256

// Hasher hashes and compares keys, as operator.Hasher does. It belongs to the table's goroutine.
type Hasher[K comparable] interface {
	Hash(k *K) uint32
	// Same is asked only about keys with the same hash that are not ==.
	Same(a, b *K) bool
}

// Codec turns keys and values into bytes, as operator.Codec does.
type Codec[T any] interface {
	Append(dst []byte, v *T) ([]byte, error)
	Decode(src []byte, v *T) (rest []byte, err error)
	References() bool
}

// Config describes a table.
type Config[K comparable, V any] struct {
	Key        Hasher[K]
	KeyCodec   Codec[K]
	ValueCodec Codec[V]
	// MaxParallelism is the number of key groups of the operator; FirstKeyGroup and LastKeyGroup are the table's, both inclusive.
	MaxParallelism, FirstKeyGroup, LastKeyGroup int
}

// ErrForeignKey: a key belongs to the key group of another subtask. The function that makes keys is not pure, or is not the one that the
// records were shipped by.
var ErrForeignKey = errors.New("state: key belongs to another subtask")

// Table maps keys to values.
type Table[K comparable, V any] struct {
	cfg     Config[K, V]
	groups  []group[K, V]
	version uint64
	len     int
	key     K // the key being looked up: on the heap, so that hashing does not allocate
	last    found[K, V]
	scratch []byte
}

// found is where the entry of Table.key lies, for the next call with the same key: state is read and then written. Its number is 0 when
// that key has none, or none that is known.
type found[K comparable, V any] struct {
	group        *group[K, V]
	hash, number uint32
}

// group is the part of one key group: an open-addressed index over pages.
type group[K comparable, V any] struct {
	slots []slot
	pages []*page[K, V]
	used  int      // slots that are not empty
	next  uint32   // number of the next entry at the end
	free  []uint32 // numbers of deleted entries
	len   int
}

// slot is an entry's hash and, from 1 on, its number in the group; 0: empty; deleted: it had one.
type slot struct{ hash, number uint32 }

const deleted = 1<<32 - 1

// page holds entries of consecutive numbers. It is written only while its version is the table's.
type page[K comparable, V any] struct {
	version uint64
	entries []entry[K, V]
}

type entry[K comparable, V any] struct {
	live  bool
	hash  uint32
	key   K
	value V
}

// New returns an empty table.
func New[K comparable, V any](cfg Config[K, V]) (*Table[K, V], error) {
	if cfg.Key == nil || cfg.KeyCodec == nil || cfg.ValueCodec == nil {
		return nil, errors.New("state: hasher and codecs are needed")
	}
	if cfg.FirstKeyGroup < 0 || cfg.LastKeyGroup < cfg.FirstKeyGroup || cfg.LastKeyGroup >= cfg.MaxParallelism {
		return nil, fmt.Errorf("state: key groups %d to %d of %d", cfg.FirstKeyGroup, cfg.LastKeyGroup, cfg.MaxParallelism)
	}
	return &Table[K, V]{cfg: cfg, groups: make([]group[K, V], cfg.LastKeyGroup-cfg.FirstKeyGroup+1)}, nil
}

// Len returns the number of keys.
func (t *Table[K, V]) Len() int { return t.len }

// find returns the key's group, hash and entry number plus one, or 0. It leaves the key in t.key.
func (t *Table[K, V]) find(k K) (g *group[K, V], hash, number uint32, err error) {
	if t.last.number != 0 && k == t.key {
		return t.last.group, t.last.hash, t.last.number, nil
	}
	t.key, t.last.number = k, 0
	hash = t.cfg.Key.Hash(&t.key)
	at := plan.KeyGroup(hash, t.cfg.MaxParallelism) - t.cfg.FirstKeyGroup
	if uint(at) >= uint(len(t.groups)) {
		return nil, 0, 0, fmt.Errorf("%w: key %v is of group %d, the subtask has %d to %d", ErrForeignKey, t.key,
			at+t.cfg.FirstKeyGroup, t.cfg.FirstKeyGroup, t.cfg.LastKeyGroup)
	}
	g = &t.groups[at]
	if len(g.slots) == 0 {
		return g, hash, 0, nil
	}
	mask := uint32(len(g.slots) - 1)
	for i := spread(hash) & mask; ; i = (i + 1) & mask {
		s := g.slots[i]
		if s.number == 0 {
			return g, hash, 0, nil
		}
		if s.hash == hash && s.number != deleted {
			e := g.entry(s.number)
			if e.key == t.key || t.cfg.Key.Same(&e.key, &t.key) {
				t.remember(g, hash, s.number, e)
				return g, hash, s.number, nil
			}
		}
	}
}

// spread takes the bits of a hash that the key group has not used up.
func spread(h uint32) uint32 { return (h * 0x9e3779b1) >> 8 }

// remember keeps where an entry lies. The key is the table's own from now on: that of a record may be written to after the call.
func (t *Table[K, V]) remember(g *group[K, V], hash, number uint32, e *entry[K, V]) {
	t.key, t.last = e.key, found[K, V]{g, hash, number}
}

func (g *group[K, V]) entry(number uint32) *entry[K, V] {
	return &g.pages[(number-1)/pageSize].entries[(number-1)%pageSize]
}

// Get returns the value of a key, only to be read, and until the next change of the table; nil when there is none.
func (t *Table[K, V]) Get(k K) (*V, error) {
	g, _, number, err := t.find(k)
	if err != nil || number == 0 {
		return nil, err
	}
	return &g.entry(number).value, nil
}

// Update returns the value of a key to be changed in place, until the next call of a method; a new key starts with the zero value.
// What is written there has to belong to the table: memory of records is cloned before.
func (t *Table[K, V]) Update(k K) (*V, error) {
	v, _, err := t.Upsert(k)
	return v, err
}

// Upsert is Update that also says whether the key is new.
func (t *Table[K, V]) Upsert(k K) (v *V, fresh bool, err error) {
	g, hash, number, err := t.find(k)
	if err != nil {
		return nil, false, err
	}
	if number != 0 {
		at := (number - 1) / pageSize
		if g.pages[at].version != t.version {
			if err := t.own(g, int(at)); err != nil {
				return nil, false, err
			}
		}
		return &g.entry(number).value, false, nil
	}
	e, err := t.insert(g, hash)
	if err != nil {
		return nil, false, err
	}
	return &e.value, true, nil
}

// insert adds t.key.
func (t *Table[K, V]) insert(g *group[K, V], hash uint32) (*entry[K, V], error) {
	key, err := t.ownKey()
	if err != nil {
		return nil, err
	}
	var number uint32
	if n := len(g.free); n > 0 {
		number = g.free[n-1]
		if err := t.own(g, int(number-1)/pageSize); err != nil {
			return nil, err
		}
		g.free = g.free[:n-1]
	} else {
		at := int(g.next / pageSize)
		if at == len(g.pages) {
			g.pages = append(g.pages, &page[K, V]{version: t.version})
		} else if err := t.own(g, at); err != nil {
			return nil, err
		}
		p := g.pages[at]
		p.entries = append(p.entries, entry[K, V]{})
		g.next++
		number = g.next
	}
	e := g.entry(number)
	e.live, e.hash, e.key = true, hash, key
	g.index(hash, number)
	g.len++
	t.len++
	t.remember(g, hash, number, e)
	return e, nil
}

// ownKey returns a copy of t.key that shares no memory with a record.
func (t *Table[K, V]) ownKey() (K, error) {
	if !t.cfg.KeyCodec.References() {
		return t.key, nil
	}
	b, err := t.cfg.KeyCodec.Append(t.scratch[:0], &t.key)
	if err != nil {
		return t.key, fmt.Errorf("copy key %v: %w", t.key, err)
	}
	t.scratch = b[:0]
	var k K
	if _, err := t.cfg.KeyCodec.Decode(append(make([]byte, 0, len(b)), b...), &k); err != nil {
		return t.key, fmt.Errorf("copy key %v: %w", t.key, err)
	}
	return k, nil
}

// index puts an entry into the slots, which are kept at most three quarters full.
func (g *group[K, V]) index(hash, number uint32) {
	if (g.used+1)*4 > len(g.slots)*3 {
		size := 8
		for size*3 < (g.len+1)*8 {
			size *= 2
		}
		old := g.slots
		g.slots, g.used = make([]slot, size), 0
		for _, s := range old {
			if s.number != 0 && s.number != deleted {
				g.put(s)
			}
		}
	}
	g.put(slot{hash, number})
}

func (g *group[K, V]) put(s slot) {
	mask := uint32(len(g.slots) - 1)
	i := spread(s.hash) & mask
	for g.slots[i].number != 0 {
		i = (i + 1) & mask
	}
	g.slots[i] = s
	g.used++
}

// own makes a page the table's to write: one that a snapshot can see is replaced by a copy.
func (t *Table[K, V]) own(g *group[K, V], at int) error {
	p := g.pages[at]
	if p.version == t.version {
		return nil
	}
	c := &page[K, V]{version: t.version, entries: make([]entry[K, V], len(p.entries), min(pageSize, len(p.entries)+len(p.entries)/4+1))}
	copy(c.entries, p.entries)
	if t.cfg.ValueCodec.References() {
		for i := range c.entries {
			if e := &c.entries[i]; e.live {
				if err := t.cloneValue(&p.entries[i].value, &e.value); err != nil {
					return err
				}
			}
		}
	}
	g.pages[at] = c
	return nil
}

func (t *Table[K, V]) cloneValue(from, to *V) error {
	b, err := t.cfg.ValueCodec.Append(t.scratch[:0], from)
	if err != nil {
		return fmt.Errorf("copy a value of the state: %w", err)
	}
	t.scratch = b[:0]
	var v V
	if _, err := t.cfg.ValueCodec.Decode(append(make([]byte, 0, len(b)), b...), &v); err != nil {
		return fmt.Errorf("copy a value of the state: %w", err)
	}
	*to = v
	return nil
}

// Delete removes a key and reports whether it was there.
func (t *Table[K, V]) Delete(k K) (bool, error) {
	g, hash, number, err := t.find(k)
	if err != nil || number == 0 {
		return false, err
	}
	if err := t.own(g, int(number-1)/pageSize); err != nil {
		return false, err
	}
	t.last.number = 0
	*g.entry(number) = entry[K, V]{}
	mask := uint32(len(g.slots) - 1)
	i := spread(hash) & mask
	for g.slots[i].number != number {
		i = (i + 1) & mask
	}
	g.slots[i].number = deleted
	g.free = append(g.free, number)
	g.len--
	t.len--
	return true, nil
}

// All yields keys and values, the values only to be read, by key group and then in the order of insertion but for keys that took the place
// of deleted ones. The table must not be changed meanwhile.
func (t *Table[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for i := range t.groups {
			for _, p := range t.groups[i].pages {
				for k := range p.entries {
					if e := &p.entries[k]; e.live && !yield(e.key, &e.value) {
						return
					}
				}
			}
		}
	}
}

// Clear removes every key.
func (t *Table[K, V]) Clear() {
	clear(t.groups)
	t.len, t.last = 0, found[K, V]{}
}
