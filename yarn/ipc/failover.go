package ipc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
)

// FailoverConfig describes a service that runs on one address, or on several of which one is active.
type FailoverConfig struct {
	// Name is what people call the service: "YARN ResourceManager".
	Name string
	// Addrs are host:port, in the order of preference. At least one.
	Addrs []string
	// Patience is how long a call looks for an answer over all addresses; default 15 s. The context may end it sooner.
	Patience time.Duration
	// Base and Max of the pause after a round over all addresses; defaults 500 ms and 2 s.
	Base, Max time.Duration
	Log       *slog.Logger
}

// Failover makes calls to whichever address is active. It stays with an address until that one fails; a standby that refuses connections (YARN)
// or says so (HDFS) costs no pause. May be used from any goroutine.
type Failover struct {
	client *Client
	cfg    FailoverConfig

	mu      sync.Mutex
	current int
}

// NewFailover is a failover over cfg.Addrs that makes its calls through client.
func NewFailover(client *Client, cfg FailoverConfig) (*Failover, error) {
	if len(cfg.Addrs) == 0 {
		return nil, fmt.Errorf("no address of the %s is known", cfg.Name)
	}
	if cfg.Patience == 0 {
		cfg.Patience = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Failover{client: client, cfg: cfg}, nil
}

// Current is the address that the next call tries first.
func (f *Failover) Current() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cfg.Addrs[f.current]
}

// rotate moves on from an address that failed, unless another call already did.
func (f *Failover) rotate(failed string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cfg.Addrs[f.current] == failed {
		f.current = (f.current + 1) % len(f.cfg.Addrs)
	}
}

// UnavailableError says that no address of a service answered in time.
type UnavailableError struct {
	Name   string
	Addrs  []string
	Waited time.Duration
	Last   error // the last try's
}

// Error is one sentence for people.
func (e *UnavailableError) Error() string {
	cause := e.Last
	var c *CallError
	if errors.As(cause, &c) {
		cause = c.Err
	}
	return fmt.Sprintf("the %s at %s does not answer (tried for %s): %v", e.Name, strings.Join(e.Addrs, ", "), e.Waited.Round(100*time.Millisecond), cause)
}

// Unwrap is the last try's error, which says whether the call was sent.
func (e *UnavailableError) Unwrap() error { return e.Last }

// Call is Client.Call with the address chosen here (peer.Addr is ignored), repeated over the addresses until one answers or patience ends, which
// is an *UnavailableError. All tries carry the same call id. A call whose outcome is Unknown is repeated too: YARN's methods are idempotent
// or guarded by a response id. Option Retry is not used here.
func (f *Failover) Call(ctx context.Context, peer Peer, method string, req, resp proto.Message, opts ...Option) error {
	o := options{timeout: f.client.cfg.CallTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	o.timeout = min(o.timeout, f.cfg.Patience/time.Duration(len(f.cfg.Addrs))) // one that hangs leaves time for the others
	begin := time.Now()
	deadline := begin.Add(f.cfg.Patience)
	id := f.client.nextCallID()
	var last error
	sent := false
	for try := 0; ; try++ {
		peer.Addr = f.Current()
		wait := o.timeout
		if try > 0 {
			wait = min(wait, time.Until(deadline))
		}
		err := f.client.try(ctx, attempt{&peer, method, id, try, wait, o.timeout}, req, resp)
		sent = sent || Unknown(err)
		if err == nil || ctx.Err() != nil || !Unreachable(err) {
			return asSent(err, sent)
		}
		if last == nil || time.Now().Before(deadline) {
			last = err // else patience ended within the try: what it found before tells more
		}
		if !errors.Is(err, ErrRetriable) {
			f.rotate(peer.Addr)
		}
		f.cfg.Log.Debug("hadoop service does not answer", "service", f.cfg.Name, "addr", peer.Addr, "method", method, "try", try, "error", err)
		if !f.pause(ctx, deadline, try, err) {
			if ctx.Err() != nil {
				return asSent(err, sent)
			}
			return &UnavailableError{f.cfg.Name, f.cfg.Addrs, time.Since(begin), asSent(last, sent)}
		}
	}
}

// pause waits after each full round over the addresses; it reports false when time is up.
func (f *Failover) pause(ctx context.Context, deadline time.Time, try int, err error) bool {
	round, last := try/len(f.cfg.Addrs), try%len(f.cfg.Addrs) == len(f.cfg.Addrs)-1
	if !last && !errors.Is(err, ErrRetriable) {
		return ctx.Err() == nil && time.Now().Before(deadline)
	}
	wait, left := backoff(f.cfg.Base, f.cfg.Max, round), time.Until(deadline)
	return sleep(ctx, min(wait, left)) && wait < left
}
