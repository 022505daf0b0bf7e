package operator

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Bounds of a batch.
const (
	// MaxBatch is how many records a task handles before it looks for other work: what a source's Poll hands on at most, and how many
	// records of a batch Head.Batch does.
	MaxBatch = 512
	// channelBatch is the greatest capacity of a batch in a channel. Whatever is done for a batch costs two tasks a lock and a wakeup, two
	// processes several system calls. A writer with many channels keeps an open batch for each: they share out writerBatches.
	channelBatch  = 8 * MaxBatch
	writerBatches = 16 * channelBatch
	// batchBytes bounds the values themselves (capacity × size of T), and separately what they refer to.
	batchBytes = 64 << 10
)

// Batch is a run of records of one type, with a fixed capacity; it never grows. Either all its records have a time or none has.
//
// The producer adds records and publishes each at once; the consumer reads what has been published, maybe while the producer still adds
// behind it. Who is the producer and who the consumer changes only with a lock or through a queue in between. Neither looks at the other
// one's fields: n alone is shared.
type Batch[T any] struct {
	values []T
	times  []Time // made with the first record that has a time
	codec  Codec[T]
	runs   runCodec[T] // of codec
	pool   *batchPool[T]
	size

	// producer
	added int
	extra int // bytes that the values refer to
	timed bool

	n    atomic.Int64 // published records
	read int          // consumer
}

// size is how to find out what a value refers to.
type size struct {
	texts    []uintptr // where T's strings are, when it refers to memory with nothing else
	measured bool      // by Codec.Extra
}

// batchPool keeps the batches of one producer. Consumers give them back from their goroutines.
type batchPool[T any] struct {
	codec    Codec[T]
	runs     runCodec[T]
	capacity int
	clear    bool // T has pointers
	size

	mu   sync.Mutex
	free []*Batch[T]
}

func newBatchPool[T any](c Codec[T], capacity int) *batchPool[T] {
	var v T
	if size := int(unsafe.Sizeof(v)); size > 0 {
		capacity = max(1, min(capacity, batchBytes/size))
	}
	p := &batchPool[T]{codec: c, runs: runs(c), capacity: capacity, clear: c.References()}
	if c, ok := c.(*compiled[T]); ok {
		p.texts = c.texts()
	}
	p.measured = p.clear && p.texts == nil
	return p
}

func (p *batchPool[T]) get() *Batch[T] {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	return &Batch[T]{values: make([]T, p.capacity), codec: p.codec, runs: p.runs, pool: p, size: p.size}
}

// NewBatch returns a batch for one goroutine, which fills it and drains it. Benchmarks of operators do, and tests.
func NewBatch[T any](c Codec[T]) *Batch[T] { return newBatchPool(c, MaxBatch).get() }

// Append adds a record and publishes it, and reports whether there was room. A full batch, one whose records differ from this one in
// having a time, and one whose records refer to much memory have none; an empty one always has.
func (b *Batch[T]) Append(v T, t Time) bool {
	if b.added == 0 {
		b.first(t)
	}
	return b.append(&v, t) != refused
}

// first is called before the first record is added.
func (b *Batch[T]) first(t Time) {
	if b.timed = t != NoTime; b.timed && b.times == nil {
		b.times = make([]Time, len(b.values))
	}
}

// appended says what became of a record.
type appended uint8

const (
	refused appended = iota
	taken
	last // taken, and there is no room for another one
)

// append is Append after first; a batch that is nil has no room.
func (b *Batch[T]) append(v *T, t Time) appended {
	if b == nil {
		return refused
	}
	i := b.added
	if i >= len(b.values) || b.timed != (t != NoTime) {
		return refused
	}
	at := &b.values[i]
	*at = *v
	extra := b.extra
	for _, offset := range b.texts { // most records: without a dynamic call
		extra += len(*(*string)(unsafe.Add(unsafe.Pointer(at), offset)))
	}
	if b.measured {
		extra += b.codec.Extra(at)
	}
	if extra > batchBytes && i > 0 {
		var zero T
		*at = zero
		return refused
	}
	if b.timed {
		b.times[i] = t
	}
	b.extra, b.added = extra, i+1
	b.n.Store(int64(i + 1))
	if i+1 == len(b.values) || extra >= batchBytes {
		return last
	}
	return taken
}

// each hands unread records to out, at most so many, and returns how many there were.
func (b *Batch[T]) each(out Output[T], most int) (int, error) {
	n, t := min(int(b.n.Load()), b.read+most), NoTime
	for i := b.read; i < n; i++ {
		if b.timed {
			t = b.times[i]
		}
		if err := out.Collect(b.values[i], t); err != nil {
			return i + 1 - b.read, err
		}
	}
	n, b.read = n-b.read, n
	return n, nil
}

// Drain hands every unread record to out, then empties the batch for its next use. It is for a batch with one goroutine.
func (b *Batch[T]) Drain(out Output[T]) error {
	_, err := b.each(out, len(b.values))
	b.reset()
	return err
}

// reset empties the batch; values that refer to memory are cleared.
func (b *Batch[T]) reset() {
	if b.pool.clear {
		clear(b.values[:b.added])
	}
	b.added, b.extra, b.read, b.timed = 0, 0, 0, false
	b.n.Store(0)
}

// Encode implements Shared.
func (b *Batch[T]) Encode(dst []byte, limit int, one bool) ([]byte, error) {
	n := int(b.n.Load())
	if b.timed {
		return b.encodeTimed(dst, n, limit, one)
	}
	dst, taken, err := b.runs.appendRun(dst, b.values[b.read:n], limit, one)
	b.read += taken
	return dst, err
}

// encodeTimed is Encode of records up to n with the time in front of each.
func (b *Batch[T]) encodeTimed(dst []byte, n, limit int, one bool) ([]byte, error) {
	start := len(dst)
	for b.read < n {
		mark := len(dst)
		var err error
		if dst, err = b.codec.Append(binary.LittleEndian.AppendUint64(dst, uint64(b.times[b.read])), &b.values[b.read]); err != nil {
			return dst[:mark], err
		}
		back, full := within(start, mark, len(dst), limit, one)
		if back {
			return dst[:mark], nil
		}
		b.read++
		if full {
			break
		}
	}
	return dst, nil
}

// Timed implements Shared.
func (b *Batch[T]) Timed() bool { return b.timed }

// Published implements Shared.
func (b *Batch[T]) Published() int { return int(b.n.Load()) }

// Read implements Shared.
func (b *Batch[T]) Read() int { return b.read }

// Size implements Shared. It is exact once the batch is sealed.
func (b *Batch[T]) Size() int {
	var v T
	return int(b.n.Load())*int(unsafe.Sizeof(v)) + b.extra
}

// Recycle implements Shared.
func (b *Batch[T]) Recycle() {
	b.reset()
	p := b.pool
	p.mu.Lock()
	p.free = append(p.free, b)
	p.mu.Unlock()
}
