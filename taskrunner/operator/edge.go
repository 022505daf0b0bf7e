package operator

import (
	"fmt"

	"github.com/flott-dev/flott/rpc/plan"
)

// EdgeNode is the typed part of an edge. Arguments and results of type any are Output[T] for the edge's record type T.
type EdgeNode interface {
	// Writer makes the end of the producing chain, an Output[T] that is also an EdgeWriter.
	Writer(c WriterConfig) (any, error)
	// Reader makes the head of the consuming chain in front of next.
	Reader(next any) (Head, error)
	// Fanout makes one Output[T] that hands everything to each of outs, in order.
	Fanout(outs []any) (any, error)
	// Copy makes an Output[T] that hands deep copies to next, for pipeline.object-reuse: false.
	Copy(next any) (any, error)
}

// Head is the head of a chain behind an exchange. It is untyped outside and typed inside: one assertion per batch.
type Head interface {
	// Batch hands on unread records of a *Batch[T] from the same process, at most MaxBatch.
	Batch(b any) error
	// Frame hands on the records of one frame. The memory is the caller's again when it returns.
	Frame(data []byte, timed bool) error
	// Control hands on an event that has been merged over all channels of the task.
	Control(ev Event) error
	// Records returns how many records have come in.
	Records() uint64
}

// EdgeWriter is what the task sees of a writer.
type EdgeWriter interface {
	// Control seals the open batches and queues the event behind them, on every channel.
	Control(ev Event) error
	// Flush seals the open batches: the task has nothing to do, so that they would only grow old.
	Flush()
	// Records returns how many records have gone out.
	Records() uint64
}

// WriterConfig describes the producing end of an edge in one subtask.
type WriterConfig struct {
	Ports []Port // by consuming subtask; one only when Ship is Forward
	Ship  plan.Ship
	// MaxParallelism is the consumer's, Parallelism its number of subtasks (Hash).
	MaxParallelism, Parallelism int
	Subtask                     int // of the producer; a rebalance starts there
	// FlushEach: execution.buffer-timeout is 0, consumers are woken after each record.
	FlushEach bool
	// Copy: pipeline.object-reuse is false, each record is copied before it is shared with another goroutine.
	Copy bool
}

// Port is the producing end of one channel. All methods run on the producer's goroutine.
type Port interface {
	// Offer puts a batch, to which records may still be added, at the end of the channel's queue. It waits for room, and fails when the
	// task is cancelled. It wakes nobody.
	Offer(b Shared) error
	// Seal says that the batch offered last gets no more records, and wakes the consumer.
	Seal()
	// Flush wakes the consumer for the records already in the batch offered last.
	Flush()
	// Event queues an event behind everything offered, which is sealed, and wakes the consumer.
	Event(payload []byte) error
}

// Shared is what the consumer of a batch needs when it does not know its type. Published may be called from any goroutine that knows the
// batch to be in use; everything else belongs to the consumer.
type Shared interface {
	// Encode appends unread records while the result stays within limit bytes beyond dst; if one is set, at least one record. A first
	// record above the limit comes alone.
	Encode(dst []byte, limit int, one bool) ([]byte, error)
	// Timed reports whether the records have times.
	Timed() bool
	// Published returns how many records the producer has added.
	Published() int
	// Read returns how many of them have been read.
	Read() int
	// Size returns the memory that the records take, in bytes. The batch has to be sealed.
	Size() int
	// Recycle gives the batch back to its producer. Nothing is done with it afterwards.
	Recycle()
}

// Edge is the edge node for records of type T that go forward or in turn.
type Edge[T any] struct{ Codec Codec[T] }

// HashEdge is the edge node for records of type T that go to the owner of their key's group.
type HashEdge[T any, K comparable] struct {
	Edge[T]
	Key *Key[K]
	Of  func(T) K // the key of a record; a pure function
}

var (
	_ EdgeNode = Edge[int]{}
	_ EdgeNode = HashEdge[int, int]{}
)

// Writer implements EdgeNode.
func (e Edge[T]) Writer(c WriterConfig) (any, error) {
	switch {
	case c.Ship == plan.Forward && len(c.Ports) == 1:
		return copying[T](e.Codec, c, newForwardWriter(e.Codec, c)), nil
	case c.Ship == plan.Rebalance && len(c.Ports) > 0:
		return copying[T](e.Codec, c, newRebalanceWriter(e.Codec, c)), nil
	}
	return nil, fmt.Errorf("open %s edge of %s: %d channels", c.Ship, TypeName[T](), len(c.Ports))
}

// Writer implements EdgeNode.
func (e HashEdge[T, K]) Writer(c WriterConfig) (any, error) {
	if c.Ship != plan.Hash || len(c.Ports) == 0 || len(c.Ports) != c.Parallelism || c.MaxParallelism < c.Parallelism {
		return nil, fmt.Errorf("open %s edge of %s by key: %d channels to %d subtasks of at most %d",
			c.Ship, TypeName[T](), len(c.Ports), c.Parallelism, c.MaxParallelism)
	}
	return copying[T](e.Codec, c, newHashWriter(e, c)), nil
}

// Reader implements EdgeNode.
func (e Edge[T]) Reader(next any) (Head, error) {
	out, err := AsOutput[T](next)
	if err != nil {
		return nil, err
	}
	return newHead(e.Codec, out), nil
}

// Fanout implements EdgeNode.
func (e Edge[T]) Fanout(outs []any) (any, error) {
	f := make(fanout[T], len(outs))
	for i, o := range outs {
		out, err := AsOutput[T](o)
		if err != nil {
			return nil, err
		}
		f[i] = out
	}
	return f, nil
}

// Copy implements EdgeNode.
func (e Edge[T]) Copy(next any) (any, error) {
	out, err := AsOutput[T](next)
	if err != nil {
		return nil, err
	}
	if !sharesWritable(e.Codec) {
		return out, nil
	}
	return &copier[T]{cloner: NewCloner(e.Codec), next: out}, nil
}
