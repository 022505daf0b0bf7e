package conf

import "time"

// LogLevel is env.log.level.
type LogLevel string

// The log levels. OFF, FATAL and ERROR, and TRACE and DEBUG, mean the same to Go's log levels.
const (
	LogOff   LogLevel = "OFF"
	LogFatal LogLevel = "FATAL"
	LogError LogLevel = "ERROR"
	LogWarn  LogLevel = "WARN"
	LogInfo  LogLevel = "INFO"
	LogDebug LogLevel = "DEBUG"
	LogTrace LogLevel = "TRACE"
	LogAll   LogLevel = "ALL"
)

var clusterOptions = []described{
	HeartbeatInterval, HeartbeatTimeout, HeartbeatRPCFailureThreshold, RegistrationInitialTimeout, RegistrationMaxTimeout,
	RegistrationErrorDelay, RegistrationRefusedDelay, ClusterServicesShutdownTimeout, AskTimeout, FrameSize, IOTmpDirs,
	EnvLogLevel, EnvLogMax, EnvHadoopConfDir, EnvYarnConfDir,
}

// How the processes find and watch each other.
var (
	HeartbeatInterval = Option[time.Duration]{
		Key: "heartbeat.interval", typ: durationType, Default: 2 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Time between two heartbeats. Flink's default is 10 s; a lost worker should be seen within seconds, and a beat costs little here.",
	}
	HeartbeatTimeout = Option[time.Duration]{
		Key: "heartbeat.timeout", typ: durationType, Default: 8 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Silence after which the other side counts as dead; longer than heartbeat.interval. Flink's default is 50 s, to live through the pauses " +
			"of a JVM's garbage collector; there is no JVM here.",
	}
	HeartbeatRPCFailureThreshold = Option[int]{
		Key: "heartbeat.rpc-failure-threshold", typ: intType, Default: 2, check: func(v int) error {
			if v == -1 {
				return nil
			}
			return atLeast(1)(v)
		},
		Doc: "How often in a row the same address must refuse or reset a connection until it counts as unreachable; -1 waits for heartbeat.timeout instead.",
	}
	RegistrationInitialTimeout = Option[time.Duration]{
		Key: "cluster.registration.initial-timeout", typ: durationType, Default: time.Second, check: atLeast(time.Millisecond),
		Doc: "How long the first try of a registration waits for its answer; every further try waits twice as long. Flink: 100 ms; here nothing is lost silently, and a leader that a thousand workers call at once only gets more to do.",
	}
	RegistrationMaxTimeout = Option[time.Duration]{
		Key: "cluster.registration.max-timeout", typ: durationType, Default: 30 * time.Second, check: atLeast(time.Millisecond),
		Doc: "The longest that a try of a registration waits for its answer.",
	}
	RegistrationErrorDelay = Option[time.Duration]{
		Key: "cluster.registration.error-delay", typ: durationType, Default: 10 * time.Second,
		Doc: "Pause after a registration that was answered with an error.",
	}
	RegistrationRefusedDelay = Option[time.Duration]{
		Key: "cluster.registration.refused-registration-delay", typ: durationType, Default: 30 * time.Second,
		Doc: "Pause after a registration that was refused.",
	}
	ClusterServicesShutdownTimeout = Option[time.Duration]{
		Key: "cluster.services.shutdown-timeout", Planned: true, typ: durationType, Default: 30 * time.Second,
		Doc: "Longest time that the ApplicationMaster takes to stop its services in order.",
	}
	AskTimeout = Option[time.Duration]{
		Key: "pekko.ask.timeout", Deprecated: []string{"akka.ask.timeout"}, typ: durationType, Default: 10 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Longest time that one process of the application waits for the answer of another.",
	}
	FrameSize = Option[MemorySize]{
		Key: "pekko.framesize", Deprecated: []string{"akka.framesize"}, typ: memoryType, Default: 16 * MiB, check: between(64*KiB, 1*GiB),
		Doc: "Largest control message between two processes. Flink's default is 10 MiB, and it sends large payloads through its BLOB server; here they go through HDFS.",
	}
	IOTmpDirs = Option[[]string]{
		Key: "io.tmp.dirs", Planned: true, Deprecated: []string{"taskmanager.tmp.dirs"}, typ: pathListType, NoDefault: true,
		Doc: "Directories for temporary files. On YARN the container's own directories take their place; unset, a local run uses the system's.",
	}
	EnvLogLevel = Option[LogLevel]{
		Key: "env.log.level", typ: enumType(LogOff, LogFatal, LogError, LogWarn, LogInfo, LogDebug, LogTrace, LogAll), Default: LogInfo,
		Doc: "Least level of log lines that are written.",
	}
	EnvLogMax = Option[int]{
		Key: "env.log.max", typ: intType, Default: 10, check: atLeast(1),
		Doc: "How many rolled log files are kept.",
	}
	EnvHadoopConfDir = Option[string]{
		Key: "env.hadoop.conf.dir", typ: stringType, NoDefault: true,
		Doc: "Directory with Hadoop's configuration, used when HADOOP_CONF_DIR is not set.",
	}
	EnvYarnConfDir = Option[string]{
		Key: "env.yarn.conf.dir", typ: stringType, NoDefault: true,
		Doc: "Directory with YARN's configuration, used when YARN_CONF_DIR is not set.",
	}
)
