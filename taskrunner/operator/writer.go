package operator

import (
	"github.com/flott-dev/flott/rpc/plan"
)

// writer is what the writers of an edge share: the open batch of each channel.
type writer[T any] struct {
	flush   bool
	pool    *batchPool[T]
	chans   []channel[T]
	records uint64
}

type channel[T any] struct {
	open *Batch[T] // nil: none
	port Port
}

func newWriter[T any](c Codec[T], cfg WriterConfig) writer[T] {
	capacity := max(MaxBatch, min(channelBatch, writerBatches/max(1, len(cfg.Ports))))
	w := writer[T]{flush: cfg.FlushEach, pool: newBatchPool(c, capacity), chans: make([]channel[T], len(cfg.Ports))}
	for i, p := range cfg.Ports {
		w.chans[i].port = p
	}
	return w
}

// add puts a record into a channel.
func (w *writer[T]) add(c *channel[T], v *T, t Time) error {
	w.records++
	if a := c.open.append(v, t); a != taken || w.flush {
		return w.turn(c, a, v, t)
	}
	return nil
}

// turn does what is not done for most records: begin a batch, seal one, wake the consumer.
func (w *writer[T]) turn(c *channel[T], a appended, v *T, t Time) error {
	if a == refused {
		c.seal()
		b := w.pool.get()
		b.first(t)
		a = b.append(v, t)
		if err := c.port.Offer(b); err != nil {
			return err
		}
		c.open = b
	}
	if a == last {
		c.seal()
	} else if w.flush {
		c.port.Flush()
	}
	return nil
}

// seal ends the open batch, if there is one.
func (c *channel[T]) seal() {
	if c.open != nil {
		c.open = nil
		c.port.Seal()
	}
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
		w.chans[i].seal()
	}
}

// Records implements EdgeWriter.
func (w *writer[T]) Records() uint64 { return w.records }

// forwardWriter has one channel.
type forwardWriter[T any] struct{ writer[T] }

func newForwardWriter[T any](c Codec[T], cfg WriterConfig) *forwardWriter[T] {
	return &forwardWriter[T]{newWriter(c, cfg)}
}

func (w *forwardWriter[T]) Collect(v T, t Time) error { return w.add(&w.chans[0], &v, t) }

// rebalanceWriter takes the channels in turn, one record each.
type rebalanceWriter[T any] struct {
	writer[T]
	at int
}

func newRebalanceWriter[T any](c Codec[T], cfg WriterConfig) *rebalanceWriter[T] {
	return &rebalanceWriter[T]{writer: newWriter(c, cfg), at: cfg.Subtask % len(cfg.Ports)}
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
	w := &hashWriter[T, K]{writer: newWriter(e.Codec, cfg), of: e.Of, hasher: e.Key.Hasher(), max: cfg.MaxParallelism, owner: make([]uint16, cfg.MaxParallelism)}
	for g := range w.owner {
		w.owner[g] = uint16(plan.KeyGroupOwner(g, cfg.MaxParallelism, cfg.Parallelism))
	}
	return w
}

func (w *hashWriter[T, K]) Collect(v T, t Time) error {
	if len(w.chans) == 1 {
		return w.add(&w.chans[0], &v, t)
	}
	k := w.of(v)
	return w.add(&w.chans[w.owner[w.hasher.group(&k, w.max)]], &v, t)
}

// copyWriter is in front of a writer whose records are copied before they are shared with another goroutine.
type copyWriter[T any] struct {
	EdgeWriter
	copier copier[T]
}

// copying puts a copyWriter in front of a writer of records that can be written to, if that is configured.
func copying[T any](c Codec[T], cfg WriterConfig, w interface {
	EdgeWriter
	Output[T]
}) any {
	if !cfg.Copy || !sharesWritable(c) {
		return w
	}
	return &copyWriter[T]{EdgeWriter: w, copier: copier[T]{NewCloner(c), w}}
}

func (w *copyWriter[T]) Collect(v T, t Time) error { return w.copier.Collect(v, t) }
