package scheduler

import "fmt"

// JobState is Flink's JobStatus, without the states that need restarts or a suspended leader.
type JobState uint8

// The states of a job, in Flink's order of life.
const (
	JobInitializing JobState = iota
	JobCreated
	JobRunning
	JobFailing
	JobFailed
	JobCancelling
	JobCanceled
	JobFinished
	numJobStates
)

var jobStateNames = [numJobStates]string{"INITIALIZING", "CREATED", "RUNNING", "FAILING", "FAILED", "CANCELLING", "CANCELED", "FINISHED"}

// String returns Flink's name of the state.
func (s JobState) String() string {
	if s < numJobStates {
		return jobStateNames[s]
	}
	return fmt.Sprintf("JobState(%d)", uint8(s))
}

// ParseJobState is the inverse of String.
func ParseJobState(name string) (JobState, error) {
	for i, n := range jobStateNames {
		if n == name {
			return JobState(i), nil
		}
	}
	return 0, fmt.Errorf("parse job state %q: unknown", name)
}

// Terminal says whether the job can never leave the state (Flink: globally terminal).
func (s JobState) Terminal() bool { return s == JobFailed || s == JobCanceled || s == JobFinished }

// JobStates lists all states, for tables that show each.
func JobStates() []JobState {
	all := make([]JobState, numJobStates)
	for i := range all {
		all[i] = JobState(i)
	}
	return all
}

// jobInput is what moves a job's state.
type jobInput uint8

const (
	jobInitialized jobInput = iota
	jobScheduled
	jobFail
	jobCancel
	jobConcluded
	numJobInputs
)

var jobInputNames = [numJobInputs]string{"initialized", "scheduled", "fail", "cancel", "concluded"}

// jobTable is the transition table: row = from, column = input. An entry equal to its row changes nothing.
var jobTable = [numJobStates][numJobInputs]JobState{
	//                 initialized      scheduled        fail           cancel          concluded
	JobInitializing: {JobCreated, JobInitializing, JobFailing, JobCancelling, JobInitializing},
	JobCreated:      {JobCreated, JobRunning, JobFailing, JobCancelling, JobCreated},
	JobRunning:      {JobRunning, JobRunning, JobFailing, JobCancelling, JobFinished},
	JobFailing:      {JobFailing, JobFailing, JobFailing, JobFailing, JobFailed},
	JobFailed:       {JobFailed, JobFailed, JobFailed, JobFailed, JobFailed},
	JobCancelling:   {JobCancelling, JobCancelling, JobCancelling, JobCancelling, JobCanceled},
	JobCanceled:     {JobCanceled, JobCanceled, JobCanceled, JobCanceled, JobCanceled},
	JobFinished:     {JobFinished, JobFinished, JobFinished, JobFinished, JobFinished},
}

// TaskState is Flink's ExecutionState; the numbers are those of the wire (rpc/proto ExecutionState).
type TaskState uint8

// The states of an execution.
const (
	TaskUnspecified TaskState = iota
	TaskCreated
	TaskScheduled
	TaskDeploying
	TaskInitializing
	TaskRunning
	TaskFinished
	TaskCanceling
	TaskCanceled
	TaskFailed
	numTaskStates
)

var taskStateNames = [numTaskStates]string{"UNSPECIFIED", "CREATED", "SCHEDULED", "DEPLOYING", "INITIALIZING", "RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED"}

// String returns Flink's name of the state.
func (s TaskState) String() string {
	if s < numTaskStates {
		return taskStateNames[s]
	}
	return fmt.Sprintf("TaskState(%d)", uint8(s))
}

// Terminal says whether the execution has ended.
func (s TaskState) Terminal() bool { return s == TaskFinished || s == TaskCanceled || s == TaskFailed }

// TaskStates lists all states, for tables that show each.
func TaskStates() []TaskState {
	all := make([]TaskState, 0, numTaskStates-1)
	for s := TaskCreated; s < numTaskStates; s++ {
		all = append(all, s)
	}
	return all
}

// taskInput is what moves an execution's state: decisions taken here, and what its worker tells.
type taskInput uint8

const (
	taskSchedule   taskInput = iota // decided here
	taskDeploy                      // decided here
	taskInitialize                  // told
	taskRun                         // told
	taskFinish                      // told
	taskCancel                      // decided here
	taskCancelDone                  // told
	taskFail                        // told, or the execution is lost without having been cancelled
	numTaskInputs
)

var taskInputNames = [numTaskInputs]string{"schedule", "deploy", "initialize", "run", "finish", "cancel", "cancel done", "fail"}

// taskTable is the transition table; an entry equal to its row changes nothing. What a worker tells may cross a decision: an execution
// that is being cancelled stays CANCELING until it has ended. Finishing then counts as CANCELED, its output is not wanted any more;
// FAILED means that it had failed before the cancellation reached it (what fails because of that, workers report as CANCELED).
var taskTable = [numTaskStates][numTaskInputs]TaskState{
	TaskUnspecified: {},
	//                 schedule       deploy         initialize        run            finish         cancel         cancel done    fail
	TaskCreated:      {TaskScheduled, TaskCreated, TaskCreated, TaskCreated, TaskCreated, TaskCanceled, TaskCanceled, TaskFailed},
	TaskScheduled:    {TaskScheduled, TaskDeploying, TaskScheduled, TaskScheduled, TaskScheduled, TaskCanceled, TaskCanceled, TaskFailed},
	TaskDeploying:    {TaskDeploying, TaskDeploying, TaskInitializing, TaskRunning, TaskFinished, TaskCanceling, TaskCanceled, TaskFailed},
	TaskInitializing: {TaskInitializing, TaskInitializing, TaskInitializing, TaskRunning, TaskFinished, TaskCanceling, TaskCanceled, TaskFailed},
	TaskRunning:      {TaskRunning, TaskRunning, TaskRunning, TaskRunning, TaskFinished, TaskCanceling, TaskCanceled, TaskFailed},
	TaskFinished:     {TaskFinished, TaskFinished, TaskFinished, TaskFinished, TaskFinished, TaskFinished, TaskFinished, TaskFinished},
	TaskCanceling:    {TaskCanceling, TaskCanceling, TaskCanceling, TaskCanceling, TaskCanceled, TaskCanceling, TaskCanceled, TaskFailed},
	TaskCanceled:     {TaskCanceled, TaskCanceled, TaskCanceled, TaskCanceled, TaskCanceled, TaskCanceled, TaskCanceled, TaskCanceled},
	TaskFailed:       {TaskFailed, TaskFailed, TaskFailed, TaskFailed, TaskFailed, TaskFailed, TaskFailed, TaskFailed},
}

// told maps a state that a worker reports to the input it is.
func told(s TaskState) (taskInput, bool) {
	switch s {
	case TaskInitializing:
		return taskInitialize, true
	case TaskRunning:
		return taskRun, true
	case TaskFinished:
		return taskFinish, true
	case TaskCanceled:
		return taskCancelDone, true
	case TaskFailed:
		return taskFail, true
	}
	return 0, false // DEPLOYING, CANCELING: the worker repeats what was decided here
}
