package transform

import (
	"github.com/flott-dev/flott/taskrunner/operator"
)

const (
	// combineKeys is how many keys a combiner holds before it hands them on.
	combineKeys = 1 << 16
	// combineSlots is the size of an empty table; it grows with the keys and stays.
	combineSlots = 1 << 10
	// combineBytes bounds what these keys and accumulators refer to, roughly.
	combineBytes = 8 << 20
	// A round that turns more than nine of ten records into keys of their own has been in vain: the combiner lets this many records pass
	// before it tries again.
	combinePause = 1 << 18
	// combineWindow is how many records are looked up at once. The table is larger than the processor's caches, so that a lookup is a few
	// waits for memory; those of a window pass at the same time.
	combineWindow = 16
)

// Combine is the factory of an operator in front of an exchange by key: it folds records with the same key into one, as far as it has
// seen them. It keeps nothing over a control event. Its output is KV[K, A].
type Combine[K comparable, I, A any] struct{ Fold[K, I, A] }

// New implements operator.Factory.
func (c Combine[K, I, A]) New(next any) (operator.Operator, error) {
	out, err := operator.AsOutput[KV[K, A]](next)
	if err != nil {
		return nil, err
	}
	b := &combiner[K, I, A]{Base: operator.Base[KV[K, A]]{Next: out}, cfg: c.Fold, hasher: c.Key.Hasher(), slots: make([]combineSlot, combineSlots)}
	if c.KeyCodec.References() {
		b.keys = operator.NewCloner(c.KeyCodec)
	}
	if c.AccCodec.References() {
		b.accs = operator.NewCloner(c.AccCodec)
	}
	return b, nil
}

// combiner is an open-addressed table, at most half full, that is emptied as a whole.
type combiner[K comparable, I, A any] struct {
	operator.Base[KV[K, A]]
	cfg     Fold[K, I, A]
	hasher  *operator.Hasher[K]
	keys    *operator.Cloner[K] // nil: keys refer to no memory
	accs    *operator.Cloner[A]
	slots   []combineSlot
	entries []KV[K, A]
	work    A // on the heap, for Add
	records int
	bytes   int
	pass    int // records that still go through as they are
	rounds  int // how often the table has been emptied

	// The records that are folded next, all at once: as they came, since nobody changes a record that has been emitted.
	pending int
	values  [combineWindow]I
	of      [combineWindow]K // their keys
}

// combineSlot holds the hash of a key and the number of its entry, from 1 on.
type combineSlot struct{ hash, number uint32 }

// Collect implements operator.Collector.
func (c *combiner[K, I, A]) Collect(v I, _ operator.Time) error {
	i := c.pending
	if c.pass > 0 && i == 0 {
		return c.through(c.cfg.Of(v), v)
	}
	c.values[i], c.of[i] = v, c.cfg.Of(v)
	if c.pending = i + 1; c.pending < combineWindow {
		return nil
	}
	return c.fold()
}

// fold folds the pending records. First it looks for the entries of all, without a change in between.
func (c *combiner[K, I, A]) fold() error {
	n := c.pending
	c.pending = 0
	var hashes, found [combineWindow]uint32
	var first [combineWindow]combineSlot
	for i, key := range c.of[:n] {
		hashes[i] = c.hasher.Local(key)
	}
	mask := uint32(len(c.slots) - 1)
	for i, hash := range hashes[:n] {
		first[i] = c.slots[hash&mask]
	}
	for i, key := range c.of[:n] {
		if s := first[i]; s.number != 0 && s.hash == hashes[i] && c.entries[s.number-1].Key == key {
			found[i] = s.number
		}
	}
	round := c.rounds
	for i, v := range c.values[:n] {
		var err error
		switch at := found[i]; {
		case at == 0 || c.rounds != round:
			err = c.add(c.of[i], hashes[i], v)
		case c.accs == nil:
			c.records++
			c.cfg.Add(&c.entries[at-1].Value, false, v)
		default:
			c.records++
			err = c.addCopy(&c.entries[at-1], false, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add folds one record.
func (c *combiner[K, I, A]) add(key K, hash uint32, v I) error {
	if c.pass > 0 {
		return c.through(key, v)
	}
	c.records++
	mask := uint32(len(c.slots) - 1)
	i := hash & mask
	for ; c.slots[i].number != 0; i = (i + 1) & mask {
		if c.slots[i].hash != hash {
			continue
		}
		if e := &c.entries[c.slots[i].number-1]; e.Key == key || c.hasher.Same(&e.Key, &key) {
			if c.accs == nil {
				c.cfg.Add(&e.Value, false, v)
				return nil
			}
			return c.addCopy(e, false, v)
		}
	}
	return c.insert(combineSlot{hash, uint32(len(c.entries) + 1)}, i, key, v)
}

// insert adds an entry, and hands all on when that is enough.
func (c *combiner[K, I, A]) insert(s combineSlot, at uint32, key K, v I) error {
	e := KV[K, A]{Key: key}
	if c.keys != nil {
		var err error
		if e.Key, err = c.keys.Clone(key); err != nil {
			return err
		}
	}
	c.slots[at] = s
	c.entries = append(c.entries, e)
	last := &c.entries[len(c.entries)-1]
	if c.keys != nil {
		c.bytes += c.cfg.KeyCodec.Extra(&last.Key)
	}
	if c.accs == nil {
		c.cfg.Add(&last.Value, true, v)
	} else if err := c.addCopy(last, true, v); err != nil {
		return err
	}
	if len(c.entries) < combineKeys && c.bytes < combineBytes {
		if 2*len(c.entries) > len(c.slots) {
			c.grow()
		}
		return nil
	}
	if len(c.entries) > c.records/10*9 {
		c.pass = combinePause
	}
	return c.flush()
}

// grow doubles the slots.
func (c *combiner[K, I, A]) grow() {
	old := c.slots
	c.slots = make([]combineSlot, 2*len(old))
	mask := uint32(len(c.slots) - 1)
	for _, s := range old {
		if s.number == 0 {
			continue
		}
		i := s.hash & mask
		for c.slots[i].number != 0 {
			i = (i + 1) & mask
		}
		c.slots[i] = s
	}
}

// addCopy keeps the accumulator's memory apart from that of the record.
func (c *combiner[K, I, A]) addCopy(e *KV[K, A], fresh bool, v I) error {
	var zero A
	before := c.cfg.AccCodec.Extra(&e.Value)
	c.work = e.Value
	c.cfg.Add(&c.work, fresh, v)
	acc, err := c.accs.Clone(c.work)
	c.work = zero
	if err != nil {
		return err
	}
	e.Value = acc
	c.bytes += c.cfg.AccCodec.Extra(&e.Value) - before
	return nil
}

// through hands a record on as an accumulator of its own.
func (c *combiner[K, I, A]) through(key K, v I) error {
	c.pass--
	var zero A
	c.work = zero
	c.cfg.Add(&c.work, true, v)
	acc := c.work
	c.work = zero
	return c.Next.Collect(KV[K, A]{key, acc}, operator.NoTime)
}

// flush hands on what has been folded, in the order in which keys came first.
func (c *combiner[K, I, A]) flush() error {
	for i := range c.entries {
		if err := c.Next.Collect(c.entries[i], operator.NoTime); err != nil {
			return err
		}
	}
	clear(c.entries)
	clear(c.slots)
	c.entries, c.records, c.bytes = c.entries[:0], 0, 0
	c.rounds++
	return nil
}

// Control implements operator.Operator.
func (c *combiner[K, I, A]) Control(ev operator.Event) error {
	if err := c.fold(); err != nil {
		return err
	}
	clear(c.values[:])
	clear(c.of[:])
	if err := c.flush(); err != nil {
		return err
	}
	return c.Next.Control(ev)
}
