package yarntest

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// containerMethods is ContainerManagementProtocol on one node (Java: ContainerManagerImpl).
func (c *Cluster) containerMethods(n *node) map[string]method {
	return map[string]method{
		"startContainers": on(func() *yarnpb.StartContainersRequestProto { return &yarnpb.StartContainersRequestProto{} },
			func(caller ipctest.Caller, req *yarnpb.StartContainersRequestProto) (proto.Message, error) {
				return c.startContainers(n, caller, req)
			}),
		"stopContainers": on(func() *yarnpb.StopContainersRequestProto { return &yarnpb.StopContainersRequestProto{} },
			func(_ ipctest.Caller, req *yarnpb.StopContainersRequestProto) (proto.Message, error) {
				return c.stopContainers(n, req)
			}),
		"getContainerStatuses": on(func() *yarnpb.GetContainerStatusesRequestProto { return &yarnpb.GetContainerStatusesRequestProto{} },
			func(_ ipctest.Caller, req *yarnpb.GetContainerStatusesRequestProto) (proto.Message, error) {
				return c.containerStatuses(n, req)
			}),
	}
}

// startContainers is not atomic: a token that is no token ends the call with the earlier containers started.
func (c *Cluster) startContainers(n *node, caller ipctest.Caller, req *yarnpb.StartContainersRequestProto) (proto.Message, error) {
	var nm yarnpb.NMTokenIdentifierProto
	if err := proto.Unmarshal(caller.Identifier, &nm); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.touch()
	b := yarnpb.StartContainersResponseProto_builder{}
	for _, r := range req.GetStartContainerRequest() {
		id, err := c.containerOf(n, r.GetContainerToken())
		if err != nil {
			return nil, err
		}
		containerID := yarnid.FromContainer(id.GetContainerId())
		if err := c.mayStart(n, yarnid.FromAttempt(nm.GetAppAttemptId()), id, r.GetContainerLaunchContext()); err != nil {
			b.FailedRequests = append(b.FailedRequests, failed(containerID, err))
			continue
		}
		b.SucceededRequests = append(b.SucceededRequests, containerID.Proto())
		c.run(c.containers[containerID], r.GetContainerLaunchContext())
	}
	return b.Build(), nil
}

// containerOf checks a container token's signature.
func (c *Cluster) containerOf(n *node, tok *commonpb.TokenProto) (*yarnpb.ContainerTokenIdentifierProto, error) {
	id := &yarnpb.ContainerTokenIdentifierProto{}
	if err := proto.Unmarshal(tok.GetIdentifier(), id); err != nil {
		return nil, c.throw(ContainerTokenForged, n.id)
	}
	password, ok := c.containerKeys.password(id.GetMasterKeyId(), tok.GetIdentifier())
	if !ok || string(password) != string(tok.GetPassword()) || id.GetNmHostAddr() != n.id.String() {
		return nil, c.throw(ContainerTokenForged, n.id)
	}
	return id, nil
}

// mayStart checks everything else; with the lock held.
func (c *Cluster) mayStart(n *node, as yarnid.AttemptID, id *yarnpb.ContainerTokenIdentifierProto, clc *yarnpb.ContainerLaunchContextProto) *ipc.RemoteError {
	containerID := yarnid.FromContainer(id.GetContainerId())
	ct := c.containers[containerID]
	switch _, over := n.ended[containerID]; {
	case n.notReady:
		return c.throw(NodeNotReady, containerID)
	case as.Application != containerID.Attempt.Application:
		return c.throw(NMTokenOfOtherApp, as, containerID.Attempt)
	case over || ct != nil && ct.started:
		return c.throw(ContainerStartedBefore, containerID)
	case id.GetExpiryTimeStamp() < c.cfg.Now().UnixMilli():
		return c.throw(ContainerTokenExpired, c.cfg.Now().UnixMilli(), id.GetExpiryTimeStamp())
	case id.GetRmIdentifier() != c.rmIdentifier || ct == nil:
		return c.throw(ContainerOfPreviousRM, containerID)
	}
	for _, kv := range clc.GetLocalResources() {
		switch r := kv.GetValue(); {
		case !r.HasResource():
			return c.throw(ResourceWithoutURL, kv.GetKey(), r)
		case !r.HasType():
			return c.throw(ResourceWithoutType, kv.GetKey(), r)
		case !r.HasVisibility():
			return c.throw(ResourceWithoutVisible, kv.GetKey(), r)
		}
	}
	return nil
}

func (c *Cluster) stopContainers(n *node, req *yarnpb.StopContainersRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := yarnpb.StopContainersResponseProto_builder{}
	for _, p := range req.GetContainerId() {
		id := yarnid.FromContainer(p)
		ct, running := n.containers[id]
		_, over := n.ended[id]
		switch {
		case n.notReady:
			b.FailedRequests = append(b.FailedRequests, failed(id, c.throw(NodeNotReady, id)))
			continue
		case !running && !over:
			b.FailedRequests = append(b.FailedRequests, failed(id, c.throw(ContainerUnknown, id)))
			continue
		case running:
			c.kill(ct, exitKilledByAM, "Container killed by the ApplicationMaster.")
		}
		b.SucceededRequests = append(b.SucceededRequests, p)
	}
	return b.Build(), nil
}

func (c *Cluster) containerStatuses(n *node, req *yarnpb.GetContainerStatusesRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := yarnpb.GetContainerStatusesResponseProto_builder{}
	for _, p := range req.GetContainerId() {
		id := yarnid.FromContainer(p)
		switch {
		case n.containers[id] != nil:
			b.Status = append(b.Status, yarnpb.ContainerStatusProto_builder{
				ContainerId: p, State: yarnpb.ContainerStateProto_C_RUNNING.Enum(), Diagnostics: proto.String(""),
				ExitStatus: proto.Int32(-1000), Capability: n.containers[id].resource,
			}.Build())
		case n.ended[id] != nil:
			b.Status = append(b.Status, n.ended[id])
		default:
			b.FailedRequests = append(b.FailedRequests, failed(id, c.throw(ContainerUnknown, id)))
		}
	}
	return b.Build(), nil
}

func failed(id yarnid.ContainerID, e *ipc.RemoteError) *yarnpb.ContainerExceptionMapProto {
	return yarnpb.ContainerExceptionMapProto_builder{
		ContainerId: id.Proto(),
		Exception:   yarnpb.SerializedExceptionProto_builder{Message: &e.Message, ClassName: &e.Class}.Build(),
	}.Build()
}

// run starts an accepted container; with the lock held.
func (c *Cluster) run(ct *container, clc *yarnpb.ContainerLaunchContextProto) {
	ct.started = true
	ct.node.containers[ct.id] = ct
	if c.cfg.Launcher == nil {
		return
	}
	l := Launch{Container: ct.id, Context: clc, Node: ct.node.id, User: ct.app.user, IsAM: ct.isAM, Submitted: time.UnixMilli(ct.app.started)}
	c.wg.Go(func() { c.supervise(ct, l) })
}
