package yarntest

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// clientMethods is ApplicationClientProtocol (Java: ClientRMService).
func (c *Cluster) clientMethods() map[string]method {
	return map[string]method{
		"getNewApplication":    on(func() *yarnpb.GetNewApplicationRequestProto { return &yarnpb.GetNewApplicationRequestProto{} }, c.newApplication),
		"submitApplication":    on(func() *yarnpb.SubmitApplicationRequestProto { return &yarnpb.SubmitApplicationRequestProto{} }, c.submit),
		"getApplicationReport": on(func() *yarnpb.GetApplicationReportRequestProto { return &yarnpb.GetApplicationReportRequestProto{} }, c.applicationReport),
		"forceKillApplication": on(func() *yarnpb.KillApplicationRequestProto { return &yarnpb.KillApplicationRequestProto{} }, c.forceKill),
		"getApplications":      on(func() *yarnpb.GetApplicationsRequestProto { return &yarnpb.GetApplicationsRequestProto{} }, c.applications),
		"getClusterNodes":      on(func() *yarnpb.GetClusterNodesRequestProto { return &yarnpb.GetClusterNodesRequestProto{} }, c.clusterNodes),
		"getClusterMetrics":    on(func() *yarnpb.GetClusterMetricsRequestProto { return &yarnpb.GetClusterMetricsRequestProto{} }, c.clusterMetrics),
		"getQueueInfo":         on(func() *yarnpb.GetQueueInfoRequestProto { return &yarnpb.GetQueueInfoRequestProto{} }, c.queueInfo),
		"getDelegationToken":   on(func() *commonpb.GetDelegationTokenRequestProto { return &commonpb.GetDelegationTokenRequestProto{} }, c.delegationToken),
		"getResourceTypeInfo":  on(func() *yarnpb.GetAllResourceTypeInfoRequestProto { return &yarnpb.GetAllResourceTypeInfoRequestProto{} }, c.resourceTypes),
	}
}

func (c *Cluster) newApplication(ipctest.Caller, *yarnpb.GetNewApplicationRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return yarnpb.GetNewApplicationResponseProto_builder{
		ApplicationId: c.newID().Proto(), MaximumCapability: c.maximum(),
	}.Build(), nil
}

func (c *Cluster) newID() yarnid.ApplicationID {
	c.nextApp++
	return yarnid.ApplicationID{ClusterTimestamp: c.startTime, ID: c.nextApp}
}

// submit accepts an application; a second time it does nothing, as Hadoop.
func (c *Cluster) submit(caller ipctest.Caller, req *yarnpb.SubmitApplicationRequestProto) (proto.Message, error) {
	asc := req.GetApplicationSubmissionContext()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apps[yarnid.FromApplication(asc.GetApplicationId())] != nil {
		return &yarnpb.SubmitApplicationResponseProto{}, nil
	}
	size := asc.GetResource()
	for _, r := range asc.GetAmContainerResourceRequest() {
		size = r.GetCapability()
	}
	if size.GetMemory() > c.cfg.MaxMemoryMB {
		return nil, c.throw(AskTooLarge, size.GetMemory(), size.GetVirtualCores(), c.cfg.MaxMemoryMB, c.cfg.NodeVCores)
	}
	c.addApp(asc, caller.User)
	return &yarnpb.SubmitApplicationResponseProto{}, nil
}

func (c *Cluster) addApp(asc *yarnpb.ApplicationSubmissionContextProto, user string) *app {
	a := &app{
		id: yarnid.FromApplication(asc.GetApplicationId()), user: user, context: asc,
		started: c.cfg.Now().UnixMilli(), live: map[yarnid.ContainerID]*container{},
	}
	c.apps[a.id] = a
	c.order = append(c.order, a)
	c.newAttempt(a)
	c.touch()
	return a
}

// amContext is an AM's launch context with the token that the YARN RM adds.
func (c *Cluster) amContext(a *app) *yarnpb.ContainerLaunchContextProto {
	clc := proto.CloneOf(a.context.GetAmContainerSpec())
	creds := &token.Credentials{}
	if image := clc.GetTokens(); len(image) > 0 {
		if given, err := token.Decode(image); err == nil {
			creds = given
		}
	}
	creds.Put("", c.amrmToken(a.attempt))
	clc.SetTokens(creds.Encode())
	return clc
}

func (c *Cluster) applicationReport(_ ipctest.Caller, req *yarnpb.GetApplicationReportRequestProto) (proto.Message, error) {
	id := yarnid.FromApplication(req.GetApplicationId())
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[id]
	if a == nil {
		return nil, c.throw(ApplicationUnknown, id)
	}
	return yarnpb.GetApplicationReportResponseProto_builder{ApplicationReport: c.report(a)}.Build(), nil
}

func (c *Cluster) report(a *app) *yarnpb.ApplicationReportProto {
	at := a.attempt
	b := yarnpb.ApplicationReportProto_builder{
		ApplicationId: a.id.Proto(), User: &a.user, Queue: proto.String(a.context.GetQueue()),
		Name: proto.String(a.context.GetApplicationName()), Host: proto.String("N/A"), RpcPort: proto.Int32(-1),
		YarnApplicationState: &a.state, Diagnostics: proto.String(a.diagnostics), StartTime: &a.started, FinishTime: &a.finished,
		FinalApplicationStatus: &a.final, Progress: &at.progress, TrackingUrl: proto.String("N/A"), OriginalTrackingUrl: proto.String("N/A"),
		ApplicationType: proto.String(a.context.GetApplicationType()), ApplicationTags: a.context.GetApplicationTags(),
		CurrentApplicationAttemptId: at.id.Proto(), UnmanagedApplication: proto.Bool(a.unmanaged()),
	}
	if at.registered {
		b.Host, b.RpcPort = proto.String(at.host), &at.rpcPort
		b.OriginalTrackingUrl, b.TrackingUrl = proto.String(at.trackingURL), proto.String(at.trackingURL) // an unmanaged AM is not behind the proxy
		if !a.unmanaged() {
			b.TrackingUrl = proto.String("http://127.0.0.1:8088/proxy/" + a.id.String() + "/")
		}
	}
	if a.unmanaged() && !a.ended() {
		b.AmRmToken = c.amrmToken(at).Proto()
	}
	return b.Build()
}

func (c *Cluster) forceKill(caller ipctest.Caller, req *yarnpb.KillApplicationRequestProto) (proto.Message, error) {
	id := yarnid.FromApplication(req.GetApplicationId())
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[id]
	if a == nil {
		return nil, c.throw(ApplicationUnknown, id)
	}
	done := a.ended()
	diagnostics := "Application " + id.String() + " was killed by user " + caller.User + " at 127.0.0.1"
	if given := strings.TrimSpace(req.GetDiagnostics()); given != "" {
		diagnostics += " with diagnostic message: " + given
	}
	c.endApp(a, yarnpb.YarnApplicationStateProto_KILLED, yarnpb.FinalApplicationStatusProto_APP_KILLED, diagnostics)
	return yarnpb.KillApplicationResponseProto_builder{IsKillCompleted: &done}.Build(), nil
}

func (c *Cluster) applications(_ ipctest.Caller, req *yarnpb.GetApplicationsRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := yarnpb.GetApplicationsResponseProto_builder{}
	for _, a := range c.apps {
		if matches(req.GetApplicationTypes(), a.context.GetApplicationType()) && matches(req.GetUsers(), a.user) &&
			matches(req.GetQueues(), a.context.GetQueue()) && matches(req.GetApplicationStates(), a.state) && tagged(req, a) {
			b.Applications = append(b.Applications, c.report(a))
		}
	}
	slices.SortFunc(b.Applications, func(x, y *yarnpb.ApplicationReportProto) int {
		return yarnid.FromApplication(x.GetApplicationId()).Compare(yarnid.FromApplication(y.GetApplicationId()))
	})
	return b.Build(), nil
}

// matches reports whether a filter, which may be empty, admits v.
func matches[T comparable](filter []T, v T) bool {
	return len(filter) == 0 || slices.Contains(filter, v)
}

func tagged(req *yarnpb.GetApplicationsRequestProto, a *app) bool {
	wanted := req.GetApplicationTags()
	return len(wanted) == 0 || slices.ContainsFunc(a.context.GetApplicationTags(), func(t string) bool {
		return slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(t, w) })
	})
}

func (c *Cluster) clusterNodes(_ ipctest.Caller, req *yarnpb.GetClusterNodesRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := yarnpb.GetClusterNodesResponseProto_builder{}
	for _, n := range c.nodes {
		if r := c.nodeReport(n); matches(req.GetNodeStates(), r.GetNodeState()) {
			b.NodeReports = append(b.NodeReports, r)
		}
	}
	return b.Build(), nil
}

func (c *Cluster) nodeReport(n *node) *yarnpb.NodeReportProto {
	state := yarnpb.NodeStateProto_NS_RUNNING
	if n.lost {
		state = yarnpb.NodeStateProto_NS_LOST
	}
	return yarnpb.NodeReportProto_builder{
		NodeId: n.id.Proto(), HttpAddress: proto.String(n.id.Host + ":8042"), RackName: proto.String("/default-rack"),
		Used: resource(n.usedMB, int32(len(n.containers))), Capability: c.capability(),
		NumContainers: proto.Int32(int32(len(n.containers))), NodeState: &state, HealthReport: proto.String(""),
	}.Build()
}

func (c *Cluster) clusterMetrics(ipctest.Caller, *yarnpb.GetClusterMetricsRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var active, lost int32
	for _, n := range c.nodes {
		if n.lost {
			lost++
		} else {
			active++
		}
	}
	return yarnpb.GetClusterMetricsResponseProto_builder{ClusterMetrics: yarnpb.YarnClusterMetricsProto_builder{
		NumNodeManagers: &active, NumActiveNms: &active, NumLostNms: &lost,
	}.Build()}.Build(), nil
}

func (c *Cluster) queueInfo(_ ipctest.Caller, req *yarnpb.GetQueueInfoRequestProto) (proto.Message, error) {
	return yarnpb.GetQueueInfoResponseProto_builder{QueueInfo: yarnpb.QueueInfoProto_builder{
		QueueName: proto.String(req.GetQueueName()), Capacity: proto.Float32(1), MaximumCapacity: proto.Float32(1),
		State: yarnpb.QueueStateProto_Q_RUNNING.Enum(),
	}.Build()}.Build(), nil
}

// delegationToken hands out tokens that nothing checks: the client port is open.
func (c *Cluster) delegationToken(caller ipctest.Caller, req *commonpb.GetDelegationTokenRequestProto) (proto.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delegation++
	now := c.cfg.Now()
	tok := c.amrmKeys.sign(token.RMDelegation, "", yarnpb.YARNDelegationTokenIdentifierProto_builder{
		Owner: &caller.User, Renewer: proto.String(req.GetRenewer()), RealUser: proto.String(""),
		IssueDate: proto.Int64(now.UnixMilli()), MaxDate: proto.Int64(now.Add(7 * 24 * time.Hour).UnixMilli()),
		SequenceNumber: proto.Int32(c.delegation), MasterKeyId: &c.amrmKeys.current,
	}.Build())
	return commonpb.GetDelegationTokenResponseProto_builder{Token: tok.Proto()}.Build(), nil
}

func (c *Cluster) resourceTypes(ipctest.Caller, *yarnpb.GetAllResourceTypeInfoRequestProto) (proto.Message, error) {
	return yarnpb.GetAllResourceTypeInfoResponseProto_builder{ResourceTypeInfo: []*yarnpb.ResourceTypeInfoProto{
		yarnpb.ResourceTypeInfoProto_builder{Name: proto.String("memory-mb"), Units: proto.String("Mi")}.Build(),
		yarnpb.ResourceTypeInfoProto_builder{Name: proto.String("vcores"), Units: proto.String("")}.Build(),
	}}.Build(), nil
}
