package plan

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flott-dev/flott/rpc/ids"
)

// Resolve returns a copy of the plan with effective parallelism and maximum parallelism in the plan and in every operator. An operator
// takes its own, else the plan's, else the default; a maximum parallelism that nobody set is derived from the parallelism by Flink's
// rule. maxParallelism is pipeline.max-parallelism, 0 when not set. The error joins everything that is wrong, naming the operators.
func (p *Plan) Resolve(parallelism, maxParallelism int) (*Plan, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := *p
	r.Operators, r.Edges, r.Params = slices.Clone(p.Operators), slices.Clone(p.Edges), slices.Clone(p.Params)
	r.Parallelism = first(p.Parallelism, parallelism)
	r.MaxParallelism = first(p.MaxParallelism, maxParallelism)
	if r.Mode == 0 {
		r.Mode = Automatic
	}
	var errs []error
	if r.Parallelism < 1 {
		errs = append(errs, fmt.Errorf("resolve plan %q: parallelism %d is not positive", p.Name, r.Parallelism))
	}
	for i := range r.Operators {
		op := &r.Operators[i]
		op.Parallelism = first(op.Parallelism, r.Parallelism)
		op.MaxParallelism = first(op.MaxParallelism, r.MaxParallelism)
		if op.MaxParallelism == 0 {
			op.MaxParallelism = DefaultMaxParallelism(op.Parallelism)
		}
		switch {
		case op.Parallelism < 1 || op.MaxParallelism < 1 || op.MaxParallelism > MaxKeyGroups:
			errs = append(errs, fmt.Errorf("operator %q: parallelism %d and max parallelism %d must be within 1 and %d",
				op.Name, op.Parallelism, op.MaxParallelism, MaxKeyGroups))
		case op.Parallelism > op.MaxParallelism:
			errs = append(errs, fmt.Errorf("operator %q: parallelism %d is above its max parallelism %d", op.Name, op.Parallelism, op.MaxParallelism))
		}
	}
	ops := r.index()
	for i := range r.Edges {
		from, to := &r.Operators[ops[r.Edges[i].From]], &r.Operators[ops[r.Edges[i].To]]
		if r.Edges[i].Ship == Forward && from.Parallelism != to.Parallelism {
			errs = append(errs, fmt.Errorf("forward from %q to %q: parallelism %d and %d differ", from.Name, to.Name, from.Parallelism, to.Parallelism))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &r, nil
}

func first(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

func (p *Plan) index() map[ids.OperatorID]int {
	m := make(map[ids.OperatorID]int, len(p.Operators))
	for i := range p.Operators {
		m[p.Operators[i].ID] = i
	}
	return m
}

// Validate checks the shape of the graph: unique ids and UIDs, edges between known operators, sources without and others with inputs,
// no cycle. The error joins everything that is wrong.
func (p *Plan) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(p.Operators) == 0 {
		bad("plan %q has no operators", p.Name)
	}
	seen, uids := make(map[ids.OperatorID]string), make(map[string]string)
	for i := range p.Operators {
		op := &p.Operators[i]
		if other, dup := seen[op.ID]; dup {
			bad("operators %q and %q have the same id %s", other, op.Name, op.ID)
		}
		seen[op.ID] = op.Name
		if other, dup := uids[op.UID]; dup && op.UID != "" {
			bad("operators %q and %q have the same UID %q", other, op.Name, op.UID)
		}
		uids[op.UID] = op.Name
		if op.Kind < Source || op.Kind > Sink {
			bad("operator %q has the unknown kind %d", op.Name, op.Kind)
		}
	}
	inputs, outputs, edges := make(map[ids.OperatorID]int), make(map[ids.OperatorID]int), make(map[ids.EdgeID]bool)
	for i := range p.Edges {
		e := &p.Edges[i]
		if edges[e.ID] {
			bad("two edges have the id %s", e.ID)
		}
		edges[e.ID] = true
		if _, ok := seen[e.From]; !ok {
			bad("edge %s comes from the unknown operator %s", e.ID, e.From)
		}
		if _, ok := seen[e.To]; !ok {
			bad("edge %s goes to the unknown operator %s", e.ID, e.To)
		}
		if e.Ship < Natural || e.Ship > Rebalance {
			bad("edge %s ships in the unknown way %d", e.ID, e.Ship)
		}
		inputs[e.To]++
		outputs[e.From]++
	}
	for i := range p.Operators {
		op := &p.Operators[i]
		if op.Kind == Source && inputs[op.ID] > 0 {
			bad("source %q has an input", op.Name)
		}
		if op.Kind != Source && inputs[op.ID] == 0 {
			bad("%s %q has no input", op.Kind, op.Name)
		}
		if op.Kind == Sink && outputs[op.ID] > 0 {
			bad("sink %q has an output", op.Name)
		}
	}
	if len(errs) == 0 {
		if _, err := p.order(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// order returns the operators' indices so that each stands after all it reads from, keeping the plan's order where it can.
func (p *Plan) order() ([]int, error) {
	ops := p.index()
	missing := make([]int, len(p.Operators)) // inputs not yet placed
	for i := range p.Edges {
		missing[ops[p.Edges[i].To]]++
	}
	var out []int
	for len(out) < len(p.Operators) {
		n := len(out)
		for i := range p.Operators {
			if missing[i] != 0 {
				continue
			}
			missing[i] = -1
			out = append(out, i)
			for k := range p.Edges {
				if p.Edges[k].From == p.Operators[i].ID {
					missing[ops[p.Edges[k].To]]--
				}
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("plan %q has a cycle", p.Name)
		}
	}
	return out, nil
}
