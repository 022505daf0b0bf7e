package ipc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/sasl"
	"github.com/flott-dev/flott/yarn/token"
)

const protocol = "org.example.EchoPB"

// text is the message of these tests: one string.
func text(s string) *commonpb.GetDelegationTokenRequestProto {
	m := &commonpb.GetDelegationTokenRequestProto{}
	m.SetRenewer(s)
	return m
}

func decode(t testing.TB, req []byte) string {
	m := &commonpb.GetDelegationTokenRequestProto{}
	if err := proto.Unmarshal(req, m); err != nil {
		t.Errorf("server: %v", err)
	}
	return m.GetRenewer()
}

func serve(t testing.TB, cfg ipctest.Config) *ipctest.Server {
	t.Helper()
	s, err := ipctest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// echo answers with what it got.
func echo(t testing.TB) ipctest.Handler {
	return func(_ context.Context, _ ipctest.Caller, _, _ string, req []byte) (proto.Message, error) {
		return text(decode(t, req)), nil
	}
}

func client(t testing.TB, cfg ipc.Config) *ipc.Client {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	c := ipc.New(cfg)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func call(ctx context.Context, c *ipc.Client, peer ipc.Peer, method, req string, opts ...ipc.Option) (string, error) {
	resp := &commonpb.GetDelegationTokenRequestProto{}
	err := c.Call(ctx, peer, method, text(req), resp, opts...)
	return resp.GetRenewer(), err
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestCallTellsWhoCalls(t *testing.T) {
	var got atomic.Pointer[ipctest.Caller]
	s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, c ipctest.Caller, protocol, method string, req []byte) (proto.Message, error) {
		got.Store(&c)
		return text(protocol + " " + method + " " + decode(t, req)), nil
	}})
	c := client(t, ipc.Config{})
	answer, err := call(t.Context(), c, ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "alice", RealUser: "proxy"}, "echo", "hi")
	if err != nil || answer != protocol+" echo hi" {
		t.Fatalf("got %q, %v", answer, err)
	}
	caller := got.Load()
	if caller.User != "alice" || caller.RealUser != "proxy" || caller.Protocol != protocol || caller.Identifier != nil || len(caller.ClientID) != 16 || caller.Retry != 0 {
		t.Errorf("caller: got %+v", caller)
	}
}

func TestAnswersInAnyOrderOnOneConnection(t *testing.T) {
	const n = 50
	var arrived sync.WaitGroup
	arrived.Add(n)
	s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, _ ipctest.Caller, _, _ string, req []byte) (proto.Message, error) {
		arrived.Done()
		arrived.Wait() // so all calls are under way at once
		return text(decode(t, req)), nil
	}})
	c := client(t, ipc.Config{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			want := fmt.Sprint(i)
			if got, err := call(t.Context(), c, ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a"}, "echo", want); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	if _, total := s.Connections(); total != 1 {
		t.Errorf("connections: got %d, want 1", total)
	}
}

func TestCancelEndsOneCallOnly(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{}, 2)
	s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, _ ipctest.Caller, _, method string, req []byte) (proto.Message, error) {
		if method == "slow" {
			arrived <- struct{}{}
			<-release
		}
		return text(decode(t, req)), nil
	}})
	c := client(t, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a"}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled, other := make(chan error, 1), make(chan error, 1)
	go func() { _, err := call(ctx, c, peer, "slow", "1"); cancelled <- err }()
	go func() { _, err := call(t.Context(), c, peer, "slow", "2"); other <- err }()
	<-arrived
	<-arrived
	cancel()
	err := <-cancelled
	if !errors.Is(err, context.Canceled) || !ipc.Unknown(err) || ipc.NotSent(err) {
		t.Errorf("cancelled call: got %v, want Canceled with an unknown outcome", err)
	}
	close(release)
	if err := <-other; err != nil {
		t.Errorf("other call: %v", err)
	}
	if got, err := call(t.Context(), c, peer, "echo", "3"); err != nil || got != "3" {
		t.Errorf("next call: got %q, %v", got, err)
	}
	if _, total := s.Connections(); total != 1 {
		t.Errorf("connections: got %d, want 1", total)
	}
}

func TestTokenWithEachProtection(t *testing.T) {
	tok := &token.Token{Identifier: []byte("appattempt"), Password: token.Secret("secret"), Kind: token.AMRM}
	passwords := func(id []byte) ([]byte, error) {
		if string(id) != "appattempt" {
			return nil, errors.New("unknown")
		}
		return []byte("secret"), nil
	}
	tests := []struct {
		name           string
		client, server []sasl.QOP
		cipher         []string
	}{
		{"auth", nil, nil, nil},
		{"integrity", []sasl.QOP{sasl.AuthInt}, []sasl.QOP{sasl.AuthInt, sasl.Auth}, nil},
		{"privacy rc4", []sasl.QOP{sasl.AuthConf}, []sasl.QOP{sasl.AuthConf}, []string{"rc4"}},
		{"privacy 3des", []sasl.QOP{sasl.AuthConf}, []sasl.QOP{sasl.AuthConf}, []string{"3des"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, ipctest.Config{Password: passwords, Protection: tt.server, Ciphers: tt.cipher, Handle: func(_ context.Context, c ipctest.Caller, _, _ string, req []byte) (proto.Message, error) {
				if string(c.Identifier) != "appattempt" || c.User != "" {
					t.Errorf("caller: got %+v", c)
				}
				return text(decode(t, req)), nil
			}})
			c := client(t, ipc.Config{Protection: tt.client})
			peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "ignored", Token: tok}
			var wg sync.WaitGroup
			for _, size := range []int{0, 1, 65_000, 65_536, 300_000} {
				wg.Go(func() {
					want := strings.Repeat("x", size)
					if got, err := call(t.Context(), c, peer, "echo", want); err != nil || got != want {
						t.Errorf("%d bytes: got %d, %v", size, len(got), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestServerRefusesConnection(t *testing.T) {
	good := &token.Token{Identifier: []byte("id"), Password: token.Secret("secret"), Kind: token.NM}
	bad := &token.Token{Identifier: []byte("id"), Password: token.Secret("guess"), Kind: token.NM}
	passwords := func([]byte) ([]byte, error) { return []byte("secret"), nil }
	standby := func([]byte) ([]byte, error) {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.StandbyException", Message: "not me"}
	}
	tests := []struct {
		name    string
		cfg     ipctest.Config
		token   *token.Token
		want    error
		refused bool
	}{
		{"SIMPLE at a token-only port", ipctest.Config{Password: passwords}, nil, ipc.ErrAccessControl, true},
		{"wrong password", ipctest.Config{Password: passwords}, bad, ipc.ErrInvalidToken, true},
		{"standby inside SASL", ipctest.Config{Password: standby}, good, ipc.ErrStandby, true},
		{"service ACL", ipctest.Config{Simple: true, Authorize: func(ipctest.Caller) error { return errors.New("no") }}, nil, ipc.ErrAccessControl, true},
		{"token at a SIMPLE-only server", ipctest.Config{Simple: true}, good, sasl.ErrNoMethod, false},
		{"no common protection", ipctest.Config{Password: passwords, Protection: []sasl.QOP{sasl.AuthConf}}, good, sasl.ErrNoMethod, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Handle = echo(t)
			s := serve(t, tt.cfg)
			_, err := call(t.Context(), client(t, ipc.Config{}), ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a", Token: tt.token}, "echo", "x", ipc.Retry(ipc.RetryPolicy{Tries: 1}))
			if !errors.Is(err, tt.want) || ipc.Refused(err) != tt.refused || ipc.Unknown(err) {
				t.Errorf("got %v (refused %v), want %v (refused %v)", err, ipc.Refused(err), tt.want, tt.refused)
			}
			if got, want := ipc.Unreachable(err), errors.Is(err, ipc.ErrStandby); got != want {
				t.Errorf("unreachable: got %v, want %v", got, want)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, err = call(t.Context(), client(t, ipc.Config{}), ipc.Peer{Addr: addr}, "echo", "x")
	if !errors.Is(err, syscall.ECONNREFUSED) || !ipc.NotSent(err) || !ipc.Unreachable(err) {
		t.Errorf("got %v, want a refused connection, not sent", err)
	}
}

func TestConnectionsByIdentity(t *testing.T) {
	s := serve(t, ipctest.Config{Simple: true, Password: func([]byte) ([]byte, error) { return []byte("p"), nil }, Handle: echo(t)})
	c := client(t, ipc.Config{})
	tok := func(id string) *token.Token { return &token.Token{Identifier: []byte(id), Password: token.Secret("p")} }
	peers := []ipc.Peer{
		{Addr: s.Addr(), Protocol: protocol, User: "alice"},
		{Addr: s.Addr(), Protocol: protocol, User: "bob"},
		{Addr: s.Addr(), Protocol: "other", User: "alice"},
		{Addr: s.Addr(), Protocol: protocol, Token: tok("1")},
		{Addr: s.Addr(), Protocol: protocol, Token: tok("2")},
	}
	again := ipc.Peer{Addr: s.Addr(), Protocol: protocol, Token: tok("2"), User: "whoever"} // an equal token, another pointer
	for _, p := range append(append(peers, peers...), again) {
		if _, err := call(t.Context(), c, p, "echo", "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, total := s.Connections(); total != len(peers) {
		t.Errorf("connections: got %d, want %d", total, len(peers))
	}
}

func TestOneDialForManyCallers(t *testing.T) {
	s := serve(t, ipctest.Config{Simple: true, Handle: echo(t)})
	const n = 20
	var dials atomic.Int32
	waiting := make(chan struct{})
	c := client(t, ipc.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		<-waiting
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	var started, wg sync.WaitGroup
	started.Add(n)
	for range n {
		wg.Go(func() {
			started.Done()
			if _, err := call(t.Context(), c, ipc.Peer{Addr: s.Addr(), Protocol: protocol}, "echo", "x"); err != nil {
				t.Error(err)
			}
		})
	}
	started.Wait()
	close(waiting)
	wg.Wait()
	if got := dials.Load(); got != 1 {
		t.Errorf("dials: got %d, want 1", got)
	}
}

func TestCallerLeavesASlowDial(t *testing.T) {
	dialling := make(chan struct{})
	c := client(t, ipc.Config{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := call(ctx, c, ipc.Peer{Addr: "x:1"}, "echo", "x"); done <- err }()
	<-dialling
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !ipc.NotSent(err) {
		t.Errorf("got %v, want Canceled, not sent", err)
	}
}

func TestDialTimesOut(t *testing.T) {
	c := client(t, ipc.Config{ConnectTimeout: 10 * time.Millisecond, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	_, err := call(t.Context(), c, ipc.Peer{Addr: "x:1"}, "echo", "x")
	if !errors.Is(err, ipc.ErrTimeout) || !ipc.NotSent(err) || !ipc.Unreachable(err) {
		t.Errorf("got %v, want ErrTimeout, not sent", err)
	}
}

func TestHandshakeTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := client(t, ipc.Config{ConnectTimeout: 20 * time.Millisecond})
	_, err = call(t.Context(), c, ipc.Peer{Addr: l.Addr().String(), Token: &token.Token{}}, "echo", "x")
	if !errors.Is(err, ipc.ErrTimeout) || !ipc.NotSent(err) {
		t.Errorf("got %v, want ErrTimeout, not sent", err)
	}
}

func TestIdleConnectionCloses(t *testing.T) {
	s := serve(t, ipctest.Config{Simple: true, Handle: echo(t)})
	c := client(t, ipc.Config{IdleTimeout: time.Millisecond})
	for i := range 3 {
		if _, err := call(t.Context(), c, ipc.Peer{Addr: s.Addr(), Protocol: protocol}, "echo", "x"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "idle connection closed", func() bool { open, total := s.Connections(); return open == 0 && total > i })
	}
}

func TestPingsASilentServer(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		close(arrived)
		<-release
		return text("late"), nil
	}})
	c := client(t, ipc.Config{PingInterval: time.Millisecond})
	done := make(chan error, 1)
	go func() {
		_, err := call(t.Context(), c, ipc.Peer{Addr: s.Addr(), Protocol: protocol}, "echo", "x")
		done <- err
	}()
	<-arrived
	eventually(t, "pings", func() bool { return s.Pings() >= 3 })
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSilentConnectionIsReplaced(t *testing.T) {
	var calls atomic.Int32
	s := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		if calls.Add(1) == 2 {
			return nil, ipctest.ErrDrop
		}
		return text("ok"), nil
	}})
	c := client(t, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol}
	// The connection is there before the silence begins: on a busy machine opening it takes up the time that counts as silent.
	if _, err := call(t.Context(), c, peer, "echo", "x"); err != nil {
		t.Fatal(err)
	}
	_, err := call(t.Context(), c, peer, "echo", "x", ipc.Timeout(100*time.Millisecond))
	if !errors.Is(err, ipc.ErrTimeout) || !ipc.Unknown(err) {
		t.Fatalf("got %v, want ErrTimeout with an unknown outcome", err)
	}
	if _, err := call(t.Context(), c, peer, "echo", "x"); err != nil {
		t.Fatal(err)
	}
	if _, total := s.Connections(); total != 2 {
		t.Errorf("connections: got %d, want 2", total)
	}
}

func TestCloseFailsCalls(t *testing.T) {
	arrived := make(chan struct{})
	s := serve(t, ipctest.Config{Simple: true, Handle: func(ctx context.Context, _ ipctest.Caller, _, _ string, _ []byte) (proto.Message, error) {
		close(arrived)
		<-ctx.Done()
		return nil, ipctest.ErrDrop
	}})
	c := client(t, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol}
	done := make(chan error, 1)
	go func() { _, err := call(t.Context(), c, peer, "echo", "x"); done <- err }()
	<-arrived
	_ = c.Close()
	if err := <-done; !errors.Is(err, ipc.ErrClosed) || !ipc.Unknown(err) || ipc.Unreachable(err) {
		t.Errorf("call under way: got %v, want ErrClosed", err)
	}
	if _, err := call(t.Context(), c, peer, "echo", "x"); !errors.Is(err, ipc.ErrClosed) || !ipc.NotSent(err) {
		t.Errorf("call after Close: got %v, want ErrClosed, not sent", err)
	}
}

func TestValidate(t *testing.T) {
	err := ipc.Config{CallTimeout: -1, MaxResponse: -1}.Validate()
	if err == nil || !strings.Contains(err.Error(), "call timeout") || !strings.Contains(err.Error(), "largest response") {
		t.Errorf("got %v, want both faults", err)
	}
}

func BenchmarkCall(b *testing.B) {
	s := serve(b, ipctest.Config{Simple: true, Handle: echo(b)})
	c := client(b, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := call(b.Context(), c, peer, "echo", "a request"); err != nil {
			b.Fatal(err)
		}
	}
}
