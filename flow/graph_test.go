package flow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

// count is the job of the package comment.
func count(env *flow.Env, args []string) error {
	words := flow.FlatMap(flow.TextFiles(env, args[0]), func(line string, out flow.Emit[string]) {
		for word := range strings.FieldsSeq(line) {
			out.To(word)
		}
	})
	counts := flow.Count(flow.KeyBy(words, identity[string])).UID("counts")
	flow.WriteTextFiles(counts, args[1], func(line []byte, c flow.KV[string, int64]) []byte {
		return fmt.Appendf(line, "%s\t%d", c.Key, c.Value)
	})
	return nil
}

func mustBuild(t *testing.T, b build, ctx program.Context) *program.Graph {
	t.Helper()
	g, err := graphOf(b, ctx)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// shape is the vertices of a job and how they are connected.
func shape(t *testing.T, g *program.Graph, parallelism int) string {
	t.Helper()
	p, err := g.Plan.Resolve(parallelism, 0)
	if err != nil {
		t.Fatal(err)
	}
	jg, err := plan.Chain(p)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range jg.Vertices {
		v := &jg.Vertices[i]
		s := fmt.Sprintf("%s (%d)", v.Name, v.Parallelism)
		for _, e := range v.In {
			from, _ := jg.Vertex(jg.Edges[e].From)
			s += fmt.Sprintf(" < %s %s", jg.Edges[e].Ship, from.Name)
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestShapes(t *testing.T) {
	in := []string{"in", "out"}
	for _, tc := range []struct {
		name  string
		build build
		ctx   program.Context
		want  string
	}{
		{"bounded: combined", count, program.Context{Args: in},
			"Source: TextFiles -> FlatMap -> Combine (3)\nCount -> Sink: WriteTextFiles (3) < hash Source: TextFiles -> FlatMap -> Combine"},
		{"streaming", count, program.Context{Args: in, Mode: plan.Streaming},
			"Source: TextFiles -> FlatMap (3)\nCount -> Sink: WriteTextFiles (3) < hash Source: TextFiles -> FlatMap"},
		{"combine is off", count, program.Context{Args: in, Pipeline: map[string]string{"pipeline.combine": "false"}},
			"Source: TextFiles -> FlatMap (3)\nCount -> Sink: WriteTextFiles (3) < hash Source: TextFiles -> FlatMap"},
		{"unbounded", job(func(env *flow.Env) {
			flow.Print(flow.Reduce(flow.KeyBy(flow.Generate(env, identity[int64], flow.GenerateOptions{}), identity[int64]), func(a, b int64) int64 { return max(a, b) })).Parallelism(1)
		}), program.Context{}, "Source: Generate (3)\nReduce (3) < hash Source: Generate\nSink: Print (1) < rebalance Reduce"},
		{"names and parallelism", job(func(env *flow.Env) {
			n := flow.Sequence(env, 1, 9).Name("numbers").Parallelism(1)
			flow.Print(flow.Map(n, identity[int64]).Name("copy").Parallelism(2)).Name("terminal")
		}), program.Context{}, "Source: numbers (1)\ncopy (2) < rebalance Source: numbers\nSink: terminal (3) < rebalance copy"},
		{"union", job(func(env *flow.Env) {
			a, b := flow.Sequence(env, 1, 9).Name("a"), flow.Sequence(env, 1, 9).Name("b")
			flow.Print(flow.Union(a, b, a))
		}), program.Context{}, "Source: a (3)\nSource: b (3)\nSink: Print (3) < forward Source: a < forward Source: b < forward Source: a"},
		{"union by key, combined", job(func(env *flow.Env) {
			a, b := flow.Sequence(env, 1, 9).Name("a").Parallelism(1), flow.Sequence(env, 1, 9).Name("b")
			flow.Print(flow.Sum(flow.KeyBy(flow.Union(a, b), identity[int64]), identity[int64]))
		}), program.Context{}, "Source: a (1)\nSource: b (3)\nCombine (3) < rebalance Source: a < forward Source: b\nSum -> Sink: Print (3) < hash Combine"},
		{"rebalance", job(func(env *flow.Env) {
			flow.Print(flow.Rebalance(flow.Sequence(env, 1, 9)))
		}), program.Context{}, "Source: Sequence (3)\nSink: Print (3) < rebalance Source: Sequence"},
		{"process", job(func(env *flow.Env) {
			flow.Print(flow.Process(flow.KeyBy(flow.Sequence(env, 1, 9), identity[int64]), func(*flow.States[int64]) flow.ProcessFunc[int64, int64, int64] {
				return func(_, n int64, out flow.Emit[int64]) error { out.To(n); return nil }
			}))
		}), program.Context{}, "Source: Sequence (3)\nProcess -> Sink: Print (3) < hash Source: Sequence"},
	} {
		if got := shape(t, mustBuild(t, tc.build, tc.ctx), 3); got != tc.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tc.name, got, tc.want)
		}
	}
}

// TestIdentity: ids and digest stay when names, parallelism and unrelated operators change; the UID alone makes an operator's id.
func TestIdentity(t *testing.T) {
	base := mustBuild(t, count, program.Context{Args: []string{"in", "out"}}).Plan
	again := mustBuild(t, count, program.Context{Args: []string{"in", "out"}, Parallelism: 7}).Plan
	if diff := plan.Diff(base, again); diff != "" {
		t.Errorf("the same job differs: %s", diff)
	}
	named := mustBuild(t, func(env *flow.Env, args []string) error {
		env.JobName("other")
		return count(env, args)
	}, program.Context{Args: []string{"in", "out"}}).Plan
	if base.Digest() != named.Digest() || named.Name != "other" {
		t.Errorf("a name changes the digest, or is lost: %q", named.Name)
	}
	more := mustBuild(t, func(env *flow.Env, args []string) error {
		flow.Print(flow.Sequence(env, 1, 2))
		return count(env, args)
	}, program.Context{Args: []string{"in", "out"}}).Plan
	for _, op := range base.Operators {
		if _, ok := more.Operator(op.ID); !ok {
			t.Errorf("%s has another id when an unrelated operator is added", op.Name)
		}
	}
	twins := mustBuild(t, job(func(env *flow.Env) {
		n := flow.Sequence(env, 1, 2)
		flow.Print(flow.Map(n, identity[int64]))
		flow.Print(flow.Map(n, identity[int64]))
	}), program.Context{}).Plan
	if len(twins.Operators) != 5 {
		t.Errorf("got %d operators, want 5", len(twins.Operators))
	}
}

// TestParam: evaluated by the submitter alone, recorded, and read back everywhere.
func TestParam(t *testing.T) {
	calls := 0
	var got []time.Time
	b := job(func(env *flow.Env) {
		start := flow.Param(env, "start", func() time.Time { calls++; return time.Now() })
		got = append(got, start)
		flow.Print(flow.Sequence(env, 1, int64(start.Nanosecond())))
	})
	g := mustBuild(t, b, program.Context{})
	mustBuild(t, b, program.Context{Params: g.Plan.Params})
	if calls != 1 || len(got) != 2 || got[0] != got[1] || got[0].IsZero() {
		t.Errorf("evaluated %d times, got %v", calls, got)
	}
	_, err := graphOf(b, program.Context{Params: []plan.Param{}})
	if err == nil || !strings.Contains(err.Error(), `"start" was not recorded`) {
		t.Errorf("got %v, want that the parameter was not recorded", err)
	}
	_, err = graphOf(b, program.Context{Params: []plan.Param{{Name: "start", Value: "7"}}})
	if err == nil || !strings.Contains(err.Error(), "as time.Time") {
		t.Errorf("got %v, want that the parameter does not fit", err)
	}
}

// TestFilesToFiles runs the job of the package comment.
func TestFilesToFiles(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "deep", "out")
	if err := os.WriteFile(in, []byte("to be or\nnot to be"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := flow.Run(t.Context(), count, in, out); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(out, "part-00000"))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(b)), "\n")
	slices.Sort(got)
	if want := []string{"be\t2", "not\t1", "or\t1", "to\t2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := flow.Run(t.Context(), count, in, out); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("run again: %v, want that the output exists", err)
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the output: %v, %v", entries, err)
	}
}
