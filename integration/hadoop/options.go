package hadoop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Version is the Hadoop release that Start runs.
const Version = "3.5.0"

// Queue is a leaf queue of the capacity scheduler below root. Capacities are percentages of the cluster.
type Queue struct {
	Name        string
	Capacity    int
	MaxCapacity int // 0: 100
}

// Options says what cluster to start. The zero value of every field but StateDir has a usable default.
type Options struct {
	// StateDir holds all that belongs to this cluster; created, made absolute. Required.
	StateDir string
	// CacheDir holds the jars; default DefaultCacheDir.
	CacheDir string
	// NodeManagers is 1 to 3; default 2.
	NodeManagers int
	// NodeMemoryMB and NodeVCores are what each NodeManager offers, and the largest container; default 8192 and 8.
	NodeMemoryMB, NodeVCores int
	// MinAllocationMB is the smallest container and the step of sizes; default 64.
	MinAllocationMB int
	// Heartbeat is the NodeManagers' heartbeat interval; default 200 ms.
	Heartbeat time.Duration
	// NodeExpiry is how long a silent NodeManager counts as alive; default 10 s.
	NodeExpiry time.Duration
	// AMExpiry is how long a silent ApplicationMaster counts as alive; default 20 s.
	AMExpiry time.Duration
	// OffSwitch is how many containers one NodeManager heartbeat may get; default 100. With 1 containers spread.
	OffSwitch int
	// VmemCheck and PmemCheck make the NodeManagers kill containers above their virtual or physical size.
	VmemCheck, PmemCheck bool
	// RMRecovery keeps applications over a restart of the ResourceManager.
	RMRecovery bool
	// Queues defaults to "default" with 90 % and "small" with 10 %, which cannot grow.
	Queues []Queue
	// PortOffset is added to every port; a multiple of 100, so that clusters never share one.
	PortOffset int
	// AutoPorts tries offsets from PortOffset on until all ports are free.
	AutoPorts bool
	// Persist lets the cluster outlive its owner once it is ready.
	Persist bool
	// Owner is the process whose end ends the cluster; default this process.
	Owner int
	// Progress receives one line per step; nil discards them.
	Progress func(line string)
}

// DefaultQueues are the queues of a cluster whose options name none.
func DefaultQueues() []Queue {
	return []Queue{{Name: "default", Capacity: 90}, {Name: "small", Capacity: 10, MaxCapacity: 10}}
}

// DefaultCacheDir is flott's directory in the user's cache directory, or in the temporary directory when the user has
// none.
func DefaultCacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), "cache-"+strconv.Itoa(os.Getuid()))
	}
	return filepath.Join(base, "flott", "hadoop-"+Version)
}

// DefaultStateDir is where hadoopctl keeps its cluster unless told otherwise: what FLOTT_HADOOP_STATE says, else a
// folder of DefaultCacheDir.
func DefaultStateDir() string {
	if dir := os.Getenv(StateEnv); dir != "" {
		return dir
	}
	return filepath.Join(DefaultCacheDir(), "cluster")
}

// StateEnv is the environment variable that names the state directory of a running cluster.
const StateEnv = "FLOTT_HADOOP_STATE"

func (o Options) withDefaults() (Options, error) {
	if o.StateDir == "" {
		return o, errors.New("hadoop options: StateDir is empty")
	}
	var err error
	if o.StateDir, err = filepath.Abs(o.StateDir); err != nil {
		return o, fmt.Errorf("hadoop options: state directory: %w", err)
	}
	if o.CacheDir == "" {
		o.CacheDir = DefaultCacheDir()
	}
	setDefault(&o.NodeManagers, 2)
	setDefault(&o.NodeMemoryMB, 8192)
	setDefault(&o.NodeVCores, 8)
	setDefault(&o.MinAllocationMB, 64)
	setDefault(&o.Heartbeat, 200*time.Millisecond)
	setDefault(&o.NodeExpiry, 10*time.Second)
	setDefault(&o.AMExpiry, 20*time.Second)
	setDefault(&o.OffSwitch, 100)
	setDefault(&o.Owner, os.Getpid())
	if o.Queues == nil {
		o.Queues = DefaultQueues()
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o, o.validate()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o Options) validate() error {
	switch {
	case o.NodeManagers < 1 || o.NodeManagers > maxNodes:
		return fmt.Errorf("hadoop options: %d NodeManagers, want 1 to %d", o.NodeManagers, maxNodes)
	case o.NodeMemoryMB < o.MinAllocationMB:
		return fmt.Errorf("hadoop options: node memory %d MB is below the smallest container, %d MB", o.NodeMemoryMB, o.MinAllocationMB)
	case o.NodeVCores < 1 || o.MinAllocationMB < 1:
		return fmt.Errorf("hadoop options: %d vcores, smallest container %d MB, want at least 1", o.NodeVCores, o.MinAllocationMB)
	case o.PortOffset < 0 || o.PortOffset > maxPortOffset || o.PortOffset%portStep != 0:
		return fmt.Errorf("hadoop options: port offset %d, want a multiple of %d up to %d", o.PortOffset, portStep, maxPortOffset)
	case o.Heartbeat < 10*time.Millisecond || o.NodeExpiry < time.Second || o.AMExpiry < time.Second:
		return fmt.Errorf("hadoop options: heartbeat %v (want at least 10ms), node expiry %v, AM expiry %v (want at least 1s)",
			o.Heartbeat, o.NodeExpiry, o.AMExpiry)
	}
	sum := 0
	for _, q := range o.Queues {
		sum += q.Capacity
	}
	if sum != 100 {
		return fmt.Errorf("hadoop options: the capacities of the queues sum up to %d, want 100", sum)
	}
	return nil
}
