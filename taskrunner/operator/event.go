package operator

import (
	"encoding/binary"
	"fmt"
)

// EventKind is the kind of a control event. The numbers are on the wire.
type EventKind uint8

// The control events.
const (
	// Watermark promises that no record with a time at or below Time follows.
	Watermark EventKind = iota + 1
	// Barrier separates the records of a checkpoint from those after it.
	Barrier
	// EndOfData says that no record follows; operators emit what they hold back.
	EndOfData
	// EndOfPartition ends a channel; nothing follows. Operators do not see it.
	EndOfPartition
)

func (k EventKind) String() string {
	switch k {
	case Watermark:
		return "watermark"
	case Barrier:
		return "barrier"
	case EndOfData:
		return "end of data"
	case EndOfPartition:
		return "end of partition"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is a control event: it travels in order with the records.
type Event struct {
	Kind       EventKind
	Time       Time   // Watermark
	Checkpoint uint64 // Barrier
	At         int64  // Barrier: when the checkpoint was triggered, Unix milliseconds
}

// eventSize is the encoded size: kind, then time or checkpoint, then at, little endian.
const eventSize = 17

// Append appends the event's wire form.
func (e Event) Append(dst []byte) []byte {
	dst = append(dst, byte(e.Kind))
	word := e.Checkpoint
	if e.Kind == Watermark {
		word = uint64(e.Time)
	}
	dst = binary.LittleEndian.AppendUint64(dst, word)
	return binary.LittleEndian.AppendUint64(dst, uint64(e.At))
}

// ParseEvent reads the wire form.
func ParseEvent(b []byte) (Event, error) {
	if len(b) != eventSize {
		return Event{}, fmt.Errorf("parse control event: %d bytes instead of %d", len(b), eventSize)
	}
	e := Event{Kind: EventKind(b[0]), At: int64(binary.LittleEndian.Uint64(b[9:]))}
	if e.Kind < Watermark || e.Kind > EndOfPartition {
		return Event{}, fmt.Errorf("parse control event: unknown kind %d", b[0])
	}
	if word := binary.LittleEndian.Uint64(b[1:]); e.Kind == Watermark {
		e.Time = Time(word)
	} else {
		e.Checkpoint = word
	}
	return e, nil
}
