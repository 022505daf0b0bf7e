package rmclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Protocol is the Java interface of the calls.
const Protocol = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"

// serviceName is what messages call the server.
const serviceName = "YARN ResourceManager"

// Config of a Client.
type Config struct {
	// IPC makes the calls; the Client does not close it. Its ConnectTimeout should be shorter than Patience, so that a host that swallows packets
	// leaves time for the others.
	IPC *ipc.Client
	// Addrs are host:port of yarn.resourcemanager.address: one, or with high availability all.
	Addrs []string
	// User to act as; RealUser who impersonates it, if anyone.
	User, RealUser string
	// Token is an RM delegation token, nil on a cluster without Kerberos.
	Token *token.Token
	// Patience bounds the search for a YARN RM that answers, for each call; default 12 s.
	Patience time.Duration
	// PollInterval is the pause between looks while waiting for YARN; default 200 ms.
	PollInterval time.Duration
	Log          *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Patience == 0 {
		c.Patience = 12 * time.Second
	}
	if c.PollInterval == 0 {
		c.PollInterval = 200 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all that is wrong.
func (c Config) Validate() error {
	var bad []error
	if c.IPC == nil {
		bad = append(bad, errors.New("rmclient: no ipc client"))
	}
	if len(c.Addrs) == 0 {
		bad = append(bad, errors.New("no address of the "+serviceName+" is configured (yarn.resourcemanager.address or yarn.resourcemanager.hostname)"))
	}
	if c.User == "" && c.Token == nil {
		bad = append(bad, errors.New("rmclient: neither user nor token"))
	}
	if c.Patience < 0 || c.PollInterval < 0 {
		bad = append(bad, errors.New("rmclient: negative duration"))
	}
	return errors.Join(bad...)
}

// Client asks one cluster's YARN RM.
type Client struct {
	cfg      Config
	peer     ipc.Peer
	failover *ipc.Failover
}

// New is a client for cfg. It makes no connection.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	f, err := ipc.NewFailover(cfg.IPC, ipc.FailoverConfig{Name: serviceName, Addrs: cfg.Addrs, Patience: cfg.Patience, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, peer: ipc.Peer{Protocol: Protocol, User: cfg.User, RealUser: cfg.RealUser, Token: cfg.Token}, failover: f}, nil
}

func (c *Client) call(ctx context.Context, method string, req, resp proto.Message) error {
	return c.failover.Call(ctx, c.peer, method, req, resp)
}

// NewApplication is what the YARN RM hands out before a submission.
type NewApplication struct {
	ID yarnid.ApplicationID
	// MaxResource is the largest container any node may give; the largest free one may be smaller.
	MaxResource Resource
}

// NewApplication reserves an application id.
func (c *Client) NewApplication(ctx context.Context) (NewApplication, error) {
	resp := &yarnpb.GetNewApplicationResponseProto{}
	if err := c.call(ctx, "getNewApplication", &yarnpb.GetNewApplicationRequestProto{}, resp); err != nil {
		return NewApplication{}, fmt.Errorf("get a new application id: %w", err)
	}
	n := NewApplication{ID: yarnid.FromApplication(resp.GetApplicationId()), MaxResource: fromResource(resp.GetMaximumCapability())}
	if n.ID.IsZero() {
		return NewApplication{}, errors.New("get a new application id: the answer holds none")
	}
	return n, nil
}

// Report tells how an application is. An id that the YARN RM does not know is ipc.ErrApplicationNotFound.
func (c *Client) Report(ctx context.Context, id yarnid.ApplicationID) (Report, error) {
	req := yarnpb.GetApplicationReportRequestProto_builder{ApplicationId: id.Proto()}.Build()
	resp := &yarnpb.GetApplicationReportResponseProto{}
	if err := c.call(ctx, "getApplicationReport", req, resp); err != nil {
		return Report{}, fmt.Errorf("get report of %s: %w", id, err)
	}
	return fromReport(resp.GetApplicationReport()), nil
}

// Filter restricts Applications; empty fields do not.
type Filter struct {
	Types, Users, Queues, Tags []string
	States                     []State
	Name                       string
	Limit                      int64
}

// Applications lists the applications that match, newest first by YARN's order of ids.
func (c *Client) Applications(ctx context.Context, f Filter) ([]Report, error) {
	req := yarnpb.GetApplicationsRequestProto_builder{ApplicationTypes: f.Types, Users: f.Users, Queues: f.Queues, ApplicationTags: f.Tags}.Build()
	var states []yarnpb.YarnApplicationStateProto
	for _, s := range f.States {
		n, ok := yarnpb.YarnApplicationStateProto_value[string(s)]
		if !ok {
			return nil, fmt.Errorf("list applications: %q is no application state", s)
		}
		states = append(states, yarnpb.YarnApplicationStateProto(n))
	}
	req.SetApplicationStates(states)
	if f.Name != "" {
		req.SetName(f.Name)
	}
	if f.Limit > 0 {
		req.SetLimit(f.Limit)
	}
	resp := &yarnpb.GetApplicationsResponseProto{}
	if err := c.call(ctx, "getApplications", req, resp); err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	return newestFirst(resp.GetApplications()), nil
}

// Attempts lists the runs of an application's AM.
func (c *Client) Attempts(ctx context.Context, id yarnid.ApplicationID) ([]Attempt, error) {
	req := yarnpb.GetApplicationAttemptsRequestProto_builder{ApplicationId: id.Proto()}.Build()
	resp := &yarnpb.GetApplicationAttemptsResponseProto{}
	if err := c.call(ctx, "getApplicationAttempts", req, resp); err != nil {
		return nil, fmt.Errorf("list attempts of %s: %w", id, err)
	}
	return convert(resp.GetApplicationAttempts(), fromAttempt), nil
}

// Containers lists the containers of an attempt that the YARN RM still knows: the live ones, and for a short while ended ones.
func (c *Client) Containers(ctx context.Context, id yarnid.AttemptID) ([]Container, error) {
	req := yarnpb.GetContainersRequestProto_builder{ApplicationAttemptId: id.Proto()}.Build()
	resp := &yarnpb.GetContainersResponseProto{}
	if err := c.call(ctx, "getContainers", req, resp); err != nil {
		return nil, fmt.Errorf("list containers of %s: %w", id, err)
	}
	return convert(resp.GetContainers(), fromContainer), nil
}

// Nodes lists nodes in the given states; none means all.
func (c *Client) Nodes(ctx context.Context, states ...NodeState) ([]Node, error) {
	req := &yarnpb.GetClusterNodesRequestProto{}
	var wanted []yarnpb.NodeStateProto
	for _, s := range states {
		n, ok := yarnpb.NodeStateProto_value[nodeStatePrefix+string(s)]
		if !ok {
			return nil, fmt.Errorf("list nodes: %q is no node state", s)
		}
		wanted = append(wanted, yarnpb.NodeStateProto(n))
	}
	req.SetNodeStates(wanted)
	resp := &yarnpb.GetClusterNodesResponseProto{}
	if err := c.call(ctx, "getClusterNodes", req, resp); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return convert(resp.GetNodeReports(), fromNode), nil
}

// Metrics counts the cluster's NodeManagers.
func (c *Client) Metrics(ctx context.Context) (Metrics, error) {
	resp := &yarnpb.GetClusterMetricsResponseProto{}
	if err := c.call(ctx, "getClusterMetrics", &yarnpb.GetClusterMetricsRequestProto{}, resp); err != nil {
		return Metrics{}, fmt.Errorf("get cluster metrics: %w", err)
	}
	return fromMetrics(resp.GetClusterMetrics()), nil
}

// ErrNoQueue says that the scheduler has no queue of that name.
var ErrNoQueue = errors.New("queue does not exist")

// Queue describes a queue, without its applications. An unknown one is ErrNoQueue.
func (c *Client) Queue(ctx context.Context, name string) (Queue, error) {
	req := yarnpb.GetQueueInfoRequestProto_builder{QueueName: &name, IncludeChildQueues: proto.Bool(true), IncludeApplications: proto.Bool(false), Recursive: proto.Bool(false)}.Build()
	resp := &yarnpb.GetQueueInfoResponseProto{}
	if err := c.call(ctx, "getQueueInfo", req, resp); err != nil {
		return Queue{}, fmt.Errorf("get queue %s: %w", name, err)
	}
	if !resp.HasQueueInfo() {
		return Queue{}, fmt.Errorf("get queue %s: %w", name, ErrNoQueue)
	}
	return fromQueue(resp.GetQueueInfo()), nil
}

// ResourceTypes lists what the cluster schedules: memory-mb, vcores and others such as yarn.io/gpu.
func (c *Client) ResourceTypes(ctx context.Context) ([]ResourceType, error) {
	resp := &yarnpb.GetAllResourceTypeInfoResponseProto{}
	if err := c.call(ctx, "getResourceTypeInfo", &yarnpb.GetAllResourceTypeInfoRequestProto{}, resp); err != nil {
		return nil, fmt.Errorf("list resource types: %w", err)
	}
	return convert(resp.GetResourceTypeInfo(), func(p *yarnpb.ResourceTypeInfoProto) ResourceType { return ResourceType{p.GetName(), p.GetUnits()} }), nil
}
