//go:build !race

package task_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/task"
)

// TestNoAllocationPerRecord counts what a long run allocates beyond a short one. Over a connection each frame is copied once, because the
// records refer to memory; in-process nothing is.
func TestNoAllocationPerRecord(t *testing.T) {
	const few, many = 50_000, 550_000
	for workers, most := range map[int]float64{1: 0.001, 2: 0.02} {
		t.Run(fmt.Sprintf("workers=%d", workers), func(t *testing.T) {
			per := float64(mallocs(t, workers, many)-mallocs(t, workers, few)) / (many - few)
			if per > most {
				t.Errorf("%.4f allocations a record, at most %v", per, most)
			}
		})
	}
}

func mallocs(t *testing.T, workers int, n int64) int64 {
	t.Helper()
	g, jg := pipeline(t, n, 2, nil, &results{})
	g.Nodes[id(4)] = operator.Terminal(func() (operator.Operator, error) { return &discard{}, nil })
	c := newCluster(t, workers, 100*time.Millisecond)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.deploy(g, jg, nil)
	c.wait()
	runtime.ReadMemStats(&after)
	for _, u := range c.last() {
		if u.State != task.Finished {
			t.Fatalf("%s: %+v", u.State, u.Failure)
		}
	}
	return int64(after.Mallocs - before.Mallocs)
}
