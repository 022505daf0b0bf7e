package flowtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/bin/roles"
	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/flow/flowtest"
)

func self[T any](v T) T { return v }

type count = flow.KV[string, int64]

func counts(words flow.Stream[string]) flow.Stream[count] {
	return flow.Count(flow.KeyBy(words, self[string]))
}

func sorted[T any](records []T) []string {
	var out []string
	for _, r := range records {
		out = append(out, fmt.Sprint(r))
	}
	slices.Sort(out)
	return out
}

func TestRun(t *testing.T) {
	got := sorted(flowtest.Run(t, []string{"a", "b", "a", "c", "a"}, counts))
	if want := []string{"{a 3}", "{b 1}", "{c 1}"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := flowtest.Run(t, nil, counts); len(got) != 0 {
		t.Errorf("no records gave %v", got)
	}
}

// TestManyRecords: operators with several subtasks give what one goroutine would.
func TestManyRecords(t *testing.T) {
	const n, keys = 100_000, 997
	var in []int64
	sums := make(map[int64]int64)
	for i := range int64(n) {
		in = append(in, i)
		sums[i%keys] += i
	}
	var want []string
	for k, v := range sums {
		want = append(want, fmt.Sprint(flow.KV[int64, int64]{Key: k, Value: v}))
	}
	slices.Sort(want)
	key := func(v int64) int64 { return v % keys }
	for name, job := range map[string]func(flow.Stream[int64]) flow.Stream[flow.KV[int64, int64]]{
		"Sum": func(s flow.Stream[int64]) flow.Stream[flow.KV[int64, int64]] {
			return flow.Sum(flow.KeyBy(s, key), self[int64])
		},
		"Sum of a rebalanced union": func(s flow.Stream[int64]) flow.Stream[flow.KV[int64, int64]] {
			even := flow.Filter(s, func(v int64) bool { return v%2 == 0 })
			odd := flow.Filter(s, func(v int64) bool { return v%2 != 0 }).Parallelism(1)
			return flow.Sum(flow.KeyBy(flow.Rebalance(flow.Union(even, odd)), key), self[int64])
		},
		"Reduce": func(s flow.Stream[int64]) flow.Stream[flow.KV[int64, int64]] {
			pairs := flow.Map(s, func(v int64) flow.KV[int64, int64] { return flow.KV[int64, int64]{Key: key(v), Value: v} })
			return flow.Reduce(flow.KeyBy(pairs, func(p flow.KV[int64, int64]) int64 { return p.Key }), func(a, b flow.KV[int64, int64]) flow.KV[int64, int64] {
				a.Value += b.Value
				return a
			})
		},
		"Process": func(s flow.Stream[int64]) flow.Stream[flow.KV[int64, int64]] {
			return flow.Process(flow.KeyBy(s, key), func(st *flow.States[int64]) flow.ProcessFunc[int64, int64, flow.KV[int64, int64]] {
				sum, left := flow.NewValueState[int64](st, "sum"), flow.NewValueState[int](st, "left")
				return func(k, v int64, out flow.Emit[flow.KV[int64, int64]]) error {
					s, _ := sum.Get()
					sum.Set(s + v)
					n, ok := left.Get()
					if !ok {
						n = 100_000 / keys
						if k < 100_000%keys {
							n++
						}
					}
					left.Set(n - 1)
					if n == 1 {
						out.To(flow.KV[int64, int64]{Key: k, Value: s + v})
					}
					return nil
				}
			})
		},
	} {
		if got := sorted(flowtest.Run(t, in, job)); !slices.Equal(got, want) {
			t.Errorf("%s: %d results differ from the %d wanted", name, len(got), len(want))
		}
	}
}

// recorder catches what Run and Deterministic say to a test.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper()                      {}
func (r *recorder) Errorf(f string, args ...any) { r.said = append(r.said, fmt.Sprintf(f, args...)) }
func (r *recorder) Fatalf(f string, args ...any) {
	r.Errorf(f, args...)
	panic(r)
}

func TestAFailedJobEndsTheTest(t *testing.T) {
	r := &recorder{TB: t}
	func() {
		defer func() { recover() }() //nolint:errcheck // it is r
		flowtest.Run(r, []int{1}, func(s flow.Stream[int]) flow.Stream[int] {
			return flow.TryMap(s, func(int) (int, error) { return 0, fmt.Errorf("no such customer") })
		})
	}()
	if len(r.said) != 1 || !strings.Contains(r.said[0], "no such customer") {
		t.Errorf("said %q, want the function's error", r.said)
	}
}

func TestDeterministic(t *testing.T) {
	calls := 0
	for name, tc := range map[string]struct {
		build func(env *flow.Env, args []string) error
		want  string
	}{
		"good": {func(env *flow.Env, args []string) error {
			n := flow.Param(env, "n", func() int { calls++; return calls })
			flow.ForEach(flow.Map(flow.Sequence(env, 1, int64(n)), func(int64) int { return n }), func(int) error { return nil })
			return nil
		}, ""},
		"another graph": {func(env *flow.Env, args []string) error {
			s := flow.Sequence(env, 1, 2)
			if calls++; calls%2 == 0 {
				s = flow.Filter(s, func(int64) bool { return true })
			}
			flow.Print(s)
			return nil
		}, "the number of operators differs"},
		"fails": {func(env *flow.Env, args []string) error { return fmt.Errorf("usage: %s", args) }, "usage: [a b]"},
	} {
		r := &recorder{TB: t}
		flowtest.Deterministic(r, tc.build, "a", "b")
		if got := strings.Join(r.said, "\n"); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: said %q, want %q", name, got, tc.want)
		}
	}
}

// TestOverTCP: the same results when records travel as bytes between two workers.
func TestOverTCP(t *testing.T) {
	var c flowtest.Collector[flow.KV[string, int64]]
	err := roles.Local{Parallelism: 4, TCP: true, Program: flow.Program(func(env *flow.Env, _ []string) error {
		n := flow.Sequence(env, 0, 99_999)
		words := flow.Map(n, func(n int64) string { return fmt.Sprintf("word %d", n%5000) })
		c.Sink(flow.Count(flow.KeyBy(flow.Rebalance(words), self[string])))
		return nil
	})}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := c.Records()
	for _, r := range got {
		if r.Value != 20 {
			t.Fatalf("got %v, want 20", r)
		}
	}
	if len(got) != 5000 {
		t.Errorf("got %d words, want 5000", len(got))
	}
}
