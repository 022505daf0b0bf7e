package scheduler

import (
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// Event is one input of Step.
type Event interface{ event() }

type (
	// Initialized: the JobMaster exists; its coordinators are about to be started.
	Initialized struct{}
	// Schedule: the coordinators have started, the tasks may be placed.
	Schedule struct{}
	// SlotAdded: a slot now serves the job.
	SlotAdded struct{ Slot Slot }
	// SlotRemoved: a slot serves the job no more; executions in it that have not ended are lost.
	SlotRemoved struct {
		Allocation ids.AllocationID
		Cause      Failure
	}
	// WorkerLost: a worker is gone, with its slots and all executions on it that had not ended.
	WorkerLost struct {
		Worker ids.ResourceID
		Cause  Failure
	}
	// AttemptsLost: these executions cannot go on, for a reason that their tasks do not know: the worker refused the deployment, or
	// something sent to them was lost.
	AttemptsLost struct {
		Attempts []ids.ExecutionAttemptID
		Cause    Failure
	}
	// TaskUpdate: a worker tells the state of one execution.
	TaskUpdate struct {
		Worker     ids.ResourceID
		Attempt    ids.ExecutionAttemptID
		Generation ids.Generation
		State      TaskState
		Failure    Failure // FAILED only
		Finals     []OperatorState
		Metrics    *Metrics // nil: not told
		At         time.Time
	}
	// Inventory: all executions of the job that a worker has, with the final states it still keeps. Undelivered are
	// deployments that the caller sends again: their absence from the inventory means nothing.
	Inventory struct {
		Worker      ids.ResourceID
		Executions  []TaskUpdate
		Undelivered []ids.ExecutionAttemptID
	}
	// Cancel: somebody wants the job to end as CANCELED.
	Cancel struct{}
	// Fail: the job cannot go on, for a reason outside its tasks (coordinator, no slots, commit).
	Fail struct{ Cause Failure }
	// Concluded: what Ended promised is durable; the job takes its terminal state.
	Concluded struct{}
)

func (Initialized) event()  {}
func (Schedule) event()     {}
func (SlotAdded) event()    {}
func (SlotRemoved) event()  {}
func (WorkerLost) event()   {}
func (AttemptsLost) event() {}
func (TaskUpdate) event()   {}
func (Inventory) event()    {}
func (Cancel) event()       {}
func (Fail) event()         {}
func (Concluded) event()    {}

// Effect is one thing that the caller of Step has to do, in the order of the result.
type Effect interface{ effect() }

type (
	// JobStateChanged tells listeners.
	JobStateChanged struct {
		State JobState
		At    time.Time
	}
	// WantSlots declares how many slots the job wants in all; 0 at its end.
	WantSlots struct{ Count int }
	// Deploy starts tasks on one worker. Locations has one list for each vertex; the Deploys of one Step share lists, which nobody changes.
	Deploy struct {
		Worker     ids.ResourceID
		Generation ids.Generation
		Tasks      []TaskDeployment
		Locations  [][]Location
	}
	// CancelTasks cancels executions on one worker.
	CancelTasks struct {
		Worker   ids.ResourceID
		Attempts []ids.ExecutionAttemptID
	}
	// Acknowledge lets one worker forget final states.
	Acknowledge struct {
		Worker   ids.ResourceID
		Attempts []ids.ExecutionAttemptID
	}
	// SubtaskFailed tells the coordinators of a vertex that an execution ended without finishing.
	SubtaskFailed struct{ Attempt ids.ExecutionAttemptID }
	// Ended: no execution is alive any more, and State is how the job is to end. After FINISHED a Fail may still follow (the
	// final commit failed); then Ended comes again with FAILED.
	Ended struct{ State JobState }
)

func (JobStateChanged) effect() {}
func (WantSlots) effect()       {}
func (Deploy) effect()          {}
func (CancelTasks) effect()     {}
func (Acknowledge) effect()     {}
func (SubtaskFailed) effect()   {}
func (Ended) effect()           {}

// Slot is a share of a worker that serves the job.
type Slot struct {
	Allocation  ids.AllocationID
	Worker      ids.ResourceID
	Index       uint32
	Endpoint    string // host:port of the worker, as REST shows it
	DataAddress string // of the exchange of (worker, job)
}

// TaskDeployment is one task of a Deploy.
type TaskDeployment struct {
	Attempt       ids.ExecutionAttemptID
	Allocation    ids.AllocationID
	AttemptNumber uint32
}

// Location says where the subtasks First to Last (inclusive) of a vertex run; Attempts holds the n of each in order.
type Location struct {
	Vertex       ids.VertexID
	First, Last  uint32
	DataAddress  string
	Generation   ids.Generation
	Attempts     []uint32
	AttemptEpoch ids.Epoch
}

// OperatorState is what one subtask hands to the coordinator of one of its operators.
type OperatorState struct {
	Operator ids.OperatorID
	State    []byte
}

// Metrics are an execution's counts since it started; times accumulate.
type Metrics struct {
	RecordsIn, RecordsOut                     uint64
	BytesIn, BytesOut                         uint64
	BusyMillis, IdleMillis, BackpressedMillis uint64
}

// Add returns the sum of two reports.
func (m Metrics) Add(o Metrics) Metrics {
	return Metrics{
		RecordsIn: m.RecordsIn + o.RecordsIn, RecordsOut: m.RecordsOut + o.RecordsOut,
		BytesIn: m.BytesIn + o.BytesIn, BytesOut: m.BytesOut + o.BytesOut,
		BusyMillis: m.BusyMillis + o.BusyMillis, IdleMillis: m.IdleMillis + o.IdleMillis,
		BackpressedMillis: m.BackpressedMillis + o.BackpressedMillis,
	}
}

// Failure is why something ended.
type Failure struct {
	Message string // first line is a sentence
	Stack   string // of user code, or empty
	Kind    string // Go type of the innermost error, or empty
	Code    uint32 // rpc.Code, or 0
	At      time.Time

	// Secondary marks a failure that follows from another one elsewhere (a broken exchange connection): it starts the job's
	// end, but a primary failure that becomes known before that end replaces it as the cause.
	Secondary bool

	// Filled in by the scheduler for failures of executions.
	Task    string // "name (2/4)", empty for failures of the job as a whole
	Attempt ids.ExecutionAttemptID
	Number  uint32 // REST's attempt number
	Worker  ids.ResourceID
}

// IsZero says whether there is no failure.
func (f Failure) IsZero() bool {
	return f.Message == "" && f.Stack == "" && f.Kind == "" && f.Code == 0
}

// Sentence is the failure in one line.
func (f Failure) Sentence() string {
	first, _, _ := strings.Cut(f.Message, "\n")
	if first == "" {
		first = "no reason given"
	}
	if f.Task == "" {
		return first
	}
	return "task " + f.Task + " on " + string(f.Worker) + " failed: " + first
}

// Details is what Sentence leaves out: the other lines of the message and the stack, possibly empty.
func (f Failure) Details() string {
	_, rest, _ := strings.Cut(f.Message, "\n")
	switch {
	case rest == "":
		return f.Stack
	case f.Stack == "":
		return rest
	}
	return rest + "\n" + f.Stack
}
