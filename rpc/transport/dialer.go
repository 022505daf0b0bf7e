package transport

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
)

// DialerConfig is what NewDialer may be told; zero fields have the defaults.
type DialerConfig struct {
	TLS        *tls.Config // from rpc/security; nil: plain text
	MaxMessage int         // bytes (16 MiB)
	Stream     gateway.StreamConfig
	Idle       time.Duration // a connection without calls and streams is closed after this (2 s): what is said in calls is said together
}

// NewDialer returns a dialer over TCP. It connects when a call needs it.
func NewDialer(cfg DialerConfig) gateway.Dialer {
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	if cfg.Stream.MaxMessage == 0 {
		cfg.Stream.MaxMessage = cfg.MaxMessage
	}
	if cfg.Idle == 0 {
		cfg.Idle = 2 * time.Second
	}
	d := &dialer{cfg: cfg, conns: map[string]*conn{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.opts = []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithReadBufferSize(bufferSize), grpc.WithWriteBufferSize(bufferSize),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxMessage+slack), grpc.MaxCallSendMsgSize(cfg.MaxMessage+slack)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout, PermitWithoutStream: true}),
		grpc.WithStatsHandler(sentHandler{}),
	}
	if cfg.TLS != nil {
		d.opts[0] = grpc.WithTransportCredentials(credentials.NewTLS(cfg.TLS))
	}
	return d
}

type dialer struct {
	cfg    DialerConfig
	opts   []grpc.DialOption
	ctx    context.Context // of streams; ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	conns   map[string]*conn
	running sync.WaitGroup // calls, and goroutines of streams; calls begin under mu while not closed
}

// conn is the shared connection to one address.
type conn struct {
	cc   *grpc.ClientConn
	used int         // calls and streams
	idle *time.Timer // runs while used is 0
}

// Close ends all calls and streams, waits for their goroutines and closes the connections.
func (d *dialer) Close() error {
	d.mu.Lock()
	d.closed = true
	d.cancel()
	d.mu.Unlock()
	d.running.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for addr, c := range d.conns {
		c.idle.Stop()
		c.cc.Close()
		delete(d.conns, addr)
	}
	return nil
}

// acquire returns the connection to addr; release must be called when the call or stream is over.
func (d *dialer) acquire(method, addr string) (cc *grpc.ClientConn, release func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, nil, &rpc.Error{Code: rpc.Stopped, Method: method, Msg: "the dialer is closed", Outcome: rpc.OutcomeNotSent}
	}
	c := d.conns[addr]
	if c == nil {
		cc, err := grpc.NewClient("passthrough:///"+addr, d.opts...)
		if err != nil {
			return nil, nil, &rpc.Error{Code: rpc.Invalid, Method: method, Msg: "connect to " + addr, Cause: err, Outcome: rpc.OutcomeNotSent}
		}
		c = &conn{cc: cc}
		c.idle = time.AfterFunc(d.cfg.Idle, func() { d.evict(addr, c) })
		d.conns[addr] = c
	}
	c.idle.Stop()
	c.used++
	d.running.Add(1)
	return c.cc, sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		c.used--
		if c.used == 0 {
			c.idle.Reset(d.cfg.Idle)
		}
		d.running.Done()
	}), nil
}

func (d *dialer) evict(addr string, c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.used == 0 && d.conns[addr] == c {
		delete(d.conns, addr)
		c.cc.Close()
	}
}

func (d *dialer) ResourceManager(addr string) gateway.ResourceManager {
	return remoteResourceManager{remote{d, addr}}
}
func (d *dialer) JobMaster(addr string) gateway.JobMaster { return remoteJobMaster{remote{d, addr}} }
func (d *dialer) TaskExecutor(addr string) gateway.TaskExecutor {
	return remoteTaskExecutor{remote{d, addr}}
}
