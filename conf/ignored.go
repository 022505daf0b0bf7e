package conf

import "strings"

// ignoredRow is a key of Flink, or a family of keys (a pattern that ends with *), that is accepted and does nothing here.
type ignoredRow struct {
	pattern string
	reason  string // the warning; "" for keys that Flink on YARN replaces as well, so that its shipped file stays quiet
}

func (r ignoredRow) matches(key string) bool {
	if prefix, ok := strings.CutSuffix(r.pattern, "*"); ok {
		return strings.HasPrefix(key, prefix)
	}
	return key == r.pattern
}

const (
	reasonJVM     = "has no meaning without a JVM; ignored"
	reasonJars    = "is about jars and class paths, of which a job here has none; ignored"
	reasonPlanned = "is not supported yet; ignored"
	reasonPekko   = "is about Flink's RPC library; of its keys only pekko.ask.timeout and pekko.framesize are used; ignored"
	reasonOwn     = "has no counterpart here; ignored"
)

// ignoredKeys is the one table of them; the first row that matches counts.
var ignoredKeys = []ignoredRow{
	{"jobmanager.rpc.address", ""},
	{"jobmanager.rpc.port", ""},
	{"jobmanager.bind-host", ""},
	{"jobmanager.execution.failover-strategy", ""},
	{"jobmanager.memory.enable-jvm-direct-memory-limit", ""},
	{"taskmanager.resource-id", ""},
	{"web.submit.enable", ""},
	{"execution.shutdown-on-attached-exit", ""},
	{"$internal.*", ""},
	{"internal.*", ""},

	{"env.java.*", reasonJVM},
	{"env.ssh.opts", reasonJVM},
	{"env.pid.dir", reasonJVM},
	{"taskmanager.jvm-exit-on-oom", reasonJVM},
	{"cluster.uncaught-exception-handling", reasonJVM},
	{"cluster.intercept-user-system-exit", reasonJVM},
	{"cluster.processes.halt-on-fatal-error", reasonJVM},
	{"cluster.thread-dump.*", reasonJVM},
	{"cluster.io-pool.size", reasonJVM},
	{"jobmanager.io-pool.size", reasonJVM},
	{"jobmanager.future-pool.size", reasonJVM},
	{"rest.flamegraph.*", reasonJVM},
	{"rest.profiling.*", reasonJVM},
	{"rest.server.*", reasonJVM},
	{"taskmanager.network.netty.*", reasonJVM},
	{"security.ssl.algorithms", reasonJVM},
	{"security.ssl.protocol", reasonJVM},
	{"security.ssl.provider", reasonJVM},
	{"zookeeper.sasl.*", reasonJVM},
	{"pekko.*", reasonPekko},
	{"akka.*", reasonPekko},

	{"classloader.*", reasonJars},
	{"pipeline.jars", reasonJars},
	{"pipeline.classpaths", reasonJars},
	{"pipeline.serialization-config", reasonJars},
	{"pipeline.generic-types", reasonJars},
	{"yarn.classpath.include-user-jar", reasonJars},
	{"yarn.per-job-cluster.include-user-jar", reasonJars},
	{"yarn.flink-dist-jar", reasonJars},
	{"yarn.provided.*", reasonJars},
	{"yarn.container-start-command-template", reasonJars},
	{"user.artifacts.*", reasonJars},
	{"plugin.*", reasonJars},
	{"python.*", reasonJars},
	{"table.*", reasonJars},
	{"sql-client.*", reasonJars},
	{"sql-gateway.*", reasonJars},

	{"execution.checkpointing.*", reasonPlanned},
	{"execution.state-recovery.*", reasonPlanned},
	{"execution.savepoint*", reasonPlanned},
	{"state.*", reasonPlanned},
	{"restart-strategy*", reasonPlanned},
	{"jobmanager.scheduler", reasonPlanned},
	{"jobmanager.adaptive-scheduler.*", reasonPlanned},
	{"scheduler-mode", reasonPlanned},
	{"high-availability.*", reasonPlanned},
	{"job-result-store.*", reasonPlanned},
	{"security.*", reasonPlanned},
	{"yarn.security.*", reasonPlanned},
	{"yarn.properties-file.location", reasonPlanned},
	{"external-resource*", reasonPlanned},
	{"metrics.*", reasonPlanned},
	{"historyserver.*", reasonPlanned},
	{"jobmanager.archive.*", reasonPlanned},
	{"pipeline.auto-watermark-interval", reasonPlanned},
	{"slotmanager.*", reasonPlanned},
	{"taskmanager.load-balance.mode", reasonPlanned},
	{"cluster.evenly-spread-out-slots", reasonPlanned},
	{"task.cancellation.timers.timeout", reasonPlanned},
	{"fs.*", reasonPlanned},

	{"blob.*", reasonOwn},
	{"jobstore.*", reasonOwn},
	{"process.*", reasonOwn},
	{"kubernetes.*", reasonOwn},
	{"client.heartbeat.*", reasonOwn},
	{"cleanup-strategy.*", reasonOwn},
	{"cleanup-strategy", reasonOwn},
	{"execution.batch*", reasonOwn},
	{"execution.shutdown-on-application-finish", reasonOwn},
	{"execution.submit-failed-job-on-application-error", reasonOwn},
	{"jobmanager.execution.attempts-history-size", reasonOwn},
	{"jobmanager.retrieve-taskmanager-hostname", reasonOwn},
	{"jobmanager.resource-id", reasonOwn},
	{"jobmanager.rpc.*", reasonOwn},
	{"resourcemanager.rpc.port", reasonOwn},
	{"resourcemanager.job.timeout", reasonOwn},
	{"resourcemanager.standalone.*", reasonOwn},
	{"rest.await-leader-timeout", reasonOwn},
	{"rest.async.*", reasonOwn},
	{"rest.cache.*", reasonOwn},
	{"rest.path", reasonOwn},
	{"rest.url-prefix", reasonOwn},
	{"taskmanager.rpc.bind-port", reasonOwn},
	{"taskmanager.data.bind-port", reasonOwn},
	{"taskmanager.network.*", reasonOwn},
	{"taskmanager.debug.*", reasonOwn},
	{"web.*", reasonOwn},
}
