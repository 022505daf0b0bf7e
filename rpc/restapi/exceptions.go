package restapi

// Exceptions is GET /jobs/:id/exceptions. Stack traces begin with the sentence that says what failed. The first four fields are those
// of Flink 1; newer clients read the history.
type Exceptions struct {
	RootException *string          `json:"root-exception"` // null without one
	Timestamp     *int64           `json:"timestamp"`
	All           []TaskException  `json:"all-exceptions"`
	Truncated     bool             `json:"truncated"`
	History       ExceptionHistory `json:"exceptionHistory"`
}

// TaskException is a task's failure in Exceptions.
type TaskException struct {
	Exception     string `json:"exception"`
	Task          string `json:"task"`     // "name (1/4)"
	Location      string `json:"location"` // host:port of the worker
	Endpoint      string `json:"endpoint"` // the same
	Timestamp     int64  `json:"timestamp"`
	TaskManagerID string `json:"taskManagerId"`
}

// ExceptionHistory lists the failures that made the job fail or restart, newest first.
type ExceptionHistory struct {
	Entries   []RootException `json:"entries"`
	Truncated bool            `json:"truncated"`
}

// RootException is an entry of the history with the failures that came with it.
type RootException struct {
	ExceptionInfo
	Concurrent []ExceptionInfo `json:"concurrentExceptions"`
}

// ExceptionInfo is one failure in the history; the last four fields are absent when the job as a whole failed.
type ExceptionInfo struct {
	Name          string            `json:"exceptionName"`
	StackTrace    string            `json:"stacktrace"`
	Timestamp     int64             `json:"timestamp"`
	FailureLabels map[string]string `json:"failureLabels"`
	TaskName      string            `json:"taskName,omitempty"` // "name (1/4) - execution #0"
	Location      string            `json:"location,omitempty"`
	Endpoint      string            `json:"endpoint,omitempty"`
	TaskManagerID string            `json:"taskManagerId,omitempty"`
}

// JobConfig is GET /jobs/:id/config.
type JobConfig struct {
	ID        string          `json:"jid"`
	Name      string          `json:"name"`
	Execution ExecutionConfig `json:"execution-config"`
}

// ExecutionConfig is what a job was run with.
type ExecutionConfig struct {
	ExecutionMode   string            `json:"execution-mode"` // always PIPELINED
	RestartStrategy string            `json:"restart-strategy"`
	Parallelism     int               `json:"job-parallelism"`
	ObjectReuse     bool              `json:"object-reuse-mode"`
	UserConfig      map[string]string `json:"user-config"`
}

// TaskManagerMetrics are in GET /taskmanagers/:id. Flink's are those of a JVM; a number that a worker does not tell is 0.
type TaskManagerMetrics struct {
	HeapUsed          int64              `json:"heapUsed"`
	HeapCommitted     int64              `json:"heapCommitted"`
	HeapMax           int64              `json:"heapMax"`
	NonHeapUsed       int64              `json:"nonHeapUsed"`
	NonHeapCommitted  int64              `json:"nonHeapCommitted"`
	NonHeapMax        int64              `json:"nonHeapMax"`
	DirectCount       int64              `json:"directCount"`
	DirectUsed        int64              `json:"directUsed"`
	DirectMax         int64              `json:"directMax"`
	MappedCount       int64              `json:"mappedCount"`
	MappedUsed        int64              `json:"mappedUsed"`
	MappedMax         int64              `json:"mappedMax"`
	SegmentsAvailable int64              `json:"memorySegmentsAvailable"`
	SegmentsTotal     int64              `json:"memorySegmentsTotal"`
	ShuffleAvailable  int64              `json:"nettyShuffleMemorySegmentsAvailable"`
	ShuffleUsed       int64              `json:"nettyShuffleMemorySegmentsUsed"`
	ShuffleTotal      int64              `json:"nettyShuffleMemorySegmentsTotal"`
	MemoryAvailable   int64              `json:"nettyShuffleMemoryAvailable"` // bytes
	MemoryUsed        int64              `json:"nettyShuffleMemoryUsed"`
	MemoryTotal       int64              `json:"nettyShuffleMemoryTotal"`
	GarbageCollectors []GarbageCollector `json:"garbageCollectors"`
}

// GarbageCollector is an element of TaskManagerMetrics.
type GarbageCollector struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
	Time  int64  `json:"time"`
}
