package nm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Caller makes one call of ContainerManagementProtocol on a node, over a connection authenticated by tok.
// NewCaller makes the real one.
type Caller interface {
	Call(ctx context.Context, node yarnid.NodeID, tok *token.Token, method string, req, resp proto.Message) error
}

// Tokens gives a node's newest NM token; amrm.NMTokenCache is one.
type Tokens interface {
	NMToken(node yarnid.NodeID) (*token.Token, bool)
}

// Config configures a Client. Caller and Tokens are required.
type Config struct {
	Caller Caller
	Tokens Tokens
	// Parallel bounds the nodes talked to at once, over all calls; default 64.
	Parallel int
	// Budget bounds how long one node is tried while it cannot be reached or is not ready; default 60 s.
	Budget time.Duration
	// RetryInterval is the first pause between tries, doubling up to ten times itself; default 500 ms.
	RetryInterval time.Duration
	// CallTimeout bounds one call; default 30 s.
	CallTimeout time.Duration
	Log         *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Parallel == 0 {
		c.Parallel = 64
	}
	if c.Budget == 0 {
		c.Budget = time.Minute
	}
	if c.RetryInterval == 0 {
		c.RetryInterval = 500 * time.Millisecond
	}
	if c.CallTimeout == 0 {
		c.CallTimeout = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports what is missing or makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Caller == nil || c.Tokens == nil:
		return errors.New("nm: no caller or no tokens")
	case c.Parallel < 0 || c.Budget < 0 || c.RetryInterval < 0 || c.CallTimeout < 0:
		return errors.New("nm: negative bound")
	}
	return nil
}

// Target is a container on its node.
type Target struct {
	ID   yarnid.ContainerID
	Node yarnid.NodeID
}

// StartRequest asks to start a granted container.
type StartRequest struct {
	Target
	Token   *token.Token // the container's token
	Context *yarnpb.ContainerLaunchContextProto
}

// Result is the end of one request; Err is nil when the node accepted it.
type Result struct {
	Target
	Err error
}

// State is a container's state at its node. Java: ContainerState.
type State string

// States.
const (
	StateNew      State = "NEW"
	StateRunning  State = "RUNNING" // also while its files are downloaded
	StateComplete State = "COMPLETE"
)

// Status is what a node says about a container; the other fields count only when Err is nil.
type Status struct {
	Target
	State       State
	ExitStatus  int // -1000 until it completed
	Diagnostics string
	Err         error
}

// Client talks to NodeManagers. Safe for concurrent use; it holds no goroutine between calls.
type Client struct {
	cfg   Config
	slots chan struct{}
}

// New makes a client.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, slots: make(chan struct{}, cfg.Parallel)}, nil
}

// Start starts containers. report gets one result per request, never two at a time.
func (c *Client) Start(ctx context.Context, requests []StartRequest, report func(Result)) {
	var mu sync.Mutex
	each(ctx, c, requests, func(r StartRequest) Target { return r.Target }, func(ctx context.Context, b []StartRequest) {
		results := c.startBatch(ctx, b)
		mu.Lock()
		defer mu.Unlock()
		for _, r := range results {
			report(r)
		}
	})
}

// Stop kills containers: SIGTERM to their process groups, 250 ms later SIGKILL. A container the node does not know
// gets ErrUnknownContainer.
func (c *Client) Stop(ctx context.Context, targets []Target, report func(Result)) {
	var mu sync.Mutex
	each(ctx, c, targets, func(t Target) Target { return t }, func(ctx context.Context, b []Target) {
		results := c.stopBatch(ctx, b)
		mu.Lock()
		defer mu.Unlock()
		for _, r := range results {
			report(r)
		}
	})
}

// Statuses asks nodes about containers. One that ended a while ago gets ErrEnded or ErrUnknownContainer.
func (c *Client) Statuses(ctx context.Context, targets []Target, report func(Status)) {
	var mu sync.Mutex
	each(ctx, c, targets, func(t Target) Target { return t }, func(ctx context.Context, b []Target) {
		results := c.statusBatch(ctx, b)
		mu.Lock()
		defer mu.Unlock()
		for _, s := range results {
			report(s)
		}
	})
}

// maxBatch bounds the containers of one call: launch contexts hold tokens and may be large.
const maxBatch = 50

// each runs do for batches of items that share a node, at most Config.Parallel at once, and waits for all.
func each[T any](ctx context.Context, c *Client, items []T, target func(T) Target, do func(context.Context, []T)) {
	byNode := map[yarnid.NodeID][]T{}
	for _, it := range items {
		node := target(it).Node
		byNode[node] = append(byNode[node], it)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, ofNode := range byNode {
		for batch := range slices.Chunk(ofNode, maxBatch) {
			c.slots <- struct{}{} // frees up: calls in progress end with their budget or ctx
			wg.Go(func() {
				defer func() { <-c.slots }()
				do(ctx, batch)
			})
		}
	}
}

// call tries one call until it is answered, ctx ends or the budget is spent. retried tells whether an earlier try may
// have been processed.
func (c *Client) call(ctx context.Context, node yarnid.NodeID, method string, req, resp proto.Message) (retried bool, err error) {
	budget, cancel := context.WithTimeout(ctx, c.cfg.Budget)
	defer cancel()
	fail := func(err error) (bool, error) { return retried, fmt.Errorf("%s at node %s: %w", method, node, err) }
	tok, ok := c.cfg.Tokens.NMToken(node)
	if !ok {
		return fail(ErrNoToken)
	}
	for pause := c.cfg.RetryInterval; ; pause = min(2*pause, 10*c.cfg.RetryInterval) {
		proto.Reset(resp)
		err := c.try(budget, node, tok, method, req, resp)
		if err == nil {
			return retried, nil
		}
		f := classify(err)
		newest, _ := c.cfg.Tokens.NMToken(node)
		switch {
		case errors.Is(f.means, ErrTokenRejected) && !newest.Equal(tok):
			tok, retried = newest, true
			continue
		case f.final && f.means != nil:
			return fail(fmt.Errorf("%w: %w", f.means, err))
		case f.final:
			return fail(err)
		}
		retried = retried || f.unknown
		tok = newest
		c.cfg.Log.Debug("node does not answer", "node", node, "method", method, "cause", err)
		select {
		case <-time.After(pause):
		case <-budget.Done():
			if ctx.Err() != nil {
				return fail(context.Cause(ctx))
			}
			return fail(fmt.Errorf("%w: %w", ErrUnreachable, err))
		}
	}
}

func (c *Client) try(ctx context.Context, node yarnid.NodeID, tok *token.Token, method string, req, resp proto.Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	return c.cfg.Caller.Call(ctx, node, tok, method, req, resp)
}
