package conf

import (
	"errors"
	"strings"
	"time"
)

// HighAvailabilityMode is high-availability.type.
type HighAvailabilityMode string

// The kinds of high availability.
const (
	HighAvailabilityNone      HighAvailabilityMode = "NONE"
	HighAvailabilityZooKeeper HighAvailabilityMode = "ZOOKEEPER"
)

var highAvailabilityOptions = []described{
	HighAvailabilityType, HighAvailabilityClusterID, HighAvailabilityStorageDir, ZooKeeperQuorum, ZooKeeperRoot,
	ZooKeeperSessionTimeout, ZooKeeperConnectionTimeout, ZooKeeperACL, ZooKeeperAuthorization, OutageRunWithoutCommit,
}

// ZooKeeper.
var (
	HighAvailabilityType = Option[HighAvailabilityMode]{
		Key: "high-availability.type", Deprecated: []string{"high-availability", "recovery.mode"}, Default: HighAvailabilityNone,
		typ: enumType(HighAvailabilityNone, HighAvailabilityZooKeeper), Planned: true,
		Doc: "NONE, or ZOOKEEPER for an application that survives the loss of its ApplicationMaster.",
	}
	HighAvailabilityClusterID = Option[string]{
		Key: "high-availability.cluster-id", typ: stringType, NoDefault: true, Planned: true,
		Doc: "Name of the application's node in ZooKeeper; unset, the application id.",
	}
	HighAvailabilityStorageDir = Option[string]{
		Key: "high-availability.storageDir", typ: stringType, NoDefault: true, Planned: true,
		Doc: "Directory for recovery data that is too large for ZooKeeper. Needed with ZOOKEEPER.",
	}
	ZooKeeperQuorum = Option[string]{
		Key: "high-availability.zookeeper.quorum", typ: stringType, NoDefault: true, Planned: true,
		Doc: "The ZooKeeper servers: host:port,host:port.",
	}
	ZooKeeperRoot = Option[string]{
		Key: "high-availability.zookeeper.path.root", typ: stringType, Default: "/flink", Planned: true, check: func(v string) error {
			if !strings.HasPrefix(v, "/") {
				return errors.New("the path must start with /")
			}
			return nil
		},
		Doc: "Node in ZooKeeper under which all applications lie.",
	}
	ZooKeeperSessionTimeout = Option[time.Duration]{
		Key: "high-availability.zookeeper.client.session-timeout", typ: durationType, Default: 30 * time.Second, Planned: true, check: atLeast(time.Second),
		Doc: "Session timeout that is asked for. Flink's default is 60 s; a successor can take over only when it has passed.",
	}
	ZooKeeperConnectionTimeout = Option[time.Duration]{
		Key: "high-availability.zookeeper.client.connection-timeout", typ: durationType, Default: 15 * time.Second, Planned: true, check: atLeast(time.Millisecond),
		Doc: "Longest time to wait for a connection to a ZooKeeper server.",
	}
	ZooKeeperACL = Option[string]{
		Key: "high-availability.zookeeper.client.acl", typ: enumType("open", "creator"), Default: "open", Planned: true,
		Doc: "Who may read and change the nodes: open (everybody) or creator (whoever logged in to make them).",
	}
	ZooKeeperAuthorization = Option[map[string]string]{
		Key: "high-availability.zookeeper.client.authorization", typ: mapType, NoDefault: true, Secret: true, Planned: true,
		Doc: "Credentials to add to the session: scheme:auth.",
	}
	OutageRunWithoutCommit = Option[time.Duration]{
		Key: "high-availability.outage.run-without-commit", typ: durationType, Default: 10 * time.Minute, Planned: true,
		Doc: "How long tasks go on while ZooKeeper is away and nothing can be committed; then they fail. Not in Flink, which stops them at once.",
	}
)
