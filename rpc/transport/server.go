package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
)

// ServerConfig is what Listen may be told; zero fields have the defaults.
type ServerConfig struct {
	Host       string               // to bind; 127.0.0.1
	Ports      []int                // tried in order; none: any free port
	Advertised string               // host that Addr names; empty: the bound one
	TLS        *tls.Config          // from rpc/security; nil: plain text
	MaxMessage int                  // bytes (16 MiB)
	Stream     gateway.StreamConfig // Running is ignored
	Grace      time.Duration        // how long Close lets calls and streams end by themselves (1 s)
	Log        *slog.Logger         // nil: discard
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if len(c.Ports) == 0 {
		c.Ports = []int{0}
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = defaultMaxMessage
	}
	if c.Stream.MaxMessage == 0 {
		c.Stream.MaxMessage = c.MaxMessage
	}
	if c.Grace == 0 {
		c.Grace = time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

const (
	defaultMaxMessage = 16 << 20
	// slack is what gRPC may add to a message that our own limit admits.
	slack = 64 << 10
	// bufferSize of reads and writes per connection: a leader has thousands of mostly idle ones.
	bufferSize = 4 << 10
	// window is how much a peer may send that is not read yet, of a stream and of a connection. That it is set keeps gRPC from measuring:
	// two more writes for each heartbeat.
	window = 256 << 10
	// maxCalls bounds calls and streams per connection: back-pressure for what waits in mailboxes.
	maxCalls = 256
	// keepaliveTime and keepaliveTimeout find connections whose peer went silently, when no heartbeat is on them.
	keepaliveTime    = 15 * time.Second
	keepaliveTimeout = 10 * time.Second
	keepaliveMin     = 10 * time.Second
)

// Server serves endpoints on one port.
type Server struct {
	cfg      ServerConfig
	grpc     *grpc.Server
	listener net.Listener
	addr     string
	running  sync.WaitGroup // goroutines of streams
	serving  chan struct{}  // closed when the accept loop has ended
}

// Listen binds the first free port of cfg.Ports and serves e on it until Close.
func Listen(cfg ServerConfig, e gateway.Endpoints) (*Server, error) {
	cfg = cfg.withDefaults()
	l, err := bind(cfg.Host, cfg.Ports)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, listener: l, serving: make(chan struct{})}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("read own address: %w", err)
	}
	if cfg.Advertised != "" {
		host = cfg.Advertised
	}
	s.addr = net.JoinHostPort(host, port)
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(cfg.MaxMessage + slack), grpc.MaxSendMsgSize(cfg.MaxMessage + slack),
		grpc.ReadBufferSize(bufferSize), grpc.WriteBufferSize(bufferSize),
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(window),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMin, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.WaitForHandlers(true),
	}
	if cfg.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s.grpc = grpc.NewServer(opts...)
	served := gateway.Served{Endpoints: e}
	pb.RegisterResourceManagerServer(s.grpc, resourceManagerServer{served: served})
	pb.RegisterJobMasterServer(s.grpc, jobMasterServer{served: served})
	pb.RegisterTaskExecutorServer(s.grpc, taskExecutorServer{served: served, s: s})
	go func() {
		defer close(s.serving)
		if err := s.grpc.Serve(l); err != nil {
			cfg.Log.Error("control server ended", "address", s.addr, "error", err)
		}
	}()
	return s, nil
}

// bind tries the ports in order; one that is in use or forbidden is passed over.
func bind(host string, ports []int) (net.Listener, error) {
	var busy []error
	for _, p := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if err == nil {
			return l, nil
		}
		busy = append(busy, err)
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			break
		}
	}
	return nil, fmt.Errorf("listen on host %s: %w", host, errors.Join(busy...))
}

// Addr returns host:port as others are to dial it.
func (s *Server) Addr() string { return s.addr }

// Close refuses new calls, gives those that run a grace to end, cuts the rest and waits for all goroutines. Endpoints that close their
// streams before make it quick.
func (s *Server) Close() error {
	cut := time.AfterFunc(s.cfg.Grace, s.grpc.Stop)
	s.grpc.GracefulStop()
	cut.Stop()
	s.Kill()
	return nil
}

// Kill cuts everything at once, as the death of the process would, and waits for all goroutines.
func (s *Server) Kill() {
	s.grpc.Stop()
	<-s.serving
	s.running.Wait()
}

type resourceManagerServer struct {
	pb.UnimplementedResourceManagerServer
	served gateway.Served
}

func (h resourceManagerServer) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	resp, err := h.served.RegisterAtResourceManager(ctx, req)
	return resp, toStatus(err)
}

type jobMasterServer struct {
	pb.UnimplementedJobMasterServer
	served gateway.Served
}

func (h jobMasterServer) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	resp, err := h.served.RegisterAtJobMaster(ctx, req)
	return resp, toStatus(err)
}
