package roles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

// runPlan writes the plan that the program builds from the launch file's arguments.
func runPlan(_ context.Context, env environment, prog program.Program) error {
	if env.launch == "" || env.planOut == "" {
		return fmt.Errorf("role plan needs %s and %s", launchfile.Variable, launchfile.PlanOutVariable)
	}
	file, err := launchfile.Read(env.launch)
	if err != nil {
		return err
	}
	cfg, err := file.Config()
	if err != nil {
		return err
	}
	graph, err := build(prog, buildContext(file, cfg, nil))
	if err != nil {
		return err
	}
	resolved, err := graph.Plan.Resolve(parallelism(file, cfg), maxParallelismOption(cfg))
	if err != nil {
		return err
	}
	data, err := resolved.Marshal()
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	if err := os.WriteFile(env.planOut, data, 0o600); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// parallelism is -p, else parallelism.default.
func parallelism(file launchfile.File, cfg *conf.Config) int {
	if file.Parallelism > 0 {
		return file.Parallelism
	}
	return conf.ParallelismDefault.Get(cfg)
}

// maxParallelismOption is pipeline.max-parallelism, 0 when it is left to the parallelism.
func maxParallelismOption(cfg *conf.Config) int { return max(0, conf.PipelineMaxParallelism.Get(cfg)) }

var runtimeModes = map[conf.RuntimeMode]plan.RuntimeMode{
	conf.ModeAutomatic: plan.Automatic,
	conf.ModeStreaming: plan.Streaming,
	conf.ModeBatch:     plan.Batch,
}

// buildContext is what every role's build of the same job depends on; recorded are the parameters that the submitter evaluated.
func buildContext(file launchfile.File, cfg *conf.Config, recorded []plan.Param) program.Context {
	pipeline := map[string]string{}
	for _, e := range cfg.Entries() {
		if e.Key == conf.PipelineCombine.Key || e.Key == conf.PipelineName.Key || e.Key == conf.PipelineObjectReuse.Key {
			pipeline[e.Key] = e.Value
		}
	}
	return program.Context{
		Args: file.Args, Params: recorded,
		Parallelism: parallelism(file, cfg), MaxParallelism: maxParallelismOption(cfg),
		Mode: runtimeModes[conf.ExecutionRuntimeMode.Get(cfg)], Pipeline: pipeline,
	}
}

// build calls the job's builder; its panic is an error with the job's own stack.
func build(prog program.Program, ctx program.Context) (g *program.Graph, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the job's build function panicked: %v\n%s", r, debug.Stack())
		}
	}()
	g, err = prog.Build(ctx)
	if err == nil && (g == nil || g.Plan == nil) {
		err = errors.New("the job's build function yielded no plan")
	}
	return g, err
}
