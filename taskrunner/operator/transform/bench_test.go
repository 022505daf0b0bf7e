package transform_test

import (
	"errors"
	"strconv"
	"testing"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
	"github.com/flott-dev/flott/taskrunner/operator/transform"
)

// row is a record with a reference.
type row struct {
	Key, Value int64
	Text       string
}

// discard is what stands behind the operators that are measured.
type discard[T any] struct{}

func (discard[T]) Collect(T, operator.Time) error { return nil }
func (discard[T]) Control(operator.Event) error   { return nil }

// subject is an operator that takes rows, and how many keys they have.
type subject struct {
	name  string
	keys  int64
	batch bool // as an aggregation runs when the sources end
	make  func(t testing.TB) operator.Factory
	out   any
}

func key(r row) int64 { return r.Key }

func fold(t testing.TB) transform.Fold[int64, row, int64] {
	k, err := operator.KeyOf[int64]()
	if err != nil {
		t.Fatal(err)
	}
	return transform.Fold[int64, row, int64]{Key: k, KeyCodec: operator.MustCodec[int64](), AccCodec: operator.MustCodec[int64](), Of: key,
		Add: func(acc *int64, _ bool, r row) { *acc += r.Value }}
}

func subjects() []subject {
	type kv = transform.KV[int64, int64]
	sum := func(t testing.TB) operator.Factory {
		return transform.Aggregate[int64, row, int64, kv]{Fold: fold(t), Result: func(k, v int64) kv { return kv{k, v} }}
	}
	running := func(s *transform.States[int64]) transform.ProcessFunc[int64, row, kv] {
		total := transform.NewValueState[int64](s, "sum")
		return func(k int64, r row, out operator.Emit[kv]) error {
			v, _ := total.Get()
			v += r.Value
			total.Set(v)
			out.To(kv{k, v})
			return nil
		}
	}
	process := func(t testing.TB) operator.Factory {
		f := fold(t)
		return transform.Process[int64, row, kv]{Key: f.Key, KeyCodec: f.KeyCodec, Of: key, Declare: running}
	}
	return []subject{
		{"Map", 1, false, func(testing.TB) operator.Factory { return transform.Map(func(r row) row { r.Value++; return r }) }, discard[row]{}},
		{"Filter", 1, false, func(testing.TB) operator.Factory { return transform.Filter(func(r row) bool { return r.Value&1 == 0 }) }, discard[row]{}},
		{"FlatMap", 1, false, func(testing.TB) operator.Factory {
			return transform.FlatMap(func(r row, out operator.Emit[row]) { out.To(r) })
		}, discard[row]{}},
		{"Sum/keys=10000", 10_000, false, sum, discard[kv]{}},
		{"Sum/keys=1000000", 1_000_000, false, sum, discard[kv]{}},
		{"Sum at the end/keys=10000", 10_000, true, sum, discard[kv]{}},
		{"Combine/keys=10000", 10_000, true, func(t testing.TB) operator.Factory { return transform.Combine[int64, row, int64]{Fold: fold(t)} }, discard[kv]{}},
		{"Process/keys=10000", 10_000, false, process, discard[kv]{}},
		{"Process/keys=1000000", 1_000_000, false, process, discard[kv]{}},
	}
}

// input opens the operator behind the head of a chain and returns a function that hands it a batch, over and over. Every key is there.
func (s subject) input(t testing.TB) func() {
	op, err := s.make(t).New(s.out)
	if err != nil {
		t.Fatal(err)
	}
	ctx := operatortest.Context(t)
	ctx.Batch = s.batch
	if err := op.Open(t.Context(), ctx); err != nil {
		t.Fatal(err)
	}
	codec := operator.MustCodec[row]()
	head, err := operator.Edge[row]{Codec: codec}.Reader(op)
	if err != nil {
		t.Fatal(err)
	}
	batch, n := operator.NewBatch(codec), int64(0)
	step := func() {
		for range operator.MaxBatch {
			batch.Append(row{n % s.keys, n, "a text of some length"}, operator.NoTime)
			n++
		}
		// The head leaves nothing in the batch; draining it empties it for its next use.
		if err := errors.Join(head.Batch(batch), batch.Drain(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for range s.keys/operator.MaxBatch + 1 {
		step()
	}
	return step
}

// BenchmarkOperator hands an operator batches; an op is a record, with what it takes to put it into the batch (see "Batch").
func BenchmarkOperator(b *testing.B) {
	batch := subject{"Batch", 1, false, func(testing.TB) operator.Factory { return transform.Filter(func(row) bool { return false }) }, discard[row]{}}
	for _, s := range append([]subject{batch}, subjects()...) {
		b.Run(s.name, func(b *testing.B) {
			step := s.input(b)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += operator.MaxBatch {
				step()
			}
		})
	}
}

// TestNoAllocation: once every key is there, no operator allocates for a record.
func TestNoAllocation(t *testing.T) {
	for _, s := range subjects() {
		s.keys = min(s.keys, 1000)
		t.Run(s.name, func(t *testing.T) {
			step := s.input(t)
			if n := testing.AllocsPerRun(10, step); n > 0 {
				t.Errorf("%v allocations for %d records", n, operator.MaxBatch)
			}
		})
	}
}

// BenchmarkStringKeys counts words: an op is a word.
func BenchmarkStringKeys(b *testing.B) {
	k, err := operator.KeyOf[string]()
	if err != nil {
		b.Fatal(err)
	}
	words := make([]string, 50_000)
	for i := range words {
		words[i] = "word" + strconv.Itoa(i*i)
	}
	f := transform.Fold[string, string, int64]{Key: k, KeyCodec: operator.MustCodec[string](), AccCodec: operator.MustCodec[int64](),
		Of: func(w string) string { return w }, Add: func(acc *int64, _ bool, _ string) { *acc++ }}
	type kv = transform.KV[string, int64]
	for name, factory := range map[string]operator.Factory{
		"Combine": transform.Combine[string, string, int64]{Fold: f},
		"Count":   transform.Aggregate[string, string, int64, kv]{Fold: f, Result: func(k string, v int64) kv { return kv{k, v} }},
	} {
		b.Run(name, func(b *testing.B) {
			op, err := factory.New(discard[kv]{})
			if err != nil {
				b.Fatal(err)
			}
			ctx := operatortest.Context(b)
			ctx.Batch = true
			if err := op.Open(b.Context(), ctx); err != nil {
				b.Fatal(err)
			}
			in, n := op.(operator.Output[string]), 0
			b.ReportAllocs()
			for b.Loop() {
				if err := in.Collect(words[n%len(words)], operator.NoTime); err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	}
}
