// Package flowtest helps with tests of jobs: it runs them over slices and returns what comes out, and checks that building a job again
// yields the same job.
//
// Its functions are called from tests, on the test's goroutine. Run runs the job in the engine's own local mode: the components of a
// cluster within the test's process, with as many subtasks as asked for. It returns when the job has ended and all goroutines with it.
package flowtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/flott-dev/flott/bin/roles"
	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

// Parallelism of the jobs that Run and Job run: more than one, so that a job that needs all records in one place shows it.
const Parallelism = 2

// Run runs a job over the records of a slice and returns the records of the stream that job makes of it, in no particular order. The test
// ends if the job fails.
func Run[I, O any](t testing.TB, records []I, job func(flow.Stream[I]) flow.Stream[O]) []O {
	t.Helper()
	var c Collector[O]
	err := Job(t, func(env *flow.Env, _ []string) error {
		c.Sink(job(From(env, records...)))
		return nil
	})
	if err != nil {
		t.Fatalf("run the job: %v", err)
	}
	return c.Records()
}

// Job runs a whole job, with sources and sinks of its own, and returns why it failed: nil when it has finished. Files are on the local
// disk.
func Job(t testing.TB, build func(env *flow.Env, args []string) error, args ...string) error {
	return roles.Local{Parallelism: Parallelism, Program: flow.Program(build), Args: args}.Run(t.Context())
}

// From is a source of these records: for jobs with several sources, or with sinks of their own, that Job runs.
func From[T any](env *flow.Env, records ...T) flow.Stream[T] {
	if len(records) == 0 {
		return flow.Map(flow.Sequence(env, 1, 0), func(int64) (v T) { return v })
	}
	return flow.Generate(env, func(n int64) T { return records[n] }, flow.GenerateOptions{Count: int64(len(records))}).Name("From")
}

// Collector keeps the records of a stream. Its zero value is ready.
type Collector[T any] struct {
	mu      sync.Mutex
	records []T
}

// Sink adds a sink that keeps copies of the stream's records.
func (c *Collector[T]) Sink(s flow.Stream[T]) {
	flow.ForEach(s, func(v T) error {
		v, err := flow.Clone(v)
		if err != nil {
			return fmt.Errorf("keep a record: %w", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.records = append(c.records, v)
		return nil
	})
}

// Records returns what has been kept so far.
func (c *Collector[T]) Records() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.records)
}

// Deterministic checks that a build function declares the same job whenever it is called with the same arguments, as it will be in every
// process: it builds as the submitter does, and again with the parameters recorded. What build takes from the clock, from chance or from
// the environment other than through flow.Param may show here.
func Deterministic(t testing.TB, build func(env *flow.Env, args []string) error, args ...string) {
	t.Helper()
	p := flow.Program(build)
	first, err := p.Build(program.Context{Args: args, Parallelism: 1})
	if err != nil {
		t.Errorf("build the job: %v", err)
		return
	}
	params := first.Plan.Params
	if params == nil {
		params = []plan.Param{}
	}
	again, err := p.Build(program.Context{Args: args, Parallelism: 1, Params: params})
	if err != nil {
		t.Errorf("build the job again: %v", err)
		return
	}
	if diff := plan.Diff(first.Plan, again.Plan); diff != "" {
		t.Errorf("building the job again yields another one: %s", diff)
	}
}
