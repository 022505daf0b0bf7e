// Package generator is the source of records that a function makes of their numbers, at a rate if one is set.
//
// flow puts a Source into the graph; its operator runs on the goroutine of its task. Subtask i of p makes the records i, i+p, i+2p and so
// on. What always holds: record n of a subtask is not made before its time, the start plus n periods, and later than that only when the
// task could not go on, in which case the following ones catch up: so the rate does not drift. The source never sleeps; it answers a poll
// with how long to wait.
//
// It has no coordinator. A restore with another parallelism is refused: the numbers are bound to the subtasks.
package generator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flott-dev/flott/taskrunner/operator"
)

// MaxPerSecond is the highest rate that can be set.
const MaxPerSecond = 1e9

// shortest is the shortest wait: at high rates several records come at once.
const shortest = time.Millisecond

// Source is the factory of the source operator.
type Source[T any] struct {
	// Of makes the record number n.
	Of func(n int64) T
	// Bounded: there are Count records, of all subtasks together; else there is no end.
	Bounded bool
	Count   int64
	// PerSecond is the rate of all subtasks together; 0: none.
	PerSecond float64
}

// New implements operator.Factory.
func (s Source[T]) New(next any) (operator.Operator, error) {
	out, err := operator.AsOutput[T](next)
	if err != nil {
		return nil, err
	}
	return &reader[T]{Base: operator.Base[T]{Next: out}, src: s}, nil
}

type reader[T any] struct {
	operator.Base[T]
	src   Source[T]
	made  int64 // by this subtask
	quota int64 // for this subtask
	last  int64 // the count of records that the largest number of this subtask has before it

	restored [2]int // parallelism and subtask of the state, or zeros

	// Of a rate: record first+k is due at begun + k periods.
	period float64 // nanoseconds
	begun  time.Time
	first  int64
}

// Open implements operator.Operator.
func (r *reader[T]) Open(ctx context.Context, c operator.Context) error {
	if r.restored[0] != 0 && r.restored != [2]int{c.Parallelism, c.Subtask} {
		return fmt.Errorf("restore %q: the state is of subtask %d of %d, this is %d of %d; the numbers of a generator are bound to its parallelism",
			c.Name, r.restored[1], r.restored[0], c.Subtask, c.Parallelism)
	}
	p := int64(c.Parallelism)
	r.quota, r.last = math.MaxInt64, (math.MaxInt64-int64(c.Subtask))/p
	if r.src.Bounded {
		r.quota = r.src.Count / p
		if int64(c.Subtask) < r.src.Count%p {
			r.quota++
		}
	}
	if r.src.PerSecond > 0 {
		r.period = float64(p) / r.src.PerSecond * float64(time.Second)
	}
	return r.Base.Open(ctx, c)
}

// Poll implements operator.Poller.
func (r *reader[T]) Poll() (operator.Poll, error) {
	upTo := min(r.quota-r.made, operator.MaxBatch)
	if upTo <= 0 {
		return operator.Poll{Status: operator.End}, nil
	}
	if r.period > 0 {
		now := time.Now()
		if r.begun.IsZero() {
			r.begun, r.first = now, r.made
		}
		due := r.due(now.Sub(r.begun))
		if due <= 0 {
			return operator.Poll{Status: operator.Wait, After: max(r.at(r.made-r.first).Sub(now), shortest)}, nil
		}
		upTo = min(upTo, due)
	}
	for range upTo {
		n, ok := r.number()
		if !ok {
			return operator.Poll{Status: operator.End}, nil
		}
		r.made++
		if err := r.Next.Collect(r.src.Of(n), operator.NoTime); err != nil {
			return operator.Poll{}, err
		}
	}
	return operator.Poll{Status: operator.More}, nil
}

// number is that of the next record; an unbounded source ends with the numbers.
func (r *reader[T]) number() (int64, bool) {
	p, i := int64(r.Parallelism), int64(r.Subtask)
	if r.made > r.last {
		return 0, false
	}
	return r.made*p + i, true
}

// due is how many records there should be after so long, less those that there are.
func (r *reader[T]) due(since time.Duration) int64 {
	want := math.Floor(float64(since)/r.period) + 1
	if want > math.MaxInt64/2 {
		want = math.MaxInt64 / 2
	}
	return int64(want) - (r.made - r.first)
}

// at is when record first+k is due, rounded up, and always after the last one that due allows.
func (r *reader[T]) at(k int64) time.Time {
	d := math.Ceil(float64(k) * r.period)
	if d > math.MaxInt64/2 {
		d = math.MaxInt64 / 2
	}
	return r.begun.Add(time.Duration(d) + 1)
}

var errState = errors.New("generator: state is corrupt")

// Snapshot implements operator.Operator: parallelism, subtask, and how many records it has made (uvarints).
func (r *reader[T]) Snapshot(uint64) ([]byte, error) {
	b := binary.AppendUvarint(nil, uint64(r.Parallelism))
	b = binary.AppendUvarint(b, uint64(r.Subtask))
	return binary.AppendUvarint(b, uint64(r.made)), nil
}

// Restore implements operator.Operator. Open compares the place.
func (r *reader[T]) Restore(b []byte) error {
	var v [3]uint64
	for i := range v {
		n := 0
		if v[i], n = binary.Uvarint(b); n <= 0 || v[i] > math.MaxInt64 {
			return errState
		}
		b = b[n:]
	}
	if len(b) > 0 {
		return errState
	}
	r.restored, r.made = [2]int{int(v[0]), int(v[1])}, int64(v[2])
	return nil
}
