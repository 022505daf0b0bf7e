package flow

import (
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/transform"
)

// op is one declared operator.
type op struct {
	env         *Env
	call        string // how the user called it: flow.Map
	at          string // where: file:line
	kind        plan.Kind
	name, uid   string
	parallelism int
	bounded     bool
	coordinated bool
	keyed       bool
	fn          string // Func of the plan
	inputs      []input
	node        operator.Factory
	combine     *combine // aggregations: how to run in batch
	target      string   // sinks that own a place: what and where
	read        bool     // something reads it
	id          ids.OperatorID
}

// input is one edge into an operator.
type input struct {
	from *op
	ship plan.Ship
	edge edge
}

// edge is the typed part of an edge and how the plan calls it.
type edge struct {
	node  operator.EdgeNode
	typ   string
	codec string
}

// combine is how an aggregation runs in batch: a combiner in front of the exchange, and the aggregation behind it.
type combine struct {
	before     operator.Factory
	forward    edge // into the combiner
	hash       edge // from the combiner to the aggregation
	aggregator operator.Factory
}

// Stream is a stream of records of type T. It is a description: nothing flows before the job runs. A stream may be read by any number of
// operators, each of which gets every record. Records are immutable: a function must not change what it gets, or what it has emitted.
type Stream[T any] struct {
	env  *Env
	from []source
	own  *op // the operator whose output this is; nil for unions and rebalanced streams
}

// source is where a stream's records come from and how they travel.
type source struct {
	op   *op
	ship plan.Ship
}

// Keyed is a stream whose records have keys of type K; all records with one key go to the same subtask.
type Keyed[K comparable, T any] struct {
	stream Stream[T]
	key    func(T) K
	keys   *operator.Key[K]
	codec  operator.Codec[K]
}

// Sink is an operator at the end of a stream.
type Sink struct{ op *op }

// Name sets what people see of the operator.
func (s Stream[T]) Name(name string) Stream[T] {
	s.declared("Name", func(o *op) { o.name = name })
	return s
}

// UID gives the operator an identity that survives changes of the program around it: its state is found again by it. UIDs are unique in a
// job.
func (s Stream[T]) UID(uid string) Stream[T] {
	s.declared("UID", func(o *op) { o.setUID(uid) })
	return s
}

// Parallelism sets the number of subtasks of the operator, in place of the job's.
func (s Stream[T]) Parallelism(n int) Stream[T] {
	s.declared("Parallelism", func(o *op) { o.setParallelism(n) })
	return s
}

func (s Stream[T]) declared(method string, set func(*op)) {
	if s.own == nil {
		s.env.fail(caller(), "%s belongs to an operator; this stream is a union or a rebalanced stream and has none of its own", method)
		return
	}
	set(s.own)
}

// Name sets what people see of the sink.
func (s Sink) Name(name string) Sink {
	s.op.name = name
	return s
}

// UID gives the sink an identity that survives changes of the program around it. UIDs are unique in a job.
func (s Sink) UID(uid string) Sink {
	s.op.setUID(uid)
	return s
}

// Parallelism sets the number of subtasks of the sink, in place of the job's.
func (s Sink) Parallelism(n int) Sink {
	s.op.setParallelism(n)
	return s
}

func (o *op) setUID(uid string) {
	if uid == "" {
		o.env.fail(caller(), "UID: an empty text is no identity")
	}
	o.uid = uid
}

func (o *op) setParallelism(n int) {
	if n < 1 || n > plan.MaxKeyGroups {
		o.env.fail(caller(), "Parallelism: %d is not within 1 and %d", n, plan.MaxKeyGroups)
		return
	}
	o.parallelism = n
}

// declare adds an operator. Its call and place are those of the user's call.
func (e *Env) declare(kind plan.Kind, name string, node operator.Factory, fn any) *op {
	o := &op{env: e, call: "flow." + name, at: caller(), kind: kind, name: name, node: node, fn: name}
	if fn != nil {
		o.fn = symbol(fn)
		if o.fn == "" {
			e.fail(o.at, "%s: the function is nil", o.call)
		}
	}
	e.ops = append(e.ops, o)
	return o
}

// output is the stream that an operator makes.
func output[T any](o *op) Stream[T] {
	return Stream[T]{env: o.env, from: []source{{o, plan.Natural}}, own: o}
}

// read connects an operator with the stream it reads.
func read[T any](o *op, s Stream[T]) {
	e := edgeOf[T](o)
	for _, from := range s.from {
		o.connect(input{from.op, from.ship, e})
	}
}

func (o *op) connect(in input) {
	if in.from.env != o.env {
		o.env.fail(o.at, "%s: the stream belongs to another job", o.call)
		return
	}
	in.from.read = true
	o.inputs = append(o.inputs, in)
}

// edgeOf is a plain edge for records of type T into o.
func edgeOf[T any](o *op) edge {
	c := codecOf[T](o)
	if c == nil {
		return edge{}
	}
	return edge{node: operator.Edge[T]{Codec: c}, typ: operator.TypeName[T](), codec: c.Name()}
}

// hashEdge is an edge by key.
func hashEdge[K comparable, T any](o *op, k Keyed[K, T], of func(T) K) edge {
	e := edgeOf[T](o)
	if e.node == nil || k.keys == nil {
		return edge{}
	}
	c := e.node.(operator.Edge[T]).Codec
	return edge{node: operator.HashEdge[T, K]{Edge: operator.Edge[T]{Codec: c}, Key: k.keys, Of: of},
		typ: e.typ, codec: e.codec + " by " + k.keys.Name()}
}

// readByKey connects an operator with the keyed stream it reads.
func readByKey[K comparable, T any](o *op, k Keyed[K, T]) {
	e := hashEdge(o, k, k.key)
	for _, from := range k.stream.from {
		o.connect(input{from.op, plan.Hash, e})
	}
	o.keyed = true
	o.fn += " by " + symbol(k.key)
}

// codecOf returns the codec for T, or nil after recording what is wrong with T.
func codecOf[T any](o *op) operator.Codec[T] {
	c, err := operator.CodecOf[T]()
	if err != nil {
		o.env.fail(o.at, "%s: %v", o.call, err)
		return nil
	}
	return c
}

// KV is a key and what belongs to it.
type KV[K comparable, V any] = transform.KV[K, V]

// Emit emits records from within a function: out.To(v). It is valid until the function returns.
type Emit[O any] = operator.Emit[O]
