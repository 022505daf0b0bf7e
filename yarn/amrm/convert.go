package amrm

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// anyHost is the resource name of an ask that fits every node.
const anyHost = "*"

func register(ctx context.Context, rm Caller, tok *token.Token, r *registerRequest) (registerResponse, error) {
	req := yarnpb.RegisterApplicationMasterRequestProto_builder{
		Host:        &r.host,
		RpcPort:     &r.rpcPort,
		TrackingUrl: &r.trackingURL,
	}.Build()
	resp := &yarnpb.RegisterApplicationMasterResponseProto{}
	if err := rm.Call(ctx, tok, "registerApplicationMaster", req, resp); err != nil {
		return registerResponse{}, err
	}
	reg := Registration{
		MaxCapability:      fromResource(resp.GetMaximumCapability()),
		Queue:              resp.GetQueue(),
		PreviousContainers: fromContainers(resp.GetContainersFromPreviousAttempts()),
	}
	for _, t := range resp.GetResourceTypes() {
		reg.ResourceTypes = append(reg.ResourceTypes, ResourceType{Name: t.GetName(), Units: t.GetUnits()})
	}
	return registerResponse{reg: reg, nmTokens: fromNMTokens(resp.GetNmTokensFromPreviousAttempts())}, nil
}

func allocate(ctx context.Context, rm Caller, tok *token.Token, r *allocateRequest) (allocateResponse, error) {
	resp := &yarnpb.AllocateResponseProto{}
	if err := rm.Call(ctx, tok, "allocate", toAllocate(r), resp); err != nil {
		return allocateResponse{}, err
	}
	return fromAllocate(resp), nil
}

func finish(ctx context.Context, rm Caller, tok *token.Token, r *finishRequest) (bool, error) {
	status := yarnpb.FinalApplicationStatusProto(r.status)
	req := yarnpb.FinishApplicationMasterRequestProto_builder{
		Diagnostics:            &r.diagnostics,
		TrackingUrl:            &r.trackingURL,
		FinalApplicationStatus: &status,
	}.Build()
	resp := &yarnpb.FinishApplicationMasterResponseProto{}
	if err := rm.Call(ctx, tok, "finishApplicationMaster", req, resp); err != nil {
		return false, err
	}
	return resp.GetIsUnregistered(), nil
}

func toAllocate(r *allocateRequest) *yarnpb.AllocateRequestProto {
	b := yarnpb.AllocateRequestProto_builder{ResponseId: &r.responseID, Progress: &r.progress}
	for _, a := range r.asks {
		b.Ask = append(b.Ask, toResourceRequest(a))
	}
	for _, id := range r.releases {
		b.Release = append(b.Release, id.Proto())
	}
	if len(r.blackAdd)+len(r.blackRemove) > 0 {
		b.BlacklistRequest = yarnpb.ResourceBlacklistRequestProto_builder{
			BlacklistAdditions: r.blackAdd,
			BlacklistRemovals:  r.blackRemove,
		}.Build()
	}
	return b.Build()
}

// toResourceRequest sets every field that a server might default differently.
func toResourceRequest(a Ask) *yarnpb.ResourceRequestProto {
	b := yarnpb.ResourceRequestProto_builder{
		Priority:      yarnpb.PriorityProto_builder{Priority: &a.Priority}.Build(),
		ResourceName:  proto.String(anyHost),
		Capability:    toResource(a.Resource),
		NumContainers: proto.Int32(int32(a.Count)),
		RelaxLocality: proto.Bool(true),
		ExecutionTypeRequest: yarnpb.ExecutionTypeRequestProto_builder{
			ExecutionType:        yarnpb.ExecutionTypeProto_GUARANTEED.Enum(),
			EnforceExecutionType: proto.Bool(false),
		}.Build(),
		AllocationRequestId: &a.AllocationRequestID,
	}
	if a.NodeLabel != "" {
		b.NodeLabelExpression = &a.NodeLabel
	}
	return b.Build()
}

func toResource(r Resource) *yarnpb.ResourceProto {
	b := yarnpb.ResourceProto_builder{Memory: &r.MemoryMB, VirtualCores: &r.VCores}
	for _, name := range slices.Sorted(maps.Keys(r.Custom)) {
		b.ResourceValueMap = append(b.ResourceValueMap, yarnpb.ResourceInformationProto_builder{
			Key:   proto.String(name),
			Value: proto.Int64(r.Custom[name]),
			Units: proto.String(""),
			Type:  yarnpb.ResourceTypesProto_COUNTABLE.Enum(),
		}.Build())
	}
	return b.Build()
}

func fromResource(p *yarnpb.ResourceProto) Resource {
	r := Resource{MemoryMB: p.GetMemory(), VCores: p.GetVirtualCores()}
	for _, info := range p.GetResourceValueMap() {
		switch name := info.GetKey(); name {
		case "memory-mb", "vcores": // repeated by servers; the plain fields rule
		default:
			if r.Custom == nil {
				r.Custom = map[string]int64{}
			}
			r.Custom[name] = info.GetValue()
		}
	}
	return r
}

func fromAllocate(p *yarnpb.AllocateResponseProto) allocateResponse {
	resp := allocateResponse{
		responseID:   p.GetResponseId(),
		allocated:    fromContainers(p.GetAllocatedContainers()),
		previous:     fromContainers(p.GetContainersFromPreviousAttempts()),
		nmTokens:     fromNMTokens(p.GetNmTokens()),
		clusterNodes: int(p.GetNumClusterNodes()),
	}
	if p.HasAMCommand() {
		switch p.GetAMCommand() {
		case yarnpb.AMCommandProto_AM_RESYNC:
			resp.command = commandResync
		case yarnpb.AMCommandProto_AM_SHUTDOWN:
			resp.command = commandShutdown
		}
	}
	for _, s := range p.GetCompletedContainerStatuses() {
		resp.completed = append(resp.completed, Status{
			ID:          yarnid.FromContainer(s.GetContainerId()),
			ExitStatus:  int(s.GetExitStatus()),
			Diagnostics: s.GetDiagnostics(),
		})
	}
	for _, n := range p.GetUpdatedNodes() {
		resp.nodes = append(resp.nodes, fromNodeReport(n))
	}
	if p.HasAmRmToken() {
		resp.amrmToken = token.FromProto(p.GetAmRmToken())
	}
	resp.preemptions = fromPreemption(p.GetPreempt())
	return resp
}

func fromContainers(ps []*yarnpb.ContainerProto) []Container {
	if len(ps) == 0 {
		return nil
	}
	out := make([]Container, len(ps))
	for i, p := range ps {
		out[i] = Container{
			ID:              yarnid.FromContainer(p.GetId()),
			Node:            yarnid.FromNode(p.GetNodeId()),
			NodeHTTPAddress: p.GetNodeHttpAddress(),
			AskKey:          AskKey{Priority: p.GetPriority().GetPriority(), AllocationRequestID: p.GetAllocationRequestId()},
			Resource:        fromResource(p.GetResource()),
			Token:           token.FromProto(p.GetContainerToken()),
		}
	}
	return out
}

func fromNMTokens(ps []*yarnpb.NMTokenProto) []nmToken {
	if len(ps) == 0 {
		return nil
	}
	out := make([]nmToken, len(ps))
	for i, p := range ps {
		out[i] = nmToken{node: yarnid.FromNode(p.GetNodeId()), tok: token.FromProto(p.GetToken())}
	}
	return out
}

var nodeStates = map[yarnpb.NodeStateProto]NodeState{
	yarnpb.NodeStateProto_NS_NEW:             NodeNew,
	yarnpb.NodeStateProto_NS_RUNNING:         NodeRunning,
	yarnpb.NodeStateProto_NS_UNHEALTHY:       NodeUnhealthy,
	yarnpb.NodeStateProto_NS_DECOMMISSIONED:  NodeDecommissioned,
	yarnpb.NodeStateProto_NS_LOST:            NodeLost,
	yarnpb.NodeStateProto_NS_REBOOTED:        NodeRebooted,
	yarnpb.NodeStateProto_NS_DECOMMISSIONING: NodeDecommissioning,
	yarnpb.NodeStateProto_NS_SHUTDOWN:        NodeShutdown,
}

func fromNodeReport(p *yarnpb.NodeReportProto) NodeReport {
	return NodeReport{
		Node:         yarnid.FromNode(p.GetNodeId()),
		HTTPAddress:  p.GetHttpAddress(),
		Rack:         p.GetRackName(),
		State:        nodeStates[p.GetNodeState()],
		HealthReport: p.GetHealthReport(),
	}
}

// fromPreemption reads both variants: CapacityScheduler sends the contract, FairScheduler the strict one.
func fromPreemption(p *yarnpb.PreemptionMessageProto) []Preemption {
	var out []Preemption
	for _, part := range []struct {
		containers []*yarnpb.PreemptionContainerProto
		strict     bool
	}{
		{p.GetStrictContract().GetContainer(), true},
		{p.GetContract().GetContainer(), false},
	} {
		if len(part.containers) == 0 {
			continue
		}
		e := Preemption{Strict: part.strict}
		for _, ct := range part.containers {
			e.Containers = append(e.Containers, yarnid.FromContainer(ct.GetId()))
		}
		out = append(out, e)
	}
	return out
}
