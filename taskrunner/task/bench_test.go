package task_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/task"
)

// discard is a sink.
type discard struct{ operator.SinkBase }

func (discard) Collect(event, operator.Time) error { return nil }

// BenchmarkKeyedSum is the keyed sum of the pipeline tests with a sink that discards: an op is a record. "tcp" puts half of the channels,
// at parallelism 1 the only one, on a connection.
func BenchmarkKeyedSum(b *testing.B) {
	for _, c := range []struct {
		name    string
		workers int
		p       int
	}{{"inprocess/p=1", 1, 1}, {"inprocess/p=2", 1, 2}, {"tcp/p=1", 2, 1}, {"tcp/p=2", 2, 2}} {
		b.Run(c.name, func(b *testing.B) {
			g, jg := pipeline(b, int64(b.N), c.p, nil, &results{})
			g.Nodes[id(4)] = operator.Terminal(func() (operator.Operator, error) { return &discard{}, nil })
			run(b, g, jg, c.workers)
		})
	}
}

// BenchmarkChain is source -> map -> map -> sink in one task.
func BenchmarkChain(b *testing.B) {
	for _, copies := range []bool{false, true} {
		b.Run(fmt.Sprintf("copy=%v", copies), func(b *testing.B) {
			g, _ := pipeline(b, int64(b.N), 1, nil, &results{})
			g.Plan.Edges[1].Ship = plan.Natural
			g.Nodes[id(3)] = newMapper(func(e event) event { e.Key++; return e })
			g.Nodes[id(4)] = operator.Terminal(func() (operator.Operator, error) { return &discard{}, nil })
			g.Edges[id(3)] = g.Edges[id(2)]
			jg, err := plan.Chain(g.Plan)
			if err != nil {
				b.Fatal(err)
			}
			run(b, g, jg, 1, func(c *task.Config) { c.CopyValues = copies })
		})
	}
}

func run(b *testing.B, g *program.Graph, jg *plan.JobGraph, workers int, change ...func(*task.Config)) {
	b.Helper()
	c := newCluster(b, workers, 100*time.Millisecond)
	b.ReportAllocs()
	b.ResetTimer()
	c.deploy(g, jg, func(cfg *task.Config) {
		for _, f := range change {
			f(cfg)
		}
	})
	c.wait()
	b.StopTimer()
	for _, u := range c.last() {
		if u.State != task.Finished {
			b.Fatalf("%s: %v", u.State, u.Failure)
		}
	}
}
