// Command job is a job binary as the command line sees one: it has flott's mark and the role plan. Its first argument says how it behaves.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/plan"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	file, err := launchfile.Read(os.Getenv(launchfile.Variable))
	if err != nil {
		return err
	}
	kind := "good"
	if len(file.Args) > 0 {
		kind = file.Args[0]
	}
	switch kind {
	case "refuse":
		return fmt.Errorf("input is missing\nusage: job --input <path>")
	case "silent":
		return nil
	case "panic":
		var m map[string]int
		m["a"] = 1
	case "hang":
		fmt.Println("hanging")
		time.Sleep(time.Hour)
	}
	if os.Getenv(launchfile.RoleVariable) != "plan" {
		fmt.Printf("ran locally with %q, parallelism %d, child arguments %q\n", file.Args, file.Parallelism, os.Args[1:])
		if kind == "exit 7" {
			os.Exit(7)
		}
		return nil
	}
	source, sink := ids.OperatorIDForUID("source"), ids.OperatorIDForUID("sink")
	p := &plan.Plan{
		Name: "fixture",
		Operators: []plan.Operator{
			{ID: source, UID: "source", Name: "numbers", Kind: plan.Source, Func: "f", Bounded: true},
			{ID: sink, UID: "sink", Name: "print", Kind: plan.Sink, Func: "g"},
		},
		Edges: []plan.Edge{{ID: ids.EdgeIDFor(source, sink, 0, 0), From: source, To: sink, Ship: plan.Natural, Type: "int", Codec: "int"}},
	}
	resolved, err := p.Resolve(max(1, file.Parallelism), 0)
	if err != nil {
		return err
	}
	data, err := resolved.Marshal()
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv(launchfile.PlanOutVariable), data, 0o600)
}
