package task

import (
	"fmt"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/operator"
)

// opener builds a chain, tail first.
type opener struct {
	t    *Task
	c    *chain
	made map[ids.OperatorID]operator.Operator
}

// open makes outputs, operators and inputs, restores and opens the operators, tail first. On an error what has been made is in t.chain
// and will be released.
func (t *Task) open() (*chain, error) {
	c := &chain{flushAfter: t.cfg.Exchange.BufferTimeout() / 2}
	t.chain = c
	o := opener{t: t, c: c, made: make(map[ids.OperatorID]operator.Operator)}
	if err := o.build(); err != nil {
		return c, err
	}
	head := c.operators[0]
	if err := o.openInputs(head.op); err != nil {
		return c, err
	}
	for i := len(c.operators) - 1; i >= 0; i-- {
		m := &c.operators[i]
		if state, ok := t.cfg.Restore[m.id]; ok {
			if err := m.op.Restore(state); err != nil {
				return c, fmt.Errorf("restore operator %q: %w", m.name, err)
			}
		}
		if err := m.op.Open(t.ctx, o.context(m)); err != nil {
			return c, fmt.Errorf("open operator %q: %w", m.name, err)
		}
	}
	return c, nil
}

// build makes the operators from the last to the first.
func (o *opener) build() error {
	v := &o.t.vertex
	made := make([]member, len(v.Operators))
	for i := len(v.Operators) - 1; i >= 0; i-- {
		id := v.Operators[i]
		decl, ok := o.t.cfg.Plan.Operator(id)
		if !ok {
			return fmt.Errorf("open task: the plan has no operator %s", id)
		}
		op, err := o.operator(decl)
		if err != nil {
			return fmt.Errorf("make operator %q: %w", decl.Name, err)
		}
		o.made[id] = op
		made[i] = member{id: id, name: decl.Name, op: op}
		o.c.operators = made[i:]
	}
	return nil
}

// operator makes one operator in front of what follows it.
func (o *opener) operator(decl plan.Operator) (operator.Operator, error) {
	factory, ok := o.t.cfg.Graph.Nodes[decl.ID].(operator.Factory)
	if !ok {
		return nil, fmt.Errorf("its node %T is no operator.Factory", o.t.cfg.Graph.Nodes[decl.ID])
	}
	next, err := o.next(decl)
	if err != nil {
		return nil, err
	}
	op, err := factory.New(next)
	if err != nil {
		return nil, err
	}
	if op == nil {
		return nil, fmt.Errorf("its node %T made no operator", factory)
	}
	return op, nil
}

// next makes the output of an operator: chained operators and writers, in the plan's order.
func (o *opener) next(decl plan.Operator) (any, error) {
	var outs []any
	var last operator.EdgeNode
	for i := range o.t.cfg.Plan.Edges {
		e := &o.t.cfg.Plan.Edges[i]
		if e.From != decl.ID {
			continue
		}
		node, err := o.edge(e.ID)
		if err != nil {
			return nil, err
		}
		last = node
		var out any
		if to, chained := o.made[e.To]; chained {
			out = input(to, e.Input)
			if o.t.cfg.CopyValues {
				if out, err = node.Copy(out); err != nil {
					return nil, err
				}
			}
		} else if out, err = o.writer(node, e.ID); err != nil {
			return nil, err
		}
		outs = append(outs, out)
	}
	switch len(outs) {
	case 0:
		return nil, nil
	case 1:
		return outs[0], nil
	}
	return last.Fanout(outs)
}

func (o *opener) edge(id ids.EdgeID) (operator.EdgeNode, error) {
	node, ok := o.t.cfg.Graph.Edges[id].(operator.EdgeNode)
	if !ok {
		return nil, fmt.Errorf("the node %T of edge %s is no operator.EdgeNode", o.t.cfg.Graph.Edges[id], id)
	}
	return node, nil
}

// input is what an operator shows for one of its inputs.
func input(op operator.Operator, i int) any {
	if m, ok := op.(operator.MultiInput); ok {
		return m.Input(i)
	}
	return op
}

// writer opens the partition of an edge out of the vertex, and its typed writer.
func (o *opener) writer(node operator.EdgeNode, id ids.EdgeID) (any, error) {
	g, cfg := o.t.cfg.JobGraph, &o.t.cfg
	for _, at := range o.t.vertex.Out {
		e := g.Edges[at]
		if e.ID != id {
			continue
		}
		subtask := int(cfg.Attempt.Subtask)
		first, last := plan.Consumers(g, e, subtask)
		p, err := cfg.Exchange.OpenPartition(exchange.PartitionConfig{Edge: id, Generation: cfg.Generation, Subtask: subtask,
			FirstConsumer: first, LastConsumer: last, Wake: o.t.wakeUp, Wait: o.t.waitOutput, Fail: o.t.Fail})
		if err != nil {
			return nil, err
		}
		o.c.partitions = append(o.c.partitions, p)
		to, _ := g.Vertex(e.To)
		wc := operator.WriterConfig{Ship: e.Ship, MaxParallelism: to.MaxParallelism, Parallelism: to.Parallelism, Subtask: subtask,
			FlushEach: cfg.Exchange.FlushEach(), Copy: cfg.CopyValues}
		for _, x := range p.Ports() {
			wc.Ports = append(wc.Ports, port{x, o.t})
		}
		w, err := node.Writer(wc)
		if err != nil {
			return nil, err
		}
		ew, ok := w.(operator.EdgeWriter)
		if !ok {
			return nil, fmt.Errorf("the writer %T of edge %s is no operator.EdgeWriter", w, id)
		}
		o.c.writers = append(o.c.writers, ew)
		return w, nil
	}
	return nil, fmt.Errorf("edge %s does not leave vertex %s", id, o.t.vertex.ID)
}

// openInputs makes the heads and asks for the channels; a source has none.
func (o *opener) openInputs(head operator.Operator) error {
	if len(o.t.vertex.In) == 0 {
		p, ok := head.(operator.Poller)
		if !ok {
			return fmt.Errorf("open task: operator %q has no input and is no source", o.c.operators[0].name)
		}
		o.c.poller = p
		return nil
	}
	g, cfg := o.t.cfg.JobGraph, &o.t.cfg
	subtask := int(cfg.Attempt.Subtask)
	gc := exchange.GateConfig{Subtask: subtask, Wake: o.t.wakeUp}
	for _, at := range o.t.vertex.In {
		e := g.Edges[at]
		node, err := o.edge(e.ID)
		if err != nil {
			return err
		}
		h, err := node.Reader(input(head, e.Input))
		if err != nil {
			return fmt.Errorf("open input %d of operator %q: %w", e.Input, o.c.operators[0].name, err)
		}
		o.c.heads = append(o.c.heads, h)
		first, last := plan.Producers(g, e, subtask)
		in := exchange.InputConfig{Edge: e.ID, FirstProducer: first}
		for from := first; from <= last; from++ {
			loc, ok := cfg.Locate(e.From, from)
			if !ok {
				return fmt.Errorf("open input %d of operator %q: nobody knows where subtask %d of vertex %s runs", e.Input, o.c.operators[0].name, from, e.From)
			}
			in.Producers = append(in.Producers, loc)
			o.c.input.add(groupOf(head, e))
		}
		gc.Inputs = append(gc.Inputs, in)
	}
	var err error
	o.c.gate, err = cfg.Exchange.OpenGate(gc)
	return err
}

// context is what an operator gets to know.
func (o *opener) context(m *member) operator.Context {
	t, v, cfg := o.t, &o.t.vertex, &o.t.cfg
	subtask := int(cfg.Attempt.Subtask)
	first, last := plan.KeyGroupRange(subtask, v.MaxParallelism, v.Parallelism)
	id := m.id
	return operator.Context{
		Job: cfg.Attempt.Job, Operator: id, Attempt: cfg.Attempt, Name: m.name,
		Subtask: subtask, Parallelism: v.Parallelism, MaxParallelism: v.MaxParallelism, FirstKeyGroup: first, LastKeyGroup: last,
		FS: cfg.FS, Params: cfg.Plan.Params, Log: cfg.Log.With("operator", m.name, "subtask", subtask),
		Send:  func(payload []byte) { cfg.Send(id, payload) },
		Mail:  t.post,
		Batch: cfg.Plan.Batch(),
	}
}
