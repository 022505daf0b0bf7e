package ipc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/sasl"
	"github.com/flott-dev/flott/yarn/token"
)

// Config of a Client. The zero value of each field is its default.
type Config struct {
	// Dial opens connections; default a net.Dialer with keep-alive.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// ConnectTimeout bounds dialling and the handshake; default 20 s (ipc.client.connect.timeout).
	ConnectTimeout time.Duration
	// CallTimeout bounds one try of a call, beside its context; default 60 s (Java's ipc.client.rpc-timeout.ms: 120 s).
	CallTimeout time.Duration
	// PingInterval is how long a connection with calls under way may be silent before a ping is sent; default 60 s (ipc.ping.interval).
	PingInterval time.Duration
	// IdleTimeout is how long a connection lives without calls; default 10 s (ipc.client.connection.maxidletime).
	IdleTimeout time.Duration
	// MaxResponse is the largest answer accepted, bytes; default 128 MiB (ipc.maximum.response.length).
	MaxResponse int
	// Protection lists the acceptable levels (hadoop.rpc.protection), the best first; default none beyond authentication.
	Protection []sasl.QOP
	// Log gets connections at debug level; default discards.
	Log *slog.Logger
}

// maxRequest is the largest frame that servers accept by default (ipc.maximum.data.length); they close the connection on a larger one.
const maxRequest = 128 << 20

func (c Config) withDefaults() Config {
	if c.Dial == nil {
		d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
		c.Dial = d.DialContext
	}
	for p, d := range map[*time.Duration]time.Duration{
		&c.ConnectTimeout: 20 * time.Second, &c.CallTimeout: time.Minute, &c.PingInterval: time.Minute, &c.IdleTimeout: 10 * time.Second,
	} {
		if *p == 0 {
			*p = d
		}
	}
	if c.MaxResponse == 0 {
		c.MaxResponse = 128 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all that is wrong.
func (c Config) Validate() error {
	var bad []error
	for name, d := range map[string]time.Duration{
		"connect timeout": c.ConnectTimeout, "call timeout": c.CallTimeout, "ping interval": c.PingInterval, "idle timeout": c.IdleTimeout,
	} {
		if d < 0 {
			bad = append(bad, fmt.Errorf("ipc: %s %v is negative", name, d))
		}
	}
	if c.MaxResponse < 0 || c.MaxResponse > math.MaxInt32 {
		bad = append(bad, fmt.Errorf("ipc: largest response %d is not in 0 to %d", c.MaxResponse, math.MaxInt32))
	}
	return errors.Join(bad...)
}

// Peer is a server and who we are towards it. Calls with equal peers share a connection.
type Peer struct {
	Addr     string       // host:port
	Protocol string       // Java name of the interface
	User     string       // whom to act as; ignored with a token, which names its owner
	RealUser string       // who impersonates User, if anyone
	Token    *token.Token // proves who we are; nil means SIMPLE
}

// peerKey is what makes two peers equal: a rolled token is another peer.
type peerKey struct{ addr, protocol, user, realUser, kind, identifier, password string }

func (p *Peer) key() peerKey {
	k := peerKey{addr: p.Addr, protocol: p.Protocol, user: p.User, realUser: p.RealUser}
	if t := p.Token; t != nil {
		k.user, k.realUser, k.kind, k.identifier, k.password = "", "", string(t.Kind), string(t.Identifier), string(t.Password)
	}
	return k
}

// Client makes calls. Its methods may be called from any goroutine.
type Client struct {
	cfg    Config
	id     [16]byte
	calls  atomic.Uint32
	ctx    context.Context // ends dials at Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // dials, readers, writers
	tries  sync.Pool      // of *pending, for use again

	mu     sync.Mutex
	closed bool
	conns  map[peerKey]*slot
}

// slot is a connection in the making or made; conn and err are set before ready is closed.
type slot struct {
	ready chan struct{}
	conn  *conn
	err   error
}

// New is a client without connections. Config must be valid.
func New(cfg Config) *Client {
	c := &Client{cfg: cfg.withDefaults(), conns: map[peerKey]*slot{}, tries: sync.Pool{New: newPending}}
	_, _ = rand.Read(c.id[:]) // never fails
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// Close fails all calls with ErrClosed, closes all connections and waits for their goroutines.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	var open []*conn
	for _, s := range c.conns {
		if s.conn != nil {
			open = append(open, s.conn)
		}
	}
	c.mu.Unlock()
	c.cancel(ErrClosed)
	for _, conn := range open {
		conn.fail(ErrClosed)
	}
	c.wg.Wait()
	return nil
}

// Option changes one call.
type Option func(*options)

type options struct {
	retry   RetryPolicy
	timeout time.Duration
}

// Retry repeats the call by a policy; without it a call is tried once.
func Retry(p RetryPolicy) Option { return func(o *options) { o.retry = p } }

// Timeout bounds each try of the call instead of Config.CallTimeout.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// Call sends req to a method and fills resp, which must be empty. Errors are *CallError: see NotSent, Refused, Unknown, and RemoteError for
// what the server said.
func (c *Client) Call(ctx context.Context, peer Peer, method string, req, resp proto.Message, opts ...Option) error {
	o := options{timeout: c.cfg.CallTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	id := c.nextCallID()
	sent := false
	for try := 0; ; try++ {
		err := c.try(ctx, attempt{&peer, method, id, try, o.timeout, o.timeout}, req, resp)
		sent = sent || Unknown(err)
		if err == nil || !o.retry.again(try, err) || !sleep(ctx, o.retry.delay(try)) {
			return asSent(err, sent)
		}
	}
}

func (c *Client) nextCallID() int32 { return int32(c.calls.Add(1) & math.MaxInt32) }

// attempt is one try of a call.
type attempt struct {
	peer   *Peer
	method string
	id     int32 // the at-most-once key, together with the client's id
	retry  int   // how often it was tried before
	wait   time.Duration
	// silence is how long a connection may say nothing while the call waits for its answer, until new calls are to avoid it.
	silence time.Duration
}

// try sends the call once.
func (c *Client) try(ctx context.Context, a attempt, req, resp proto.Message) error {
	p := c.tries.Get().(*pending)
	err := c.tryAs(ctx, p, &a, req, resp)
	if err != nil {
		err = &CallError{a.peer.Addr, a.method, err, p.sent}
	}
	p.reset()
	c.tries.Put(p) // no connection has it any more
	return err
}

// tryAs leaves in p.sent whether the server may have seen the call.
func (c *Client) tryAs(ctx context.Context, p *pending, a *attempt, req, resp proto.Message) (err error) {
	if p.frame, err = wire.AppendCall(p.frame, c.id[:], a.id, a.retry, a.method, a.peer.Protocol, req); err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	if len(p.frame) > maxRequest {
		return fmt.Errorf("%w: %d bytes", ErrTooLong, len(p.frame))
	}
	if ctx.Err() != nil { // a quick answer might come before anybody looks at ctx
		return context.Cause(ctx)
	}
	p.id = a.id
	p.timer.Reset(a.wait)
	for {
		conn, err := c.connection(ctx, a.peer, p.timer.C)
		if err != nil {
			return err
		}
		if !conn.start(p) {
			continue // closed since we got it; the next round finds another
		}
		select {
		case <-p.done:
		case <-ctx.Done():
			conn.abandon(p, context.Cause(ctx))
			<-p.done
		case <-p.timer.C:
			conn.abandon(p, ErrTimeout)
			conn.suspect(a.silence)
			<-p.done
		}
		if p.err != nil {
			return p.err
		}
		rest, err := wire.CutDelimited(p.payload, resp)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%w: %d bytes behind the answer", ErrFrame, len(rest))
		}
		return err
	}
}

func (c *Client) fillHeader(h *commonpb.RpcRequestHeaderProto, id int32, retry int) {
	h.SetRpcKind(commonpb.RpcKindProto_RPC_PROTOCOL_BUFFER)
	h.SetRpcOp(commonpb.OperationProto_RPC_FINAL_PACKET)
	h.SetCallId(id)
	h.SetClientId(c.id[:])
	h.SetRetryCount(int32(retry))
}

// connection returns the peer's connection, dialling it when there is none. Whoever comes while a dial is under way waits for that one.
func (c *Client) connection(ctx context.Context, peer *Peer, expired <-chan time.Time) (*conn, error) {
	key := peer.key()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	s := c.conns[key]
	if s == nil {
		s = &slot{ready: make(chan struct{})}
		c.conns[key] = s
		p := *peer
		c.wg.Go(func() { c.dial(s, key, &p) })
	}
	c.mu.Unlock()
	select {
	case <-s.ready:
		return s.conn, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-expired:
		return nil, ErrTimeout
	}
}

// dial fills the slot. It outlives the call that began it: others may wait for it.
func (c *Client) dial(s *slot, key peerKey, peer *Peer) {
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.cfg.ConnectTimeout, fmt.Errorf("connect: %w", ErrTimeout))
	defer cancel()
	conn, err := c.open(ctx, peer)
	c.mu.Lock()
	if err == nil && c.closed {
		err = ErrClosed
	}
	s.conn, s.err = conn, err
	if err != nil {
		s.conn = nil
		delete(c.conns, key)
	} else {
		conn.forget = func() { c.forget(key, s) }
		c.wg.Go(conn.read)
		c.wg.Go(conn.write)
	}
	c.mu.Unlock()
	close(s.ready)
	if err != nil && conn != nil {
		_ = conn.nc.Close()
	}
	c.cfg.Log.Debug("hadoop connection", "addr", peer.Addr, "protocol", peer.Protocol, "token", peer.Token, "error", err)
}

// forget makes the next call to the peer dial anew.
func (c *Client) forget(key peerKey, s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns[key] == s {
		delete(c.conns, key)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
