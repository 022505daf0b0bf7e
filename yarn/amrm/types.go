package amrm

import (
	"maps"

	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Resource is a container size. Java: org.apache.hadoop.yarn.api.records.Resource.
type Resource struct {
	MemoryMB int64
	VCores   int32
	// Custom holds other countable resource types by name, for example "yarn.io/gpu". The YARN RM silently drops
	// names it does not know: compare with Registration.ResourceTypes first.
	Custom map[string]int64
}

// Equal reports whether both describe the same size.
func (r Resource) Equal(o Resource) bool {
	return r.MemoryMB == o.MemoryMB && r.VCores == o.VCores && maps.Equal(r.Custom, o.Custom)
}

// AskKey is what the schedulers key asks by (Java: SchedulerRequestKey). One container size per key.
type AskKey struct {
	Priority            int32 // lower is served first
	AllocationRequestID int64
}

// Ask states how many containers of one kind are outstanding, as an absolute number.
type Ask struct {
	AskKey
	Resource
	// NodeLabel restricts to one node label; empty means the queue's default.
	NodeLabel string
	// Count is wanted − owned as the caller sees it, not a difference to an earlier Ask. 0 cancels.
	Count int
	// AsOf is the Seq of the last Allocated event that Count takes into account. Containers of this key delivered
	// after it are subtracted, so an Ask that crosses an allocation on its way does not ask twice.
	// 0 means everything delivered so far was counted.
	AsOf uint64
}

// Container is a granted container. Java: org.apache.hadoop.yarn.api.records.Container.
type Container struct {
	ID              yarnid.ContainerID
	Node            yarnid.NodeID
	NodeHTTPAddress string // host:port of the node's web page
	AskKey                 // match with this, never with Resource: schedulers round sizes up and may ignore vcores
	Resource        Resource
	Token           *token.Token // container token for startContainers
}

// Status says how a container ended. Java: org.apache.hadoop.yarn.api.records.ContainerStatus in state COMPLETE.
type Status struct {
	ID         yarnid.ContainerID
	ExitStatus int // process exit code or one of the Exit… constants
	// Diagnostics comes from the node, up to about 10 kB.
	Diagnostics string
	// Released is true when this session had released the container; tells ExitAborted from a lost node.
	Released bool
}

// Exit statuses that YARN makes up. Java: org.apache.hadoop.yarn.api.records.ContainerExitStatus.
const (
	ExitInvalid               = -1000
	ExitAborted               = -100 // released, node lost, or allocation expired before the start
	ExitDisksFailed           = -101
	ExitPreempted             = -102
	ExitKilledExceededVMem    = -103
	ExitKilledExceededPMem    = -104
	ExitKilledByAM            = -105
	ExitKilledByRM            = -106
	ExitKilledAfterCompletion = -107
	ExitKilledByScheduler     = -108
	ExitKilledForExcessLogs   = -109
)

// NodeState is a node's state in a NodeReport. Java: org.apache.hadoop.yarn.api.records.NodeState.
type NodeState string

// States of a node.
const (
	NodeNew             NodeState = "NEW"
	NodeRunning         NodeState = "RUNNING"
	NodeUnhealthy       NodeState = "UNHEALTHY"
	NodeDecommissioned  NodeState = "DECOMMISSIONED"
	NodeLost            NodeState = "LOST"
	NodeRebooted        NodeState = "REBOOTED"
	NodeDecommissioning NodeState = "DECOMMISSIONING"
	NodeShutdown        NodeState = "SHUTDOWN"
)

// NodeReport is a change of a node that the YARN RM told of. Java: org.apache.hadoop.yarn.api.records.NodeReport.
type NodeReport struct {
	Node         yarnid.NodeID
	HTTPAddress  string
	Rack         string
	State        NodeState
	HealthReport string
}

// ResourceType is a resource the cluster schedules. Java: ResourceTypeInfo.
type ResourceType struct {
	Name  string
	Units string
}

// Registration is the YARN RM's answer to Register. Java: RegisterApplicationMasterResponse.
type Registration struct {
	MaxCapability      Resource
	Queue              string
	PreviousContainers []Container // live containers of earlier attempts; see NMTokens for their nodes' tokens
	ResourceTypes      []ResourceType
	// Partial is true when the YARN RM said "already registered" after an answer of it was lost: the session goes
	// on, but all other fields are empty.
	Partial bool
}

// FinalStatus is what the application ends with in YARN. Java: FinalApplicationStatus.
type FinalStatus int

// Final statuses.
const (
	FinalUndefined FinalStatus = iota
	FinalSucceeded
	FinalFailed
	FinalKilled
)
