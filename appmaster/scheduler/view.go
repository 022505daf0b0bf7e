package scheduler

import (
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// View is the job as it was at one moment: plain values that nobody changes afterwards.
type View struct {
	Job          ids.JobID
	State        JobState
	Reached      [numJobStates]time.Time // when each state was entered; zero: never
	Changed      time.Time               // last change of the job's or a task's state
	Cause        Failure                 // zero without one
	Phases       Phases
	Counts       [numTaskStates]int // tasks by state
	WantedSlots  int
	PresentSlots int
	Vertices     []*VertexView // in topological order
	TasksTotal   int
	TasksAllRun  bool // every task has been RUNNING
	FailedTasks  []Failure
	TasksEnded   bool // every task has ended; what comes is the end-of-job order
}

// VertexView is one vertex of a View.
type VertexView struct {
	ID             ids.VertexID
	Name           string
	Parallelism    int
	MaxParallelism int
	State          TaskState // of the vertex as a whole, by Flink's rule
	Counts         [numTaskStates]int
	Start, End     time.Time // first DEPLOYING, and the last end when all have ended; zero otherwise
	Metrics        Metrics
	MetricsFinal   bool // every subtask has told its final counts
	Subtasks       []SubtaskView
}

// SubtaskView is one subtask of a VertexView, at its present execution.
type SubtaskView struct {
	Index    int
	Attempt  ids.ExecutionAttemptID
	Number   uint32 // REST's attempt number
	State    TaskState
	Reached  [numTaskStates]time.Time // when each state was entered; zero: never
	Worker   ids.ResourceID           // empty before placement
	Endpoint string                   // host:port of the worker
	Metrics  Metrics
	Failure  Failure // zero without one
}

// Start is when the execution was sent to its worker; zero before.
func (t *SubtaskView) Start() time.Time { return t.Reached[TaskDeploying] }

// End is when the execution ended; zero before.
func (t *SubtaskView) End() time.Time {
	if t.State.Terminal() {
		return t.Reached[t.State]
	}
	return time.Time{}
}

// Start is when the job was submitted.
func (v *View) Start() time.Time { return v.Reached[JobInitializing] }

// End is when the job took its terminal state; zero before.
func (v *View) End() time.Time {
	if v.State.Terminal() {
		return v.Reached[v.State]
	}
	return time.Time{}
}

// View copies the state. Vertices that have not changed since the last View are shared with it.
func (s *Scheduler) View() *View {
	v := &View{
		Job: s.cfg.Job, State: s.job, Reached: s.reached, Changed: s.changed, Cause: s.cause, Phases: s.phases, Counts: s.counts,
		WantedSlots: s.wanted, PresentSlots: len(s.slots), TasksAllRun: s.notRun == 0, TasksEnded: s.ended,
	}
	for _, x := range s.vertices {
		if x.view == nil {
			x.view = x.makeView()
		}
		v.Vertices = append(v.Vertices, x.view)
		v.TasksTotal += len(x.tasks)
		for i := range x.view.Subtasks {
			if f := x.view.Subtasks[i].Failure; !f.IsZero() {
				v.FailedTasks = append(v.FailedTasks, f)
			}
		}
	}
	return v
}

func (x *vertex) makeView() *VertexView {
	v := &VertexView{
		ID: x.info.ID, Name: x.info.Name, Parallelism: len(x.tasks), MaxParallelism: x.info.MaxParallelism,
		MetricsFinal: true, Subtasks: make([]SubtaskView, len(x.tasks)),
	}
	ended := true
	for i, e := range x.tasks {
		t := SubtaskView{Index: i, Attempt: e.id, Number: e.number, State: e.state, Reached: e.reached, Metrics: e.metrics, Failure: e.failure}
		if e.slot != nil {
			t.Worker, t.Endpoint = e.slot.Worker, e.slot.Endpoint
		}
		v.Subtasks[i] = t
		v.Counts[e.state]++
		v.Metrics = v.Metrics.Add(e.metrics)
		v.MetricsFinal = v.MetricsFinal && e.state.Terminal()
		ended = ended && e.state.Terminal()
		if at := t.Start(); !at.IsZero() && (v.Start.IsZero() || at.Before(v.Start)) {
			v.Start = at
		}
		if at := t.End(); at.After(v.End) {
			v.End = at
		}
	}
	if !ended {
		v.End = time.Time{}
	}
	v.State = aggregate(v.Counts, len(x.tasks))
	return v
}

// aggregate is Flink's rule for the state of a vertex: one failed subtask makes it FAILED, then CANCELING, CANCELED when all are,
// then the first of RUNNING, FINISHED when all are, and so on down to CREATED.
func aggregate(counts [numTaskStates]int, total int) TaskState {
	switch {
	case counts[TaskFailed] > 0:
		return TaskFailed
	case counts[TaskCanceling] > 0:
		return TaskCanceling
	case counts[TaskCanceled] > 0:
		return TaskCanceled
	case counts[TaskInitializing] > 0:
		return TaskInitializing
	case counts[TaskRunning] > 0:
		return TaskRunning
	case counts[TaskFinished] > 0:
		if counts[TaskFinished] == total {
			return TaskFinished
		}
		return TaskRunning
	}
	return TaskCreated
}
