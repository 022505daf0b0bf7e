package roles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/yarn/dfs"
)

// jobSource makes the application's job: the plan as it was submitted, coordinators from this process's own build of it.
type jobSource struct {
	program program.Program
	context program.Context // with the recorded parameters
	plan    *plan.Plan      // resolved
	job     ids.JobID
	files   dfs.Resolver
	log     *slog.Logger
}

func (s jobSource) application() *dispatcher.Application {
	return &dispatcher.Application{Job: s.job, Name: s.plan.Name, Build: s.build}
}

// build runs at every term of leadership: coordinators are used up by one run.
func (s jobSource) build(context.Context) (dispatcher.Job, error) {
	graph, err := build(s.program, s.context)
	if err != nil {
		return dispatcher.Job{}, err
	}
	if want, got := s.plan.Digest(), graph.Plan.Digest(); !bytes.Equal(want[:], got[:]) {
		return dispatcher.Job{}, fmt.Errorf("the job's build function yields another plan here than at its submission: %s "+
			"(take what comes from clock, files or environment through flow.Param)", plan.Diff(s.plan, graph.Plan))
	}
	coordinators, err := s.coordinators(graph)
	if err != nil {
		return dispatcher.Job{}, err
	}
	return dispatcher.Job{ID: s.job, Plan: s.plan, Coordinators: coordinators}, nil
}

func (s jobSource) coordinators(graph *program.Graph) (map[ids.OperatorID]program.Coordinator, error) {
	out := make(map[ids.OperatorID]program.Coordinator)
	var errs []error
	for i := range s.plan.Operators {
		op := &s.plan.Operators[i]
		if !op.Coordinated {
			continue
		}
		factory, ok := graph.Nodes[op.ID].(operator.CoordinatorFactory)
		if !ok {
			errs = append(errs, fmt.Errorf("operator %q is said to have a coordinator but makes none", op.Name))
			continue
		}
		out[op.ID] = factory.NewCoordinator(operator.CoordinatorEnv{FS: s.files, Params: s.plan.Params, Log: s.log})
	}
	return out, errors.Join(errs...)
}
