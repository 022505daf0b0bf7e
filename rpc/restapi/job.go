package restapi

// JobStates are Flink's states of a job, as `timestamps` lists them.
func JobStates() []string {
	return []string{"INITIALIZING", "CREATED", "RUNNING", "FAILING", "FAILED", "CANCELLING", "CANCELED", "FINISHED", "RESTARTING",
		"SUSPENDED", "RECONCILING"}
}

// ExecutionStates are Flink's states of a task, as `tasks` and `status-counts` list them.
func ExecutionStates() []string {
	return []string{"CREATED", "SCHEDULED", "DEPLOYING", "RUNNING", "FINISHED", "CANCELING", "CANCELED", "FAILED", "RECONCILING",
		"INITIALIZING"}
}

// Jobs is GET /jobs.
type Jobs struct {
	Jobs []JobIDStatus `json:"jobs"`
}

// JobIDStatus is an element of it.
type JobIDStatus struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// JobStatus is GET /jobs/:id/status.
type JobStatus struct {
	Status string `json:"status"`
}

// JobsOverview is GET /jobs/overview.
type JobsOverview struct {
	Jobs []JobOverview `json:"jobs"`
}

// JobOverview is an element of it.
type JobOverview struct {
	ID               string    `json:"jid"`
	Name             string    `json:"name"`
	StartTime        int64     `json:"start-time"`
	EndTime          int64     `json:"end-time"`
	Duration         int64     `json:"duration"`
	State            string    `json:"state"`
	LastModification int64     `json:"last-modification"`
	Tasks            JobsTasks `json:"tasks"`
}

// JobsTasks counts a job's tasks by state.
type JobsTasks struct {
	Running      int `json:"running"`
	Canceling    int `json:"canceling"`
	Canceled     int `json:"canceled"`
	Total        int `json:"total"`
	Created      int `json:"created"`
	Scheduled    int `json:"scheduled"`
	Deploying    int `json:"deploying"`
	Reconciling  int `json:"reconciling"`
	Finished     int `json:"finished"`
	Initializing int `json:"initializing"`
	Failed       int `json:"failed"`
}

// Add counts one task in an execution state; an unknown one only in the total.
func (t *JobsTasks) Add(state string) {
	t.Total++
	switch state {
	case "RUNNING":
		t.Running++
	case "CANCELING":
		t.Canceling++
	case "CANCELED":
		t.Canceled++
	case "CREATED":
		t.Created++
	case "SCHEDULED":
		t.Scheduled++
	case "DEPLOYING":
		t.Deploying++
	case "RECONCILING":
		t.Reconciling++
	case "FINISHED":
		t.Finished++
	case "INITIALIZING":
		t.Initializing++
	case "FAILED":
		t.Failed++
	}
}

// Job is GET /jobs/:id.
type Job struct {
	ID             string           `json:"jid"`
	Name           string           `json:"name"`
	IsStoppable    bool             `json:"isStoppable"` // always false, as in Flink
	State          string           `json:"state"`
	JobType        string           `json:"job-type"` // STREAMING or BATCH
	StartTime      int64            `json:"start-time"`
	EndTime        int64            `json:"end-time"`
	Duration       int64            `json:"duration"`
	MaxParallelism int64            `json:"maxParallelism"` // -1: not set
	Now            int64            `json:"now"`
	Timestamps     map[string]int64 `json:"timestamps"` // every one of JobStates; 0: never
	Vertices       []Vertex         `json:"vertices"`
	StatusCounts   map[string]int   `json:"status-counts"` // vertices by state, every one of ExecutionStates
	Plan           Plan             `json:"plan"`
	Flott          *Flott           `json:"flott,omitempty"` // absent from Flink
}

// Vertex is a chain of operators in Job.
type Vertex struct {
	ID                 string         `json:"id"`
	SlotSharingGroupID string         `json:"slotSharingGroupId"`
	Name               string         `json:"name"`
	MaxParallelism     int            `json:"maxParallelism"`
	Parallelism        int            `json:"parallelism"`
	Status             string         `json:"status"`
	StartTime          int64          `json:"start-time"`
	EndTime            int64          `json:"end-time"`
	Duration           int64          `json:"duration"`
	Tasks              map[string]int `json:"tasks"` // every one of ExecutionStates
	Metrics            VertexMetrics  `json:"metrics"`
}

// VertexMetrics are summed over a vertex's subtasks; complete says whether every subtask reported. Times in milliseconds.
type VertexMetrics struct {
	ReadBytes            int64  `json:"read-bytes"`
	ReadBytesComplete    bool   `json:"read-bytes-complete"`
	WriteBytes           int64  `json:"write-bytes"`
	WriteBytesComplete   bool   `json:"write-bytes-complete"`
	ReadRecords          int64  `json:"read-records"`
	ReadRecordsComplete  bool   `json:"read-records-complete"`
	WriteRecords         int64  `json:"write-records"`
	WriteRecordsComplete bool   `json:"write-records-complete"`
	BackPressuredTime    int64  `json:"accumulated-backpressured-time"`
	IdleTime             int64  `json:"accumulated-idle-time"`
	BusyTime             Double `json:"accumulated-busy-time"` // NaN for a source that does not measure it
}

// Plan is the graph of vertices, as the web page draws it.
type Plan struct {
	ID    string     `json:"jid"`
	Name  string     `json:"name"`
	Type  string     `json:"type"`
	Nodes []PlanNode `json:"nodes"`
}

// PlanResponse is GET /jobs/:id/plan.
type PlanResponse struct {
	Plan Plan `json:"plan"`
}

// PlanNode is a vertex in a Plan. Inputs is absent, not empty, for a source.
type PlanNode struct {
	ID                  string         `json:"id"`
	Parallelism         int            `json:"parallelism"`
	Operator            string         `json:"operator"`          // always empty
	OperatorStrategy    string         `json:"operator_strategy"` // always empty
	Description         string         `json:"description"`       // HTML-escaped operator names, "<br/>" after each, "+- " before chained ones
	Inputs              []PlanInput    `json:"inputs,omitempty"`
	OptimizerProperties map[string]any `json:"optimizer_properties"` // always an empty object
}

// PlanInput is an edge into a PlanNode.
type PlanInput struct {
	Num          int    `json:"num"`
	ID           string `json:"id"`
	ShipStrategy string `json:"ship_strategy"`
	Exchange     string `json:"exchange"`
}

// ExecutionResult is GET /jobs/:id/execution-result. Result is absent while the status is InProgress.
type ExecutionResult struct {
	Status AsyncStatus         `json:"status"`
	Result *JobExecutionResult `json:"job-execution-result,omitempty"`
}

// AsyncStatus is the state of an asynchronous operation.
type AsyncStatus struct {
	ID string `json:"id"`
}

// The two states of an asynchronous operation.
const (
	InProgress = "IN_PROGRESS"
	Completed  = "COMPLETED"
)

// JobExecutionResult is how a job ended.
type JobExecutionResult struct {
	ID                string            `json:"id"`
	ApplicationStatus string            `json:"application-status"` // SUCCEEDED, FAILED, CANCELED, UNKNOWN
	Accumulators      map[string]string `json:"accumulator-results"`
	NetRuntime        int64             `json:"net-runtime"`             // milliseconds
	FailureCause      *FailureCause     `json:"failure-cause,omitempty"` // FAILED only
}

// FailureCause is an error.
type FailureCause struct {
	Class      string `json:"class"`
	StackTrace string `json:"stack-trace"`
	// Serialized is an org.apache.flink.util.SerializedThrowable as Java serialises it: Flink's own client reads nothing else.
	Serialized []byte `json:"serialized-throwable"`
}
