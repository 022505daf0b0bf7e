package generator_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/taskrunner/connector/generator"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
)

func square(n int64) int64 { return n * n }

func TestConforms(t *testing.T) {
	var want []int64
	for n := range int64(3 * operator.MaxBatch / 2) {
		want = append(want, square(n))
	}
	operatortest.ConformSource(t, operatortest.SourceCase[int64]{
		Factory: generator.Source[int64]{Of: square, Bounded: true, Count: int64(len(want))}, Want: want})
}

func open(t *testing.T, s generator.Source[int64], subtask, parallelism int, state []byte) (operator.Poller, *operatortest.Output[int64], error) {
	t.Helper()
	out := &operatortest.Output[int64]{}
	op, err := s.New(out)
	if err != nil {
		t.Fatal(err)
	}
	if state != nil {
		if err := op.Restore(state); err != nil {
			t.Fatal(err)
		}
	}
	c := operatortest.Context(t)
	c.Subtask, c.Parallelism = subtask, parallelism
	return op.(operator.Poller), out, op.Open(t.Context(), c)
}

// TestSubtasksShareTheNumbers: each number is made by one subtask, for any count and parallelism.
func TestSubtasksShareTheNumbers(t *testing.T) {
	for _, count := range []int64{0, 1, 2, 5, 6, 7, 1000} {
		for _, p := range []int{1, 2, 3, 7} {
			var all []int64
			for i := range p {
				op, out, err := open(t, generator.Source[int64]{Of: func(n int64) int64 { return n }, Bounded: true, Count: count}, i, p, nil)
				if err != nil {
					t.Fatal(err)
				}
				for {
					poll, err := op.Poll()
					if err != nil {
						t.Fatal(err)
					}
					if poll.Status == operator.End {
						break
					}
				}
				all = append(all, out.Values...)
			}
			slices.Sort(all)
			for i, n := range all {
				if n != int64(i) {
					t.Fatalf("count %d, parallelism %d: got %v", count, p, all)
				}
			}
			if int64(len(all)) != count {
				t.Errorf("count %d, parallelism %d: %d numbers", count, p, len(all))
			}
		}
	}
}

// TestRate: records come at their times, never before, and what a slow consumer missed is made up for.
func TestRate(t *testing.T) {
	for _, rate := range []float64{0.5, 3, 1000, 1e6, 7777} {
		synctest.Test(t, func(t *testing.T) {
			const p = 2
			op, out, err := open(t, generator.Source[int64]{Of: square, PerSecond: rate}, 1, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			span := time.Duration(100 / rate * float64(time.Second))
			stalled := false
			for time.Since(begun) < span {
				poll, err := op.Poll()
				if err != nil {
					t.Fatal(err)
				}
				most := time.Since(begun).Seconds()*rate/p + 1.001
				if float64(len(out.Values)) > most {
					t.Fatalf("rate %v: %d records after %s, at most %v are due", rate, len(out.Values), time.Since(begun), most)
				}
				if poll.Status == operator.Wait {
					if poll.After <= 0 {
						t.Fatalf("rate %v: asked to wait for %s", rate, poll.After)
					}
					time.Sleep(poll.After)
				}
				if !stalled && time.Since(begun) > span/2 {
					stalled = true
					time.Sleep(span / 4)
				}
			}
			if poll, err := op.Poll(); err != nil || poll.Status == operator.End {
				t.Fatalf("poll: %v, %v", poll, err)
			}
			if want := int(time.Since(begun).Seconds() * rate / p); len(out.Values) < want {
				t.Errorf("rate %v: %d records after %s, want %d: it drifts", rate, len(out.Values), time.Since(begun), want)
			}
			if polls := len(out.Values); polls == 0 {
				t.Errorf("rate %v: no records", rate)
			}
		})
	}
}

func TestRestoreWithAnotherParallelism(t *testing.T) {
	s := generator.Source[int64]{Of: square, Bounded: true, Count: 10}
	op, _, err := open(t, s, 0, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	state, err := op.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, s, 0, 3, state); err == nil || !strings.Contains(err.Error(), "bound to its parallelism") {
		t.Errorf("got %v, want a refusal", err)
	}
	if _, _, err := open(t, s, 0, 2, state); err != nil {
		t.Errorf("the same place: %v", err)
	}
}

// TestTheNumbersEnd: an unbounded source ends before its numbers would overflow.
func TestTheNumbersEnd(t *testing.T) {
	op, out, err := open(t, generator.Source[int64]{Of: func(n int64) int64 { return n }}, 1, 2, []byte{2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		poll, err := op.Poll()
		if err != nil {
			t.Fatal(err)
		}
		if poll.Status == operator.End {
			if !slices.Equal(out.Values, []int64{math.MaxInt64}) {
				t.Errorf("got %v, want the last number", out.Values)
			}
			return
		}
	}
	t.Error("no end")
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte{2, 1, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		op, err := generator.Source[int64]{Of: square}.New(&operatortest.Output[int64]{})
		if err != nil {
			t.Fatal(err)
		}
		op.Restore(b) //nolint:errcheck // must only not panic
	})
}
