package yarntest

import (
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// schedulerMethods is ApplicationMasterProtocol (Java: ApplicationMasterService).
func (c *Cluster) schedulerMethods() map[string]method {
	return map[string]method{
		"registerApplicationMaster": on(func() *yarnpb.RegisterApplicationMasterRequestProto {
			return &yarnpb.RegisterApplicationMasterRequestProto{}
		}, c.register),
		"allocate": on(func() *yarnpb.AllocateRequestProto { return &yarnpb.AllocateRequestProto{} }, c.allocate),
		"finishApplicationMaster": on(func() *yarnpb.FinishApplicationMasterRequestProto {
			return &yarnpb.FinishApplicationMasterRequestProto{}
		}, c.finish),
	}
}

// callingAttempt is the attempt whose token authenticated the connection, and that token's key.
func (c *Cluster) callingAttempt(caller ipctest.Caller) (*attempt, int32, error) {
	var id yarnpb.AMRMTokenIdentifierProto
	if err := proto.Unmarshal(caller.Identifier, &id); err != nil {
		return nil, 0, err
	}
	attemptID := yarnid.FromAttempt(id.GetAppAttemptId())
	a := c.liveAttempt(attemptID)
	if a == nil {
		return nil, 0, c.throw(AttemptUnknown, attemptID)
	}
	return a, id.GetKeyId(), nil
}

func (c *Cluster) register(caller ipctest.Caller, req *yarnpb.RegisterApplicationMasterRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, _, err := c.callingAttempt(caller)
	if err != nil {
		return nil, err
	}
	if a.registered {
		return nil, c.throw(RegisteredTwice, a.app.id)
	}
	a.registered, a.responseID, a.cached = true, 0, nil
	a.host, a.rpcPort, a.trackingURL = req.GetHost(), req.GetRpcPort(), req.GetTrackingUrl()
	a.app.state = yarnpb.YarnApplicationStateProto_RUNNING
	b := yarnpb.RegisterApplicationMasterResponseProto_builder{
		MaximumCapability: c.maximum(),
		Queue:             proto.String(a.app.context.GetQueue()),
		ResourceTypes: []*yarnpb.ResourceTypeInfoProto{
			yarnpb.ResourceTypeInfoProto_builder{Name: proto.String("memory-mb"), Units: proto.String("Mi")}.Build(),
			yarnpb.ResourceTypeInfoProto_builder{Name: proto.String("vcores"), Units: proto.String("")}.Build(),
		},
	}
	if len(a.previous) == 0 { // else a restart of the YARN RM: they come with an allocate
		for _, ct := range a.app.live {
			if ct.id.Attempt != a.id && !ct.isAM {
				b.ContainersFromPreviousAttempts = append(b.ContainersFromPreviousAttempts, ct.message())
				b.NmTokensFromPreviousAttempts = c.appendNMToken(b.NmTokensFromPreviousAttempts, a, ct.node)
			}
		}
	}
	c.touch()
	return b.Build(), nil
}

// appendNMToken adds a node's token unless this attempt already has it.
func (c *Cluster) appendNMToken(to []*yarnpb.NMTokenProto, a *attempt, n *node) []*yarnpb.NMTokenProto {
	if a.nmTokens[n.id] {
		return to
	}
	a.nmTokens[n.id] = true
	return append(to, yarnpb.NMTokenProto_builder{NodeId: n.id.Proto(), Token: c.nmToken(a, n).Proto()}.Build())
}

func (c *Cluster) allocate(caller ipctest.Caller, req *yarnpb.AllocateRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, keyID, err := c.callingAttempt(caller)
	if err != nil {
		return nil, err
	}
	if !a.registered {
		return nil, c.throw(AllocateUnregistered, a.id)
	}
	if a.finished {
		return yarnpb.AllocateResponseProto_builder{ResponseId: proto.Int32(next(req.GetResponseId()))}.Build(), nil
	}
	switch id := req.GetResponseId(); {
	case next(id) == a.responseID && a.cached != nil:
		return a.cached, nil
	case id != a.responseID:
		return nil, c.throw(WrongResponseID, a.id, a.responseID, id)
	}
	if err := c.validate(a, req); err != nil {
		return nil, err
	}
	for _, r := range req.GetAsk() {
		c.setAsk(a, r)
	}
	for _, h := range req.GetBlacklistRequest().GetBlacklistAdditions() {
		a.blacklist[h] = true
	}
	for _, h := range req.GetBlacklistRequest().GetBlacklistRemovals() {
		delete(a.blacklist, h)
	}
	for _, p := range req.GetRelease() {
		if ct := c.containers[yarnid.FromContainer(p)]; ct != nil && ct.app == a.app {
			c.release(ct)
		}
	}
	a.progress = req.GetProgress()
	if req.HasTrackingUrl() {
		a.trackingURL = req.GetTrackingUrl()
	}
	resp := c.takeNews(a, keyID)
	a.responseID = next(a.responseID)
	resp.SetResponseId(a.responseID)
	a.cached = resp
	c.grantNow() // seen by the next allocate, as in Hadoop, where nodes grant between two
	c.touch()
	return resp, nil
}

func next(id int32) int32 { return (id + 1) & math.MaxInt32 }

// validate throws before anything of the request is applied.
func (c *Cluster) validate(a *attempt, req *yarnpb.AllocateRequestProto) error {
	for _, r := range req.GetAsk() {
		size := r.GetCapability()
		if size.GetMemory() > c.cfg.MaxMemoryMB {
			return c.throw(AskTooLarge, size.GetMemory(), size.GetVirtualCores(), c.cfg.MaxMemoryMB, c.cfg.NodeVCores)
		}
		if label := r.GetNodeLabelExpression(); label != "" && !c.hasLabel(label) {
			return c.throw(AskLabelUnknown)
		}
	}
	for _, h := range req.GetBlacklistRequest().GetBlacklistAdditions() {
		if h == "*" {
			return c.throw(BlacklistAny)
		}
	}
	if a.app.context.GetKeepContainersAcrossApplicationAttempts() {
		return nil
	}
	for _, p := range req.GetRelease() {
		if id := yarnid.FromContainer(p); id.Attempt != a.id {
			return c.throw(ReleaseForeign, id, a.id)
		}
	}
	return nil
}

func (c *Cluster) hasLabel(label string) bool {
	for _, l := range c.cfg.Labels {
		if l == label {
			return true
		}
	}
	return false
}

// release ends a container at once for the YARN RM; its process follows.
func (c *Cluster) release(ct *container) {
	process := ct.process
	c.complete(ct, exitAborted, "Container released by application")
	if process != nil {
		process.Kill()
	}
}

// takeNews moves what happened since the last allocate into an answer.
func (c *Cluster) takeNews(a *attempt, keyID int32) *yarnpb.AllocateResponseProto {
	usable := int32(0)
	for _, n := range c.nodes {
		if !n.lost {
			usable++
		}
	}
	b := yarnpb.AllocateResponseProto_builder{
		NumClusterNodes:            &usable,
		Limit:                      c.maximum(),
		CompletedContainerStatuses: a.completed,
	}
	for _, ct := range a.granted {
		if c.containers[ct.id] == ct { // else its node went meanwhile
			b.NmTokens = c.appendNMToken(b.NmTokens, a, ct.node)
			b.AllocatedContainers = append(b.AllocatedContainers, ct.message())
		}
	}
	for _, ct := range a.previous {
		if c.containers[ct.id] != ct {
			continue
		}
		b.NmTokens = c.appendNMToken(b.NmTokens, a, ct.node)
		b.ContainersFromPreviousAttempts = append(b.ContainersFromPreviousAttempts, ct.message())
	}
	for _, n := range a.updated {
		b.UpdatedNodes = append(b.UpdatedNodes, c.nodeReport(n))
	}
	if len(a.preempt) > 0 {
		contract := yarnpb.PreemptionContractProto_builder{}
		for _, id := range a.preempt {
			contract.Container = append(contract.Container, yarnpb.PreemptionContainerProto_builder{Id: id.Proto()}.Build())
		}
		b.Preempt = yarnpb.PreemptionMessageProto_builder{Contract: contract.Build()}.Build()
	}
	if keyID != c.amrmKeys.current {
		b.AmRmToken = c.amrmToken(a).Proto()
	}
	a.granted, a.completed, a.previous, a.updated, a.preempt = nil, nil, nil, nil, nil
	return b.Build()
}

func (c *Cluster) finish(caller ipctest.Caller, req *yarnpb.FinishApplicationMasterRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, _, err := c.callingAttempt(caller)
	if err != nil {
		return nil, err
	}
	if !a.registered {
		return nil, c.throw(FinishUnregistered, a.app.id)
	}
	a.unregisters++
	done := a.unregisters > c.cfg.FinishPolls
	if !a.finished {
		a.finished, a.asks = true, nil
		a.app.final, a.app.diagnostics, a.trackingURL = req.GetFinalApplicationStatus(), req.GetDiagnostics(), req.GetTrackingUrl()
	}
	if done && (a.am == nil || a.am.process == nil) {
		// An unmanaged AM, or one this cluster does not see exit.
		c.endApp(a.app, yarnpb.YarnApplicationStateProto_FINISHED, a.app.final, a.app.diagnostics)
	}
	c.touch()
	return yarnpb.FinishApplicationMasterResponseProto_builder{IsUnregistered: &done}.Build(), nil
}
