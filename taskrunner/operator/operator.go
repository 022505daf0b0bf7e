package operator

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/yarn/dfs"
)

// Time is an event time in milliseconds since the Unix epoch.
type Time int64

// NoTime is the time of a record that has none.
const NoTime Time = math.MinInt64

// Collector takes records.
type Collector[T any] interface {
	// Collect takes over v, which is immutable from then on. It may wait for room in an output; its error ends the task and has to be
	// returned up unchanged.
	Collect(v T, t Time) error
}

// Output is what an operator sees of what follows it, and what it shows of itself to what precedes it.
type Output[T any] interface {
	Collector[T]
	// Control takes an event in order with the records.
	Control(ev Event) error
}

// Operator is one operator instance of one subtask, as the task drives it: Restore (only with state), Open, then records, Control,
// Snapshot and Notify in any order, and Close exactly once whatever happened before. An operator with input also implements Output of its
// input type, a source implements Poller.
type Operator interface {
	Open(ctx context.Context, c Context) error
	// Control handles an event and hands it on to the next operator, unless it holds it back on purpose.
	Control(ev Event) error
	// Snapshot returns the state at this point of the stream. Barriers have been handed on before.
	Snapshot(checkpoint uint64) ([]byte, error)
	// Restore takes what Snapshot returned; it is called before Open.
	Restore(state []byte) error
	// Notify says what became of a checkpoint.
	Notify(checkpoint uint64, o Outcome) error
	// Close releases everything. It is called once, also after an error and when Open failed or was never called.
	Close() error
}

// Outcome is the end of a checkpoint.
type Outcome uint8

// The outcomes.
const (
	Complete Outcome = iota + 1
	Abort
)

// Context is what an operator may use while it is open.
type Context struct {
	Job      ids.JobID
	Operator ids.OperatorID
	Attempt  ids.ExecutionAttemptID
	Name     string
	// Subtask counts from 0 to Parallelism-1.
	Subtask, Parallelism, MaxParallelism int
	// FirstKeyGroup and LastKeyGroup are the key groups of this subtask, both inclusive.
	FirstKeyGroup, LastKeyGroup int
	FS                          dfs.Resolver
	Params                      []plan.Param
	Log                         *slog.Logger
	// Send delivers a payload to the operator's coordinator in the AM, in order; it never blocks.
	Send func(payload []byte)
	// Mail runs f on the task's goroutine, between two batches; its error fails the task. It may be called from any goroutine and does
	// nothing once the task has ended.
	Mail func(f func() error)
	// Batch: aggregations emit once, at the end of the data.
	Batch bool
}

// Factory makes an operator when its chain is opened; operators are made from the tail to the head.
type Factory interface {
	// New makes an operator in front of next, an Output of its output type, or nil for a sink.
	New(next any) (Operator, error)
}

// Poller is the operator of a source.
type Poller interface {
	Operator
	// Poll hands on at most a batch of records and does not wait.
	Poll() (Poll, error)
}

// PollStatus says what a source has next.
type PollStatus uint8

// The answers of Poll.
const (
	More PollStatus = iota + 1 // poll again
	Wait                       // nothing now: wait as Poll says
	End                        // nothing ever again
)

// Poll is the answer of a source.
type Poll struct {
	Status PollStatus
	// Ready and After say when to poll again after Wait: when Ready is closed or has a value, or when After has passed (0: does not
	// count), whichever comes first. A mail to the task also makes it poll again.
	Ready <-chan struct{}
	After time.Duration
}

// EventHandler is implemented by operators with a coordinator.
type EventHandler interface {
	HandleEvent(payload []byte) error
}

// Finalizer is implemented by operators whose committer needs something from each subtask. Final is called after the end of the data has
// passed the whole chain, before Close.
type Finalizer interface {
	Final() ([]byte, error)
}

// MultiInput is implemented by operators with more than one input; the others take every input themselves.
type MultiInput interface {
	// Input returns the Output for an input of the plan's edge.
	Input(i int) any
}

// CoordinatorFactory is implemented by the node of a source or sink that has a coordinator. It is called in the AM.
type CoordinatorFactory interface {
	NewCoordinator(env CoordinatorEnv) program.Coordinator
}

// CoordinatorEnv is what a coordinator may use.
type CoordinatorEnv struct {
	FS     dfs.Resolver
	Params []plan.Param
	Log    *slog.Logger
}

// Transform is the Factory of an operator with output type O.
type Transform[O any] func(next Output[O]) (Operator, error)

// New implements Factory.
func (f Transform[O]) New(next any) (Operator, error) {
	out, err := AsOutput[O](next)
	if err != nil {
		return nil, err
	}
	return f(out)
}

// Terminal is the Factory of an operator without output.
type Terminal func() (Operator, error)

// New implements Factory.
func (f Terminal) New(next any) (Operator, error) {
	if next != nil {
		return nil, fmt.Errorf("a sink has no output, got %T", next)
	}
	return f()
}

// AsOutput asserts what follows an operator.
func AsOutput[T any](next any) (Output[T], error) {
	out, ok := next.(Output[T])
	if !ok {
		return nil, fmt.Errorf("output of type %T does not take records of type %s", next, TypeName[T]())
	}
	return out, nil
}

// Base is embedded by operators with output type O: it keeps the context, hands events on, and has no state.
type Base[O any] struct {
	Context
	Next Output[O] // set by the factory
}

// Open implements Operator.
func (b *Base[O]) Open(_ context.Context, c Context) error {
	b.Context = c
	return nil
}

// Control implements Operator.
func (b *Base[O]) Control(ev Event) error { return b.Next.Control(ev) }

// Snapshot implements Operator.
func (b *Base[O]) Snapshot(uint64) ([]byte, error) { return nil, nil }

// Restore implements Operator.
func (b *Base[O]) Restore([]byte) error { return nil }

// Notify implements Operator.
func (b *Base[O]) Notify(uint64, Outcome) error { return nil }

// Close implements Operator.
func (b *Base[O]) Close() error { return nil }

// SinkBase is embedded by operators without output: it keeps the context, swallows events, and has no state.
type SinkBase struct{ Context }

// Open implements Operator.
func (b *SinkBase) Open(_ context.Context, c Context) error {
	b.Context = c
	return nil
}

// Control implements Operator.
func (b *SinkBase) Control(Event) error { return nil }

// Snapshot implements Operator.
func (b *SinkBase) Snapshot(uint64) ([]byte, error) { return nil, nil }

// Restore implements Operator.
func (b *SinkBase) Restore([]byte) error { return nil }

// Notify implements Operator.
func (b *SinkBase) Notify(uint64, Outcome) error { return nil }

// Close implements Operator.
func (b *SinkBase) Close() error { return nil }
