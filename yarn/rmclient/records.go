package rmclient

import (
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Resource is a container size. Java: org.apache.hadoop.yarn.api.records.Resource.
type Resource struct {
	MemoryMB int64
	VCores   int32
	Custom   map[string]int64 // other countable resource types by name, in their own units
}

// State of an application. Java: YarnApplicationState.
type State string

// States in the order of an application's life.
const (
	StateNew       State = "NEW"
	StateNewSaving State = "NEW_SAVING"
	StateSubmitted State = "SUBMITTED"
	StateAccepted  State = "ACCEPTED"
	StateRunning   State = "RUNNING"
	StateFinished  State = "FINISHED"
	StateFailed    State = "FAILED"
	StateKilled    State = "KILLED"
)

// Terminal reports whether the application has ended.
func (s State) Terminal() bool { return s == StateFinished || s == StateFailed || s == StateKilled }

// Accepted reports whether the scheduler has certainly taken the application. One that FAILED or was KILLED may or may not have been.
func (s State) Accepted() bool { return s == StateAccepted || s == StateRunning || s == StateFinished }

// FinalStatus is what an application says it ended with. Java: FinalApplicationStatus.
type FinalStatus string

// Final statuses; undefined until the end.
const (
	FinalUndefined FinalStatus = "UNDEFINED"
	FinalSucceeded FinalStatus = "SUCCEEDED"
	FinalFailed    FinalStatus = "FAILED"
	FinalKilled    FinalStatus = "KILLED"
	FinalEnded     FinalStatus = "ENDED"
)

// Report describes an application. Java: ApplicationReport.
type Report struct {
	ID                      yarnid.ApplicationID
	Attempt                 yarnid.AttemptID // the current one; zero before the first
	User, Queue, Name, Type string
	Tags                    []string
	State                   State
	Final                   FinalStatus
	Diagnostics             string
	Progress                float32 // 0 to 1
	// Host and RPCPort are what the AM registered; "N/A" and -1 before.
	Host    string
	RPCPort int32
	// TrackingURL goes through the YARN RM's proxy, OriginalTrackingURL to the AM itself; "N/A" before the AM has registered.
	TrackingURL, OriginalTrackingURL string
	Started, Launched, Finished      time.Time // zero when not yet
	Containers                       int32     // in use now
	Used                             Resource
	LogAggregation                   string // DISABLED, NOT_START, RUNNING, SUCCEEDED, FAILED, TIME_OUT, RUNNING_WITH_FAILURE, or empty
	// AMRMToken of an unmanaged AM, shown to its submitter only.
	AMRMToken *token.Token
}

// Attempt is one run of an AM. Java: ApplicationAttemptReport.
type Attempt struct {
	ID                yarnid.AttemptID
	State             string // RUNNING, FAILED, …
	AMContainer       yarnid.ContainerID
	Host              string
	RPCPort           int32
	TrackingURL       string
	Diagnostics       string
	Started, Finished time.Time
}

// Container describes one container. Java: ContainerReport.
type Container struct {
	ID                yarnid.ContainerID
	Node              yarnid.NodeID
	NodeHTTPAddress   string // with scheme
	LogURL            string
	Resource          Resource
	State             string // NEW, RUNNING or COMPLETE
	ExitStatus        int32  // when COMPLETE
	Diagnostics       string
	Started, Finished time.Time
}

// NodeState is a node's state. Java: org.apache.hadoop.yarn.api.records.NodeState.
type NodeState string

// States of nodes that a client filters by; there are others.
const (
	NodeRunning   NodeState = "RUNNING"
	NodeUnhealthy NodeState = "UNHEALTHY"
	NodeLost      NodeState = "LOST"
)

// Node describes a NodeManager. Java: NodeReport.
type Node struct {
	ID              yarnid.NodeID
	HTTPAddress     string
	Rack            string
	State           NodeState
	HealthReport    string
	Containers      int32
	Capacity, Used  Resource
	Labels          []string
	LastHealthCheck time.Time
}

// Metrics counts NodeManagers. Java: YarnClusterMetrics.
type Metrics struct{ NodeManagers, Active, Lost, Unhealthy, Decommissioned, Decommissioning, Rebooted, Shutdown int32 }

// Queue describes a queue. Java: QueueInfo. Capacities are shares of the parent, 0 to 1.
type Queue struct {
	Name, Path                  string
	Capacity, MaxCapacity, Used float32
	State                       string // RUNNING, STOPPED or DRAINING
	Children                    []Queue
	RunningApps, PendingApps    int64
	AvailableMemoryMB           int64
	AvailableVCores             int64
	DefaultLabel                string
	AccessibleLabels            []string
}

// ResourceType is something the cluster schedules.
type ResourceType struct{ Name, Units string }

const (
	nodeStatePrefix = "NS_"
	memoryName      = "memory-mb"
	vcoresName      = "vcores"
)

func convert[P, T any](in []P, one func(P) T) []T {
	out := make([]T, 0, len(in))
	for _, p := range in {
		out = append(out, one(p))
	}
	return out
}

func millis(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// proto is the size on the wire. Memory and vcores go into their own fields, which every version reads.
func (r Resource) proto() *yarnpb.ResourceProto {
	p := yarnpb.ResourceProto_builder{Memory: &r.MemoryMB, VirtualCores: &r.VCores}.Build()
	var others []*yarnpb.ResourceInformationProto
	for _, name := range slices.Sorted(maps.Keys(r.Custom)) {
		others = append(others, yarnpb.ResourceInformationProto_builder{Key: &name, Value: proto.Int64(r.Custom[name])}.Build())
	}
	p.SetResourceValueMap(others)
	return p
}

func fromResource(p *yarnpb.ResourceProto) Resource {
	r := Resource{MemoryMB: p.GetMemory(), VCores: p.GetVirtualCores()}
	for _, v := range p.GetResourceValueMap() {
		if name := v.GetKey(); name != memoryName && name != vcoresName {
			if r.Custom == nil {
				r.Custom = map[string]int64{}
			}
			r.Custom[name] = v.GetValue()
		}
	}
	return r
}

func fromReport(p *yarnpb.ApplicationReportProto) Report {
	usage := p.GetAppResource_Usage()
	return Report{
		ID: yarnid.FromApplication(p.GetApplicationId()), Attempt: yarnid.FromAttempt(p.GetCurrentApplicationAttemptId()),
		User: p.GetUser(), Queue: p.GetQueue(), Name: p.GetName(), Type: p.GetApplicationType(), Tags: p.GetApplicationTags(),
		State: State(p.GetYarnApplicationState().String()), Final: FinalStatus(strings.TrimPrefix(p.GetFinalApplicationStatus().String(), "APP_")),
		Diagnostics: p.GetDiagnostics(), Progress: p.GetProgress(), Host: p.GetHost(), RPCPort: p.GetRpcPort(),
		TrackingURL: p.GetTrackingUrl(), OriginalTrackingURL: p.GetOriginalTrackingUrl(),
		Started: millis(p.GetStartTime()), Launched: millis(p.GetLaunchTime()), Finished: millis(p.GetFinishTime()),
		Containers: usage.GetNumUsedContainers(), Used: fromResource(usage.GetUsedResources()),
		LogAggregation: logAggregation(p), AMRMToken: token.FromProto(p.GetAmRmToken()),
	}
}

func logAggregation(p *yarnpb.ApplicationReportProto) string {
	if !p.HasLogAggregationStatus() {
		return ""
	}
	return strings.TrimPrefix(p.GetLogAggregationStatus().String(), "LOG_")
}

func newestFirst(in []*yarnpb.ApplicationReportProto) []Report {
	out := convert(in, fromReport)
	slices.SortFunc(out, func(a, b Report) int { return b.ID.Compare(a.ID) })
	return out
}

func fromAttempt(p *yarnpb.ApplicationAttemptReportProto) Attempt {
	return Attempt{
		ID: yarnid.FromAttempt(p.GetApplicationAttemptId()), State: strings.TrimPrefix(p.GetYarnApplicationAttemptState().String(), "APP_ATTEMPT_"),
		AMContainer: yarnid.FromContainer(p.GetAmContainerId()), Host: p.GetHost(), RPCPort: p.GetRpcPort(), TrackingURL: p.GetTrackingUrl(),
		Diagnostics: p.GetDiagnostics(), Started: millis(p.GetStartTime()), Finished: millis(p.GetFinishTime()),
	}
}

func fromContainer(p *yarnpb.ContainerReportProto) Container {
	return Container{
		ID: yarnid.FromContainer(p.GetContainerId()), Node: yarnid.FromNode(p.GetNodeId()), NodeHTTPAddress: p.GetNodeHttpAddress(), LogURL: p.GetLogUrl(),
		Resource: fromResource(p.GetResource()), State: strings.TrimPrefix(p.GetContainerState().String(), "C_"), ExitStatus: p.GetContainerExitStatus(),
		Diagnostics: p.GetDiagnosticsInfo(), Started: millis(p.GetCreationTime()), Finished: millis(p.GetFinishTime()),
	}
}

func fromNode(p *yarnpb.NodeReportProto) Node {
	return Node{
		ID: yarnid.FromNode(p.GetNodeId()), HTTPAddress: p.GetHttpAddress(), Rack: p.GetRackName(), State: NodeState(strings.TrimPrefix(p.GetNodeState().String(), nodeStatePrefix)),
		HealthReport: p.GetHealthReport(), Containers: p.GetNumContainers(), Capacity: fromResource(p.GetCapability()), Used: fromResource(p.GetUsed()),
		Labels: p.GetNodeLabels(), LastHealthCheck: millis(p.GetLastHealthReportTime()),
	}
}

func fromMetrics(p *yarnpb.YarnClusterMetricsProto) Metrics {
	return Metrics{
		NodeManagers: p.GetNumNodeManagers(), Active: p.GetNumActiveNms(), Lost: p.GetNumLostNms(), Unhealthy: p.GetNumUnhealthyNms(),
		Decommissioned: p.GetNumDecommissionedNms(), Decommissioning: p.GetNumDecommissioningNms(), Rebooted: p.GetNumRebootedNms(), Shutdown: p.GetNumShutdownNms(),
	}
}

func fromQueue(p *yarnpb.QueueInfoProto) Queue {
	s := p.GetQueueStatistics()
	return Queue{
		Name: p.GetQueueName(), Path: p.GetQueuePath(), Capacity: p.GetCapacity(), MaxCapacity: p.GetMaximumCapacity(), Used: p.GetCurrentCapacity(),
		State: strings.TrimPrefix(p.GetState().String(), "Q_"), Children: convert(p.GetChildQueues(), fromQueue),
		RunningApps: s.GetNumAppsRunning(), PendingApps: s.GetNumAppsPending(), AvailableMemoryMB: s.GetAvailableMemoryMB(), AvailableVCores: s.GetAvailableVCores(),
		DefaultLabel: p.GetDefaultNodeLabelExpression(), AccessibleLabels: p.GetAccessibleNodeLabels(),
	}
}
