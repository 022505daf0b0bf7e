package conf

// Sizes of the two kinds of process; see memory.go for how they are derived from each other.
var memoryOptions = []described{
	JobManagerProcessSize, JobManagerFlinkSize, JobManagerHeapSize, JobManagerOffHeapSize, JobManagerMetaspaceSize,
	JobManagerOverheadFraction, JobManagerOverheadMin, JobManagerOverheadMax, TaskManagerProcessSize, TaskManagerFlinkSize,
	TaskManagerFrameworkHeapSize, TaskManagerTaskHeapSize, TaskManagerFrameworkOffHeapSize, TaskManagerTaskOffHeapSize,
	TaskManagerNetworkFraction, TaskManagerNetworkMin, TaskManagerNetworkMax, TaskManagerManagedSize, TaskManagerManagedFraction,
	TaskManagerMetaspaceSize, TaskManagerOverheadFraction, TaskManagerOverheadMin, TaskManagerOverheadMax,
}

const (
	docMetaspace = "Part of the reserve outside the Go memory limit. Flink keeps classes there; the key stays so that the sums are Flink's."
	docOverhead  = "Part of the reserve outside the Go memory limit (stacks, runtime, binary), as a share of the process size between the minimum and the maximum."
)

// The ApplicationMaster's memory.
var (
	JobManagerProcessSize = memoryOption("jobmanager.memory.process.size", 1024*MiB,
		"Size of the ApplicationMaster's container. Used when neither jobmanager.memory.flink.size nor jobmanager.memory.heap.size is set. "+
			"Flink ships 1600m; a Go process needs less, and 1024m just passes YARN's check of virtual memory at its default ratio.")
	JobManagerFlinkSize = memoryOptionUnset("jobmanager.memory.flink.size",
		"Size of the ApplicationMaster without the reserve: heap and off-heap. It becomes the Go memory limit.")
	JobManagerHeapSize = memoryOptionUnset("jobmanager.memory.heap.size",
		"Heap of the ApplicationMaster; unset, what the other parts leave.")
	JobManagerOffHeapSize      = memoryOption("jobmanager.memory.off-heap.size", 128*MiB, "Memory of the ApplicationMaster outside the heap.")
	JobManagerMetaspaceSize    = memoryOption("jobmanager.memory.jvm-metaspace.size", 256*MiB, docMetaspace)
	JobManagerOverheadFraction = fractionOption("jobmanager.memory.jvm-overhead.fraction", 0.1, docOverhead)
	JobManagerOverheadMin      = memoryOption("jobmanager.memory.jvm-overhead.min", 192*MiB, docOverhead)
	JobManagerOverheadMax      = memoryOption("jobmanager.memory.jvm-overhead.max", 1*GiB, docOverhead)
)

// A worker's memory.
var (
	TaskManagerProcessSize = memoryOption("taskmanager.memory.process.size", 1728*MiB,
		"Size of a worker's container. Used when neither taskmanager.memory.flink.size nor both taskmanager.memory.task.heap.size and "+
			"taskmanager.memory.managed.size are set. It is what Flink ships.")
	TaskManagerFlinkSize = memoryOptionUnset("taskmanager.memory.flink.size",
		"Size of a worker without the reserve. Less the network memory it is the Go memory limit.")
	TaskManagerFrameworkHeapSize    = memoryOption("taskmanager.memory.framework.heap.size", 128*MiB, "Heap of a worker that is not given to slots.")
	TaskManagerTaskHeapSize         = memoryOptionUnset("taskmanager.memory.task.heap.size", "Heap of a worker for tasks; unset, what the other parts leave.")
	TaskManagerFrameworkOffHeapSize = memoryOption("taskmanager.memory.framework.off-heap.size", 128*MiB, "Memory of a worker outside the heap that is not given to slots.")
	TaskManagerTaskOffHeapSize      = memoryOption("taskmanager.memory.task.off-heap.size", 0, "Memory of a worker outside the heap for tasks.")
	TaskManagerNetworkFraction      = fractionOption("taskmanager.memory.network.fraction", 0.1,
		"Buffers in which records travel, as a share of the worker's Flink memory between the minimum and the maximum. They lie outside the Go heap.",
		"taskmanager.network.memory.fraction")
	TaskManagerNetworkMin = memoryOption("taskmanager.memory.network.min", 64*MiB, "Least network memory.", "taskmanager.network.memory.min")
	TaskManagerNetworkMax = memoryOption("taskmanager.memory.network.max", MaxMemory, "Most network memory. The default means no limit.",
		"taskmanager.network.memory.max")
	TaskManagerManagedSize      = memoryOptionUnset("taskmanager.memory.managed.size", "Memory for state and sorting; unset, by taskmanager.memory.managed.fraction.", "taskmanager.memory.size")
	TaskManagerManagedFraction  = fractionOption("taskmanager.memory.managed.fraction", 0.4, "Memory for state and sorting as a share of the worker's Flink memory.", "taskmanager.memory.fraction")
	TaskManagerMetaspaceSize    = memoryOption("taskmanager.memory.jvm-metaspace.size", 256*MiB, docMetaspace)
	TaskManagerOverheadFraction = fractionOption("taskmanager.memory.jvm-overhead.fraction", 0.1, docOverhead)
	TaskManagerOverheadMin      = memoryOption("taskmanager.memory.jvm-overhead.min", 192*MiB, docOverhead)
	TaskManagerOverheadMax      = memoryOption("taskmanager.memory.jvm-overhead.max", 1*GiB, docOverhead)
)

// maxPart bounds every size that is given, so that no sum overflows.
const maxPart = 1024 * TiB

func memoryOption(key string, def MemorySize, doc string, deprecated ...string) Option[MemorySize] {
	return Option[MemorySize]{Key: key, Deprecated: deprecated, typ: memoryType, Default: def, Doc: doc, check: checkPart(def)}
}

func memoryOptionUnset(key, doc string, deprecated ...string) Option[MemorySize] {
	return Option[MemorySize]{Key: key, Deprecated: deprecated, typ: memoryType, NoDefault: true, Doc: doc, check: between(0, maxPart)}
}

// checkPart lets an option whose default is "no limit" be set to that again.
func checkPart(def MemorySize) func(MemorySize) error {
	if def > maxPart {
		return nil
	}
	return between(0, maxPart)
}

func fractionOption(key string, def float64, doc string, deprecated ...string) Option[float64] {
	return Option[float64]{Key: key, Deprecated: deprecated, typ: floatType, Default: def, Doc: doc, check: fraction}
}
