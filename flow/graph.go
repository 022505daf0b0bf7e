package flow

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

// Options of the pipeline that change the graph.
const (
	optionName    = "pipeline.name"
	optionCombine = "pipeline.combine"
)

// Program adapts a build function to what the engine runs. Main and Run use it; a program calls one of those.
func Program(build func(env *Env, args []string) error) program.Program { return adapter{build} }

type adapter struct {
	build func(*Env, []string) error
}

// Build implements program.Program.
func (a adapter) Build(ctx program.Context) (*program.Graph, error) {
	env := &Env{ctx: ctx, seen: make(map[string]bool)}
	if a.build == nil {
		return nil, errors.New("build the job: the build function is nil")
	}
	if err := a.build(env, ctx.Args); err != nil {
		return nil, err
	}
	return env.graph()
}

// graph checks what has been declared and makes plan and nodes of it.
func (e *Env) graph() (*program.Graph, error) {
	e.check()
	if len(e.errs) > 0 {
		return nil, errors.Join(e.errs...)
	}
	b := builder{env: e, ordinal: make(map[string]int), edges: make(map[string]int),
		graph: &program.Graph{Plan: e.plan(), Nodes: make(map[ids.OperatorID]any), Edges: make(map[ids.EdgeID]any)}}
	batch := e.batch() && e.ctx.Pipeline[optionCombine] != "false"
	for _, o := range e.ops {
		b.identify(o)
		if batch && o.combine != nil {
			b.combined(o)
		} else {
			b.add(o, o.id, o.uid, o.name, o.node, o.parallelism, o.inputs)
		}
	}
	if err := b.graph.Plan.Validate(); err != nil {
		return nil, err
	}
	return b.graph, nil
}

func (e *Env) plan() *plan.Plan {
	name := e.name
	if name == "" {
		name = e.ctx.Pipeline[optionName]
	}
	if name == "" {
		name = filepath.Base(os.Args[0])
	}
	return &plan.Plan{Version: plan.Version, Name: name, Params: e.params, Mode: e.ctx.Mode}
}

// batch is plan.Plan.Batch of what has been declared.
func (e *Env) batch() bool {
	return e.ctx.Mode == plan.Batch || e.ctx.Mode != plan.Streaming && e.unbounded() == nil
}

// unbounded returns the first source that does not end by itself.
func (e *Env) unbounded() *op {
	for _, o := range e.ops {
		if o.kind == plan.Source && !o.bounded {
			return o
		}
	}
	return nil
}

// check records what only the whole shows.
func (e *Env) check() {
	if len(e.ops) == 0 && len(e.errs) == 0 {
		e.errs = append(e.errs, errors.New("build the job: it declares no source and no sink"))
	}
	uids, targets := make(map[string]*op), make(map[string]*op)
	endless := e.unbounded()
	if e.ctx.Mode == plan.Batch && endless != nil {
		e.fail(endless.at, "%s %q never ends, and execution.runtime-mode is BATCH", endless.call, endless.name)
	}
	for _, o := range e.ops {
		if o.kind != plan.Sink && !o.read {
			e.fail(o.at, "nothing reads the stream of %s %q: give it a sink, or remove it", o.call, o.name)
		}
		if first := uids[o.uid]; first != nil && o.uid != "" {
			e.fail(o.at, "the UID %q of %s %q is taken by %s %q (%s)", o.uid, o.call, o.name, first.call, first.name, first.at)
		} else {
			uids[o.uid] = o
		}
		if o.target == "" {
			continue
		}
		if first := targets[o.target]; first != nil {
			e.fail(o.at, "%s writes to %q, as does %s (%s): give each a directory of its own", o.call, o.target, first.call, first.at)
		}
		targets[o.target] = o
		if endless != nil {
			e.fail(o.at, "%s finishes its files at the end of the job, and %s %q (%s) never ends: bound it, or use another sink",
				o.call, endless.call, endless.name, endless.at)
		}
	}
}

// builder makes plan and nodes of operators.
type builder struct {
	env     *Env
	graph   *program.Graph
	ordinal map[string]int // how often a structure has occurred
	edges   map[string]int // how often two operators have been connected
}

// identify gives an operator its id: from its UID, else from its kind, its place behind its inputs, and how many were like it before.
// Names, functions and parallelism do not count, so that they may change.
func (b *builder) identify(o *op) {
	if o.uid != "" {
		o.id = ids.OperatorIDForUID(o.uid)
		return
	}
	parts := []string{o.call}
	for _, in := range o.inputs {
		parts = append(parts, in.from.id.String(), in.ship.String(), in.edge.typ)
	}
	key := strings.Join(parts, "\x00")
	parts = append(parts, strconv.Itoa(b.ordinal[key]))
	b.ordinal[key]++
	o.id = structural(parts...)
}

func structural(parts ...string) ids.OperatorID {
	bytes := make([][]byte, len(parts))
	for i, p := range parts {
		bytes[i] = []byte(p)
	}
	return ids.OperatorIDForStructure(bytes...)
}

// add puts one operator and its inputs into plan and nodes.
func (b *builder) add(o *op, id ids.OperatorID, uid, name string, node any, parallelism int, inputs []input) {
	p := b.graph.Plan
	p.Operators = append(p.Operators, plan.Operator{ID: id, UID: uid, Name: name, Kind: o.kind, Func: o.fn, Parallelism: parallelism,
		Bounded: o.bounded, Coordinated: o.coordinated, Keyed: o.keyed && id == o.id})
	b.graph.Nodes[id] = node
	for _, in := range inputs {
		b.connect(in.from.id, id, in.ship, in.edge)
	}
}

func (b *builder) connect(from, to ids.OperatorID, ship plan.Ship, e edge) {
	pair := from.String() + to.String()
	id := ids.EdgeIDFor(from, to, 0, b.edges[pair])
	b.edges[pair]++
	b.graph.Plan.Edges = append(b.graph.Plan.Edges, plan.Edge{ID: id, From: from, To: to, Ship: ship, Type: e.typ, Codec: e.codec})
	b.graph.Edges[id] = e.node
}

// combined adds an aggregation as two operators: one in the task of what it reads, which folds what that task has, and one behind the
// exchange.
func (b *builder) combined(o *op) {
	before := structural("combine", o.id.String())
	inputs := make([]input, len(o.inputs))
	parallelism := o.inputs[0].from.parallelism
	for i, in := range o.inputs {
		inputs[i] = input{in.from, plan.Natural, o.combine.forward}
		if in.from.parallelism != parallelism {
			parallelism = 0
		}
	}
	b.add(o, before, "", "Combine", o.combine.before, parallelism, inputs)
	b.add(o, o.id, o.uid, o.name, o.combine.aggregator, o.parallelism, nil)
	b.connect(before, o.id, plan.Hash, o.combine.hash)
}
