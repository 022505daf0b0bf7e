package conf

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// ErrMemory is under every error of the memory model: the sizes do not fit together.
var ErrMemory = errors.New("memory sizes do not fit together")

// TaskManagerMemorySpec holds the parts of a worker's memory, as Flink divides it. Process = total Flink memory + metaspace + overhead.
type TaskManagerMemorySpec struct {
	FrameworkHeap, TaskHeap       MemorySize
	FrameworkOffHeap, TaskOffHeap MemorySize
	Network, Managed              MemorySize
	Metaspace, Overhead           MemorySize // together the reserve outside the Go memory limit
}

// TotalFlink is the worker's memory without the reserve.
func (s TaskManagerMemorySpec) TotalFlink() MemorySize {
	return s.FrameworkHeap + s.TaskHeap + s.FrameworkOffHeap + s.TaskOffHeap + s.Network + s.Managed
}

// Process is the size of the container.
func (s TaskManagerMemorySpec) Process() MemorySize { return s.TotalFlink() + s.Metaspace + s.Overhead }

// HeapFloor is an allocation that a worker never touches, so that it counts on the Go heap and is not resident: the garbage collector, which
// runs when the heap has doubled, does not run every few MiB.
const HeapFloor = 32 * MiB

// GoMemLimit is the GOMEMLIMIT of the worker: everything but the reserve and the network pool, which lies outside the Go heap, and the
// heap floor, which takes no memory, on top.
func (s TaskManagerMemorySpec) GoMemLimit() MemorySize { return s.TotalFlink() - s.Network + HeapFloor }

// PerSlot returns the share of one of n slots. What is not given to slots (framework, reserve) is zero in it.
func (s TaskManagerMemorySpec) PerSlot(n int) TaskManagerMemorySpec {
	d := MemorySize(max(1, n))
	return TaskManagerMemorySpec{
		TaskHeap: s.TaskHeap / d, TaskOffHeap: s.TaskOffHeap / d, Network: s.Network / d, Managed: s.Managed / d,
	}
}

// JobManagerMemorySpec holds the parts of the ApplicationMaster's memory.
type JobManagerMemorySpec struct {
	Heap, OffHeap       MemorySize
	Metaspace, Overhead MemorySize
}

// TotalFlink is the ApplicationMaster's memory without the reserve, and its GOMEMLIMIT.
func (s JobManagerMemorySpec) TotalFlink() MemorySize { return s.Heap + s.OffHeap }

// Process is the size of the container.
func (s JobManagerMemorySpec) Process() MemorySize { return s.TotalFlink() + s.Metaspace + s.Overhead }

// GoMemLimit is the GOMEMLIMIT of the ApplicationMaster: everything but the reserve.
func (s JobManagerMemorySpec) GoMemLimit() MemorySize { return s.TotalFlink() }

// TaskManagerMemory derives a worker's parts by Flink's rules. What is given decides, in this order: task heap and managed memory;
// the total Flink memory; the process size, which has a default.
func TaskManagerMemory(c *Config) (TaskManagerMemorySpec, error) {
	flink, flinkSet := TaskManagerFlinkSize.Lookup(c)
	o := reserveOptions{
		TaskManagerProcessSize, TaskManagerMetaspaceSize,
		rangeOptions{TaskManagerOverheadFraction, TaskManagerOverheadMin, TaskManagerOverheadMax},
	}
	if TaskManagerTaskHeapSize.IsSet(c) && TaskManagerManagedSize.IsSet(c) {
		s, err := workerFromParts(c)
		if err == nil {
			s.Metaspace, s.Overhead, err = o.around(c, s.TotalFlink())
		}
		return s, err
	}
	if flinkSet {
		s, err := workerWithin(c, flink)
		if err == nil {
			s.Metaspace, s.Overhead, err = o.around(c, flink)
		}
		return s, err
	}
	flink, metaspace, overhead, err := o.within(c)
	if err != nil {
		return TaskManagerMemorySpec{}, err
	}
	s, err := workerWithin(c, flink)
	s.Metaspace, s.Overhead = metaspace, overhead
	return s, err
}

var networkRange = rangeOptions{TaskManagerNetworkFraction, TaskManagerNetworkMin, TaskManagerNetworkMax}

// workerFromParts: task heap and managed memory are given; the network memory is the rest of a given total, else the share that it
// would be of the total that results.
func workerFromParts(c *Config) (TaskManagerMemorySpec, error) {
	s := workerFixed(c)
	s.TaskHeap, s.Managed = TaskManagerTaskHeapSize.Get(c), TaskManagerManagedSize.Get(c)
	base := s.TotalFlink()
	total, given := TaskManagerFlinkSize.Lookup(c)
	var err error
	if given {
		s.Network, err = networkRange.remainder(c, total, base, TaskManagerFlinkSize.Key)
	} else {
		s.Network, err = networkRange.inverseShare(c, base)
	}
	return s, err
}

// workerWithin: the total Flink memory is known. With the task heap given the network memory is the rest, else the task heap is.
func workerWithin(c *Config, total MemorySize) (TaskManagerMemorySpec, error) {
	s := workerFixed(c)
	managed, given := TaskManagerManagedSize.Lookup(c)
	if !given {
		managed = multiply(total, TaskManagerManagedFraction.Get(c))
	}
	s.Managed = managed
	var err error
	if heap, given := TaskManagerTaskHeapSize.Lookup(c); given {
		s.TaskHeap = heap
		s.Network, err = networkRange.remainder(c, total, s.TotalFlink(), "the total Flink memory")
		return s, err
	}
	if s.Network, err = networkRange.share(c, total); err != nil {
		return s, err
	}
	if used := s.TotalFlink(); used > total {
		return s, fmt.Errorf("%w: framework heap %s, framework off-heap %s, task off-heap %s, managed %s and network %s of a worker "+
			"are %s together, more than its total Flink memory of %s; raise %s", ErrMemory, s.FrameworkHeap, s.FrameworkOffHeap,
			s.TaskOffHeap, s.Managed, s.Network, used, total, TaskManagerProcessSize.Key)
	}
	s.TaskHeap = total - s.TotalFlink()
	return s, nil
}

// workerFixed returns the parts that are never derived.
func workerFixed(c *Config) TaskManagerMemorySpec {
	return TaskManagerMemorySpec{
		FrameworkHeap: TaskManagerFrameworkHeapSize.Get(c), FrameworkOffHeap: TaskManagerFrameworkOffHeapSize.Get(c),
		TaskOffHeap: TaskManagerTaskOffHeapSize.Get(c),
	}
}

// JobManagerMemory derives the ApplicationMaster's parts by Flink's rules. What is given decides, in this order: the heap; the
// total Flink memory; the process size, which has a default.
func JobManagerMemory(c *Config) (JobManagerMemorySpec, error) {
	o := reserveOptions{
		JobManagerProcessSize, JobManagerMetaspaceSize,
		rangeOptions{JobManagerOverheadFraction, JobManagerOverheadMin, JobManagerOverheadMax},
	}
	s := JobManagerMemorySpec{OffHeap: JobManagerOffHeapSize.Get(c)}
	flink, flinkSet := JobManagerFlinkSize.Lookup(c)
	heap, heapSet := JobManagerHeapSize.Lookup(c)
	var err error
	if !heapSet && !flinkSet {
		if flink, s.Metaspace, s.Overhead, err = o.within(c); err != nil {
			return s, err
		}
	}
	switch {
	case heapSet && flinkSet:
		s.Heap = heap
		if !JobManagerOffHeapSize.IsSet(c) && heap <= flink {
			s.OffHeap = flink - heap
		}
		if s.TotalFlink() != flink {
			return s, fmt.Errorf("%w: %s (%s) is not the sum of %s (%s) and %s (%s)", ErrMemory, JobManagerFlinkSize.Key, flink,
				JobManagerHeapSize.Key, heap, JobManagerOffHeapSize.Key, s.OffHeap)
		}
	case heapSet:
		s.Heap = heap
	case s.OffHeap > flink:
		return s, fmt.Errorf("%w: %s (%s) is more than the total Flink memory of the ApplicationMaster (%s)", ErrMemory,
			JobManagerOffHeapSize.Key, s.OffHeap, flink)
	default:
		s.Heap = flink - s.OffHeap
	}
	if heapSet || flinkSet {
		s.Metaspace, s.Overhead, err = o.around(c, s.TotalFlink())
	}
	return s, err
}

// reserveOptions are the options of what lies around the total Flink memory.
type reserveOptions struct {
	process, metaspace Option[MemorySize]
	overhead           rangeOptions
}

// around derives the reserve when the total Flink memory is known: the overhead is the rest of a given process size, else the share
// that it would be of the process size that results.
func (o reserveOptions) around(c *Config, flink MemorySize) (metaspace, overhead MemorySize, err error) {
	metaspace = o.metaspace.Get(c)
	base := flink + metaspace
	if process, given := o.process.Lookup(c); given {
		overhead, err = o.overhead.remainder(c, process, base, o.process.Key)
	} else {
		overhead, err = o.overhead.inverseShare(c, base)
	}
	return metaspace, overhead, err
}

// within derives the reserve and the total Flink memory from the process size.
func (o reserveOptions) within(c *Config) (flink, metaspace, overhead MemorySize, err error) {
	process := o.process.Get(c)
	metaspace = o.metaspace.Get(c)
	if overhead, err = o.overhead.share(c, process); err != nil {
		return 0, 0, 0, err
	}
	if metaspace > process || overhead > process-metaspace {
		return 0, 0, 0, fmt.Errorf("%w: %s is %s, less than the reserve of %s (metaspace) and %s (overhead)", ErrMemory,
			o.process.Key, process, metaspace, overhead)
	}
	return process - metaspace - overhead, metaspace, overhead, nil
}

// rangeOptions are the options of a part that is a share of a whole between two bounds.
type rangeOptions struct {
	fraction Option[float64]
	min, max Option[MemorySize]
}

func (r rangeOptions) bounds(c *Config) (low, high MemorySize, err error) {
	low, high = r.min.Get(c), r.max.Get(c)
	if low > high {
		return 0, 0, fmt.Errorf("%w: %s (%s) is more than %s (%s)", ErrMemory, r.min.Key, low, r.max.Key, high)
	}
	return low, high, nil
}

// share is the part of a known whole.
func (r rangeOptions) share(c *Config, whole MemorySize) (MemorySize, error) {
	low, high, err := r.bounds(c)
	return min(max(multiply(whole, r.fraction.Get(c)), low), high), err
}

// inverseShare is the part of a whole of which only the other parts are known: rest·f/(1−f).
func (r rangeOptions) inverseShare(c *Config, rest MemorySize) (MemorySize, error) {
	low, high, err := r.bounds(c)
	f := r.fraction.Get(c)
	part := min(max(multiply(rest, f/(1-f)), low), high)
	if err == nil && part > maxPart {
		err = fmt.Errorf("%w: %s (%v) makes its part %s", ErrMemory, r.fraction.Key, f, part)
	}
	return part, err
}

// remainder is what used leaves of total; it must lie within the bounds.
func (r rangeOptions) remainder(c *Config, total, used MemorySize, totalName string) (MemorySize, error) {
	low, high, err := r.bounds(c)
	if err != nil {
		return 0, err
	}
	if used > total {
		return 0, fmt.Errorf("%w: the given parts are %s together, more than %s (%s)", ErrMemory, used, totalName, total)
	}
	rest := total - used
	if rest < low || rest > high {
		return 0, fmt.Errorf("%w: %s (%s) leaves %s, which is not between %s (%s) and %s (%s)", ErrMemory, totalName, total, rest,
			r.min.Key, low, r.max.Key, high)
	}
	return rest, nil
}

// multiply takes the decimal fraction as it was written, so that 0.1 of 1280m is exactly 128m; the result is rounded down.
func multiply(m MemorySize, f float64) MemorySize {
	factor, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok {
		return 0
	}
	product := new(big.Rat).Mul(new(big.Rat).SetInt64(m.Bytes()), factor)
	whole := new(big.Int).Quo(product.Num(), product.Denom())
	if !whole.IsInt64() {
		return MaxMemory
	}
	return MemorySize(whole.Int64())
}

// What a process maps, measured: YARN's check of virtual memory counts address space, and Go's runtime reserves much of it.
const (
	vmemGoProcess = 1550 * MiB
	vmemShell     = 20 * MiB
)

// VmemNeeded returns the MiB of virtual memory that a container's process tree can come to: its Go processes and shells as they
// start, the Go memory limits of all of them together, and the network pool.
func VmemNeeded(goProcesses, shells int, goMemLimit, network MemorySize) int {
	return (MemorySize(goProcesses)*vmemGoProcess + MemorySize(shells)*vmemShell + goMemLimit + network).MiB()
}

// VmemNeeded returns what the ApplicationMaster's container (one Go process under one shell) can come to, in MiB.
func (s JobManagerMemorySpec) VmemNeeded() int { return VmemNeeded(1, 1, s.GoMemLimit(), 0) }

// VmemNeeded returns what a worker's container (one Go process under one shell) can come to, in MiB.
func (s TaskManagerMemorySpec) VmemNeeded() int { return VmemNeeded(1, 1, s.GoMemLimit(), s.Network) }

// CheckVmem says in one sentence why YARN's check of virtual memory would kill a container of that size, or returns nil. ratio is
// yarn.nodemanager.vmem-pmem-ratio; sizeKey is the option that makes the container larger.
func CheckVmem(containerMiB, neededMiB int, ratio float64, sizeKey string) error {
	allowed := ratio * float64(containerMiB)
	if allowed >= float64(neededMiB) {
		return nil
	}
	return fmt.Errorf("YARN kills a container of %d MiB when it maps more than %.0f MiB (yarn.nodemanager.vmem-pmem-ratio %g), and this one "+
		"can map %d MiB: %s, or switch yarn.nodemanager.vmem-check-enabled off on the nodes", containerMiB, math.Floor(allowed), ratio,
		neededMiB, vmemAdvice(containerMiB, neededMiB, ratio, sizeKey))
}

// vmemAdvice names the size that passes. A larger container has a larger Go memory limit too: each MiB more is allowed ratio MiB and
// needs at most one.
func vmemAdvice(containerMiB, neededMiB int, ratio float64, sizeKey string) string {
	if ratio <= 1 {
		return "no size passes with that ratio, so raise it"
	}
	more := math.Ceil((float64(neededMiB) - ratio*float64(containerMiB)) / (ratio - 1))
	return fmt.Sprintf("set %s to %dm", sizeKey, containerMiB+int(more))
}

// WorkerVCores is how many virtual cores a worker's container asks for: yarn.containers.vcores, else one for each slot.
func WorkerVCores(c *Config) int {
	if v := YarnContainersVcores.Get(c); v > 0 {
		return v
	}
	return NumberOfTaskSlots.Get(c)
}
