package flow

import (
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/transform"
)

// transformed declares an operator that reads one stream.
func transformed[I, O any](s Stream[I], name string, node operator.Factory, fn any) Stream[O] {
	o := s.env.declare(plan.Transform, name, node, fn)
	read(o, s)
	return output[O](o)
}

// Map turns each record into one other.
func Map[I, O any](s Stream[I], f func(I) O) Stream[O] {
	return transformed[I, O](s, "Map", transform.Map(f), f)
}

// TryMap is Map with a function whose error fails the job.
func TryMap[I, O any](s Stream[I], f func(I) (O, error)) Stream[O] {
	return transformed[I, O](s, "TryMap", transform.TryMap(f), f)
}

// Filter keeps the records for which f is true.
func Filter[T any](s Stream[T], f func(T) bool) Stream[T] {
	return transformed[T, T](s, "Filter", transform.Filter(f), f)
}

// TryFilter is Filter with a function whose error fails the job.
func TryFilter[T any](s Stream[T], f func(T) (bool, error)) Stream[T] {
	return transformed[T, T](s, "TryFilter", transform.TryFilter(f), f)
}

// FlatMap turns each record into any number of others, which f emits.
func FlatMap[I, O any](s Stream[I], f func(in I, out Emit[O])) Stream[O] {
	return transformed[I, O](s, "FlatMap", transform.FlatMap(f), f)
}

// TryFlatMap is FlatMap with a function whose error fails the job.
func TryFlatMap[I, O any](s Stream[I], f func(in I, out Emit[O]) error) Stream[O] {
	return transformed[I, O](s, "TryFlatMap", transform.TryFlatMap(f), f)
}

// Union is the records of all streams, in no order.
func Union[T any](s Stream[T], more ...Stream[T]) Stream[T] {
	u := Stream[T]{env: s.env, from: append([]source(nil), s.from...)}
	for _, m := range more {
		u.from = append(u.from, m.from...)
	}
	return u
}

// Rebalance spreads the records evenly over the subtasks of what reads the stream: one after the other in turn. Without it a subtask hands
// on to the subtask of the same number, in the same task, where that is possible.
func Rebalance[T any](s Stream[T]) Stream[T] {
	r := Stream[T]{env: s.env}
	for _, f := range s.from {
		r.from = append(r.from, source{f.op, plan.Rebalance})
	}
	return r
}

// KeyBy gives each record a key. All records with one key are handled by the same subtask, in the order in which each producer sent them.
//
// Key has to be a pure function: what it returns depends on the record alone. Keys are booleans, numbers, strings, and structs and arrays
// of these: values that are the same in every process.
func KeyBy[T any, K comparable](s Stream[T], key func(T) K) Keyed[K, T] {
	k := Keyed[K, T]{stream: s, key: key}
	if key == nil {
		s.env.fail(caller(), "flow.KeyBy: the function is nil")
	}
	var err error
	if k.codec, err = operator.CodecOf[K](); err == nil {
		k.keys, err = operator.KeyOf[K]()
	}
	if err != nil {
		s.env.fail(caller(), "flow.KeyBy: %v", err)
	}
	return k
}

// Number is what can be summed.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Count counts the records of each key.
//
// When all sources of the job end by themselves, there is one result per key, at the end; otherwise, and with execution.runtime-mode
// STREAMING, there is one after each record. So it is for Sum and Reduce.
func Count[K comparable, T any](k Keyed[K, T]) Stream[KV[K, int64]] {
	return sum(k, "Count", func(acc *int64, _ bool, _ T) { *acc++ }, nil)
}

// Sum adds up the values of each key. Integers wrap around; the order in which floats are added is not fixed. See Count for when there
// are results.
func Sum[K comparable, T any, N Number](k Keyed[K, T], value func(T) N) Stream[KV[K, N]] {
	return sum(k, "Sum", func(acc *N, _ bool, v T) { *acc += value(v) }, value)
}

func sum[K comparable, T any, N Number](k Keyed[K, T], name string, add func(*N, bool, T), fn any) Stream[KV[K, N]] {
	merge := func(acc *N, _ bool, p KV[K, N]) { *acc += p.Value }
	return aggregate(k, name, fn, add, merge, func(key K, n N) KV[K, N] { return KV[K, N]{Key: key, Value: n} })
}

// Reduce folds the records of each key into one with f, which has to be associative: it may be applied to results of its own, in any
// grouping. It must not change its arguments. See Count for when there are results.
func Reduce[K comparable, T any](k Keyed[K, T], f func(a, b T) T) Stream[T] {
	fold := func(acc *T, fresh bool, v T) {
		if fresh {
			*acc = v
		} else {
			*acc = f(*acc, v)
		}
	}
	merge := func(acc *T, fresh bool, p KV[K, T]) { fold(acc, fresh, p.Value) }
	return aggregate(k, "Reduce", f, fold, merge, func(_ K, v T) T { return v })
}

// aggregate declares an aggregation: records of type T are added to accumulators of type A, which merge when they were begun on both sides
// of an exchange.
func aggregate[K comparable, T, A, O any](k Keyed[K, T], name string, fn any, add func(*A, bool, T), merge func(*A, bool, KV[K, A]),
	result func(K, A) O) Stream[O] {
	o := k.stream.env.declare(plan.Transform, name, nil, fn)
	readByKey(o, k)
	acc := codecOf[A](o)
	if acc == nil || k.keys == nil {
		return output[O](o)
	}
	fold := transform.Fold[K, T, A]{Key: k.keys, KeyCodec: k.codec, AccCodec: acc, Of: k.key, Add: add}
	merged := transform.Fold[K, KV[K, A], A]{Key: k.keys, KeyCodec: k.codec, AccCodec: acc, Of: func(p KV[K, A]) K { return p.Key }, Add: merge}
	o.node = transform.Aggregate[K, T, A, O]{Fold: fold, Result: result}
	partial := Keyed[K, KV[K, A]]{keys: k.keys}
	o.combine = &combine{before: transform.Combine[K, T, A]{Fold: fold}, forward: edgeOf[T](o), hash: hashEdge(o, partial, merged.Of),
		aggregator: transform.Aggregate[K, KV[K, A], A, O]{Fold: merged, Result: result}}
	return output[O](o)
}

// States is what a Process declares its state with: see NewValueState and NewMapState.
type States[K comparable] = transform.States[K]

// ValueState is one value for each key.
type ValueState[V any] = transform.ValueState[V]

// MapState is a map for each key.
type MapState[F comparable, V any] = transform.MapState[F, V]

// ProcessFunc handles one record: its key, the record, and where to emit. Its error fails the job.
type ProcessFunc[K comparable, T, O any] = transform.ProcessFunc[K, T, O]

// NewValueState declares one value for each key, by a name that is unique in its Process.
func NewValueState[V any, K comparable](s *States[K], name string) *ValueState[V] {
	return transform.NewValueState[V](s, name)
}

// NewMapState declares a map for each key, by a name that is unique in its Process.
func NewMapState[F comparable, V any, K comparable](s *States[K], name string) *MapState[F, V] {
	return transform.NewMapState[F, V](s, name)
}

// Process handles the records of a keyed stream with state: it is the general form, of which Reduce, Sum and Count are short ones.
//
// Declare makes the states and returns the function for the records. It is called once in each subtask, and once when the graph is built,
// to check it; what it makes belongs to that subtask. State is that of the current record's key; the function must not keep it anywhere
// else, such as in a variable of its own.
func Process[K comparable, T, O any](k Keyed[K, T], declare func(*States[K]) ProcessFunc[K, T, O]) Stream[O] {
	o := k.stream.env.declare(plan.Transform, "Process", nil, declare)
	readByKey(o, k)
	if k.keys == nil || declare == nil {
		return output[O](o)
	}
	p := transform.Process[K, T, O]{Key: k.keys, KeyCodec: k.codec, Of: k.key, Declare: declare}
	if err := p.Check(); err != nil {
		o.env.fail(o.at, "%s: %v", o.call, err)
	}
	o.node = p
	return output[O](o)
}

// Clone returns a copy of v that shares no memory with it, for a program that keeps values in variables of its own: a small string of a
// record may be a part of a large buffer. State clones by itself.
func Clone[T any](v T) (T, error) {
	c, err := operator.CodecOf[T]()
	if err != nil {
		var zero T
		return zero, err
	}
	return operator.NewCloner(c).Clone(v)
}
