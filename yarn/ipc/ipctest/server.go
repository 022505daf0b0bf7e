package ipctest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/sasl"
)

// Caller is who makes a call.
type Caller struct {
	// User is the name the client gave (SIMPLE); empty with a token.
	User, RealUser string
	// Identifier of the token the connection authenticated with; nil for SIMPLE.
	Identifier []byte
	// Protocol that the connection context named.
	Protocol string
	Remote   net.Addr
	// ClientID, CallID and Retry are the at-most-once key and the number of the repetition.
	ClientID      []byte
	CallID, Retry int32
}

// Handler answers a call of a method of a protocol (Java's interface name). req is the undecoded request message; it may be kept. An error that
// is an *ipc.RemoteError goes out as it is, any other as java.io.IOException. ctx ends when the connection does.
type Handler func(ctx context.Context, caller Caller, protocol, method string, req []byte) (proto.Message, error)

// A Handler may return these instead of an answer.
var (
	ErrDrop   = errors.New("ipctest: give no answer")
	ErrHangUp = errors.New("ipctest: close the connection without an answer")
)

// Config of a Server.
type Config struct {
	// Addr to listen on; default 127.0.0.1:0.
	Addr string
	// Simple admits callers who only say who they are. YARN's client port does; its scheduler port and NodeManagers never do.
	Simple bool
	// Password finds the password of a token by its identifier; an error refuses the token (Java: SecretManager.InvalidToken), an
	// *ipc.RemoteError with its own class. Nil admits no tokens.
	Password func(identifier []byte) ([]byte, error)
	// Protection levels offered; default sasl.Auth.
	Protection []sasl.QOP
	// Ciphers offered for sasl.AuthConf; default all.
	Ciphers []string
	// Authorize may refuse a connection once it is known who speaks which protocol.
	Authorize func(Caller) error
	// Handle answers calls.
	Handle Handler
	Log    *slog.Logger
}

// Server serves one address.
type Server struct {
	cfg      Config
	listener net.Listener
	ctx      context.Context // ends at Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	pings  int
	total  int
}

// New listens on cfg.Addr and serves until Close.
func New(cfg Config) (*Server, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, listener: l, conns: map[net.Conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Pings counts the pings received.
func (s *Server) Pings() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pings
}

// Connections counts the connections: those open now, and all that were ever accepted.
func (s *Server) Connections() (open, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.total
}

// HangUp closes all connections; the server goes on.
func (s *Server) HangUp() {
	s.mu.Lock()
	var all []net.Conn
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// Close stops listening, closes all connections and waits for the handlers.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.listener.Close()
	s.cancel()
	s.HangUp()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			_ = nc.Close()
			return
		}
		s.conns[nc] = struct{}{}
		s.total++
		s.mu.Unlock()
		s.wg.Go(func() {
			newConn(s, nc).serve()
			s.mu.Lock()
			delete(s.conns, nc)
			s.mu.Unlock()
		})
	}
}
