package scheduler

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// TestTables holds both transition tables against testdata/tables.golden, where a reader finds them, and checks what must hold in any
// such table.
func TestTables(t *testing.T) {
	var b strings.Builder
	b.WriteString("job state x input\n")
	for from, row := range jobTable {
		for in, to := range row {
			if to != JobState(from) {
				fmt.Fprintf(&b, "  %-12s + %-12s = %s\n", JobState(from), jobInputNames[in], to)
			}
			if JobState(from).Terminal() && to != JobState(from) {
				t.Errorf("%s leaves its terminal state", JobState(from))
			}
		}
	}
	b.WriteString("task state x input\n")
	for _, from := range TaskStates() {
		for in, to := range taskTable[from] {
			if to != from {
				fmt.Fprintf(&b, "  %-12s + %-12s = %s\n", from, taskInputNames[in], to)
			}
			if to == TaskUnspecified || from.Terminal() && to != from {
				t.Errorf("%s + %s = %s", from, taskInputNames[in], to)
			}
		}
	}
	const file = "testdata/tables.golden"
	if *rewrite {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || b.String() != string(want) {
		t.Errorf("tables differ from %s (%v); got:\n%s", file, err, b.String())
	}
}

func TestJobStateNames(t *testing.T) {
	for _, s := range JobStates() {
		if got, err := ParseJobState(s.String()); err != nil || got != s {
			t.Errorf("ParseJobState(%q) = %v, %v", s, got, err)
		}
	}
	if _, err := ParseJobState("SUSPENDED"); err == nil {
		t.Error("ParseJobState accepted a state that jobs here do not have")
	}
}

// TestFinals: per operator one entry per subtask, also where nothing was handed over.
func TestFinals(t *testing.T) {
	now := time.Unix(1000, 0)
	s, err := New(now, Config{Job: ids.JobID{1}, Epoch: 7, Graph: graphOf([]string{"a:3"})})
	if err != nil {
		t.Fatal(err)
	}
	s.Step(now, Initialized{})
	s.Step(now, Schedule{})
	for i := range 3 {
		s.Step(now, SlotAdded{Slot: Slot{Allocation: ids.AllocationID{byte(i + 1)}, Worker: "w", Index: uint32(i)}})
	}
	for i, state := range []string{"x", "", "z"} {
		u := update("w", fmt.Sprintf("a/%d", i), "FINISHED", nil)
		if state != "" {
			u.Finals = []OperatorState{{Operator: ids.OperatorID{'a'}, State: []byte(state)}}
		}
		s.Step(now, u)
	}
	if got := fmt.Sprintf("%q", s.Finals()[ids.OperatorID{'a'}]); got != `["x" "" "z"]` {
		t.Errorf("finals = %s", got)
	}
}

// TestViewShares: a view copies only vertices that changed, and metrics stop with the execution.
func TestViewShares(t *testing.T) {
	now := time.Unix(1000, 0)
	s, err := New(now, Config{Job: ids.JobID{1}, Epoch: 7, Graph: graphOf([]string{"a:1", "b:1", "a>b:hash"})})
	if err != nil {
		t.Fatal(err)
	}
	s.Step(now, Initialized{})
	s.Step(now, Schedule{})
	s.Step(now, SlotAdded{Slot: Slot{Allocation: ids.AllocationID{1}, Worker: "w"}})
	s.Step(now, update("w", "a/0", "RUNNING", nil))
	before := s.View()
	if s.Report("other", attempt("a/0"), Metrics{RecordsOut: 4}) || !s.Report("w", attempt("a/0"), Metrics{RecordsOut: 5}) {
		t.Error("counts of another worker were taken, or those of the right one were not")
	}
	after := s.View()
	if before.Vertices[1] != after.Vertices[1] {
		t.Error("an unchanged vertex was copied")
	}
	if b, a := before.Vertices[0].Metrics.RecordsOut, after.Vertices[0].Metrics.RecordsOut; b != 0 || a != 5 {
		t.Errorf("records out before %d, after %d, want 0 and 5", b, a)
	}
	s.Step(now, update("w", "a/0", "FINISHED", nil))
	s.Report("w", attempt("a/0"), Metrics{RecordsOut: 6})
	if got := s.View().Vertices[0].Metrics.RecordsOut; got != 5 {
		t.Errorf("records out after the end = %d, want 5", got)
	}
	if !s.InUse("w", ids.AllocationID{1}) || s.InUse("w", ids.AllocationID{2}) {
		t.Error("InUse is wrong")
	}
}

func TestFailureSentence(t *testing.T) {
	for _, c := range []struct {
		f                 Failure
		sentence, details string
	}{
		{Failure{Message: "no such file"}, "no such file", ""},
		{Failure{Message: "boom\nmore", Stack: "main.f()", Task: `"map" (2/4)`, Worker: "c1"}, `task "map" (2/4) on c1 failed: boom`, "more\nmain.f()"},
		{Failure{Stack: "main.f()"}, "no reason given", "main.f()"},
	} {
		if s, d := c.f.Sentence(), c.f.Details(); s != c.sentence || d != c.details {
			t.Errorf("%+v: %q, %q, want %q, %q", c.f, s, d, c.sentence, c.details)
		}
	}
}
