package transform

import (
	"context"
	"fmt"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/state"
)

// KV is a key and what belongs to it.
type KV[K comparable, V any] struct {
	Key   K
	Value V
}

// Fold says how records of type I with keys of type K become an accumulator of type A.
type Fold[K comparable, I, A any] struct {
	Key      *operator.Key[K]
	KeyCodec operator.Codec[K]
	AccCodec operator.Codec[A]
	// Of is the key of a record, a pure function.
	Of func(I) K
	// Add puts a record into the accumulator of its key, which is the zero value when fresh.
	Add func(acc *A, fresh bool, v I)
}

// Aggregate is the factory of an operator that keeps one accumulator per key. In batch it emits Result once per key at the end of the
// data, else after every record.
type Aggregate[K comparable, I, A, O any] struct {
	Fold[K, I, A]
	Result func(K, A) O
}

// New implements operator.Factory.
func (a Aggregate[K, I, A, O]) New(next any) (operator.Operator, error) {
	out, err := operator.AsOutput[O](next)
	if err != nil {
		return nil, err
	}
	g := &aggregator[K, I, A, O]{Base: operator.Base[O]{Next: out}, cfg: a}
	if a.AccCodec.References() {
		g.cloner = operator.NewCloner(a.AccCodec)
	}
	return g, nil
}

type aggregator[K comparable, I, A, O any] struct {
	operator.Base[O]
	cfg      Aggregate[K, I, A, O]
	accs     *state.Table[K, A]
	cloner   *operator.Cloner[A] // nil: accumulators refer to no memory
	work     A                   // on the heap, for Add
	restored []byte
	emitted  bool

	keys  [state.Window]K // of the records that CollectBatch is at
	found [state.Window]*A
}

// Restore implements operator.Operator.
func (g *aggregator[K, I, A, O]) Restore(b []byte) error {
	g.restored = b
	return nil
}

// Open implements operator.Operator.
func (g *aggregator[K, I, A, O]) Open(ctx context.Context, c operator.Context) error {
	var err error
	if g.accs, err = newTable(c, g.cfg.Key, g.cfg.KeyCodec, g.cfg.AccCodec); err != nil {
		return err
	}
	if len(g.restored) > 0 {
		if err := g.accs.Restore(g.restored); err != nil {
			return err
		}
	}
	g.restored = nil
	return g.Base.Open(ctx, c)
}

// newTable returns the table of one operator in one subtask.
func newTable[K comparable, V any](c operator.Context, key *operator.Key[K], kc operator.Codec[K], vc operator.Codec[V]) (*state.Table[K, V], error) {
	return state.New(state.Config[K, V]{Key: key.Hasher(), KeyCodec: kc, ValueCodec: vc,
		MaxParallelism: c.MaxParallelism, FirstKeyGroup: c.FirstKeyGroup, LastKeyGroup: c.LastKeyGroup})
}

// Collect implements operator.Collector.
func (g *aggregator[K, I, A, O]) Collect(v I, t operator.Time) error {
	k := g.cfg.Of(v)
	acc, fresh, err := g.accs.Upsert(k)
	if err != nil {
		return err
	}
	return g.add(k, acc, fresh, v, t)
}

// add puts a record into the accumulator of its key.
func (g *aggregator[K, I, A, O]) add(k K, acc *A, fresh bool, v I, t operator.Time) error {
	if g.cloner == nil {
		g.cfg.Add(acc, fresh, v)
	} else if err := g.addCopy(acc, fresh, v); err != nil {
		return err
	}
	if g.Batch {
		return nil
	}
	return g.Next.Collect(g.cfg.Result(k, *acc), t)
}

// CollectBatch implements operator.Batcher.
func (g *aggregator[K, I, A, O]) CollectBatch(values []I, times []operator.Time) error {
	for len(values) > 0 {
		n := min(len(values), len(g.keys))
		for i := range values[:n] {
			g.keys[i] = g.cfg.Of(values[i])
		}
		g.accs.Find(g.keys[:n], &g.found)
		for i, v := range values[:n] {
			if acc := g.found[i]; acc != nil && g.Batch && g.cloner == nil { // most records
				g.cfg.Add(acc, false, v)
				continue
			}
			t := operator.NoTime
			if times != nil {
				t = times[i]
			}
			var err error
			if acc := g.found[i]; acc != nil {
				err = g.add(g.keys[i], acc, false, v, t)
			} else {
				err = g.Collect(v, t)
			}
			if err != nil {
				return err
			}
		}
		values = values[n:]
		if times != nil {
			times = times[n:]
		}
	}
	clear(g.keys[:])
	return nil
}

// addCopy keeps the table's memory apart from that of the record.
func (g *aggregator[K, I, A, O]) addCopy(acc *A, fresh bool, v I) error {
	var zero A
	g.work = *acc
	g.cfg.Add(&g.work, fresh, v)
	c, err := g.cloner.Clone(g.work)
	g.work = zero
	if err != nil {
		return err
	}
	*acc = c
	return nil
}

// Control implements operator.Operator: what a batch holds goes out before the last watermark and the end of the data.
func (g *aggregator[K, I, A, O]) Control(ev operator.Event) error {
	last := ev.Kind == operator.EndOfData || ev.Kind == operator.Watermark && ev.Time == lastWatermark
	if g.Batch && last && !g.emitted {
		g.emitted = true
		for k, acc := range g.accs.All() {
			if err := g.Next.Collect(g.cfg.Result(k, *acc), operator.NoTime); err != nil {
				return err
			}
		}
	}
	return g.Next.Control(ev)
}

// lastWatermark is the time of the watermark at the end of all data.
const lastWatermark = operator.Time(1<<63 - 1)

// Snapshot implements operator.Operator.
func (g *aggregator[K, I, A, O]) Snapshot(uint64) ([]byte, error) {
	b, err := g.accs.Snapshot().Append(nil)
	if err != nil {
		return nil, fmt.Errorf("snapshot %q: %w", g.Name, err)
	}
	return b, nil
}
