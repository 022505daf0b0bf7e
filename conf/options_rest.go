package conf

import "time"

var restOptions = []described{
	RestPort, RestBindPort, RestAddress, RestBindAddress, RestConnectionTimeout, RestIdlenessTimeout, RestRetryMaxAttempts,
	RestRetryDelay, RestServerMaxContentLength, RestClientMaxContentLength, WebTimeout, WebRefreshInterval, WebCancelEnable,
	WebExceptionHistorySize,
}

// REST and the web page.
var (
	RestPort = Option[int]{
		Key: "rest.port", Deprecated: []string{"jobmanager.web.port", "web.port"}, typ: intType, Default: 8081, check: port,
		Doc: "Port of REST and the web page. On YARN it is used only when it is set; otherwise any free port is taken. A local run opens it only when it is set.",
	}
	RestBindPort = Option[PortRange]{
		Key: "rest.bind-port", Fallback: "rest.port", typ: portsType, Default: Ports(0),
		Doc: "Port, list or range of ports that the server tries. Flink's default is 8081; 0 never collides when several applications share a node, " +
			"and everybody finds the port through YARN.",
	}
	RestAddress = Option[string]{
		Key: "rest.address", Planned: true, typ: stringType, NoDefault: true,
		Doc: "Host of REST for clients. On YARN the node that the ApplicationMaster runs on takes its place.",
	}
	RestBindAddress = Option[string]{
		Key: "rest.bind-address", typ: stringType, NoDefault: true,
		Doc: "Address that a local run listens on; unset, 127.0.0.1. On YARN the server listens on the address of its node's name, which the web proxy must reach.",
	}
	RestConnectionTimeout = Option[time.Duration]{
		Key: "rest.connection-timeout", typ: durationType, Default: 15 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Longest time that a client waits for a connection.",
	}
	RestIdlenessTimeout = Option[time.Duration]{
		Key: "rest.idleness-timeout", typ: durationType, Default: 5 * time.Minute, check: atLeast(time.Millisecond),
		Doc: "Time after which an idle connection is closed.",
	}
	RestRetryMaxAttempts = Option[int]{
		Key: "rest.retry.max-attempts", Planned: true, typ: intType, Default: 20, check: atLeast(0),
		Doc: "How often a client repeats a request that can be repeated.",
	}
	RestRetryDelay = Option[time.Duration]{
		Key: "rest.retry.delay", Planned: true, typ: durationType, Default: 3 * time.Second,
		Doc: "Time between two tries of a client.",
	}
	RestServerMaxContentLength = Option[int]{
		Key: "rest.server.max-content-length", Planned: true, typ: intType, Default: 104857600, check: atLeast(1),
		Doc: "Largest request body in bytes.",
	}
	RestClientMaxContentLength = Option[int]{
		Key: "rest.client.max-content-length", Planned: true, typ: intType, Default: 104857600, check: atLeast(1),
		Doc: "Largest answer in bytes that a client reads.",
	}
	WebTimeout = Option[time.Duration]{
		Key: "web.timeout", typ: durationType, Default: 10 * time.Minute, check: atLeast(time.Millisecond),
		Doc: "Longest time that the server works on one request.",
	}
	WebRefreshInterval = Option[time.Duration]{
		Key: "web.refresh-interval", Deprecated: []string{"jobmanager.web.refresh-interval"}, typ: durationType, Default: 3 * time.Second, check: atLeast(time.Millisecond),
		Doc: "Time between two refreshes of the web page.",
	}
	WebCancelEnable = Option[bool]{
		Key: "web.cancel.enable", typ: boolType, Default: true,
		Doc: "Whether jobs can be cancelled through the web page, and by GET (YARN's proxy passes nothing else on).",
	}
	WebExceptionHistorySize = Option[int]{
		Key: "web.exception-history-size", typ: intType, Default: 16, check: atLeast(1),
		Doc: "How many failures of a job are remembered.",
	}
)
