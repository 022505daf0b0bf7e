package transform_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
	"github.com/flott-dev/flott/taskrunner/operator/transform"
)

func TestElementOperatorsConform(t *testing.T) {
	in := []int{1, 2, 3, 4}
	times := []operator.Time{10, 20, 30, 40}
	for name, c := range map[string]operatortest.Case[int, string]{
		"Map": {Factory: transform.Map(func(v int) string { return fmt.Sprint(v) }), Want: []string{"1", "2", "3", "4"}},
		"TryMap": {Factory: transform.TryMap(func(v int) (string, error) { return fmt.Sprint(v), nil }),
			Want: []string{"1", "2", "3", "4"}},
		"FlatMap": {Factory: transform.FlatMap(func(v int, out operator.Emit[string]) {
			for range v / 2 {
				out.To(fmt.Sprint(v))
			}
		}), Want: []string{"2", "3", "4", "4"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.Records, c.Times = in, times
			operatortest.Conform(t, c)
		})
	}
	t.Run("Filter", func(t *testing.T) {
		operatortest.Conform(t, operatortest.Case[int, int]{Factory: transform.Filter(func(v int) bool { return v%2 == 0 }), Records: in, Want: []int{2, 4}})
	})
}

var errUser = errors.New("no such customer")

func TestErrorsOfFunctionsComeUp(t *testing.T) {
	for name, f := range map[string]operator.Factory{
		"TryMap":    transform.TryMap(func(int) (int, error) { return 0, errUser }),
		"TryFilter": transform.TryFilter(func(int) (bool, error) { return true, errUser }),
		"TryFlatMap": transform.TryFlatMap(func(_ int, out operator.Emit[int]) error {
			out.To(1)
			return errUser
		}),
	} {
		out := &operatortest.Output[int]{}
		op, err := f.New(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := op.(operator.Output[int]).Collect(1, operator.NoTime); !errors.Is(err, errUser) {
			t.Errorf("%s: got %v, want the function's error", name, err)
		}
	}
}

// TestFlatMapReportsTheCut: a function that wraps what it was told does not hide that the task is being cancelled.
func TestFlatMapReportsTheCut(t *testing.T) {
	cut := errors.New("cancelled")
	op, err := transform.TryFlatMap(func(_ int, out operator.Emit[int]) error {
		out.To(1)
		if !out.Ended() {
			t.Error("the output failed and Ended is false")
		}
		return errors.New("interrupted")
	}).New(&operatortest.Output[int]{Err: cut})
	if err != nil {
		t.Fatal(err)
	}
	if err := op.(operator.Output[int]).Collect(1, operator.NoTime); err != cut {
		t.Errorf("got %v, want %v", err, cut)
	}
}

type pair = transform.KV[string, int64]

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// count adds up the lengths of words by their first letter.
func count() transform.Fold[string, string, int64] {
	return transform.Fold[string, string, int64]{Key: must(operator.KeyOf[string]()), KeyCodec: operator.MustCodec[string](),
		AccCodec: operator.MustCodec[int64](), Of: func(w string) string { return w[:1] },
		Add: func(acc *int64, _ bool, w string) { *acc += int64(len(w)) }}
}

// longest keeps the longest word of each first letter: accumulators refer to memory.
func longest() transform.Fold[string, string, string] {
	return transform.Fold[string, string, string]{Key: must(operator.KeyOf[string]()), KeyCodec: operator.MustCodec[string](),
		AccCodec: operator.MustCodec[string](), Of: func(w string) string { return w[:1] }, Add: func(acc *string, fresh bool, w string) {
			if fresh != (*acc == "") {
				panic("fresh is wrong")
			}
			if len(w) > len(*acc) {
				*acc = w
			}
		}}
}

var words = []string{"a", "bb", "aaa", "c", "b", "aa"}

func result[A any](k string, v A) transform.KV[string, A] {
	return transform.KV[string, A]{Key: k, Value: v}
}

func batch(c *operator.Context) { c.Batch = true }

// same compares without regard to order.
func same[T comparable](got, want []T) bool {
	n := make(map[T]int)
	for _, v := range got {
		n[v]++
	}
	for _, v := range want {
		n[v]--
	}
	for _, v := range n {
		if v != 0 {
			return false
		}
	}
	return true
}

func TestAggregateConforms(t *testing.T) {
	t.Run("each update", func(t *testing.T) {
		operatortest.Conform(t, operatortest.Case[string, pair]{Records: words,
			Factory: transform.Aggregate[string, string, int64, pair]{Fold: count(), Result: result[int64]},
			Want:    []pair{{"a", 1}, {"b", 2}, {"a", 4}, {"c", 1}, {"b", 3}, {"a", 6}}})
	})
	t.Run("once", func(t *testing.T) {
		operatortest.Conform(t, operatortest.Case[string, pair]{Records: words, Context: batch, Equal: same[pair],
			Factory: transform.Aggregate[string, string, int64, pair]{Fold: count(), Result: result[int64]},
			Want:    []pair{{"a", 6}, {"b", 3}, {"c", 1}}})
	})
	t.Run("with references", func(t *testing.T) {
		type kv = transform.KV[string, string]
		operatortest.Conform(t, operatortest.Case[string, kv]{Records: words, Context: batch, Equal: same[kv],
			Factory: transform.Aggregate[string, string, string, kv]{Fold: longest(), Result: result[string]},
			Want:    []kv{{"a", "aaa"}, {"b", "bb"}, {"c", "c"}}})
	})
}

// TestBatchEmitsBeforeTheLastWatermark: what comes out at the end is not late.
func TestBatchEmitsBeforeTheLastWatermark(t *testing.T) {
	out := &operatortest.Output[pair]{}
	op := open(t, transform.Aggregate[string, string, int64, pair]{Fold: count(), Result: result[int64]}, out, batch)
	if err := op.(operator.Output[string]).Collect("a", operator.NoTime); err != nil {
		t.Fatal(err)
	}
	for i, ev := range []operator.Event{{Kind: operator.Watermark, Time: 5}, {Kind: operator.Watermark, Time: math.MaxInt64}, {Kind: operator.EndOfData}} {
		if err := op.Control(ev); err != nil {
			t.Fatal(err)
		}
		if want := min(i, 1); len(out.Values) != want {
			t.Errorf("after %s %d: %d records, want %d", ev.Kind, ev.Time, len(out.Values), want)
		}
	}
}

func open(t testing.TB, f operator.Factory, next any, change func(*operator.Context)) operator.Operator {
	t.Helper()
	op, err := f.New(next)
	if err != nil {
		t.Fatal(err)
	}
	c := operatortest.Context(t)
	if change != nil {
		change(&c)
	}
	if err := op.Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return op
}

// merged is the sum of partial results by key: what the aggregation behind the exchange makes of them.
func merged(ps []pair) map[string]int64 {
	m := make(map[string]int64)
	for _, p := range ps {
		m[p.Key] += p.Value
	}
	return m
}

func TestCombineConforms(t *testing.T) {
	operatortest.Conform(t, operatortest.Case[string, pair]{Records: words, Factory: transform.Combine[string, string, int64]{Fold: count()},
		Equal: func(got, want []pair) bool { return maps.Equal(merged(got), merged(want)) }, Want: []pair{{"a", 6}, {"b", 3}, {"c", 1}}})
	type kv = transform.KV[string, string]
	operatortest.Conform(t, operatortest.Case[string, kv]{Records: words, Factory: transform.Combine[string, string, string]{Fold: longest()},
		Equal: func(got, want []kv) bool {
			return reflect.DeepEqual(longestOf(got), longestOf(want))
		}, Want: []kv{{"a", "aaa"}, {"b", "bb"}, {"c", "c"}}})
}

func longestOf(ps []transform.KV[string, string]) map[string]string {
	m := make(map[string]string)
	for _, p := range ps {
		if len(p.Value) > len(m[p.Key]) {
			m[p.Key] = p.Value
		}
	}
	return m
}

// numbers counts integers.
func numbers() transform.Combine[int64, int64, int64] {
	return transform.Combine[int64, int64, int64]{Fold: transform.Fold[int64, int64, int64]{Key: must(operator.KeyOf[int64]()),
		KeyCodec: operator.MustCodec[int64](), AccCodec: operator.MustCodec[int64](), Of: func(v int64) int64 { return v },
		Add: func(acc *int64, _ bool, _ int64) { *acc++ }}}
}

// TestCombineManyKeys: whatever the number of keys, every record is counted, few keys leave little, and many do not grow the table.
func TestCombineManyKeys(t *testing.T) {
	const records = 1 << 19
	for _, keys := range []int64{1, 100, 513, 1 << 14, 1 << 16, 1<<16 + 1, 1 << 17, records} {
		out := &operatortest.Output[transform.KV[int64, int64]]{}
		op := open(t, numbers(), out, nil)
		in := op.(operator.Output[int64])
		for i := range int64(records) {
			if err := in.Collect(i*7919%keys, operator.NoTime); err != nil {
				t.Fatal(err)
			}
		}
		if err := op.Control(operator.Event{Kind: operator.EndOfData}); err != nil {
			t.Fatal(err)
		}
		sums := make(map[int64]int64)
		for _, p := range out.Values {
			sums[p.Key] += p.Value
		}
		for k, n := range sums {
			if want := records / keys; n != want && n != want+1 {
				t.Fatalf("%d keys: key %d counted %d times, want %d or one more", keys, k, n, want)
			}
		}
		if int64(len(sums)) != keys {
			t.Errorf("%d keys: %d came out", keys, len(sums))
		}
		if keys < 1<<16 && int64(len(out.Values)) != keys {
			t.Errorf("%d keys: %d records came out", keys, len(out.Values))
		}
	}
}

// TestCombineEmptiesItsTableBetweenRecordsOfAWindow: the entry of a key that has been looked up may be gone when its turn comes.
func TestCombineEmptiesItsTableBetweenRecordsOfAWindow(t *testing.T) {
	for shift := range 4 {
		out := &operatortest.Output[transform.KV[int64, int64]]{}
		op := open(t, numbers(), out, nil)
		want := make(map[int64]int64)
		collect := func(k int64) {
			want[k]++
			if err := op.(operator.Output[int64]).Collect(k, operator.NoTime); err != nil {
				t.Fatal(err)
			}
		}
		for range shift {
			collect(0)
		}
		for k := range int64(1 << 17) {
			collect(k)
			collect(0)
		}
		if err := op.Control(operator.Event{Kind: operator.EndOfData}); err != nil {
			t.Fatal(err)
		}
		got := make(map[int64]int64)
		for _, p := range out.Values {
			got[p.Key] += p.Value
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d records in front: %d keys, 0 counted %d times; want %d keys and %d times", shift, len(got), got[0], len(want), want[0])
		}
	}
}

// TestCombineDoesNotAllocate on keys that it has seen, strings included.
func TestCombineDoesNotAllocate(t *testing.T) {
	op := open(t, transform.Combine[string, string, int64]{Fold: count()}, &operatortest.Output[pair]{}, nil)
	in := op.(operator.Output[string])
	line := strings.Repeat("abc", 10)
	allocs := testing.AllocsPerRun(1000, func() {
		for i := range 20 {
			if err := in.Collect(line[i:i+5], operator.NoTime); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for 20 words, want 0", allocs)
	}
}

// TestStateOwnsItsMemory: what a key keeps of a record stays when the record's memory changes (as a test can do and nothing else does).
func TestStateOwnsItsMemory(t *testing.T) {
	type kv = transform.KV[string, []byte]
	fold := transform.Fold[string, []byte, []byte]{Key: must(operator.KeyOf[string]()), KeyCodec: operator.MustCodec[string](),
		AccCodec: operator.MustCodec[[]byte](), Of: func([]byte) string { return "k" }, Add: func(acc *[]byte, _ bool, v []byte) { *acc = v }}
	for name, f := range map[string]operator.Factory{
		"aggregate": transform.Aggregate[string, []byte, []byte, kv]{Fold: fold, Result: result[[]byte]},
		"combine":   transform.Combine[string, []byte, []byte]{Fold: fold},
	} {
		out := &operatortest.Output[kv]{}
		op := open(t, f, out, batch)
		record := []byte("first")
		for range 64 { // a combiner looks at records when it has some
			if err := op.(operator.Output[[]byte]).Collect(record, operator.NoTime); err != nil {
				t.Fatal(err)
			}
		}
		copy(record, "other")
		if err := op.Control(operator.Event{Kind: operator.EndOfData}); err != nil {
			t.Fatal(err)
		}
		if len(out.Values) != 1 || string(out.Values[0].Value) != "first" {
			t.Errorf("%s: got %q, want the record as it was", name, out.Values)
		}
	}
}

func TestFloatKeysAreNormalised(t *testing.T) {
	fold := transform.Fold[float64, float64, int64]{Key: must(operator.KeyOf[float64]()), KeyCodec: operator.MustCodec[float64](),
		AccCodec: operator.MustCodec[int64](), Of: func(v float64) float64 { return v }, Add: func(acc *int64, _ bool, _ float64) { *acc++ }}
	out := &operatortest.Output[transform.KV[float64, int64]]{}
	op := open(t, transform.Combine[float64, float64, int64]{Fold: fold}, out, nil)
	for _, v := range []float64{math.NaN(), 0, math.Copysign(0, -1), math.NaN(), 1} {
		if err := op.(operator.Output[float64]).Collect(v, operator.NoTime); err != nil {
			t.Fatal(err)
		}
	}
	if err := op.Control(operator.Event{Kind: operator.EndOfData}); err != nil {
		t.Fatal(err)
	}
	var counts []int64
	for _, p := range out.Values {
		counts = append(counts, p.Value)
	}
	if !reflect.DeepEqual(counts, []int64{2, 2, 1}) {
		t.Errorf("got counts %v, want NaN twice, zero twice, one once", counts)
	}
}
