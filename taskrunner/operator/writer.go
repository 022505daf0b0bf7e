package operator

import (
	"github.com/flott-dev/flott/rpc/plan"
)

// writer is what the writers of an edge share: the open batch of each channel.
type writer[T any] struct {
	flush   bool
	cloner  *Cloner[T] // nil: records are shared as they are
	pool    *batchPool[T]
	chans   []channel[T]
	records uint64
}

type channel[T any] struct {
	open *Batch[T]
	port Port
}

func (w *writer[T]) init(c Codec[T], cfg WriterConfig) {
	w.flush, w.pool = cfg.FlushEach, newBatchPool(c)
	if cfg.Copy && sharesWritable(c) {
		w.cloner = NewCloner(c)
	}
	w.chans = make([]channel[T], len(cfg.Ports))
	for i, p := range cfg.Ports {
		w.chans[i].port = p
	}
}

// add puts a record into a channel.
func (w *writer[T]) add(c *channel[T], v *T, t Time) error {
	w.records++
	if w.cloner != nil {
		var err error
		if *v, err = w.cloner.Clone(*v); err != nil {
			return err
		}
	}
	b := c.open
	if b == nil || !b.append(v, t) {
		var err error
		if b, err = w.begin(c, v, t); err != nil {
			return err
		}
	}
	if b.Full() {
		c.open = nil
		c.port.Seal()
	} else if w.flush {
		c.port.Flush()
	}
	return nil
}

// begin seals the open batch, which the record does not fit in, and puts the record into a new one.
func (w *writer[T]) begin(c *channel[T], v *T, t Time) (*Batch[T], error) {
	if c.open != nil {
		c.open = nil
		c.port.Seal()
	}
	b := w.pool.get()
	b.append(v, t)
	if err := c.port.Offer(b); err != nil {
		return nil, err
	}
	c.open = b
	return b, nil
}

// Control implements EdgeWriter.
func (w *writer[T]) Control(ev Event) error {
	w.Flush()
	payload := ev.Append(make([]byte, 0, eventSize))
	for i := range w.chans {
		if err := w.chans[i].port.Event(payload); err != nil {
			return err
		}
	}
	return nil
}

// Flush implements EdgeWriter.
func (w *writer[T]) Flush() {
	for i := range w.chans {
		if c := &w.chans[i]; c.open != nil {
			c.open = nil
			c.port.Seal()
		}
	}
}

// Records implements EdgeWriter.
func (w *writer[T]) Records() uint64 { return w.records }

// forwardWriter has one channel.
type forwardWriter[T any] struct{ writer[T] }

func newForwardWriter[T any](c Codec[T], cfg WriterConfig) *forwardWriter[T] {
	w := &forwardWriter[T]{}
	w.init(c, cfg)
	return w
}

func (w *forwardWriter[T]) Collect(v T, t Time) error { return w.add(&w.chans[0], &v, t) }

// rebalanceWriter takes the channels in turn, one record each.
type rebalanceWriter[T any] struct {
	writer[T]
	at int
}

func newRebalanceWriter[T any](c Codec[T], cfg WriterConfig) *rebalanceWriter[T] {
	w := &rebalanceWriter[T]{at: cfg.Subtask % len(cfg.Ports)}
	w.init(c, cfg)
	return w
}

func (w *rebalanceWriter[T]) Collect(v T, t Time) error {
	c := &w.chans[w.at]
	if w.at++; w.at == len(w.chans) {
		w.at = 0
	}
	return w.add(c, &v, t)
}

// hashWriter sends a record to the owner of its key's group.
type hashWriter[T any, K comparable] struct {
	writer[T]
	of     func(T) K
	hasher *Hasher[K]
	max    int
	owner  []uint16 // by key group
}

func newHashWriter[T any, K comparable](e HashEdge[T, K], cfg WriterConfig) *hashWriter[T, K] {
	w := &hashWriter[T, K]{of: e.Of, hasher: e.Key.Hasher(), max: cfg.MaxParallelism, owner: make([]uint16, cfg.MaxParallelism)}
	for g := range w.owner {
		w.owner[g] = uint16(plan.KeyGroupOwner(g, cfg.MaxParallelism, cfg.Parallelism))
	}
	w.init(e.Codec, cfg)
	return w
}

func (w *hashWriter[T, K]) Collect(v T, t Time) error {
	if len(w.chans) == 1 {
		return w.add(&w.chans[0], &v, t)
	}
	k := w.of(v)
	g := plan.KeyGroup(w.hasher.Hash(&k), w.max)
	return w.add(&w.chans[w.owner[g]], &v, t)
}
