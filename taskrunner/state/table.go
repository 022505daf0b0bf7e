package state

import (
	"errors"
	"fmt"
	"iter"
	"unsafe"

	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/operator"
)

const (
	// pageSize is the number of entries of a page.
	pageSize = 256
	// maxKeys is how many the numbers and the index of a table are made for.
	maxKeys = 1 << 31
)

// Config describes a table.
type Config[K comparable, V any] struct {
	Key        *operator.Hasher[K]
	KeyCodec   operator.Codec[K]
	ValueCodec operator.Codec[V]
	// MaxParallelism is the number of key groups of the operator; FirstKeyGroup and LastKeyGroup are the table's, both inclusive.
	MaxParallelism, FirstKeyGroup, LastKeyGroup int
}

// ErrForeignKey: a key belongs to the key group of another subtask. The function that makes keys is not pure, or is not the one that the
// records were shipped by.
var ErrForeignKey = errors.New("state: key belongs to another subtask")

// Table maps keys to values.
type Table[K comparable, V any] struct {
	cfg     Config[K, V]
	exact   bool   // keys are the same only when they are ==
	texts   *texts // nil: keys are not strings
	index   index
	pages   []*page[K, V]
	version uint64
	last    uint32   // number of the last entry; they count from 1
	free    []uint32 // numbers of deleted entries
	len     int
	keys    *operator.Cloner[K]
	values  *operator.Cloner[V]
}

// page holds the entries of consecutive numbers. It is written only while its version is the table's.
type page[K comparable, V any] struct {
	version uint64
	groups  [pageSize]uint16 // the key group of each entry, plus one; 0: there is no entry
	entries [pageSize]entry[K, V]
}

type entry[K comparable, V any] struct {
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
	t := &Table[K, V]{cfg: cfg, exact: cfg.Key.Exact(), index: newIndex(), keys: operator.NewCloner(cfg.KeyCodec), values: operator.NewCloner(cfg.ValueCodec)}
	if cfg.Key.Text() {
		t.texts = newTexts()
	}
	return t, nil
}

// Len returns the number of keys.
func (t *Table[K, V]) Len() int { return t.len }

// hash returns the hash of a key for the index.
func (t *Table[K, V]) hash(k K) uint32 {
	if t.texts != nil {
		s := *(*string)(unsafe.Pointer(&k))
		return t.texts.hash(s, fingerprintOf(s))
	}
	return t.cfg.Key.Local(k)
}

// find returns the number of the key's entry, or 0. It calls nothing, so that it needs no memory of its own.
func (t *Table[K, V]) find(k K, hash uint32) uint32 {
	slots := t.index.slots
	mask := uint32(len(slots) - 1)
	for i := hash >> t.index.shift; ; i++ {
		s := slots[i&mask]
		if s.number == 0 {
			return 0
		}
		if s.hash == hash {
			if t.pages[s.number/pageSize].entries[s.number%pageSize].key == k {
				return s.number
			}
			if !t.exact {
				return t.findSame(k, hash)
			}
		}
	}
}

// findSame is find for keys of which two may be the same although they are not ==.
func (t *Table[K, V]) findSame(k K, hash uint32) uint32 {
	mask := uint32(len(t.index.slots) - 1)
	for i := hash >> t.index.shift; ; i++ {
		s := t.index.slots[i&mask]
		if s.number == 0 || s.hash == hash && t.cfg.Key.Same(&t.pages[s.number/pageSize].entries[s.number%pageSize].key, &k) {
			return s.number
		}
	}
}

// group returns the key group of a key that the table does not hold. Only then is it computed: a key that is there is in its place.
func (t *Table[K, V]) group(k K) (int, error) {
	g := plan.KeyGroup(t.cfg.Key.Hash(&k), t.cfg.MaxParallelism)
	if g < t.cfg.FirstKeyGroup || g > t.cfg.LastKeyGroup {
		return 0, fmt.Errorf("%w: key %v is of group %d, the subtask has %d to %d", ErrForeignKey, k, g, t.cfg.FirstKeyGroup, t.cfg.LastKeyGroup)
	}
	return g, nil
}

// Get returns the value of a key, until the next change of the table; nil when there is none. It is only to be read, unless owned says
// that no snapshot can see it: then it may be changed as what Update returns.
func (t *Table[K, V]) Get(k K) (v *V, owned bool, err error) {
	n := t.find(k, t.hash(k))
	if n == 0 {
		_, err := t.group(k)
		return nil, false, err
	}
	p := t.pages[n/pageSize]
	return &p.entries[n%pageSize].value, p.version == t.version, nil
}

// Update returns the value of a key to be changed in place, until the next call of a method; a new key starts with the zero value.
// What is written there has to belong to the table: memory of records is cloned before.
func (t *Table[K, V]) Update(k K) (*V, error) {
	v, _, err := t.Upsert(k)
	return v, err
}

// Upsert is Update that also says whether the key is new.
func (t *Table[K, V]) Upsert(k K) (v *V, fresh bool, err error) {
	hash := t.hash(k)
	n := t.find(k, hash)
	if n == 0 {
		v, err = t.insert(k, hash)
		return v, true, err
	}
	p := t.pages[n/pageSize]
	if p.version != t.version {
		if p, err = t.own(n); err != nil {
			return nil, false, err
		}
	}
	return &p.entries[n%pageSize].value, false, nil
}

// insert adds a key.
func (t *Table[K, V]) insert(k K, hash uint32) (*V, error) {
	if t.len == maxKeys {
		return nil, fmt.Errorf("state: more than %d keys in one subtask", maxKeys)
	}
	group, err := t.group(k)
	if err != nil {
		return nil, err
	}
	if k, err = t.keys.Clone(k); err != nil { // that of a record may refer to a large buffer
		return nil, err
	}
	n, again := t.last+1, len(t.free)
	if again > 0 {
		n = t.free[again-1]
	} else if int(n/pageSize) == len(t.pages) {
		t.pages = append(t.pages, &page[K, V]{version: t.version})
	}
	p, err := t.own(n)
	if err != nil {
		return nil, err
	}
	if again > 0 {
		t.free = t.free[:again-1]
	} else {
		t.last = n
	}
	p.groups[n%pageSize] = uint16(group) + 1
	e := &p.entries[n%pageSize]
	e.key = k
	if t.texts != nil {
		t.texts.put(n, *(*string)(unsafe.Pointer(&k)))
	}
	t.len++
	t.index.add(slot{hash, n}, t.len)
	return &e.value, nil
}

// own returns the page of an entry, to be written to: one that a snapshot can see is replaced by a copy.
func (t *Table[K, V]) own(number uint32) (*page[K, V], error) {
	p := t.pages[number/pageSize]
	if p.version == t.version {
		return p, nil
	}
	c := *p
	c.version = t.version
	if t.cfg.ValueCodec.References() {
		for i := range c.entries {
			if c.groups[i] == 0 {
				continue
			}
			var err error
			if c.entries[i].value, err = t.values.Clone(p.entries[i].value); err != nil {
				return nil, err
			}
		}
	}
	t.pages[number/pageSize] = &c
	return &c, nil
}

// Delete removes a key and reports whether it was there.
func (t *Table[K, V]) Delete(k K) (bool, error) {
	hash := t.hash(k)
	n := t.find(k, hash)
	if n == 0 {
		_, err := t.group(k)
		return false, err
	}
	p, err := t.own(n)
	if err != nil {
		return false, err
	}
	p.groups[n%pageSize], p.entries[n%pageSize] = 0, entry[K, V]{}
	t.index.remove(slot{hash, n})
	t.free = append(t.free, n)
	t.len--
	return true, nil
}

// All yields keys and values, the values only to be read, in the order of insertion but for keys that took the place of deleted ones. The
// table must not be changed meanwhile.
func (t *Table[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for _, p := range t.used() {
			for i := range p.entries {
				if e := &p.entries[i]; p.groups[i] != 0 && !yield(e.key, &e.value) {
					return
				}
			}
		}
	}
}

// used returns the pages that have held something since Clear.
func (t *Table[K, V]) used() []*page[K, V] {
	return t.pages[:min(len(t.pages), int(t.last/pageSize)+1)]
}

// Clear removes every key. The memory stays, for the next ones.
func (t *Table[K, V]) Clear() {
	for i, p := range t.used() {
		if p.version == t.version {
			*p = page[K, V]{version: t.version}
		} else {
			t.pages[i] = &page[K, V]{version: t.version}
		}
	}
	clear(t.index.slots)
	t.last, t.free, t.len = 0, t.free[:0], 0
}
