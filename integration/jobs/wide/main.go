// Command wide is a job without end that does nothing much in as many subtasks as its parallelism says. The load harness submits it.
//
//	wide              one vertex: every subtask makes a record a while and drops it
//	wide exchange     two vertices, every subtask of the first connected with every one of the second
package main

import (
	"fmt"

	"github.com/flott-dev/flott/flow"
)

func main() { flow.Main(build) }

func build(env *flow.Env, args []string) error {
	env.JobName("wide")
	numbers := flow.Generate(env, func(n int64) int64 { return n }, flow.GenerateOptions{PerSecond: 1})
	switch {
	case len(args) == 0:
		flow.ForEach(numbers, func(int64) error { return nil })
	case len(args) == 1 && args[0] == "exchange":
		flow.ForEach(flow.Count(flow.KeyBy(numbers, func(n int64) int64 { return n % 10 })), func(flow.KV[int64, int64]) error { return nil })
	default:
		return fmt.Errorf("usage: wide [exchange]")
	}
	return nil
}
