package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flott-dev/flott/rpc/ids"
)

// JobGraph is what runs: vertices of chained operators and the exchanges between them.
type JobGraph struct {
	Vertices []Vertex // topological: a vertex stands after all it reads from
	Edges    []JobEdge
}

// Vertex is a chain of operators; each of its subtasks is one task.
type Vertex struct {
	ID             ids.VertexID // of the head operator, the same bytes
	Name           string
	Operators      []ids.OperatorID // head first, each after the one it is chained to
	Chained        []ids.EdgeID     // the plan's edges inside the chain
	Parallelism    int
	MaxParallelism int
	In, Out        []int // indices into JobGraph.Edges
}

// JobEdge is an exchange between two vertices.
type JobEdge struct {
	ID     ids.EdgeID
	From   ids.VertexID
	To     ids.VertexID
	FromOp ids.OperatorID // whose output it is
	ToOp   ids.OperatorID // always the head of To
	Input  int            // which input of ToOp
	Ship   Ship           // Forward, Hash or Rebalance
}

// Vertex returns the vertex with this id.
func (g *JobGraph) Vertex(id ids.VertexID) (Vertex, bool) {
	for i := range g.Vertices {
		if g.Vertices[i].ID == id {
			return g.Vertices[i], true
		}
	}
	return Vertex{}, false
}

// Chain builds the job graph of a resolved plan. Two operators share a vertex when the edge between them forwards, it is the only
// input of the second, both have the same parallelism and maximum parallelism, and neither asked not to be chained.
func Chain(p *Plan) (*JobGraph, error) {
	order, err := p.order()
	if err != nil {
		return nil, err
	}
	c := chainer{p: p, ops: p.index(), vertexOf: make(map[ids.OperatorID]int), inputs: make(map[ids.OperatorID]int)}
	for i := range p.Edges {
		c.inputs[p.Edges[i].To]++
	}
	for _, i := range order {
		if op := &p.Operators[i]; op.Parallelism < 1 || op.MaxParallelism < 1 {
			return nil, fmt.Errorf("chain operator %q: the plan is not resolved", op.Name)
		}
		c.place(&p.Operators[i])
	}
	c.connect()
	return c.sorted()
}

type chainer struct {
	p        *Plan
	ops      map[ids.OperatorID]int
	inputs   map[ids.OperatorID]int // number of edges into an operator
	vertexOf map[ids.OperatorID]int
	g        JobGraph
}

// place puts op into the vertex it is chained to, or opens one.
func (c *chainer) place(op *Operator) {
	for i := range c.p.Edges {
		e := &c.p.Edges[i]
		if e.To == op.ID && c.chainable(e) {
			v := c.vertexOf[e.From]
			vx := &c.g.Vertices[v]
			vx.Operators = append(vx.Operators, op.ID)
			vx.Chained = append(vx.Chained, e.ID)
			vx.Name += " -> " + shown(op)
			c.vertexOf[op.ID] = v
			return
		}
	}
	c.vertexOf[op.ID] = len(c.g.Vertices)
	c.g.Vertices = append(c.g.Vertices, Vertex{
		ID: ids.VertexID(op.ID), Name: shown(op), Operators: []ids.OperatorID{op.ID},
		Parallelism: op.Parallelism, MaxParallelism: op.MaxParallelism,
	})
}

// shown is the operator's part of a vertex name, as Flink prints it.
func shown(op *Operator) string {
	switch op.Kind {
	case Source:
		return "Source: " + op.Name
	case Sink:
		return "Sink: " + op.Name
	}
	return op.Name
}

func (c *chainer) chainable(e *Edge) bool {
	from, to := &c.p.Operators[c.ops[e.From]], &c.p.Operators[c.ops[e.To]]
	return c.p.ship(c.ops, e) == Forward && c.inputs[e.To] == 1 &&
		from.Parallelism == to.Parallelism && from.MaxParallelism == to.MaxParallelism &&
		from.Chaining != ChainNever && to.Chaining == ChainAlways
}

// ship is the effective way of an edge of a resolved plan.
func (p *Plan) ship(ops map[ids.OperatorID]int, e *Edge) Ship {
	if e.Ship != Natural {
		return e.Ship
	}
	if p.Operators[ops[e.From]].Parallelism == p.Operators[ops[e.To]].Parallelism {
		return Forward
	}
	return Rebalance
}

// connect makes the exchanges, in the plan's order of edges.
func (c *chainer) connect() {
	for i := range c.p.Edges {
		e := &c.p.Edges[i]
		from, to := c.vertexOf[e.From], c.vertexOf[e.To]
		if from == to {
			continue // chained: an operator with a single input has no other way into its vertex
		}
		n := len(c.g.Edges)
		c.g.Edges = append(c.g.Edges, JobEdge{
			ID: e.ID, From: c.g.Vertices[from].ID, To: c.g.Vertices[to].ID,
			FromOp: e.From, ToOp: e.To, Input: e.Input, Ship: c.p.ship(c.ops, e),
		})
		c.g.Vertices[from].Out = append(c.g.Vertices[from].Out, n)
		c.g.Vertices[to].In = append(c.g.Vertices[to].In, n)
	}
}

// sorted puts the vertices in topological order; among those that could come next, the one opened first goes first.
func (c *chainer) sorted() (*JobGraph, error) {
	g := &JobGraph{Edges: c.g.Edges}
	done := make(map[ids.VertexID]bool, len(c.g.Vertices))
	rest := slices.Clone(c.g.Vertices)
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(v Vertex) bool {
			return !slices.ContainsFunc(v.In, func(e int) bool { return !done[g.Edges[e].From] })
		})
		if i < 0 {
			return nil, fmt.Errorf("chain plan %q: the vertices form a cycle", c.p.Name)
		}
		done[rest[i].ID] = true
		g.Vertices = append(g.Vertices, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return g, nil
}

// String lists vertices and edges, one a line, for golden tests and logs.
func (g *JobGraph) String() string {
	var b strings.Builder
	for i := range g.Vertices {
		v := &g.Vertices[i]
		fmt.Fprintf(&b, "vertex %s %q parallelism %d/%d\n", v.ID, v.Name, v.Parallelism, v.MaxParallelism)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "edge %s %s -> %s input %d %s\n", e.ID, e.From, e.To, e.Input, e.Ship)
	}
	return b.String()
}
