package main

import (
	"context"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
)

// TestBars: each bar names rows that there are.
func TestBars(t *testing.T) {
	names := map[string]bool{"": true}
	for _, g := range flinkGroups(1) {
		for _, c := range g.cases {
			if names[c.name] || c.command == "" {
				t.Errorf("row %q is there twice, or has no command", c.name)
			}
			names[c.name] = true
		}
	}
	seen := map[string]bool{}
	for _, b := range flinkBars() {
		if !names[b.Ours] || !names[b.Theirs] {
			t.Errorf("bar %q compares %q with %q, which are not both rows", b.Name, b.Ours, b.Theirs)
		}
		if b.Metric == "" || b.Bound < 0 || seen[b.Ours+b.Theirs+b.Metric] {
			t.Errorf("bar %q says nothing, or again: %+v", b.Name, b)
		}
		seen[b.Ours+b.Theirs+b.Metric] = true
	}
}

// TestFlinkChosen: an expression without a side chooses both.
func TestFlinkChosen(t *testing.T) {
	var got []string
	for _, g := range chosen(flinkGroups(1), regexp.MustCompile("keyed sum, p1")) {
		for _, c := range g.cases {
			got = append(got, c.name)
		}
		if g.done == nil {
			t.Error("the sessions of the group are not ended")
		}
	}
	if want := []string{layouts[0].name + ours, layouts[0].name + theirs}; !slices.Equal(got, want) {
		t.Errorf("chosen %q, want %q", got, want)
	}
}

func TestMoments(t *testing.T) {
	logs := map[string]io.Reader{
		"worker 1": strings.NewReader(`2026-11-21 13:00:00,100 INFO  task state attempt=a_0_1 state=RUNNING
a line of a stack
2026-11-21 13:00:05,000 INFO  task state attempt=a_0_1 state=FINISHED
`),
		"worker 2": strings.NewReader(`2026-11-21 13:00:00,250 INFO  task state attempt=b_0_1 state=RUNNING
2026-11-21 13:00:04,000 INFO  something else state=RUNNING
2026-11-21 13:00:07,500 INFO  task state attempt=b_0_1 state=FINISHED
`)}
	at := func(ms int) time.Time { return time.Date(2026, 11, 21, 13, 0, 0, ms*1e6, time.Local) }
	m, err := momentsOf(logs)
	if want := (moments{at(100), at(250), at(7500)}); err != nil || m != want {
		t.Errorf("moments %v (%v), want %v", m, err, want)
	}
	if got := (jobRun{moments: m}).seconds(); got != 7.4 {
		t.Errorf("the job worked %v s, want 7.4", got)
	}
	if m, err := momentsOf(map[string]io.Reader{"worker": strings.NewReader("nothing\n")}); err == nil {
		t.Errorf("moments %v of an empty log", m)
	}
}

func TestHistogram(t *testing.T) {
	h, err := parseHistogram([][]byte{[]byte("10\t50"), []byte("2000\t9"), []byte("10\t40"), []byte("70000\t1")})
	if err != nil {
		t.Fatal(err)
	}
	if want := (histogram{10: 90, 2000: 9, 70000: 1}); !maps.Equal(h, want) || h.total() != 100 {
		t.Errorf("histogram %v of %d, want %v", h, h.total(), want)
	}
	for share, want := range map[float64]time.Duration{0.5: 10 * time.Microsecond, 0.9: 2 * time.Millisecond, 0.989: 2 * time.Millisecond,
		0.99: 70 * time.Millisecond, 1: 70 * time.Millisecond} {
		if got := h.at(share); got != want {
			t.Errorf("%v of them did not exceed %v, want %v", share, got, want)
		}
	}
	if got := (histogram{}).at(0.5); got != 0 {
		t.Errorf("the median of nothing is %v, want 0", got)
	}
	for _, bad := range []string{"", "1", "x\t1", "1\ty"} {
		if h, err := parseHistogram([][]byte{[]byte(bad)}); err == nil {
			t.Errorf("%q was read as %v", bad, h)
		}
	}
}

func TestIDFinder(t *testing.T) {
	f := &idFinder{found: make(chan string, 1)}
	for _, piece := range []string{"Submitted applic", "ation_1795_00", "12 to", " YARN; application_1_2 is another\n"} {
		if n, err := io.WriteString(f, piece); n != len(piece) || err != nil {
			t.Errorf("wrote %d of %q: %v", n, piece, err)
		}
	}
	if got, want := <-f.found, "application_1795_0012"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}
}

// TestGroupMost runs a group that wants fewer runs than asked for, and something after them.
func TestGroupMost(t *testing.T) {
	var order []string
	s := &session{runs: 5}
	s.group(t.Context(), group{most: 2, done: func(*session) { order = append(order, "done") }, cases: []benchCase{{name: "a",
		run: func(context.Context, *session, *measure.Row) error { order = append(order, "run"); return nil }}}})
	if want := []string{"run", "run", "done"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}
