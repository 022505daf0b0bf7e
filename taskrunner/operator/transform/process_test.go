package transform_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
	"github.com/flott-dev/flott/taskrunner/operator/transform"
)

type (
	states = transform.States[string]
	emit   = operator.Emit[string]
)

func process(declare func(*states) transform.ProcessFunc[string, string, string]) transform.Process[string, string, string] {
	return transform.Process[string, string, string]{Key: must(operator.KeyOf[string]()), KeyCodec: operator.MustCodec[string](),
		Of: func(w string) string { return w[:1] }, Declare: declare}
}

// history emits the words with the same first letter so far, and how often each has come.
func history(s *states) transform.ProcessFunc[string, string, string] {
	all := transform.NewValueState[string](s, "all")
	seen := transform.NewMapState[string, int](s, "seen")
	return func(key, w string, out emit) error {
		before, ok := all.Get()
		if ok {
			before += "+"
		}
		n, _ := seen.Get(w)
		seen.Set(w, n+1)
		all.Set(before + w)
		if n == 1 {
			all.Clear()
			seen.Delete(w)
		}
		out.To(fmt.Sprintf("%s:%s%s %d", key, before, w, seen.Len()))
		return nil
	}
}

func TestProcessConforms(t *testing.T) {
	operatortest.Conform(t, operatortest.Case[string, string]{Factory: process(history),
		Records: []string{"a1", "b1", "a2", "a1", "a3", "b1", "b2"},
		Want:    []string{"a:a1 1", "b:b1 1", "a:a1+a2 2", "a:a1+a2+a1 1", "a:a3 2", "b:b1+b1 0", "b:b2 1"}})
}

// TestWindowOfKeys hands over more records at once than a state looks for at once, on many keys; keys come, go and come again.
func TestWindowOfKeys(t *testing.T) {
	counts := map[string]int{}
	var want, records []string
	for i := range 2000 {
		w := string(rune('a'+i*i%23)) + strconv.Itoa(i)
		k := w[:1]
		if counts[k]++; counts[k] == 3 {
			delete(counts, k)
		}
		records, want = append(records, w), append(want, fmt.Sprint(k, counts[k]))
	}
	declare := func(s *states) transform.ProcessFunc[string, string, string] {
		n := transform.NewValueState[int](s, "n")
		transform.NewValueState[int](s, "never used")
		return func(key, _ string, out emit) error {
			v, _ := n.Get()
			n.Set(v + 1)
			if v+1 == 3 {
				n.Clear()
			}
			v, _ = n.Get()
			out.To(fmt.Sprint(key, v))
			return nil
		}
	}
	out := &operatortest.Output[string]{}
	op := open(t, process(declare), out, nil).(operator.Batcher[string])
	for at := 0; at < len(records); at += 50 {
		if err := op.CollectBatch(records[at:at+50], nil); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(out.Values, want) {
		t.Errorf("counts differ: got %d, want %d: %v", len(out.Values), len(want), out.Values[:50])
	}
}

func TestProcessChecksStates(t *testing.T) {
	for name, tc := range map[string]struct {
		declare func(*states) transform.ProcessFunc[string, string, string]
		want    string
	}{
		"good": {history, ""},
		"twice": {func(s *states) transform.ProcessFunc[string, string, string] {
			transform.NewValueState[int](s, "n")
			transform.NewMapState[string, int](s, "n")
			return func(string, string, emit) error { return nil }
		}, `state "n" is declared twice`},
		"no codec": {func(s *states) transform.ProcessFunc[string, string, string] {
			transform.NewValueState[chan int](s, "n")
			return func(string, string, emit) error { return nil }
		}, `state "n": no codec for chan int`},
		"no name": {func(s *states) transform.ProcessFunc[string, string, string] {
			transform.NewValueState[int](s, "")
			return func(string, string, emit) error { return nil }
		}, "has no name"},
		"no function": {func(*states) transform.ProcessFunc[string, string, string] { return nil }, "returned no function"},
		"used while declared": {func(s *states) transform.ProcessFunc[string, string, string] {
			transform.NewValueState[int](s, "n").Set(1)
			return func(string, string, emit) error { return nil }
		}, "outside of the processing of a record"},
	} {
		err := process(tc.declare).Check()
		if got := fmt.Sprint(err); tc.want == "" && err != nil || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// TestMapState drives every method of a map state.
func TestMapState(t *testing.T) {
	var all []string
	op := open(t, process(func(s *states) transform.ProcessFunc[string, string, string] {
		m := transform.NewMapState[string, int](s, "m")
		return func(_, w string, _ emit) error {
			switch w {
			case "k list":
				all = slices.Sorted(maps.Keys(maps.Collect(m.All())))
			case "k clear":
				m.Clear()
			case "k drop":
				m.Delete("k drop")
				m.Delete("k 1")
			default:
				m.Set(w, len(w))
			}
			if w == "k 2" {
				if v, ok := m.Get("k 1"); v != 3 || !ok {
					t.Errorf("get: %d, %v", v, ok)
				}
			}
			return nil
		}
	}), &operatortest.Output[string]{}, nil)
	for _, step := range []struct {
		record string
		want   string
	}{{"k list", ""}, {"k 1", ""}, {"k 2", ""}, {"k list", "k 1,k 2"}, {"k drop", "k 1,k 2"}, {"k list", "k 2"}, {"l 1", "k 2"},
		{"k clear", "k 2"}, {"k list", ""}, {"k drop", ""}} {
		if err := op.(operator.Output[string]).Collect(step.record, operator.NoTime); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(all, ","); got != step.want {
			t.Errorf("after %q: fields %q, want %q", step.record, got, step.want)
		}
	}
}

func TestStateOutsideOfARecordIsAnError(t *testing.T) {
	var kept *transform.ValueState[int]
	op := open(t, process(func(s *states) transform.ProcessFunc[string, string, string] {
		kept = transform.NewValueState[int](s, "n")
		return func(string, string, emit) error { return nil }
	}), &operatortest.Output[string]{}, nil)
	kept.Set(1)
	if err := op.(operator.Output[string]).Collect("a", operator.NoTime); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("got %v, want that state was used outside of a record", err)
	}
}

// TestForeignKey: a key function that is not pure is found out.
func TestForeignKey(t *testing.T) {
	op := open(t, process(history), &operatortest.Output[string]{}, func(c *operator.Context) { c.Parallelism, c.LastKeyGroup = 128, 0 })
	var err error
	for r := 'a'; r < 'a'+20 && err == nil; r++ {
		err = op.(operator.Output[string]).Collect(string(r), operator.NoTime)
	}
	if err == nil || !strings.Contains(err.Error(), "belongs to another subtask") {
		t.Errorf("got %v, want that the key is another subtask's", err)
	}
}

func FuzzRestoreProcess(f *testing.F) {
	f.Add([]byte{3, 'a', 'l', 'l', 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		op, err := process(history).New(&operatortest.Output[string]{})
		if err != nil {
			t.Fatal(err)
		}
		if op.Restore(b) == nil {
			op.Open(t.Context(), operatortest.Context(t)) //nolint:errcheck // must only not panic
		}
	})
}
