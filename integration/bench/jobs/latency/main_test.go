package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/flow"
)

func TestRun(t *testing.T) {
	r := &recorder{start: time.Now()}
	job := func(env *flow.Env, args []string) error { return build(env, args, r) }
	if err := flow.Run(t.Context(), job, "-records", "300", "-rate", "10000", "-warmup", "100"); err != nil {
		t.Error(err)
	}
	if r.left != 0 || len(r.taken) != 200 {
		t.Errorf("%d records left and %d times taken, want none and 200", r.left, len(r.taken))
	}
}

// TestOutput adds up what the job has written.
func TestOutput(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "times")
	job := func(env *flow.Env, args []string) error { return build(env, args, &recorder{}) }
	if err := flow.Run(t.Context(), job, "-records", "300", "-rate", "10000", "-warmup", "100", "-output", dir); err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, p := range parts {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var micros, count int
			if _, err := fmt.Sscanf(line, "%d\t%d\n", &micros, &count); err != nil || micros < 0 {
				t.Errorf("line %q: %v", line, err)
			}
			total += count
		}
	}
	if total != 200 {
		t.Errorf("%d records in %d files, want 200", total, len(parts))
	}
}

func TestQuantiles(t *testing.T) {
	r := &recorder{}
	r.expect(101, 1)
	r.expect(7, 0) // of another worker
	for i := range int64(101) {
		if err := r.add(i, time.Duration(i)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for share, want := range map[float64]float64{0.5: 51, 0.99: 100, 1: 100} {
		if got := r.at(share); got != want {
			t.Errorf("%v of 1 to 100 s do not exceed %v s, want %v", share, got, want)
		}
	}
	if got := (&recorder{}).at(0.5); got != 0 {
		t.Errorf("the median of nothing is %v, want 0", got)
	}
}
