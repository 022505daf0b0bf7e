package conf

import (
	"math"
	"time"
)

var resourceOptions = []described{
	TaskManagerIdleTimeout, TaskManagerRegistrationTimeoutRM, StartWorkerMaxFailureRate, StartWorkerRetryInterval,
	PreviousWorkerRecoveryTimeout, MinSlots, MaxSlots, RedundantTaskManagers, RequirementCheckDelay, DeclareNeededResourceDelay,
	SlotRequestTimeout, SlotIdleTimeout, SlotRequestMaxInterval,
}

// How many workers are started and how slots are given out.
var (
	TaskManagerIdleTimeout = Option[time.Duration]{
		Key: "resourcemanager.taskmanager-timeout", Deprecated: []string{"slotmanager.taskmanager-timeout"}, typ: durationType, Default: 30 * time.Second,
		Doc: "Time after which a worker without work is given back to YARN.",
	}
	TaskManagerRegistrationTimeoutRM = Option[time.Duration]{
		Key: "resourcemanager.taskmanager-registration.timeout", Fallback: "taskmanager.registration.timeout", typ: durationType, Default: 5 * time.Minute,
		Doc: "Time within which a started worker must register; after it, its container is released and another one asked for.",
	}
	StartWorkerMaxFailureRate = Option[float64]{
		Key: "resourcemanager.start-worker.max-failure-rate", typ: floatType, Default: 10, check: func(v float64) error { return between(math.SmallestNonzeroFloat64, 1e6)(v) },
		Doc: "Failed starts of workers per minute from which on the next start is delayed by resourcemanager.start-worker.retry-interval.",
	}
	StartWorkerRetryInterval = Option[time.Duration]{
		Key: "resourcemanager.start-worker.retry-interval", typ: durationType, Default: 3 * time.Second,
		Doc: "Pause before workers are started again after too many failed starts.",
	}
	PreviousWorkerRecoveryTimeout = Option[time.Duration]{
		Key: "resourcemanager.previous-worker.recovery.timeout", typ: durationType, Default: 10 * time.Second,
		Doc: "How long a new ApplicationMaster waits for the workers of its predecessor before it asks for new ones. Flink's default is 0, " +
			"which asks for workers that are then not needed.",
	}
	MinSlots = Option[int]{
		Key: "slotmanager.number-of-slots.min", Planned: true, typ: intType, Default: 0, check: atLeast(0),
		Doc: "Slots that are kept even when nothing needs them.",
	}
	MaxSlots = Option[int]{
		Key: "slotmanager.number-of-slots.max", typ: intType, Default: math.MaxInt32, check: atLeast(1),
		Doc: "Most slots that the application may have. The default means no limit.",
	}
	RedundantTaskManagers = Option[int]{
		Key: "slotmanager.redundant-taskmanager-num", typ: intType, Default: 0, check: atLeast(0),
		Doc: "Workers that are kept in reserve.",
	}
	RequirementCheckDelay = Option[time.Duration]{
		Key: "slotmanager.requirement-check.delay", Planned: true, typ: durationType, Default: 50 * time.Millisecond,
		Doc: "Time over which changed requirements are gathered before slots are looked for.",
	}
	DeclareNeededResourceDelay = Option[time.Duration]{
		Key: "slotmanager.declare-needed-resource.delay", Planned: true, typ: durationType, Default: 50 * time.Millisecond,
		Doc: "Time over which changed numbers of workers are gathered before YARN is asked.",
	}
	SlotRequestTimeout = Option[time.Duration]{
		Key: "slot.request.timeout", typ: durationType, Default: 5 * time.Minute, check: atLeast(time.Millisecond),
		Doc: "How long a job waits for a slot; then it fails with the reason why there was none.",
	}
	SlotIdleTimeout = Option[time.Duration]{
		Key: "slot.idle.timeout", typ: durationType, Default: 50 * time.Second,
		Doc: "Time after which a job gives back a slot that it does not use.",
	}
	SlotRequestMaxInterval = Option[time.Duration]{
		Key: "slot.request.max-interval", Planned: true, typ: durationType, Default: 20 * time.Millisecond,
		Doc: "Time over which a job gathers its needs before it declares them.",
	}
)
