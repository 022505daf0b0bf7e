package operator

import (
	"encoding/binary"
	"fmt"
)

// head is the typed head of a chain behind an exchange.
type head[T any] struct {
	codec   Codec[T]
	next    Output[T]
	records uint64
	value   T // being decoded: on the heap, so that decoding does not allocate
}

// Batch implements Head.
func (h *head[T]) Batch(b any) error {
	batch, ok := b.(*Batch[T])
	if !ok {
		return fmt.Errorf("input of records of type %s got a %T", TypeName[T](), b)
	}
	n, err := batch.each(h.next)
	h.records += uint64(n)
	return err
}

// Frame implements Head. Types that refer to memory are decoded from a copy, which belongs to the garbage collector.
func (h *head[T]) Frame(data []byte, timed bool) error {
	if h.codec.References() {
		chunk := make([]byte, len(data)) // not cleared first, when copy follows
		copy(chunk, data)
		data = chunk
	}
	for len(data) > 0 {
		t := NoTime
		if timed {
			if len(data) < 8 {
				return fmt.Errorf("decode the time of a record of type %s: %w", TypeName[T](), ErrTruncated)
			}
			t = Time(binary.LittleEndian.Uint64(data))
			data = data[8:]
		}
		rest, err := h.codec.Decode(data, &h.value)
		if err != nil {
			return fmt.Errorf("decode a record of type %s: %w", TypeName[T](), err)
		}
		if len(rest) == len(data) && !timed {
			return fmt.Errorf("decode a record of type %s: %w: it takes no bytes", TypeName[T](), ErrCorrupt)
		}
		data = rest
		h.records++
		if err := h.next.Collect(h.value, t); err != nil {
			return err
		}
	}
	var zero T
	h.value = zero
	return nil
}

// Control implements Head.
func (h *head[T]) Control(ev Event) error { return h.next.Control(ev) }

// Records implements Head.
func (h *head[T]) Records() uint64 { return h.records }
