package scheduler

import (
	"fmt"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
)

// Config is what a scheduler is made from.
type Config struct {
	Job   ids.JobID
	Epoch ids.Epoch
	Graph *plan.JobGraph // with effective parallelism
}

// Scheduler holds the executions and the state of one job. Not safe for concurrent use.
type Scheduler struct {
	cfg      Config
	vertices []*vertex
	byVertex map[ids.VertexID]*vertex
	slots    map[ids.AllocationID]*Slot
	slotsOf  map[ids.ResourceID][]ids.AllocationID
	byWorker map[ids.ResourceID][]*execution // that have been given slots, in the order of the graph

	job       JobState
	reached   [numJobStates]time.Time
	changed   time.Time // last change of the job's or a task's state
	cause     Failure
	phases    Phases
	counts    [numTaskStates]int
	live      int // executions that have not ended
	notRun    int // executions that have not been RUNNING yet
	wanted    int
	placed    bool // executions have been given slots
	endedWith JobState
	ended     bool // Ended has been said, with endedWith

	out []Effect // of the Step in progress
}

type vertex struct {
	info  *plan.Vertex
	tasks []*execution
	view  *VertexView // nil: out of date
}

type execution struct {
	id         ids.ExecutionAttemptID
	number     uint32 // REST's attempt number
	generation ids.Generation
	state      TaskState
	reached    [numTaskStates]time.Time
	slot       *Slot // nil before placement
	hasRun     bool
	metrics    Metrics
	finals     []OperatorState
	failure    Failure
	vertex     *vertex
}

// Phases are the moments that a person waiting for the job asks about; zero: not reached.
type Phases struct {
	Created time.Time // the JobMaster exists
	Wanted  time.Time // slots were declared
	Placed  time.Time // all wanted slots are there, the tasks go out
	Running time.Time // every task has been RUNNING
	Ended   time.Time // every task has ended
}

// New returns the scheduler of a job in state INITIALIZING.
func New(now time.Time, cfg Config) (*Scheduler, error) {
	s := &Scheduler{cfg: cfg, byVertex: map[ids.VertexID]*vertex{}, slots: map[ids.AllocationID]*Slot{},
		slotsOf: map[ids.ResourceID][]ids.AllocationID{}, byWorker: map[ids.ResourceID][]*execution{}, changed: now}
	if cfg.Graph == nil || len(cfg.Graph.Vertices) == 0 {
		return nil, fmt.Errorf("schedule job %s: the graph has no vertices", cfg.Job)
	}
	s.reached[JobInitializing] = now
	s.phases.Created = now
	for i := range cfg.Graph.Vertices {
		v := &vertex{info: &cfg.Graph.Vertices[i]}
		if v.info.Parallelism < 1 {
			return nil, fmt.Errorf("schedule job %s: vertex %q has parallelism %d", cfg.Job, v.info.Name, v.info.Parallelism)
		}
		for sub := range v.info.Parallelism {
			e := &execution{vertex: v, state: TaskCreated, generation: ids.Generation{Epoch: cfg.Epoch}}
			e.id = ids.ExecutionAttemptID{Job: cfg.Job, Vertex: v.info.ID, Subtask: uint32(sub), Epoch: cfg.Epoch}
			e.reached[TaskCreated] = now
			v.tasks = append(v.tasks, e)
		}
		s.vertices = append(s.vertices, v)
		s.byVertex[v.info.ID] = v
		s.wanted = max(s.wanted, v.info.Parallelism)
		s.live += v.info.Parallelism
	}
	s.counts[TaskCreated] = s.live
	s.notRun = s.live
	return s, nil
}

// Step applies one event at the given time and returns what is to be done, in order.
func (s *Scheduler) Step(now time.Time, ev Event) []Effect {
	s.out = nil
	switch ev := ev.(type) {
	case Initialized:
		s.moveJob(now, jobInitialized)
	case Schedule:
		s.schedule(now)
	case SlotAdded:
		s.addSlot(now, ev.Slot)
	case SlotRemoved:
		s.removeSlot(now, ev.Allocation, ev.Cause)
	case WorkerLost:
		s.loseWorker(now, ev.Worker, ev.Cause)
	case AttemptsLost:
		s.lose(now, s.find(ev.Attempts), ev.Cause)
	case TaskUpdate:
		s.update(now, ev)
	case Inventory:
		s.inventory(now, ev)
	case Cancel:
		s.cancel(now)
	case Fail:
		s.fail(now, ev.Cause)
	case Concluded:
		s.conclude(now)
	}
	s.checkEnd(now)
	return s.out
}

// State is the job's state.
func (s *Scheduler) State() JobState { return s.job }

// Cause is the failure that decides the job's end; zero without one.
func (s *Scheduler) Cause() Failure { return s.cause }

// Wanted is how many slots the job wants.
func (s *Scheduler) Wanted() int { return s.wanted }

// Placed says whether the executions have been given slots.
func (s *Scheduler) Placed() bool { return s.placed }

// Ended says whether the last execution has ended and Ended has been said.
func (s *Scheduler) Ended() bool { return s.ended }

// InUse says whether an execution is, or keeps a final state, in a worker's slot.
func (s *Scheduler) InUse(w ids.ResourceID, a ids.AllocationID) bool {
	return !s.job.Terminal() && len(s.in(w, a)) > 0
}

// Report takes the running counts of an execution from the worker that has it; it says whether they changed anything.
func (s *Scheduler) Report(from ids.ResourceID, a ids.ExecutionAttemptID, m Metrics) bool {
	e := s.lookup(a)
	if e == nil || e.slot == nil || e.slot.Worker != from || e.state.Terminal() || e.metrics == m {
		return false
	}
	e.metrics = m
	e.vertex.view = nil
	return true
}

// Knows says whether the attempt is the present one of its subtask, alive or ended.
func (s *Scheduler) Knows(a ids.ExecutionAttemptID) bool { return s.lookup(a) != nil }

// Current says whether the attempt is the present one of its subtask and has not ended.
func (s *Scheduler) Current(a ids.ExecutionAttemptID) (worker ids.ResourceID, ok bool) {
	e := s.lookup(a)
	if e == nil || e.slot == nil || e.state.Terminal() {
		return "", false
	}
	return e.slot.Worker, true
}

// Finals returns what the FINISHED executions handed over: per operator one entry per subtask, nil where there was none.
func (s *Scheduler) Finals() map[ids.OperatorID][][]byte {
	finals := map[ids.OperatorID][][]byte{}
	for _, v := range s.vertices {
		for _, op := range v.info.Operators {
			finals[op] = make([][]byte, len(v.tasks))
		}
		for i, e := range v.tasks {
			for _, f := range e.finals {
				if of := finals[f.Operator]; i < len(of) {
					of[i] = f.State
				}
			}
		}
	}
	return finals
}

func (s *Scheduler) emit(e Effect) { s.out = append(s.out, e) }
