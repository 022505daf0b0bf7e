package ipc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

func TestRemoteErrors(t *testing.T) {
	const yarn = "org.apache.hadoop.yarn.exceptions."
	tests := []struct {
		class string
		is    []error
		not   error
	}{
		{yarn + "ApplicationNotFoundException", []error{ipc.ErrApplicationNotFound, ipc.ErrYARN}, ipc.ErrAttemptNotFound},
		{yarn + "InvalidLabelResourceRequestException", []error{ipc.ErrInvalidLabel, ipc.ErrInvalidResource}, ipc.ErrStandby},
		{yarn + "SomethingNewException", []error{ipc.ErrYARN}, ipc.ErrApplicationNotFound},
		{"org.apache.hadoop.ipc.StandbyException", []error{ipc.ErrStandby}, ipc.ErrYARN},
		{"org.apache.hadoop.security.AccessControlException", []error{ipc.ErrAccessControl, fs.ErrPermission}, fs.ErrExist},
		{"java.io.FileNotFoundException", []error{fs.ErrNotExist}, ipc.ErrYARN},
		{"java.lang.NullPointerException", nil, ipc.ErrYARN},
	}
	for _, tt := range tests {
		t.Run(tt.class, func(t *testing.T) {
			s := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
				return nil, &ipc.RemoteError{Class: tt.class, Message: "two\nlines", Stack: "\tat org.example.A.b(A.java:1)\n\tat c"}
			}})
			_, err := call(t.Context(), client(t, ipc.Config{}), ipc.Peer{Addr: s.Addr()}, "m", "x", ipc.Retry(ipc.RetryPolicy{Tries: 1}))
			for _, want := range tt.is {
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
			if errors.Is(err, tt.not) || !ipc.Refused(err) || ipc.NotSent(err) || ipc.Unknown(err) {
				t.Errorf("got %v (refused %v), want it refused and not %v", err, ipc.Refused(err), tt.not)
			}
			var r *ipc.RemoteError
			if !errors.As(err, &r) || r.Class != tt.class || r.Message != "two\nlines" || !strings.HasPrefix(r.Stack, "\tat org.example") || r.Fatal || r.Code != commonpb.RpcErrorCodeProto_ERROR_APPLICATION {
				t.Errorf("remote error: got %+v", r)
			}
			if strings.Contains(err.Error(), "at org.example") || strings.Contains(err.Error(), "org.apache") {
				t.Errorf("text holds stack or package: %v", err)
			}
		})
	}
}

func TestErrorLeavesConnectionFatalDoesNot(t *testing.T) {
	for _, fatal := range []bool{false, true} {
		s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, _ ipctest.Caller, _, method string, _ []byte) (proto.Message, error) {
			if method == "ok" {
				return text("ok"), nil
			}
			return nil, &ipc.RemoteError{Class: "java.io.IOException", Message: "no", Fatal: fatal}
		}})
		c := client(t, ipc.Config{})
		peer := ipc.Peer{Addr: s.Addr()}
		_, err := call(t.Context(), c, peer, "fail", "x")
		var r *ipc.RemoteError
		if !errors.As(err, &r) || r.Fatal != fatal {
			t.Errorf("got %v, want fatal %v", err, fatal)
		}
		eventually(t, "a working connection", func() bool { _, err := call(t.Context(), c, peer, "ok", "x"); return err == nil })
		if _, total := s.Connections(); total != 1 && !fatal || total < 2 && fatal {
			t.Errorf("fatal %v: connections: got %d", fatal, total)
		}
	}
}

// keys records the at-most-once keys a server saw.
type keys struct {
	mu   sync.Mutex
	seen []string
}

// list is a copy of what was seen.
func (k *keys) list() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.seen)
}

func (k *keys) add(c ipctest.Caller) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, fmt.Sprintf("%x/%d/%d", c.ClientID, c.CallID, c.Retry))
	return len(k.seen)
}

func TestRetryKeepsTheKey(t *testing.T) {
	tests := []struct {
		name   string
		fault  error
		policy ipc.RetryPolicy
		tries  int
		ok     bool
	}{
		{"connection lost, once", ipctest.ErrHangUp, ipc.RetryPolicy{}, 1, false},
		{"connection lost, may have run", ipctest.ErrHangUp, ipc.RetryPolicy{Tries: 3, Base: 1}, 1, false},
		{"connection lost, resend", ipctest.ErrHangUp, ipc.RetryPolicy{Tries: 3, Base: 1, Max: 1, Resend: true}, 2, true},
		{"asked to try again", &ipc.RemoteError{Class: "org.apache.hadoop.ipc.RetriableException"}, ipc.RetryPolicy{Tries: 3, Base: 1, Max: 1}, 2, true},
		{"refused", &ipc.RemoteError{Class: "java.io.IOException"}, ipc.RetryPolicy{Tries: 3, Base: 1, Max: 1, Resend: true}, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var k keys
			s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, c ipctest.Caller, _, _ string, _ []byte) (proto.Message, error) {
				if k.add(c) == 1 {
					return nil, tt.fault
				}
				return text("ok"), nil
			}})
			_, err := call(t.Context(), client(t, ipc.Config{}), ipc.Peer{Addr: s.Addr()}, "m", "x", ipc.Retry(tt.policy))
			seen := k.list()
			if (err == nil) != tt.ok || len(seen) != tt.tries {
				t.Fatalf("got %v after %d tries, want success %v after %d", err, len(seen), tt.ok, tt.tries)
			}
			if tt.tries == 2 && seen[1] != strings.TrimSuffix(seen[0], "/0")+"/1" {
				t.Errorf("keys: got %q, want the same id with the retry counted", seen)
			}
			if tt.fault == ipctest.ErrHangUp && !tt.ok && (!ipc.Unknown(err) || !errors.Is(err, ipc.ErrBroken)) {
				t.Errorf("got %v, want ErrBroken with an unknown outcome", err)
			}
		})
	}
}

// TestOutcomeRemembersEarlierTries: first try lost after it was sent, then nothing listens any more. The call may have been executed.
func TestOutcomeRemembersEarlierTries(t *testing.T) {
	var s *ipctest.Server
	s = serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		go s.Close() // stops listening before it hangs up
		return nil, ipctest.ErrDrop
	}})
	_, err := call(t.Context(), client(t, ipc.Config{}), ipc.Peer{Addr: s.Addr()}, "m", "x", ipc.Retry(ipc.RetryPolicy{Tries: 3, Base: 1, Max: 1, Resend: true}))
	if !ipc.Unknown(err) || ipc.NotSent(err) {
		t.Errorf("got %v (unknown %v), want an unknown outcome", err, ipc.Unknown(err))
	}
}

func failover(t *testing.T, c *ipc.Client, patience time.Duration, addrs ...string) *ipc.Failover {
	t.Helper()
	f, err := ipc.NewFailover(c, ipc.FailoverConfig{Name: "YARN ResourceManager", Addrs: addrs, Patience: patience, Base: time.Millisecond, Max: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func deadAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestFailoverFindsTheActive(t *testing.T) {
	active := serve(t, ipctest.Config{Simple: true, Handle: echo(t)})
	standby := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.StandbyException"}
	}})
	hangs := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		return nil, ipctest.ErrHangUp
	}})
	f := failover(t, client(t, ipc.Config{}), time.Minute, deadAddr(t), standby.Addr(), hangs.Addr(), active.Addr())
	resp := &commonpb.GetDelegationTokenRequestProto{}
	if err := f.Call(t.Context(), ipc.Peer{}, "echo", text("x"), resp); err != nil || resp.GetRenewer() != "x" {
		t.Fatalf("got %v, %v", resp, err)
	}
	if got := f.Current(); got != active.Addr() {
		t.Errorf("current: got %s, want the active one", got)
	}
	if _, total := standby.Connections(); total != 1 {
		t.Errorf("connections to the standby: got %d, want 1", total)
	}
}

func TestFailoverGivesUp(t *testing.T) {
	a, b := deadAddr(t), deadAddr(t)
	f := failover(t, client(t, ipc.Config{}), 30*time.Millisecond, a, b)
	begin := time.Now()
	err := f.Call(t.Context(), ipc.Peer{}, "echo", text("x"), text(""))
	var u *ipc.UnavailableError
	if !errors.As(err, &u) || !ipc.NotSent(err) || time.Since(begin) > 10*time.Second {
		t.Fatalf("got %v, want UnavailableError, not sent", err)
	}
	for _, want := range []string{"the YARN ResourceManager at " + a + ", " + b + " does not answer", "connection refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}

func TestFailoverBoundsAServerThatHangs(t *testing.T) {
	s := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		return nil, ipctest.ErrDrop
	}})
	f := failover(t, client(t, ipc.Config{}), 50*time.Millisecond, s.Addr())
	err := f.Call(t.Context(), ipc.Peer{}, "echo", text("x"), text(""))
	var u *ipc.UnavailableError
	if !errors.As(err, &u) || !ipc.Unknown(err) || !errors.Is(err, ipc.ErrTimeout) {
		t.Errorf("got %v, want UnavailableError with an unknown outcome", err)
	}
}

func TestFailoverLeavesAServerThatHangs(t *testing.T) {
	hangs := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		return nil, ipctest.ErrDrop
	}})
	active := serve(t, ipctest.Config{Simple: true, Handle: echo(t)})
	f := failover(t, client(t, ipc.Config{}), time.Second, hangs.Addr(), active.Addr())
	if err := f.Call(t.Context(), ipc.Peer{}, "echo", text("x"), text("")); err != nil || f.Current() != active.Addr() {
		t.Errorf("got %v at %s, want the answer of the active one", err, f.Current())
	}
}

func TestFailoverStopsAtAnswersAndCancel(t *testing.T) {
	s := serve(t, ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.yarn.exceptions.YarnException", Message: "no such queue"}
	}})
	c := client(t, ipc.Config{})
	if err := failover(t, c, time.Minute, s.Addr()).Call(t.Context(), ipc.Peer{}, "m", text("x"), text("")); !errors.Is(err, ipc.ErrYARN) {
		t.Errorf("refused: got %v, want ErrYARN", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failover(t, c, time.Minute, deadAddr(t)).Call(ctx, ipc.Peer{}, "m", text("x"), text("")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want Canceled", err)
	}
	if _, err := ipc.NewFailover(c, ipc.FailoverConfig{Name: "YARN ResourceManager"}); err == nil {
		t.Error("no address: got no error")
	}
}

// response encodes a response frame.
func response(t *testing.T, fill func(*commonpb.RpcResponseHeaderProto), payload []byte) []byte {
	t.Helper()
	h := &commonpb.RpcResponseHeaderProto{}
	h.SetStatus(commonpb.RpcStatusProto_SUCCESS)
	fill(h)
	b, err := proto.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	content := slices.Concat([]byte{byte(len(b))}, b, payload)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(content))), content...)
}

// TestHostileFrames answers a call with bytes no server should send. Call ids begin at 1.
func TestHostileFrames(t *testing.T) {
	id := func(n uint32) func(*commonpb.RpcResponseHeaderProto) {
		return func(h *commonpb.RpcResponseHeaderProto) { h.SetCallId(n) }
	}
	fatal := func(n int32, class string) func(*commonpb.RpcResponseHeaderProto) {
		return func(h *commonpb.RpcResponseHeaderProto) {
			h.SetCallId(uint32(n))
			h.SetStatus(commonpb.RpcStatusProto_FATAL)
			h.SetExceptionClassName(class)
		}
	}
	good := []byte{3, 0x0a, 1, 'x'}
	tests := []struct {
		name   string
		answer []byte
		want   error
		text   string
	}{
		{"good", response(t, id(1), good), nil, ""},
		{"late answers first", slices.Concat(response(t, id(77), good), response(t, fatal(99, ""), nil)[:0], response(t, id(1), good)), nil, ""},
		{"closed", nil, ipc.ErrBroken, "closed by the server"},
		{"cut header", []byte{0, 0}, io.ErrUnexpectedEOF, ""},
		{"cut frame", []byte{0, 0, 0, 9, 1}, io.ErrUnexpectedEOF, ""},
		{"claims 2 GiB", []byte{0x7f, 0xff, 0xff, 0xff}, ipc.ErrFrame, "not in 0 to"},
		{"claims the limit, sends little", []byte{0x07, 0xff, 0xff, 0xff, 1, 2, 3}, io.ErrUnexpectedEOF, ""},
		{"negative", []byte{0xff, 0xff, 0xff, 0xfe}, ipc.ErrFrame, ""},
		{"old server", []byte{0xff, 0xff, 0xff, 0xff}, ipc.ErrFrame, "before 9"},
		{"web server", []byte("HTTP/1.1 404 Not Found\r\n"), ipc.ErrFrame, "HTTP, not Hadoop RPC"},
		{"empty frame", []byte{0, 0, 0, 0}, ipc.ErrFrame, ""},
		{"header longer than frame", []byte{0, 0, 0, 2, 9, 9}, ipc.ErrFrame, ""},
		{"header is garbage", []byte{0, 0, 0, 3, 2, 0xff, 0xff}, ipc.ErrFrame, ""},
		{"for another client", response(t, func(h *commonpb.RpcResponseHeaderProto) { h.SetCallId(1); h.SetClientId([]byte("somebody else 16")) }, good), ipc.ErrFrame, ""},
		{"no payload", response(t, id(1), nil), ipc.ErrFrame, ""},
		{"payload longer than frame", response(t, id(1), []byte{200, 1}), ipc.ErrFrame, ""},
		{"bytes left over", response(t, id(1), append(slices.Clone(good), 7)), ipc.ErrFrame, "behind the answer"},
		{"payload is garbage", response(t, id(1), []byte{1, 0xff}), ipc.ErrFrame, ""},
		{"fatal for another call", response(t, fatal(77, "java.io.IOException"), nil), ipc.ErrBroken, "another call"},
		{"connection refused", response(t, fatal(-1, "org.apache.hadoop.security.AccessControlException"), nil), ipc.ErrAccessControl, ""},
		{"context refused", response(t, fatal(-3, "org.apache.hadoop.security.authorize.AuthorizationException"), nil), ipc.ErrAccessControl, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := script(t, tt.answer)
			got, err := call(t.Context(), client(t, ipc.Config{}), ipc.Peer{Addr: addr}, "m", "x")
			if !errors.Is(err, tt.want) || tt.want == nil && got != "x" {
				t.Fatalf("got %q, %v, want %v", got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %q, want %q in it", err, tt.text)
			}
			if err != nil && ipc.Unknown(err) == ipc.Refused(err) {
				t.Errorf("%v: unknown %v, refused %v", err, ipc.Unknown(err), ipc.Refused(err))
			}
		})
	}
}

// script is a peer that reads preamble, context and one call, sends answer and closes.
func script(t *testing.T, answer []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		if _, err := io.CopyN(io.Discard, nc, 7); err != nil {
			t.Error(err)
		}
		for range 2 {
			var head [4]byte
			if _, err := io.ReadFull(nc, head[:]); err != nil {
				t.Error(err)
				return
			}
			_, _ = io.CopyN(io.Discard, nc, int64(binary.BigEndian.Uint32(head[:])))
		}
		_, _ = nc.Write(answer)
	}()
	return l.Addr().String()
}
