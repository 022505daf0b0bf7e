package operator

import (
	"encoding/binary"
	"fmt"
)

// Batcher is implemented by an Output[T] that works better on many records at once, as those that look up state.
type Batcher[T any] interface {
	// CollectBatch takes records in their order, as Collect would one by one. times is nil when none has a time. The slices are the
	// caller's again when it returns.
	CollectBatch(values []T, times []Time) error
}

// decoded is how many records of a frame a Batcher gets at once.
const decoded = 64

// head is the typed head of a chain behind an exchange.
type head[T any] struct {
	codec   Codec[T]
	runs    runCodec[T] // of codec
	next    Output[T]
	many    Batcher[T] // next, if it is one
	records uint64
	values  []T // being decoded: on the heap, so that decoding does not allocate; one, or decoded for a Batcher
	times   []Time
}

func newHead[T any](c Codec[T], next Output[T]) *head[T] {
	h := &head[T]{codec: c, runs: runs(c), next: next}
	n := 1
	if many, ok := next.(Batcher[T]); ok {
		h.many, n = many, decoded
	}
	h.values, h.times = make([]T, n), make([]Time, n)
	return h
}

// Batch implements Head.
func (h *head[T]) Batch(b any) error {
	batch, ok := b.(*Batch[T])
	if !ok {
		return fmt.Errorf("input of records of type %s got a %T", TypeName[T](), b)
	}
	if h.many == nil {
		n, err := batch.each(h.next, MaxBatch)
		h.records += uint64(n)
		return err
	}
	first := batch.read
	n := min(batch.Published(), first+MaxBatch)
	batch.read = n
	h.records += uint64(n - first)
	if first == n {
		return nil
	}
	var times []Time
	if batch.timed {
		times = batch.times[first:n]
	}
	return h.many.CollectBatch(batch.values[first:n], times)
}

// Frame implements Head. Types that refer to memory are decoded from a copy, which belongs to the garbage collector.
func (h *head[T]) Frame(data []byte, timed bool) error {
	if h.codec.References() {
		chunk := make([]byte, len(data)) // not cleared first, when copy follows
		copy(chunk, data)
		data = chunk
	}
	defer clear(h.values)
	for len(data) > 0 {
		rest, n, err := h.decode(data, timed)
		h.records += uint64(n)
		data = rest
		if err := h.hand(n, timed); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decode reads as many records as there is room for, and returns how many came in front of an error.
func (h *head[T]) decode(data []byte, timed bool) (rest []byte, n int, err error) {
	if timed {
		rest, n, err = h.decodeTimed(data)
	} else {
		rest, n, err = h.runs.decodeRun(data, h.values)
	}
	if err != nil {
		return nil, n, fmt.Errorf("decode a record of type %s: %w", TypeName[T](), err)
	}
	return rest, n, nil
}

// decodeTimed is decode of records with the time in front of each.
func (h *head[T]) decodeTimed(data []byte) (rest []byte, n int, err error) {
	for ; n < len(h.values) && len(data) > 0; n++ {
		if len(data) < 8 {
			return nil, n, fmt.Errorf("its time: %w", ErrTruncated)
		}
		h.times[n] = Time(binary.LittleEndian.Uint64(data))
		if data, err = h.codec.Decode(data[8:], &h.values[n]); err != nil {
			return nil, n, err
		}
	}
	return data, n, nil
}

// hand hands on the first n decoded records.
func (h *head[T]) hand(n int, timed bool) error {
	switch {
	case n == 0:
		return nil
	case h.many == nil && timed:
		return h.next.Collect(h.values[0], h.times[0])
	case h.many == nil:
		return h.next.Collect(h.values[0], NoTime)
	case timed:
		return h.many.CollectBatch(h.values[:n], h.times[:n])
	}
	return h.many.CollectBatch(h.values[:n], nil)
}

// Control implements Head.
func (h *head[T]) Control(ev Event) error { return h.next.Control(ev) }

// Records implements Head.
func (h *head[T]) Records() uint64 { return h.records }
