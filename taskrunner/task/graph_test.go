package task_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/task"
)

// tally is a sink that counts per name.
type tally struct {
	operator.SinkBase
	add func(n int, ends int)
}

func (s *tally) Collect(event, operator.Time) error { s.add(1, 0); return nil }

func (s *tally) Control(ev operator.Event) error {
	if ev.Kind == operator.EndOfData {
		s.add(0, 1)
	}
	return nil
}

// TestUnionAndFanout runs two sources of different parallelism into two sinks; the first source feeds both, one of them chained.
func TestUnionAndFanout(t *testing.T) {
	eachWay(t, func(t *testing.T, workers int) {
		codec := operator.MustCodec[event]()
		pl := &plan.Plan{Version: plan.Version, Name: "union", Operators: []plan.Operator{
			{ID: id(1), Name: "a", Kind: plan.Source, Bounded: true, Parallelism: 2},
			{ID: id(2), Name: "b", Kind: plan.Source, Bounded: true, Parallelism: 1},
			{ID: id(3), Name: "both", Kind: plan.Sink, Parallelism: 3},
			{ID: id(4), Name: "only a", Kind: plan.Sink, Parallelism: 2},
			{ID: id(5), Name: "not chained", Kind: plan.Sink, Parallelism: 2, Chaining: plan.ChainNever}},
			Edges: []plan.Edge{
				{ID: id(1), From: id(1), To: id(3), Ship: plan.Natural}, {ID: id(2), From: id(2), To: id(3), Ship: plan.Natural},
				{ID: id(3), From: id(1), To: id(4), Ship: plan.Natural}, {ID: id(4), From: id(1), To: id(5), Ship: plan.Natural}}}
		pl, err := pl.Resolve(1, 0)
		if err != nil {
			t.Fatal(err)
		}
		jg, err := plan.Chain(pl)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got, ended := make(map[string]int), make(map[string]int)
		sinkNode := func(name string) operator.Terminal {
			return func() (operator.Operator, error) {
				return &tally{add: func(n, ends int) {
					mu.Lock()
					defer mu.Unlock()
					got[name] += n
					ended[name] += ends
				}}, nil
			}
		}
		g := &program.Graph{Plan: pl, Edges: map[ids.EdgeID]any{}, Nodes: map[ids.OperatorID]any{
			id(1): newSequence(3000), id(2): newSequence(500), id(3): sinkNode("both"), id(4): sinkNode("only a"), id(5): sinkNode("not chained")}}
		for i := byte(1); i <= 4; i++ {
			g.Edges[id(i)] = operator.Edge[event]{Codec: codec}
		}
		c := newCluster(t, workers, time.Millisecond)
		c.deploy(g, jg, nil)
		c.wait()
		for _, u := range c.last() {
			if u.State != task.Finished {
				t.Fatalf("%s: %+v", u.State, u.Failure)
			}
		}
		if s := fmt.Sprint(got, ended); s != "map[both:3500 not chained:3000 only a:3000] map[both:3 not chained:2 only a:2]" {
			t.Errorf("records and ends: %s", s)
		}
	})
}

// TestRestore checks that an operator gets its state before it is opened.
func TestRestore(t *testing.T) {
	g, jg := pipeline(t, 0, 1, nil, &results{last: map[int64]int64{}})
	var calls []string
	g.Nodes[id(1)] = operator.Transform[event](func(next operator.Output[event]) (operator.Operator, error) {
		r := &restored{script: script{poll: func(*script) (operator.Poll, error) { return operator.Poll{Status: operator.End}, nil },
			open: func() error { calls = append(calls, "open"); return nil }}, calls: &calls}
		r.Next = next
		return r, nil
	})
	c := newCluster(t, 1, time.Millisecond)
	c.deploy(g, jg, func(cfg *task.Config) { cfg.Restore = map[ids.OperatorID][]byte{id(1): []byte("state")} })
	c.wait()
	if s := fmt.Sprint(calls); s != "[restore state open]" {
		t.Errorf("calls %s", s)
	}
}

type restored struct {
	script
	calls *[]string
}

func (r *restored) Restore(b []byte) error {
	*r.calls = append(*r.calls, "restore "+string(b))
	return nil
}
