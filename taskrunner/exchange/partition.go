package exchange

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/flott-dev/flott/rpc/ids"
)

// Batch is a run of records on its way through a channel, as package operator implements it. Published may be called while the batch is
// queued; everything else belongs to the consumer of the channel.
type Batch interface {
	// Encode appends unread records while the result stays within limit bytes beyond dst; if one is set, at least one record.
	Encode(dst []byte, limit int, one bool) ([]byte, error)
	Timed() bool
	Published() int
	Read() int
	Size() int
	Recycle()
}

// queueLimit is how many sealed batches and events wait in a port before the producer has to: enough for producer and consumer to run side
// by side. A partition with many ports shares out partitionLimit, but two for each.
const (
	queueLimit     = 8
	partitionLimit = 64
)

// PartitionConfig describes what one subtask sends along one edge.
type PartitionConfig struct {
	Edge       ids.EdgeID
	Generation ids.Generation
	Subtask    int
	// FirstConsumer and LastConsumer are the consuming subtasks, both inclusive.
	FirstConsumer, LastConsumer int
	// Wake is called on any goroutine when a port that was full has room again; it must not block.
	Wake func()
	// Wait blocks the producer's goroutine until Wake has been called or the task is to end, which is the error. It may return early.
	Wait func() error
	// Fail is called on any goroutine when records cannot be encoded; the producing task has to fail.
	Fail func(error)
}

// Partition is the producing end of an edge in one subtask.
type Partition struct {
	ex    *Exchange
	cfg   PartitionConfig
	ports []*Port
	limit int          // of each port
	full  atomic.Int32 // ports without room
	bytes atomic.Uint64
}

// OpenPartition registers the channels of a producer; consumers that have asked already are connected. An older generation of the same
// channels ends with ErrStale.
func (e *Exchange) OpenPartition(cfg PartitionConfig) (*Partition, error) {
	p := &Partition{ex: e, cfg: cfg}
	for to := cfg.FirstConsumer; to <= cfg.LastConsumer; to++ {
		p.ports = append(p.ports, &Port{p: p, id: channelID{cfg.Edge, uint32(cfg.Subtask), uint32(to)}})
	}
	p.limit = min(queueLimit, max(2, partitionLimit/max(1, len(p.ports))))
	if err := e.register(p); err != nil {
		return nil, fmt.Errorf("open partition of edge %s in subtask %d: %w", cfg.Edge, cfg.Subtask, err)
	}
	return p, nil
}

// Ports returns the channels, by consumer.
func (p *Partition) Ports() []*Port { return p.ports }

// Available reports whether every port has room. A task asks before it starts on a batch.
func (p *Partition) Available() bool { return p.full.Load() == 0 }

// Idle says that the producer waits and has sealed what it has written. Until it writes again, the buffer timeout need not be watched.
func (p *Partition) Idle() { p.ex.flush.rest() }

// Bytes returns how much has gone out: encoded over connections, in memory within the process.
func (p *Partition) Bytes() uint64 { return p.bytes.Load() }

// Finish says that the producer is done: the last event has been queued. What is queued stays until it has been consumed.
func (p *Partition) Finish() {
	for _, port := range p.ports {
		port.mu.Lock()
		port.ended = true
		gone := port.gone()
		port.mu.Unlock()
		if gone {
			p.ex.unregister(port)
		}
	}
}

// Fail ends the channels because the producer ended early; consumers get the cause as ErrProducerFailed, also those that ask later.
func (p *Partition) Fail(cause error) {
	for _, port := range p.ports {
		port.fail(cause)
		p.ex.bury(port)
	}
}

// consumer is the end of a channel that takes from a port: a Channel of a local gate, or a stream of a connection. Its methods are called
// with the port's lock held.
type consumer interface {
	// attached comes first; false says that the consumer has ended meanwhile.
	attached(o *Port) bool
	// ready says that take will return something. It is not said again before take or done have returned false.
	ready()
	// failed says that nothing more will come.
	failed(err error)
}

// entry is a batch or, when batch is nil, an event.
type entry struct {
	batch  Batch
	event  []byte
	sealed bool
	read   int // records that the consumer has read
	// abandoned: the consumer may still be reading it although the channel has ended
	abandoned bool
}

// Port is one channel's producing end and queue. Offer, Seal, Flush and Event belong to the producer, take and done to the consumer.
type Port struct {
	p  *Partition
	id channelID

	mu       sync.Mutex
	queue    []entry
	waiting  int  // sealed batches and events in the queue
	full     bool // waiting has reached the limit
	open     bool // the batch offered last may get more records
	flush    bool // the consumer is to read what is in the open batch
	notified bool // the consumer knows that there is something
	busy     bool // the consumer works on what take returned
	taken    Batch
	seen     int  // records that it had when it was taken, while it was open
	freed    bool // the producer is to be woken
	in       *atomic.Uint64
	to       consumer
	had      bool // a consumer has been attached
	released bool // the consumer is gone: everything is dropped
	ended    bool // the producer has finished
	err      error
}

// Offer puts a batch, to which records may still be added, at the end of the queue. It waits for room; its error is that of Wait, or why
// the channel cannot be used. It wakes nobody.
func (o *Port) Offer(b Batch) error {
	for {
		o.mu.Lock()
		if !o.full || o.released {
			o.queue = append(o.queue, entry{batch: b})
			o.open = true
			o.mu.Unlock()
			o.p.ex.flush.opened()
			return nil
		}
		o.mu.Unlock()
		if err := o.p.cfg.Wait(); err != nil {
			return err
		}
	}
}

// Seal says that the batch offered last gets no more records, and wakes the consumer.
func (o *Port) Seal() {
	o.mu.Lock()
	o.queue[len(o.queue)-1].sealed = true
	o.closeLocked()
	drop := o.queuedLocked()
	o.mu.Unlock()
	recycle(drop)
}

// closeLocked notes that the batch offered last gets no more records.
func (o *Port) closeLocked() {
	if o.open {
		o.open = false
		o.p.ex.flush.sealed()
	}
}

// Event queues an event behind everything offered and wakes the consumer. Events are few: they find room always.
func (o *Port) Event(payload []byte) error {
	o.mu.Lock()
	o.queue = append(o.queue, entry{event: payload, sealed: true})
	drop := o.queuedLocked()
	o.mu.Unlock()
	recycle(drop)
	return nil
}

// queuedLocked counts the entry sealed last and wakes the consumer; without one for ever, it returns what to recycle.
func (o *Port) queuedLocked() []entry {
	if o.released {
		drop := o.queue
		o.queue = nil
		return drop
	}
	o.waiting++
	if o.waiting >= o.p.limit && !o.full {
		o.full = true
		o.p.full.Add(1)
	}
	o.notifyLocked()
	return nil
}

func recycle(drop []entry) {
	for _, e := range drop {
		if e.batch != nil && !e.abandoned {
			e.batch.Recycle()
		}
	}
}

// Flush wakes the consumer for the records in the batch offered last, if it has not read them.
func (o *Port) Flush() {
	o.mu.Lock()
	if n := len(o.queue); n > 0 && !o.released {
		if e := &o.queue[n-1]; !e.sealed && e.batch.Published() > e.read {
			o.flush = true
			o.notifyLocked()
		}
	}
	o.mu.Unlock()
}

func (o *Port) notifyLocked() {
	if o.to != nil && !o.notified && !o.busy && o.readyLocked() {
		o.notified = true
		o.to.ready()
	}
}

// readyLocked reports whether the head of the queue can be taken.
func (o *Port) readyLocked() bool {
	if len(o.queue) == 0 {
		return false
	}
	e := &o.queue[0]
	return e.sealed || o.flush && e.batch.Published() > e.read
}

// attach connects the consumer; a consumer in the same process gets the bytes counted in.
func (o *Port) attach(to consumer, in *atomic.Uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	if o.had {
		return fmt.Errorf("%w: %s", ErrConsumed, o.id)
	}
	o.had, o.in = true, in
	if !to.attached(o) {
		return fmt.Errorf("%w: %s", errConsumerEnded, o.id)
	}
	o.to = to
	o.notifyLocked()
	return nil
}

// take returns the head of the queue: a batch, or an event, which is off the queue at once; done has to be called for both. backlog is
// what is queued beside it. ok is false when there is nothing; the consumer is told when there is again.
func (o *Port) take() (b Batch, event []byte, backlog int, ok bool) {
	o.mu.Lock()
	for !o.released && len(o.queue) > 0 && o.queue[0].spent() {
		o.retireLocked()
	}
	if o.released || !o.readyLocked() {
		o.notified = false
		wake, gone := o.freed, o.gone()
		o.freed = false
		o.mu.Unlock()
		o.after(wake, gone)
		return nil, nil, 0, false
	}
	defer o.mu.Unlock()
	o.busy = true
	backlog = len(o.queue) - 1
	if e := &o.queue[0]; e.batch != nil {
		if !e.sealed {
			o.flush, o.seen = false, e.batch.Published()
		}
		o.taken = e.batch
		return e.batch, nil, backlog, true
	}
	event = o.queue[0].event
	o.popLocked()
	return nil, event, backlog, true
}

// done ends the work on what take returned. more says that take would return something; if not, the consumer is told later.
func (o *Port) done() (more bool) {
	o.mu.Lock()
	b := o.taken
	o.busy, o.taken = false, nil
	if o.released {
		o.mu.Unlock()
		return false
	}
	if b != nil {
		e := &o.queue[0]
		e.read = b.Read()
		if e.spent() {
			o.retireLocked()
		} else if !e.sealed && e.read < o.seen {
			o.flush = true // the consumer has taken a part
		}
	}
	more = o.readyLocked()
	o.notified = more
	wake := o.freed
	o.freed = false
	gone := o.gone()
	o.mu.Unlock()
	o.after(wake, gone)
	return more
}

// batchNext reports whether take would return a batch whose records have times or not, as asked.
func (o *Port) batchNext(timed bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.released && o.readyLocked() && o.queue[0].batch != nil && o.queue[0].batch.Timed() == timed
}

// spent reports whether an entry is a sealed batch that has been read.
func (e *entry) spent() bool { return e.batch != nil && e.sealed && e.read == e.batch.Published() }

// retireLocked takes a spent batch off and gives it back.
func (o *Port) retireLocked() {
	b := o.queue[0].batch
	o.popLocked()
	if o.in != nil {
		n := uint64(b.Size())
		o.in.Add(n)
		o.p.bytes.Add(n)
	}
	b.Recycle()
}

// popLocked takes the head off.
func (o *Port) popLocked() {
	n := copy(o.queue, o.queue[1:])
	o.queue[n] = entry{}
	o.queue = o.queue[:n]
	o.waiting--
	o.roomLocked()
}

// roomLocked notes that the producer has to be woken.
func (o *Port) roomLocked() {
	if o.full && (o.waiting < o.p.limit || o.released) {
		o.full, o.freed = false, true
		o.p.full.Add(-1)
	}
}

// gone reports whether the port has served its purpose. The caller holds mu.
func (o *Port) gone() bool { return o.ended && (len(o.queue) == 0 || o.released) }

func (o *Port) after(wake, gone bool) {
	if wake {
		o.p.cfg.Wake()
	}
	if gone {
		o.p.ex.unregister(o)
	}
}

// release ends the channel from the consumer's side: what is queued and what will be is dropped. The producer goes on until it is
// cancelled; that the consumer failed is the consumer's report. A batch that the consumer is working on is left to the garbage
// collector.
func (o *Port) release() {
	o.mu.Lock()
	o.released, o.to = true, nil
	if o.taken != nil {
		o.queue[0].abandoned = true
	}
	var drop []entry
	for len(o.queue) > 0 && o.queue[0].sealed {
		drop = append(drop, o.queue[0])
		o.queue = o.queue[1:]
	}
	o.roomLocked()
	wake := o.freed
	o.freed = false
	gone := o.gone()
	o.mu.Unlock()
	recycle(drop)
	o.after(wake, gone)
}

func (o *Port) failure(cause error) error {
	return fmt.Errorf("%w: %s: %v", ErrProducerFailed, o.id, cause)
}

// fail ends the channel from the producer's side.
func (o *Port) fail(cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closeLocked()
	if o.err != nil {
		return
	}
	o.err = o.failure(cause)
	if o.to != nil {
		o.to.failed(o.err)
	}
}
