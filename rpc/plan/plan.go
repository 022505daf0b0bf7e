package plan

import (
	"github.com/flott-dev/flott/rpc/ids"
)

// Version is the version of the marshalled form that this package writes.
const Version = 1

// Limits on an unmarshalled plan.
const (
	MaxBytes     = 16 << 20 // marshalled size
	MaxOperators = 10_000
	MaxEdges     = 100_000
	MaxParams    = 10_000
)

// Kind is the place of an operator in the graph.
type Kind uint8

// The kinds of operators.
const (
	Source Kind = iota + 1
	Transform
	Sink
)

func (k Kind) String() string { return name(kindNames[:], int(k)) }

var kindNames = [...]string{"", "source", "transform", "sink"}

// Ship is how records go from the subtasks of one operator to those of the next.
type Ship uint8

// The ways to ship. Natural is what a builder declares when the user asked for nothing: Forward when both sides have the same
// parallelism, else Rebalance; a JobEdge never has it.
const (
	Natural Ship = iota + 1
	Forward
	Hash
	Rebalance
)

func (s Ship) String() string { return name(shipNames[:], int(s)) }

var shipNames = [...]string{"", "natural", "forward", "hash", "rebalance"}

// RuntimeMode is execution.runtime-mode.
type RuntimeMode uint8

// The runtime modes. Automatic resolves by the sources: see Plan.Batch.
const (
	Automatic RuntimeMode = iota + 1
	Streaming
	Batch
)

func (m RuntimeMode) String() string { return name(modeNames[:], int(m)) }

var modeNames = [...]string{"", "automatic", "streaming", "batch"}

// Chaining is an operator's wish about being run in its neighbour's task.
type Chaining uint8

// The wishes about chaining, as Flink's ChainingStrategy ALWAYS, HEAD and NEVER.
const (
	ChainAlways Chaining = iota
	ChainHead            // starts a new chain, later operators may join it
	ChainNever
)

func name(names []string, i int) string {
	if i <= 0 || i >= len(names) {
		return "invalid"
	}
	return names[i]
}

// Plan is the logical graph of a job.
type Plan struct {
	Version   int
	Name      string
	Operators []Operator // in the order of declaration: an operator stands after all it reads from
	Edges     []Edge
	Params    []Param // in the order of first evaluation
	// Parallelism and MaxParallelism are the builder's defaults; 0: take the configuration's, or derive.
	Parallelism    int
	MaxParallelism int
	Mode           RuntimeMode // 0 counts as Automatic
}

// Operator is one operator of the plan.
type Operator struct {
	ID   ids.OperatorID
	UID  string // the user's, or empty
	Name string
	Kind Kind
	// Func is the Go symbol and the types of the user's function or connector, for digest and difference.
	Func string
	// Parallelism and MaxParallelism: 0 takes the plan's; both are set once the plan is resolved.
	Parallelism    int
	MaxParallelism int
	Bounded        bool // sources: ends by itself
	Coordinated    bool // has a coordinator in the AM
	Keyed          bool // has state by key
	Chaining       Chaining
}

// Edge is one connection of two operators.
type Edge struct {
	ID    ids.EdgeID
	From  ids.OperatorID
	To    ids.OperatorID
	Input int // which input of To; a union is several edges with the same input
	Ship  Ship
	Type  string // Go type of the records
	Codec string // names the encoding of the records, and of the key where Ship is Hash
}

// Param is a value that the builder took from outside, evaluated once by the submitter.
type Param struct {
	Name  string
	Value string // JSON
}

// Operator returns the operator with this id.
func (p *Plan) Operator(id ids.OperatorID) (Operator, bool) {
	for i := range p.Operators {
		if p.Operators[i].ID == id {
			return p.Operators[i], true
		}
	}
	return Operator{}, false
}

// Widest returns the highest parallelism of the resolved plan's operators: the number of slots that the job needs.
func (p *Plan) Widest() int {
	n := 1
	for i := range p.Operators {
		n = max(n, p.Operators[i].Parallelism)
	}
	return n
}

// Bounded reports whether every source of the plan ends by itself.
func (p *Plan) Bounded() bool {
	for i := range p.Operators {
		if p.Operators[i].Kind == Source && !p.Operators[i].Bounded {
			return false
		}
	}
	return true
}

// Batch reports whether aggregations emit once per key at the end: the mode asks for it, or it is Automatic and the plan is bounded.
func (p *Plan) Batch() bool {
	return p.Mode == Batch || p.Mode != Streaming && p.Bounded()
}
