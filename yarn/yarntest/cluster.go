package yarntest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Config of a Cluster; the zero value is a small one without real processes.
type Config struct {
	Nodes        int   // default 2
	NodeMemoryMB int64 // of each; default 8192
	NodeVCores   int32 // default 8; shown, but like the default calculator of Hadoop not counted
	MinMemoryMB  int64 // asks are rounded up to its multiples; default 128
	MaxMemoryMB  int64 // largest container; default NodeMemoryMB
	// NodeHeartbeat is the time between a node's heartbeats: containers are granted on them. 0 grants as soon as there
	// is an ask or room, so that the next allocate brings the containers.
	NodeHeartbeat time.Duration
	// PerHeartbeat is how many containers one heartbeat of a node can bring; default 1, as CapacityScheduler for asks
	// that fit any node.
	PerHeartbeat int
	MaxAttempts  int // of applications that ask for none; default 2
	// Labels are the node labels that asks may name; without any, labels are off. They choose no nodes.
	Labels []string
	// FinishPolls is how often finishApplicationMaster answers "not yet"; default 0.
	FinishPolls int
	// Launcher runs containers; nil simulates them: they run until a test, a stop or a release ends them.
	Launcher Launcher
	// Now is the clock for token expiry; default time.Now.
	Now func() time.Time
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	for p, d := range map[*int]int{&c.Nodes: 2, &c.PerHeartbeat: 1, &c.MaxAttempts: 2} {
		if *p == 0 {
			*p = d
		}
	}
	if c.NodeMemoryMB == 0 {
		c.NodeMemoryMB = 8192
	}
	if c.NodeVCores == 0 {
		c.NodeVCores = 8
	}
	if c.MinMemoryMB == 0 {
		c.MinMemoryMB = 128
	}
	if c.MaxMemoryMB == 0 {
		c.MaxMemoryMB = c.NodeMemoryMB
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Cluster is a running fake. Its methods may be called from any goroutine.
type Cluster struct {
	cfg        Config
	exceptions map[Scenario]Exception
	ctx        context.Context // ends at Close
	cancel     context.CancelFunc
	wg         sync.WaitGroup // heartbeats, processes

	hooks hookTable

	mu            sync.Mutex
	changed       chan struct{} // closed and replaced at each change
	startTime     int64
	epoch         int64
	rmIdentifier  int64
	amrmKeys      keyRing
	nmKeys        keyRing
	containerKeys keyRing
	nextApp       int32
	apps          map[yarnid.ApplicationID]*app
	order         []*app // not yet ended, in order of submission
	nodes         []*node
	byNode        map[yarnid.NodeID]*node
	containers    map[yarnid.ContainerID]*container // not yet completed
	client        *ipctest.Server                   // nil while the YARN RM is down
	scheduler     *ipctest.Server
	clientAddr    string
	schedulerAddr string
	delegation    int32
}

// Start makes a cluster and waits for nothing: it serves when Start returns.
func Start(cfg Config) (*Cluster, error) {
	c := &Cluster{
		cfg:        cfg.withDefaults(),
		exceptions: map[Scenario]Exception{},
		changed:    make(chan struct{}),
		startTime:  time.Now().UnixMilli(),
		amrmKeys:   newKeyRing(), nmKeys: newKeyRing(), containerKeys: newKeyRing(),
		apps:       map[yarnid.ApplicationID]*app{},
		byNode:     map[yarnid.NodeID]*node{},
		containers: map[yarnid.ContainerID]*container{},
	}
	c.rmIdentifier = c.startTime
	for _, e := range Exceptions() {
		c.exceptions[e.Scenario] = e
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := c.StartRM(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for range c.cfg.Nodes {
		if _, err := c.AddNode(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if c.cfg.NodeHeartbeat > 0 {
		c.wg.Go(c.beat)
	}
	return c, nil
}

// Close kills all processes, closes all ports and waits.
func (c *Cluster) Close() error {
	c.cancel()
	c.StopRM()
	c.mu.Lock()
	var servers []*ipctest.Server
	for _, n := range c.nodes {
		servers = append(servers, n.server)
	}
	c.mu.Unlock()
	for _, s := range servers {
		s.Close()
	}
	c.wg.Wait() // processes end with ctx
	return nil
}

// ClientAddr is the address of ApplicationClientProtocol, host:port. It survives restarts of the YARN RM.
func (c *Cluster) ClientAddr() string { return c.clientAddr }

// SchedulerAddr is the address of ApplicationMasterProtocol.
func (c *Cluster) SchedulerAddr() string { return c.schedulerAddr }

// StartRM opens the ports of the YARN RM, the same as before.
func (c *Cluster) StartRM() error {
	client, err := ipctest.New(ipctest.Config{
		Addr: c.clientAddr, Simple: true, Handle: c.handler("client", c.clientMethods()), Log: c.cfg.Log,
	})
	if err != nil {
		return fmt.Errorf("start fake resource manager: %w", err)
	}
	scheduler, err := ipctest.New(ipctest.Config{
		Addr: c.schedulerAddr, Password: c.amrmPassword, Handle: c.handler("scheduler", c.schedulerMethods()), Log: c.cfg.Log,
	})
	if err != nil {
		client.Close()
		return fmt.Errorf("start fake resource manager: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.client, c.scheduler = client, scheduler
	c.clientAddr, c.schedulerAddr = client.Addr(), scheduler.Addr()
	return nil
}

// StopRM closes the ports of the YARN RM; what it knows stays. See RestartRM for a restart.
func (c *Cluster) StopRM() {
	c.mu.Lock()
	servers := []*ipctest.Server{c.client, c.scheduler}
	c.client, c.scheduler = nil, nil
	c.mu.Unlock()
	for _, s := range servers {
		if s != nil {
			s.Close()
		}
	}
}

// Await waits until cond holds, and tries it after each change of the cluster's state. cond may call the Cluster's
// methods.
func (c *Cluster) Await(ctx context.Context, cond func() bool) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// touch wakes Await; with the lock held.
func (c *Cluster) touch() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cluster) beat() {
	ticker := time.NewTicker(c.cfg.NodeHeartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.Heartbeat()
		case <-c.ctx.Done():
			return
		}
	}
}

// Call is what a hook sees.
type Call struct {
	Service  string // client, scheduler, or a node's host:port
	Method   string
	Caller   ipctest.Caller
	Request  proto.Message
	Response proto.Message // nil before the call is processed
}

// Hook looks at a call. An error refuses it: an *ipc.RemoteError goes out as it is, ipctest.ErrDrop gives no answer,
// ipctest.ErrHangUp closes the connection. It may block.
type Hook func(ctx context.Context, call Call) error

type hookTable struct {
	mu            sync.Mutex
	before, after map[string]Hook
}

// Before sets the hook that runs before a method is processed; nil removes it.
func (c *Cluster) Before(method string, h Hook) { c.hooks.set(&c.hooks.before, method, h) }

// After sets the hook that runs once a method was processed, whose answer it can lose; nil removes it.
func (c *Cluster) After(method string, h Hook) { c.hooks.set(&c.hooks.after, method, h) }

func (t *hookTable) set(table *map[string]Hook, method string, h Hook) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if *table == nil {
		*table = map[string]Hook{}
	}
	(*table)[method] = h
}

func (t *hookTable) run(ctx context.Context, table *map[string]Hook, call Call) error {
	t.mu.Lock()
	h := (*table)[call.Method]
	t.mu.Unlock()
	if h == nil {
		return nil
	}
	return h(ctx, call)
}

// method decodes and answers one method.
type method struct {
	request func() proto.Message
	do      func(caller ipctest.Caller, req proto.Message) (proto.Message, error)
}

func on[R proto.Message](request func() R, do func(ipctest.Caller, R) (proto.Message, error)) method {
	return method{
		request: func() proto.Message { return request() },
		do:      func(caller ipctest.Caller, req proto.Message) (proto.Message, error) { return do(caller, req.(R)) },
	}
}

func (c *Cluster) handler(service string, methods map[string]method) ipctest.Handler {
	return func(ctx context.Context, caller ipctest.Caller, protocol, name string, body []byte) (proto.Message, error) {
		m, ok := methods[name]
		if !ok {
			return nil, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.RpcNoSuchMethodException", Message: "Unknown method " + name + " called on " + protocol + " protocol."}
		}
		req := m.request()
		if err := proto.Unmarshal(body, req); err != nil {
			return nil, fmt.Errorf("decode %s: %w", name, err)
		}
		call := Call{Service: service, Method: name, Caller: caller, Request: req}
		if err := c.hooks.run(ctx, &c.hooks.before, call); err != nil {
			return nil, err
		}
		resp, err := m.do(caller, req)
		if err != nil {
			return nil, err
		}
		call.Response = resp
		if err := c.hooks.run(ctx, &c.hooks.after, call); err != nil {
			return nil, err
		}
		return resp, nil
	}
}

// capability is a node's size.
func (c *Cluster) capability() *yarnpb.ResourceProto {
	return resource(c.cfg.NodeMemoryMB, c.cfg.NodeVCores)
}

func (c *Cluster) maximum() *yarnpb.ResourceProto {
	return resource(c.cfg.MaxMemoryMB, c.cfg.NodeVCores)
}

// resource writes both forms, as servers do.
func resource(memoryMB int64, vcores int32) *yarnpb.ResourceProto {
	info := func(key, units string, value int64) *yarnpb.ResourceInformationProto {
		return yarnpb.ResourceInformationProto_builder{
			Key: &key, Units: &units, Value: &value, Type: yarnpb.ResourceTypesProto_COUNTABLE.Enum(),
		}.Build()
	}
	return yarnpb.ResourceProto_builder{
		Memory: &memoryMB, VirtualCores: &vcores,
		ResourceValueMap: []*yarnpb.ResourceInformationProto{info("memory-mb", "Mi", memoryMB), info("vcores", "", int64(vcores))},
	}.Build()
}
