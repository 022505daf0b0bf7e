package restapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Double is a number that Flink prints as Java's double: 3.0, 0.5, "NaN".
type Double float64

// MarshalJSON prints a fraction always, and what JSON has no number for as text.
func (d Double) MarshalJSON() ([]byte, error) {
	f := float64(d)
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	case f == math.Trunc(f) && math.Abs(f) < 1e7:
		return strconv.AppendFloat(nil, f, 'f', 1, 64), nil
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads a number or one of the three texts.
func (d *Double) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		switch text {
		case "NaN":
			*d = Double(math.NaN())
		case "Infinity":
			*d = Double(math.Inf(1))
		case "-Infinity":
			*d = Double(math.Inf(-1))
		default:
			return fmt.Errorf("read number: %.40q is none", text)
		}
		return nil
	}
	return json.Unmarshal(b, (*float64)(d))
}

// Error answers every failed request (400, 404, 409, 500, 503).
type Error struct {
	Errors []string `json:"errors"`
}

// Empty answers a request that is only acknowledged: PATCH /jobs/:id (202), DELETE /cluster (200).
type Empty struct{}

// Config is GET /config: what the web page needs first.
type Config struct {
	RefreshInterval int64    `json:"refresh-interval"` // milliseconds
	TimezoneName    string   `json:"timezone-name"`
	TimezoneOffset  int64    `json:"timezone-offset"` // milliseconds
	FlinkVersion    string   `json:"flink-version"`
	FlinkRevision   string   `json:"flink-revision"`
	Features        Features `json:"features"`
}

// Features says what the web page may offer.
type Features struct {
	WebSubmit  bool `json:"web-submit"`
	WebCancel  bool `json:"web-cancel"`
	WebRescale bool `json:"web-rescale"`
	WebHistory bool `json:"web-history"`
}

// Overview is GET /overview.
type Overview struct {
	TaskManagers   int    `json:"taskmanagers"`
	SlotsTotal     int    `json:"slots-total"`
	SlotsAvailable int    `json:"slots-available"`
	JobsRunning    int    `json:"jobs-running"`
	JobsFinished   int    `json:"jobs-finished"`
	JobsCancelled  int    `json:"jobs-cancelled"`
	JobsFailed     int    `json:"jobs-failed"`
	FlinkVersion   string `json:"flink-version"`
	FlinkCommit    string `json:"flink-commit"`
}

// ConfigEntry is an element of GET /jobmanager/config. Secrets are printed as "******".
type ConfigEntry struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// LogList is GET /jobmanager/logs and /taskmanagers/:id/logs.
type LogList struct {
	Logs []LogFile `json:"logs"`
}

// LogFile is a file in a log directory.
type LogFile struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"`
}

// TaskManagers is GET /taskmanagers.
type TaskManagers struct {
	TaskManagers []TaskManager `json:"taskmanagers"`
}

// TaskManager is an element of it; GET /taskmanagers/:id has TaskManagerDetails.
type TaskManager struct {
	ID                     string              `json:"id"`
	Path                   string              `json:"path"` // control address
	DataPort               int                 `json:"dataPort"`
	JMXPort                int                 `json:"jmxPort"`                // always -1
	TimeSinceLastHeartbeat int64               `json:"timeSinceLastHeartbeat"` // in spite of its name, the time of it
	SlotsNumber            int                 `json:"slotsNumber"`
	FreeSlots              int                 `json:"freeSlots"`
	TotalResource          Resource            `json:"totalResource"`
	FreeResource           Resource            `json:"freeResource"`
	Hardware               Hardware            `json:"hardware"`
	MemoryConfiguration    MemoryConfiguration `json:"memoryConfiguration"`
}

// TaskManagerDetails is GET /taskmanagers/:id.
type TaskManagerDetails struct {
	TaskManager
	AllocatedSlots []AllocatedSlot    `json:"allocatedSlots"`
	Metrics        TaskManagerMetrics `json:"metrics"`
}

// AllocatedSlot is a slot that a job has.
type AllocatedSlot struct {
	JobID    string   `json:"jobId"`
	Resource Resource `json:"resource"`
}

// Resource is a resource profile; sizes in MiB.
type Resource struct {
	CPUCores          Double            `json:"cpuCores"`
	TaskHeapMemory    int64             `json:"taskHeapMemory"`
	TaskOffHeapMemory int64             `json:"taskOffHeapMemory"`
	ManagedMemory     int64             `json:"managedMemory"`
	NetworkMemory     int64             `json:"networkMemory"`
	ExtendedResources map[string]Double `json:"extendedResources"`
}

// Hardware of a worker's node; sizes in bytes.
type Hardware struct {
	CPUCores       int   `json:"cpuCores"`
	PhysicalMemory int64 `json:"physicalMemory"`
	FreeMemory     int64 `json:"freeMemory"`
	ManagedMemory  int64 `json:"managedMemory"`
}

// MemoryConfiguration of a worker, in bytes.
type MemoryConfiguration struct {
	FrameworkHeap      int64 `json:"frameworkHeap"`
	TaskHeap           int64 `json:"taskHeap"`
	FrameworkOffHeap   int64 `json:"frameworkOffHeap"`
	TaskOffHeap        int64 `json:"taskOffHeap"`
	NetworkMemory      int64 `json:"networkMemory"`
	ManagedMemory      int64 `json:"managedMemory"`
	JVMMetaspace       int64 `json:"jvmMetaspace"`
	JVMOverhead        int64 `json:"jvmOverhead"`
	TotalFlinkMemory   int64 `json:"totalFlinkMemory"`
	TotalProcessMemory int64 `json:"totalProcessMemory"`
}
