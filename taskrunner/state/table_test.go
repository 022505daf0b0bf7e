package state_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/state"
)

func config[K comparable, V any](t testing.TB, first, last int) state.Config[K, V] {
	t.Helper()
	key, err := operator.KeyOf[K]()
	if err != nil {
		t.Fatal(err)
	}
	return state.Config[K, V]{Key: key.Hasher(), KeyCodec: operator.MustCodec[K](), ValueCodec: operator.MustCodec[V](),
		MaxParallelism: 128, FirstKeyGroup: first, LastKeyGroup: last}
}

func table[K comparable, V any](t testing.TB, first, last int) *state.Table[K, V] {
	t.Helper()
	tb, err := state.New(config[K, V](t, first, last))
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

func content[K comparable, V any](tb *state.Table[K, V]) map[K]V {
	m := make(map[K]V)
	for k, v := range tb.All() {
		m[k] = *v
	}
	return m
}

// decoded is what a snapshot holds, by restoring it into another table.
func decoded[K comparable, V any](t testing.TB, s *state.Snapshot[K, V]) map[K]V {
	t.Helper()
	b, err := s.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	tb := table[K, V](t, 0, 127)
	if err := tb.Restore(b); err != nil {
		t.Fatal(err)
	}
	return content(tb)
}

// TestAgainstMap does random things to a table and a map, with snapshots in between; snapshots keep what was there.
func TestAgainstMap(t *testing.T) {
	type frozen struct {
		s    *state.Snapshot[string, []int]
		want map[string][]int
	}
	r := rand.New(rand.NewPCG(1, 2))
	tb, model := table[string, []int](t, 0, 127), map[string][]int{}
	var snaps []frozen
	for step := range 30_000 {
		k := fmt.Sprint("key", r.IntN(3000))
		switch n := r.IntN(100); {
		case n < 60:
			v, err := tb.Update(k)
			if err != nil {
				t.Fatal(err)
			}
			if len(*v) > 0 && n < 20 {
				(*v)[0] = step // in place: a snapshot must not see it
				model[k] = append([]int{step}, model[k][1:]...)
			} else {
				*v = append((*v)[:len(*v):len(*v)], step)
				model[k] = append(model[k][:len(model[k]):len(model[k])], step)
			}
		case n < 85:
			v, _, err := tb.Get(k)
			if err != nil || (v != nil) != (model[k] != nil) || v != nil && fmt.Sprint(*v) != fmt.Sprint(model[k]) {
				t.Fatalf("step %d: %s is %v (%v), want %v", step, k, v, err, model[k])
			}
		case n < 99:
			was, err := tb.Delete(k)
			if err != nil || was != (model[k] != nil) {
				t.Fatalf("step %d: deleting %s: %v (%v)", step, k, was, err)
			}
			delete(model, k)
		case step%7 == 0:
			snaps = append(snaps, frozen{tb.Snapshot(), maps.Clone(model)})
		}
	}
	if tb.Len() != len(model) || fmt.Sprint(content(tb)) != fmt.Sprint(model) {
		t.Errorf("%d keys, want %d", tb.Len(), len(model))
	}
	if len(snaps) < 10 {
		t.Fatalf("only %d snapshots", len(snaps))
	}
	for i, f := range snaps {
		if fmt.Sprint(decoded(t, f.s)) != fmt.Sprint(f.want) {
			t.Errorf("snapshot %d differs from what was there", i)
		}
	}
	tb.Clear()
	if v, _, err := tb.Get("key1"); tb.Len() != 0 || v != nil || err != nil {
		t.Errorf("after Clear: %d keys, %v", tb.Len(), v)
	}
}

// TestSnapshotAside encodes a snapshot on another goroutine while the table changes; the race detector watches.
func TestSnapshotAside(t *testing.T) {
	tb := table[int, int](t, 0, 127)
	const n = 20_000
	for i := range n {
		v, err := tb.Update(i)
		if err != nil {
			t.Fatal(err)
		}
		*v = i
	}
	s := tb.Snapshot()
	var wg sync.WaitGroup
	wg.Go(func() {
		for k, v := range decoded(t, s) {
			if k != v {
				t.Errorf("%d is %d in the snapshot", k, v)
			}
		}
	})
	for i := range n {
		v, err := tb.Update(i)
		if err != nil {
			t.Fatal(err)
		}
		*v = -1
		if i%3 == 0 {
			if _, err := tb.Delete(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	wg.Wait()
}

func TestKeysOfRecordsAreCopied(t *testing.T) {
	tb := table[string, int](t, 0, 127)
	buf, k := []byte{3, 'k', 'e', 'y'}, ""
	if _, err := operator.MustCodec[string]().Decode(buf, &k); err != nil {
		t.Fatal(err)
	}
	if _, err := tb.Update(k); err != nil {
		t.Fatal(err)
	}
	clear(buf)
	if m := content(tb); len(m) != 1 || fmt.Sprint(m) != "map[key:0]" {
		t.Errorf("content %v after the record's memory was used again", m)
	}
}

// TestSameKeyAgain looks at one key in a row, which the table need not look for again: after it was deleted, after its memory was used
// for another key, and after the table was cleared.
func TestSameKeyAgain(t *testing.T) {
	tb := table[string, int](t, 0, 127)
	memory := []byte("one")
	key := unsafe.String(&memory[0], len(memory))
	add := func(k string, n, want int) {
		t.Helper()
		v, fresh, err := tb.Upsert(k)
		if err != nil {
			t.Fatal(err)
		}
		if *v += n; *v != want || fresh != (want == n) {
			t.Errorf("%q is %d, fresh: %v; want %d", k, *v, fresh, want)
		}
	}
	add(key, 1, 1)
	add(key, 1, 2)
	copy(memory, "two")
	add(key, 5, 5)
	copy(memory, "one")
	add(key, 1, 3)
	tb.Snapshot()
	add("one", 1, 4)
	if was, err := tb.Delete("one"); !was || err != nil {
		t.Errorf("deleting: %v (%v)", was, err)
	}
	if v, _, err := tb.Get("one"); v != nil || err != nil {
		t.Errorf("after it was deleted, it is %v (%v)", v, err)
	}
	add("one", 7, 7)
	tb.Clear()
	add("one", 9, 9)
	if tb.Len() != 1 {
		t.Errorf("%d keys, want 1", tb.Len())
	}
}

func TestFloatKeys(t *testing.T) {
	tb := table[float64, int](t, 0, 127)
	for _, k := range []float64{math.NaN(), math.Float64frombits(0x7ff0000000000001), 0, math.Copysign(0, -1), 1} {
		v, err := tb.Update(k)
		if err != nil {
			t.Fatal(err)
		}
		*v++
	}
	if tb.Len() != 3 {
		t.Errorf("%d keys, want NaN, 0 and 1", tb.Len())
	}
}

func TestForeignKey(t *testing.T) {
	group := plan.KeyGroup(plan.KeyHash([]byte("a")), 128)
	tb := table[string, int](t, group, group)
	if _, err := tb.Update("a"); err != nil {
		t.Error(err)
	}
	tb = table[string, int](t, 0, group-1)
	if _, err := tb.Update("a"); !errors.Is(err, state.ErrForeignKey) {
		t.Errorf("error %v, want %v", err, state.ErrForeignKey)
	}
}

// TestRescale restores the state of two subtasks into three.
func TestRescale(t *testing.T) {
	want := map[int64]string{}
	var states [][]byte
	for i := range 2 {
		first, last := plan.KeyGroupRange(i, 128, 2)
		tb := table[int64, string](t, first, last)
		for k := range int64(1000) {
			v, err := tb.Update(k)
			if errors.Is(err, state.ErrForeignKey) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			*v = fmt.Sprint(k)
			want[k] = *v
		}
		b, err := tb.Snapshot().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, b)
	}
	got := map[int64]string{}
	for i := range 3 {
		first, last := plan.KeyGroupRange(i, 128, 3)
		tb := table[int64, string](t, first, last)
		for _, b := range states {
			if err := tb.Restore(b); err != nil {
				t.Fatal(err)
			}
		}
		maps.Copy(got, content(tb))
	}
	if len(want) != 1000 || !maps.Equal(got, want) {
		t.Errorf("%d keys after restoring, want %d", len(got), len(want))
	}
}

func TestRestoreRefuses(t *testing.T) {
	tb := table[int, int](t, 0, 127)
	for _, b := range [][]byte{nil, {2}, {1, 200, 1}, {1, 5, 9, 1}, {1, 5, 1, 0x80}, {1, 5, 1, 3}, {1, 5, 3, 0, 1, 1}} {
		if err := tb.Restore(b); err == nil {
			t.Errorf("%x was restored", b)
		}
	}
}

func FuzzRestore(f *testing.F) {
	tb := table[string, []int](f, 0, 127)
	for _, k := range []string{"a", "b"} {
		v, err := tb.Update(k)
		if err != nil {
			f.Fatal(err)
		}
		*v = []int{1, 2}
	}
	b, err := tb.Snapshot().Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { _ = table[string, []int](t, 0, 127).Restore(b) })
}

func TestNewRefuses(t *testing.T) {
	c := config[int, int](t, 0, 127)
	for _, change := range []func(*state.Config[int, int]){
		func(c *state.Config[int, int]) { c.Key = nil }, func(c *state.Config[int, int]) { c.LastKeyGroup = 128 },
		func(c *state.Config[int, int]) { c.FirstKeyGroup = 5; c.LastKeyGroup = 4 },
	} {
		bad := c
		change(&bad)
		if _, err := state.New(bad); err == nil {
			t.Errorf("a table was made of %+v", bad)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, keys := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			tb := table[int64, int64](b, 0, 127)
			b.ReportAllocs()
			i := int64(0)
			for b.Loop() {
				v, err := tb.Update(i * 7919 % int64(keys))
				if err != nil {
					b.Fatal(err)
				}
				*v++
				i++
			}
		})
	}
}
