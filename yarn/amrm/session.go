package amrm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Caller makes one call of ApplicationMasterProtocol on the YARN RM that is active, authenticated by tok. It does
// not repeat a call that may have been processed; the session does. NewCaller makes the real one.
type Caller interface {
	Call(ctx context.Context, tok *token.Token, method string, req, resp proto.Message) error
}

// Config configures a Session. Caller, Token and OnEvent are required.
type Config struct {
	Caller Caller
	// Token is the attempt's AMRM token: kind YARN_AM_RM_TOKEN of the credentials file, for an unmanaged AM
	// ApplicationReport.am_rm_token.
	Token *token.Token
	// ReloadToken is asked once when the YARN RM refuses the newest token known; nil when there is no other source.
	ReloadToken func(ctx context.Context) (*token.Token, error)
	// OnEvent receives every event, in order, on the session's goroutine. It must not block.
	OnEvent func(Event)
	// HeartbeatInterval is the pause while nothing is asked for; yarn.heartbeat.interval, default 5 s. It must be
	// well below the YARN RM's yarn.am.liveness-monitor.expiry-interval-ms.
	HeartbeatInterval time.Duration
	// RequestInterval is the pause while containers are outstanding, after the first seconds;
	// yarn.heartbeat.container-request-interval, default 500 ms.
	RequestInterval time.Duration
	// CallTimeout bounds one call; default 30 s. After it the call is sent again, which is safe.
	CallTimeout time.Duration
	Log         *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.HeartbeatInterval == 0 {
		c.HeartbeatInterval = 5 * time.Second
	}
	if c.RequestInterval == 0 {
		c.RequestInterval = 500 * time.Millisecond
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
	case c.Caller == nil:
		return errors.New("amrm: no caller")
	case c.OnEvent == nil:
		return errors.New("amrm: no event handler")
	case c.HeartbeatInterval < 0 || c.RequestInterval < 0 || c.CallTimeout < 0:
		return errors.New("amrm: negative interval")
	}
	return nil
}

// Address is what the AM publishes in YARN.
type Address struct {
	Host        string // NM_HOST
	RPCPort     int    // the REST port
	TrackingURL string // web page, absolute; "" shows YARN's own page
}

// Session is an attempt's tie to the YARN RM. Make it with New, end it with Unregister or leave it with Close.
type Session struct {
	cfg    Config
	tokens *NMTokenCache
	cancel context.CancelFunc
	done   chan struct{} // the goroutine has returned
	wake   chan struct{} // capacity 1: the inbox has something

	mu      sync.Mutex
	inbox   []any
	started bool // Register was called

	joined chan struct{} // closed once reg is set
	reg    Registration
	ended  chan struct{} // closed once cause is set
	cause  error         // nil after a successful Unregister
}

// New makes a session and starts its goroutine; nothing is sent before Register. Close must be called.
func New(cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Session{
		cfg:    cfg,
		tokens: NewNMTokenCache(),
		cancel: cancel,
		done:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
		joined: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go s.run(ctx)
	return s, nil
}

// Register registers the attempt and starts the heartbeat. It waits, over restarts of the YARN RM, for an answer, for
// the end of the session (the cause of Terminated) or for ctx; the session itself goes on trying after ctx.
func (s *Session) Register(ctx context.Context, a Address) (Registration, error) {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
	s.post(cmdRegister{registerRequest{host: a.Host, rpcPort: int32(a.RPCPort), trackingURL: a.TrackingURL}})
	select {
	case <-s.joined:
		return s.reg, nil
	case <-s.ended:
		return Registration{}, fmt.Errorf("register application master: %w", s.cause)
	case <-s.done:
		return Registration{}, ErrClosed
	case <-ctx.Done():
		return Registration{}, fmt.Errorf("register application master: %w", context.Cause(ctx))
	}
}

// SetAsk states the outstanding number of one kind of container; see Ask. An allocate goes out at once when it
// differs from what is outstanding.
func (s *Session) SetAsk(a Ask) { s.post(cmdAsk{a}) }

// Release gives containers back, running or not. For some no Completed ever follows (after a restart of the YARN RM).
func (s *Session) Release(ids ...yarnid.ContainerID) { s.post(cmdRelease{ids}) }

// Expect makes the session look often, for some seconds, whether a container has ended.
func (s *Session) Expect(id yarnid.ContainerID) { s.post(cmdExpect{id}) }

// Blacklist adds and removes hosts (names without port) on which nothing shall be allocated. It starts empty.
func (s *Session) Blacklist(add, remove []string) { s.post(cmdBlacklist{add, remove}) }

// SetProgress sets what the next heartbeats report, between 0 and 1.
func (s *Session) SetProgress(p float32) { s.post(cmdProgress{p}) }

// NMTokens is the attempt's tokens for NodeManagers.
func (s *Session) NMTokens() *NMTokenCache { return s.tokens }

// Unregister ends the application in YARN. It stops the heartbeat and repeats the call until the YARN RM has stored
// the final state, the session ended otherwise, or ctx is done; the session goes on trying after ctx.
func (s *Session) Unregister(ctx context.Context, status FinalStatus, diagnostics, trackingURL string) error {
	s.mu.Lock()
	started := s.started
	s.mu.Unlock()
	if !started {
		return fmt.Errorf("unregister application master: %w", ErrNotRegistered)
	}
	s.post(cmdUnregister{finishRequest{status: status, diagnostics: diagnostics, trackingURL: trackingURL}})
	select {
	case <-s.ended:
		if s.cause != nil {
			return fmt.Errorf("unregister application master: %w", s.cause)
		}
		return nil
	case <-s.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("unregister application master: %w", context.Cause(ctx))
	}
}

// Close stops the goroutine and waits for it. Nothing is told to the YARN RM.
func (s *Session) Close() {
	s.cancel()
	<-s.done
}

func (s *Session) post(input any) {
	s.mu.Lock()
	s.inbox = append(s.inbox, input)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Session) take() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.inbox
	s.inbox = nil
	return in
}

// run owns the core. Ends of calls come through the inbox like everything else.
func (s *Session) run(ctx context.Context) {
	defer close(s.done)
	c := newCore(s.cfg.HeartbeatInterval, s.cfg.RequestInterval, s.cfg.Token)
	var calls sync.WaitGroup
	defer calls.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		inputs := s.take()
		if len(inputs) == 0 {
			inputs = []any{tick{}}
		}
		for _, in := range inputs {
			for _, eff := range c.Step(time.Now(), in) {
				s.perform(ctx, &calls, eff)
			}
		}
		timer.Stop()
		if due, ok := c.Deadline(); ok {
			timer.Reset(time.Until(due))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

func (s *Session) perform(ctx context.Context, calls *sync.WaitGroup, eff effect) {
	switch e := eff.(type) {
	case callEffect:
		calls.Go(func() { s.post(s.call(ctx, e)) })
	case reloadToken:
		calls.Go(func() { s.post(s.reload(ctx)) })
	case joined:
		s.reg = e.reg
		close(s.joined)
	case storeTokens:
		s.tokens.store(e.tokens)
	case notify:
		s.deliver(e.event)
	}
}

func (s *Session) deliver(event Event) {
	switch e := event.(type) {
	case Terminated:
		s.cause = e.Cause
		defer close(s.ended)
		s.cfg.Log.Error("yarn session terminated", "cause", e.Cause)
	case Unregistered:
		defer close(s.ended)
	case Trouble:
		s.cfg.Log.Warn("resource manager does not answer", "cause", e.Cause)
	case Recovered:
		s.cfg.Log.Info("resource manager answers again")
	case Reregistered:
		s.cfg.Log.Info("registered again after a restart of the resource manager")
	case AskRejected:
		s.cfg.Log.Warn("ask rejected", "priority", e.Ask.Priority, "memoryMB", e.Ask.MemoryMB, "vcores", e.Ask.VCores,
			"reason", e.Reason)
	}
	s.cfg.OnEvent(event)
}

func (s *Session) reload(ctx context.Context) tokenReloaded {
	if s.cfg.ReloadToken == nil {
		return tokenReloaded{}
	}
	tok, err := s.cfg.ReloadToken(ctx)
	if err != nil {
		s.cfg.Log.Warn("cannot reload the AMRM token", "cause", err)
	}
	return tokenReloaded{tok: tok, ok: err == nil}
}

// call makes one call and returns its end as an input of the core.
func (s *Session) call(ctx context.Context, e callEffect) any {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	switch {
	case e.register != nil:
		resp, err := register(ctx, s.cfg.Caller, e.tok, e.register)
		return registerDone{resp, classify(err)}
	case e.allocate != nil:
		resp, err := allocate(ctx, s.cfg.Caller, e.tok, e.allocate)
		return allocateDone{resp, classify(err)}
	default:
		unregistered, err := finish(ctx, s.cfg.Caller, e.tok, e.finish)
		return finishDone{unregistered, classify(err)}
	}
}
