package conf

import "time"

var taskOptions = []described{
	NumberOfTaskSlots, TaskManagerRegistrationTimeout, TaskManagerSlotTimeout, TaskManagerRPCPort, TaskManagerDataPort,
	TaskManagerHost, TaskManagerBindHost, TaskManagerCPUCores, SegmentSize, TaskCancellationInterval, TaskCancellationTimeout,
}

// The TaskExecutor process and the tasks in it.
var (
	NumberOfTaskSlots = Option[int]{
		Key: "taskmanager.numberOfTaskSlots", typ: intType, Default: 1, check: between(1, 1024),
		Doc: "Slots of one worker: how many parallel instances of a pipeline it runs.",
	}
	TaskManagerRegistrationTimeout = Option[time.Duration]{
		Key: "taskmanager.registration.timeout", Deprecated: []string{"taskmanager.maxRegistrationDuration"}, typ: durationType,
		Default: 5 * time.Minute, check: atLeast(time.Millisecond),
		Doc: "Time within which a worker must be registered; after it the worker ends itself.",
	}
	TaskManagerSlotTimeout = Option[time.Duration]{
		Key: "taskmanager.slot.timeout", Fallback: "pekko.ask.timeout", typ: durationType, Default: 10 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Time within which a job must accept an allocated slot; after it the slot is free again. A slot with tasks is never freed by it.",
	}
	TaskManagerRPCPort = Option[PortRange]{
		Key: "taskmanager.rpc.port", typ: portsType, Default: Ports(0),
		Doc: "Control port of a worker: a port, a list or a range; 0 takes any free one.",
	}
	TaskManagerDataPort = Option[int]{
		Key: "taskmanager.data.port", typ: intType, Default: 0, check: port,
		Doc: "Port over which a worker sends records to others; 0 takes any free one.",
	}
	TaskManagerHost = Option[string]{
		Key: "taskmanager.host", Planned: true, typ: stringType, NoDefault: true,
		Doc: "Host by which others reach the worker. On YARN the node's name takes its place.",
	}
	TaskManagerBindHost = Option[string]{
		Key: "taskmanager.bind-host", typ: stringType, NoDefault: true,
		Doc: "Address that a worker of a local run listens on; unset, 127.0.0.1. On YARN it listens on all addresses of its node.",
	}
	TaskManagerCPUCores = Option[float64]{
		Key: "taskmanager.cpu.cores", typ: floatType, NoDefault: true, check: between(0.001, 1024.0),
		Doc: "Cores that a worker counts as having when slots are sized; unset, yarn.containers.vcores, else the number of slots.",
	}
	SegmentSize = Option[MemorySize]{
		Key: "taskmanager.memory.segment-size", Planned: true, typ: memoryType, Default: 32 * KiB, check: between(4*KiB, 1*MiB),
		Doc: "Size of one buffer in which records travel.",
	}
	TaskCancellationInterval = Option[time.Duration]{
		Key: "task.cancellation.interval", Deprecated: []string{"task.cancellation-interval"}, typ: durationType, Default: 30 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Time between two reminders to a task that should end and does not.",
	}
	TaskCancellationTimeout = Option[time.Duration]{
		Key: "task.cancellation.timeout", typ: durationType, Default: 3 * time.Minute,
		Doc: "Time after which a worker ends itself because one of its tasks does not end; 0 waits for ever.",
	}
)
