package task

import (
	"errors"
	"log/slog"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/yarn/dfs"
)

// State is the state of an execution as its worker sees it.
type State uint8

// The states, in Flink's words.
const (
	Initializing State = iota + 1
	Running
	Finished
	Canceled
	Failed
)

func (s State) String() string {
	return [...]string{"INVALID", "INITIALIZING", "RUNNING", "FINISHED", "CANCELED", "FAILED"}[min(int(s), 5)]
}

// Terminal reports whether nothing follows the state.
func (s State) Terminal() bool { return s >= Finished }

// Update is one change of a task's state.
type Update struct {
	Attempt    ids.ExecutionAttemptID
	Generation ids.Generation
	State      State
	Failure    *Failure // Failed only
	Metrics    Metrics
	// Finals is what the operators left for their committers, by operator. Finished only.
	Finals map[ids.OperatorID][]byte
	At     time.Time
}

// Failure is why a task failed.
type Failure struct {
	Err   error
	Task  string // vertex name and subtask, as Flink prints it: "Source: lines -> Map (2/4)"
	Stack string // of the goroutine, when user code has panicked
}

// Metrics are totals since the task began.
type Metrics struct {
	RecordsIn, RecordsOut uint64
	BytesIn, BytesOut     uint64
	BusyMillis            uint64
	IdleMillis            uint64
	BackPressuredMillis   uint64
}

// Config describes one task.
type Config struct {
	Attempt    ids.ExecutionAttemptID // names vertex and subtask
	Generation ids.Generation
	Graph      *program.Graph // of this process's own build; its digest has been compared
	// Plan is the resolved plan as stored, JobGraph plan.Chain of it.
	Plan     *plan.Plan
	JobGraph *plan.JobGraph
	Exchange *exchange.Exchange
	// Locate says where a producing subtask runs. It is called while the task is being opened.
	Locate func(v ids.VertexID, subtask int) (exchange.Location, bool)
	FS     dfs.Resolver
	Log    *slog.Logger
	// CopyValues: pipeline.object-reuse is false; values are copied by codec at each hand-over.
	CopyValues bool
	// Restore is the state of the operators in this subtask; nil on a first start.
	Restore map[ids.OperatorID][]byte
	// Send delivers a payload to an operator's coordinator; it must not block. Called on any goroutine.
	Send func(op ids.OperatorID, payload []byte)
	// OnUpdate gets every change of state, on the task's goroutine; it must not block for long.
	OnUpdate func(Update)
	// Fatal is called when a cancelled task has not ended within CancelTimeout: the process has to end, a goroutine cannot be stopped.
	// The error holds the stacks of all goroutines.
	Fatal func(error)
	// CancelInterval (30 s) is how often a cancelled task that goes on is logged, CancelTimeout (180 s; negative: never) when it becomes
	// fatal: task.cancellation.interval and .timeout.
	CancelInterval, CancelTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Send == nil {
		c.Send = func(ids.OperatorID, []byte) {}
	}
	if c.OnUpdate == nil {
		c.OnUpdate = func(Update) {}
	}
	if c.CancelInterval == 0 {
		c.CancelInterval = 30 * time.Second
	}
	if c.CancelTimeout == 0 {
		c.CancelTimeout = 180 * time.Second
	}
	return c
}

// Validate joins everything that is missing.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("task: "+what+" is missing"))
		}
	}
	need(c.Graph != nil, "the graph")
	need(c.Plan != nil, "the plan")
	need(c.JobGraph != nil, "the job graph")
	need(c.Exchange != nil, "the exchange")
	need(c.Locate != nil, "the location of producers")
	need(c.Fatal != nil, "what to do about a task that cannot be cancelled")
	return errors.Join(errs...)
}
