package conf

import "time"

// RuntimeMode is execution.runtime-mode.
type RuntimeMode string

// The runtime modes.
const (
	ModeAutomatic RuntimeMode = "AUTOMATIC"
	ModeStreaming RuntimeMode = "STREAMING"
	ModeBatch     RuntimeMode = "BATCH"
)

var executionOptions = []described{
	ExecutionTarget, ExecutionAttached, ParallelismDefault, ExecutionRuntimeMode, ExecutionBufferTimeoutEnabled,
	ExecutionBufferTimeout, PipelineName, PipelineMaxParallelism, PipelineCombine, PipelineObjectReuse, PipelineGlobalJobParameters,
	ClientTimeout, ClientRetryPeriod,
}

// What is run, where, and how wide.
var (
	ExecutionTarget = Option[string]{
		Key: "execution.target", typ: stringType, NoDefault: true,
		Doc: "Where `flott run` runs the job when -t is not given: local or yarn-application.",
	}
	ExecutionAttached = Option[bool]{
		Key: "execution.attached", typ: boolType, Default: true,
		Doc: "Whether `flott run` waits for the end of the job. Flink's default is false, but its command line attaches too unless -d is given.",
	}
	ParallelismDefault = Option[int]{
		Key: "parallelism.default", typ: intType, Default: 1, check: between(1, 32768),
		Doc: "Parallelism of operators that do not set their own. -p sets it.",
	}
	ExecutionRuntimeMode = Option[RuntimeMode]{
		Key: "execution.runtime-mode", typ: enumType(ModeAutomatic, ModeStreaming, ModeBatch), Default: ModeAutomatic,
		Doc: "AUTOMATIC behaves as BATCH when every source is bounded, else as STREAMING. As BATCH, Reduce and Sum emit once per key, at the end; " +
			"as STREAMING they emit every update. Flink's default is STREAMING; a bounded job nearly always wants one result per key.",
	}
	ExecutionBufferTimeoutEnabled = Option[bool]{
		Key: "execution.buffer-timeout.enabled", typ: boolType, Default: true,
		Doc: "Whether records that do not fill a buffer are sent after execution.buffer-timeout.interval. When false they wait until the buffer is full.",
	}
	ExecutionBufferTimeout = Option[time.Duration]{
		Key: "execution.buffer-timeout.interval", Deprecated: []string{"execution.buffer-timeout"}, typ: durationType, Default: 100 * time.Millisecond,
		Doc: "Longest time a record waits for its buffer to fill. 0 sends every record at once.",
	}
	PipelineName = Option[string]{
		Key: "pipeline.name", typ: stringType, NoDefault: true,
		Doc: "Name of the job, instead of the one that the program gives.",
	}
	PipelineMaxParallelism = Option[int]{
		Key: "pipeline.max-parallelism", typ: intType, Default: -1, check: func(v int) error {
			if v == -1 {
				return nil
			}
			return between(1, 32768)(v)
		},
		Doc: "Number of key groups, the most that a keyed operator can ever be scaled to. -1 derives it from the parallelism by Flink's rule. " +
			"It is fixed when the job is first submitted.",
	}
	PipelineCombine = Option[bool]{
		Key: "pipeline.combine", typ: boolType, Default: true,
		Doc: "Whether Reduce and Sum of a bounded job combine values of equal keys before they are sent. STREAMING never combines. Not in Flink.",
	}
	PipelineObjectReuse = Option[bool]{
		Key: "pipeline.object-reuse", typ: boolType, Default: true,
		Doc: "Whether a value is handed from operator to operator without a copy. Values must not be changed after they were emitted; false copies them at " +
			"each hand-over and so finds such changes. Flink's default is false, which costs a copy for each record.",
	}
	PipelineGlobalJobParameters = Option[map[string]string]{
		Key: "pipeline.global-job-parameters", Planned: true, typ: mapType, NoDefault: true,
		Doc: "Parameters that REST and the web page show with the job (user configuration).",
	}
	ClientTimeout = Option[time.Duration]{
		Key: "client.timeout", typ: durationType, Default: time.Minute, check: atLeast(time.Millisecond),
		Doc: "Longest time that the command line waits for one answer of the application.",
	}
	ClientRetryPeriod = Option[time.Duration]{
		Key: "client.retry-period", Planned: true, typ: durationType, Default: 2 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Time between two tries of the command line when the application does not answer.",
	}
)
