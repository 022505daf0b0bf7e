package conf

import (
	"errors"
	"strings"
	"time"
)

var yarnOptions = []described{
	YarnApplicationID, YarnApplicationName, YarnApplicationType, YarnApplicationQueue, YarnApplicationPriority,
	YarnApplicationNodeLabel, YarnTags, YarnViewACLs, YarnModifyACLs, YarnApplicationAttempts, YarnAttemptFailuresValidityInterval,
	YarnApplicationMasterPort, YarnAppMasterVcores, YarnContainersVcores, YarnTaskManagerNodeLabel, YarnHeartbeatInterval,
	YarnContainerRequestInterval, YarnStagingDirectory, YarnFileReplication, YarnShipFiles, YarnShipArchives,
}

// The YARN application and its containers.
var (
	YarnApplicationID = Option[string]{
		Key: "yarn.application.id", typ: stringType, NoDefault: true,
		Doc: "Running application that a command is for, when none is given as an argument.",
	}
	YarnApplicationName = Option[string]{
		Key: "yarn.application.name", typ: stringType, NoDefault: true,
		Doc: "Name of the application in YARN; unset, the name of the job.",
	}
	YarnApplicationType = Option[string]{
		Key: "yarn.application.type", typ: stringType, Default: "flott",
		Doc: "Type of the application in YARN, by which `flott list` finds its applications. Flink's default is \"Apache Flink\".",
	}
	YarnApplicationQueue = Option[string]{
		Key: "yarn.application.queue", typ: stringType, NoDefault: true,
		Doc: "Queue that the application is submitted to; unset, YARN decides.",
	}
	YarnApplicationPriority = Option[int]{
		Key: "yarn.application.priority", typ: intType, Default: -1,
		Doc: "Priority of the application; below 0, YARN decides.",
	}
	YarnApplicationNodeLabel = Option[string]{
		Key: "yarn.application.node-label", typ: stringType, NoDefault: true,
		Doc: "Node label for all containers of the application.",
	}
	YarnTags = Option[[]string]{
		Key: "yarn.tags", typ: commaListType, NoDefault: true,
		Doc: "Tags of the application in YARN.",
	}
	YarnViewACLs = Option[string]{
		Key: "yarn.view.acls", typ: stringType, NoDefault: true, check: checkACL,
		Doc: "Who may see the application: \"user1,user2 group1,group2\", or * for everybody.",
	}
	YarnModifyACLs = Option[string]{
		Key: "yarn.modify.acls", typ: stringType, NoDefault: true, check: checkACL,
		Doc: "Who may change (kill) the application, written as yarn.view.acls.",
	}
	YarnApplicationAttempts = Option[int]{
		Key: "yarn.application-attempts", Planned: true, typ: intType, NoDefault: true, check: atLeast(1),
		Doc: "How often YARN may start the ApplicationMaster. Unset: once without high availability, else as often as YARN's own limit allows.",
	}
	YarnAttemptFailuresValidityInterval = Option[int64]{
		Key: "yarn.application-attempt-failures-validity-interval", Planned: true, typ: int64Type, Default: 10000, check: atLeast[int64](-1),
		Doc: "Milliseconds after which a failed attempt no longer counts towards yarn.application-attempts; -1 counts all. Used with high availability only.",
	}
	YarnApplicationMasterPort = Option[PortRange]{
		Key: "yarn.application-master.port", typ: portsType, Default: Ports(0),
		Doc: "Control port of the ApplicationMaster: a port, a list or a range (\"50100-50200,6000\"); 0 takes any free one.",
	}
	YarnAppMasterVcores = Option[int]{
		Key: "yarn.appmaster.vcores", typ: intType, Default: 1, check: atLeast(1),
		Doc: "Virtual cores of the ApplicationMaster's container.",
	}
	YarnContainersVcores = Option[int]{
		Key: "yarn.containers.vcores", typ: intType, Default: -1, check: oneOrUnset,
		Doc: "Virtual cores of each worker's container; -1 asks for as many as the worker has slots. Only when it is set, GOMAXPROCS of the worker follows it (at least 2).",
	}
	YarnTaskManagerNodeLabel = Option[string]{
		Key: "yarn.taskmanager.node-label", typ: stringType, NoDefault: true,
		Doc: "Node label for the workers' containers; it wins over yarn.application.node-label.",
	}
	YarnHeartbeatInterval = Option[time.Duration]{
		Key: "yarn.heartbeat.interval", Deprecated: []string{"yarn.heartbeat-delay"}, typ: secondsType, Default: 5 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Time between two reports of the ApplicationMaster to YARN when it asks for nothing. A bare number counts seconds.",
	}
	YarnContainerRequestInterval = Option[time.Duration]{
		Key: "yarn.heartbeat.container-request-interval", typ: durationType, Default: 500 * time.Millisecond, check: atLeast(50 * time.Millisecond),
		Doc: "Time between two reports while containers are asked for. In the first 5 seconds the time is shorter: a tenth of that waited so far, from 15 to 200 ms.",
	}
	YarnStagingDirectory = Option[string]{
		Key: "yarn.staging-directory", typ: stringType, NoDefault: true,
		Doc: "Directory under which the application keeps its files (`.flott/<application id>`); unset, the user's home directory in the default file system.",
	}
	YarnFileReplication = Option[int]{
		Key: "yarn.file-replication", Planned: true, typ: intType, Default: -1, check: oneOrUnset,
		Doc: "Replication of uploaded files; -1 leaves it to HDFS.",
	}
	YarnShipFiles = Option[[]string]{
		Key: "yarn.ship-files", Deprecated: []string{"yarn.ship-directories"}, typ: listType, NoDefault: true, Planned: true,
		Doc: "Files and directories to put into every container.",
	}
	YarnShipArchives = Option[[]string]{
		Key: "yarn.ship-archives", typ: listType, NoDefault: true, Planned: true,
		Doc: "Archives to unpack in every container.",
	}
)

// Families of keys; what follows the prefix is the user's.
var (
	FlinkHadoop = PrefixOption{
		Prefix: "flink.hadoop.", Example: "flink.hadoop.dfs.replication: 2",
		Doc: "Sets the rest of the key in Hadoop's configuration, over what the XML files say, final or not.",
	}
	FlinkYarn = PrefixOption{
		Prefix: "flink.yarn.", Example: "flink.yarn.resourcemanager.hostname: rm1",
		Doc: "Sets `yarn.` and the rest of the key in Hadoop's configuration.",
	}
	ContainerizedMasterEnv = PrefixOption{
		Prefix: "containerized.master.env.", Example: "containerized.master.env.TZ: UTC",
		Doc: "Sets an environment variable of the ApplicationMaster.",
	}
	ContainerizedTaskManagerEnv = PrefixOption{
		Prefix: "containerized.taskmanager.env.", Example: "containerized.taskmanager.env.TZ: UTC",
		Doc: "Sets an environment variable of every worker.",
	}
)

func checkACL(v string) error {
	if strings.Contains(v, "*") && strings.TrimSpace(v) != "*" {
		return errors.New("* must stand alone")
	}
	return nil
}
