package transform

import (
	"context"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/state"
)

const (
	// combineKeys is how many keys a combiner holds before it hands them on.
	combineKeys = 1 << 16
	// combineBytes bounds what these keys and accumulators refer to, roughly.
	combineBytes = 8 << 20
	// A round that turns more than nine of ten records into keys of their own has been in vain: the combiner lets this many records pass
	// before it tries again.
	combinePause = 1 << 18
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
	b := &combiner[K, I, A]{Base: operator.Base[KV[K, A]]{Next: out}, cfg: c.Fold}
	if c.AccCodec.References() {
		b.cloner = operator.NewCloner(c.AccCodec)
	}
	return b, nil
}

// combiner holds accumulators until they are many.
type combiner[K comparable, I, A any] struct {
	operator.Base[KV[K, A]]
	cfg     Fold[K, I, A]
	accs    *state.Table[K, A]
	cloner  *operator.Cloner[A] // nil: accumulators refer to no memory
	work    A                   // on the heap, for Add
	records int                 // since the table was empty
	bytes   int                 // that keys and accumulators refer to, roughly
	pass    int                 // records that still go through as they are

	// The records that are folded next, all at once: as they came, since nobody changes a record that has been emitted.
	pending int
	values  [state.Window]I
	keys    [state.Window]K
	found   [state.Window]*A
}

// Open implements operator.Operator.
func (c *combiner[K, I, A]) Open(ctx context.Context, o operator.Context) error {
	all := o // keys of every group come by
	all.FirstKeyGroup, all.LastKeyGroup = 0, o.MaxParallelism-1
	var err error
	if c.accs, err = newTable(all, c.cfg.Key, c.cfg.KeyCodec, c.cfg.AccCodec); err != nil {
		return err
	}
	return c.Base.Open(ctx, o)
}

// Collect implements operator.Collector.
func (c *combiner[K, I, A]) Collect(v I, _ operator.Time) error {
	i := c.pending
	if c.pass > 0 && i == 0 {
		return c.through(c.cfg.Of(v), v)
	}
	c.values[i], c.keys[i] = v, c.cfg.Of(v)
	if c.pending = i + 1; c.pending < state.Window {
		return nil
	}
	return c.fold()
}

// fold folds the pending records.
func (c *combiner[K, I, A]) fold() error {
	n := c.pending
	c.pending = 0
	c.accs.Find(c.keys[:n], &c.found)
	for i, v := range c.values[:n] {
		if acc := c.found[i]; acc != nil && c.cloner == nil { // most records
			c.records++
			c.cfg.Add(acc, false, v)
		} else if err := c.add(c.keys[i], v); err != nil {
			return err
		}
	}
	return nil
}

// add folds one record.
func (c *combiner[K, I, A]) add(key K, v I) error {
	if c.pass > 0 {
		return c.through(key, v)
	}
	c.records++
	acc, fresh, err := c.accs.Upsert(key)
	if err != nil {
		return err
	}
	if fresh {
		c.bytes += c.cfg.KeyCodec.Extra(&key)
	}
	if c.cloner == nil {
		c.cfg.Add(acc, fresh, v)
	} else if err := c.addCopy(acc, fresh, v); err != nil {
		return err
	}
	if !fresh || c.accs.Len() < combineKeys && c.bytes < combineBytes {
		return nil
	}
	if c.accs.Len() > c.records/10*9 {
		c.pass = combinePause
	}
	return c.flush()
}

// addCopy keeps the accumulator's memory apart from that of the record.
func (c *combiner[K, I, A]) addCopy(acc *A, fresh bool, v I) error {
	var zero A
	before := c.cfg.AccCodec.Extra(acc)
	c.work = *acc
	c.cfg.Add(&c.work, fresh, v)
	copied, err := c.cloner.Clone(c.work)
	c.work = zero
	if err != nil {
		return err
	}
	*acc = copied
	c.bytes += c.cfg.AccCodec.Extra(acc) - before
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

// flush hands on what has been folded, in the order in which keys came first. What has been found is found no more.
func (c *combiner[K, I, A]) flush() error {
	for k, acc := range c.accs.All() {
		if err := c.Next.Collect(KV[K, A]{k, *acc}, operator.NoTime); err != nil {
			return err
		}
	}
	c.accs.Clear()
	clear(c.found[:])
	c.records, c.bytes = 0, 0
	return nil
}

// Control implements operator.Operator.
func (c *combiner[K, I, A]) Control(ev operator.Event) error {
	if err := c.fold(); err != nil {
		return err
	}
	clear(c.values[:])
	clear(c.keys[:])
	if err := c.flush(); err != nil {
		return err
	}
	return c.Next.Control(ev)
}
