package rest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/flott-dev/flott/conf"
)

// Config is what the server is made from; zero fields have the defaults in brackets.
type Config struct {
	Host       string      // to bind [127.0.0.1]
	Ports      []int       // tried in order [any free port]
	Advertised string      // host that Addr names [the bound one]
	TLS        *tls.Config // from rpc/security; nil: plain text

	// Leader returns the components of the current term of leadership, or false while nobody leads here. It must not block.
	Leader func() (Leader, bool)
	Logs   Logs
	// LogDir is the directory of this process's log files; empty: there are none to show.
	LogDir string

	Application   string       // id of the YARN application, for the page; empty in a local run
	Configuration []conf.Entry // what is set, secrets masked
	ObjectReuse   bool         // pipeline.object-reuse

	RefreshInterval time.Duration // of the page [3 s]
	AllowCancel     bool          // web.cancel.enable: the button, and GET …/yarn-cancel
	ReadOnly        bool          // only GET, and no yarn-cancel
	MaxExceptions   int           // in a job's exception history [16]

	HeaderTimeout  time.Duration // in which a request must have come [15 s]
	IdleTimeout    time.Duration // after which an idle connection is closed [5 min]
	RequestTimeout time.Duration // for the work on one request, log files excepted [10 min]
	StallTimeout   time.Duration // in which a reader must take what is sent [30 s]
	MaxConnections int           // more are closed at once [512]
	MaxRequests    int           // at a time; more are answered with 503 [64]
	MaxLogRequests int           // of these, log files being sent [16]

	Log *slog.Logger // nil: discard
}

const (
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 1 << 20 // nothing reads a body; clients send {}
)

func (c Config) withDefaults() Config {
	c.Host = cmp.Or(c.Host, "127.0.0.1")
	if len(c.Ports) == 0 {
		c.Ports = []int{0}
	}
	c.RefreshInterval = cmp.Or(c.RefreshInterval, 3*time.Second)
	c.MaxExceptions = cmp.Or(c.MaxExceptions, 16)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 15*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 5*time.Minute)
	c.RequestTimeout = cmp.Or(c.RequestTimeout, 10*time.Minute)
	c.StallTimeout = cmp.Or(c.StallTimeout, 30*time.Second)
	c.MaxConnections = cmp.Or(c.MaxConnections, 512)
	c.MaxRequests = cmp.Or(c.MaxRequests, 64)
	c.MaxLogRequests = cmp.Or(c.MaxLogRequests, 16)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Leader == nil || c.Logs == nil {
		return errors.New("configure REST server: Leader and Logs are needed")
	}
	return nil
}

// Server is the running server. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	http    *http.Server
	addr    string
	port    int
	handler *handler
	connect atomic.Int64  // open connections
	served  chan struct{} // closed when the accept loop has ended
	stop    context.CancelFunc
}

// Start binds the first free one of cfg.Ports and serves until Close.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	l, err := bind(cfg.Host, cfg.Ports)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, handler: newHandler(cfg), served: make(chan struct{})}
	s.port = l.Addr().(*net.TCPAddr).Port
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read own address: %w", err), l.Close())
	}
	s.addr = net.JoinHostPort(cmp.Or(cfg.Advertised, host), strconv.Itoa(s.port))
	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.http = &http.Server{
		// No ReadTimeout: it would also end the context of a request that is answered for longer. The guard limits bodies itself.
		Handler: s.handler, ReadHeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.IdleTimeout,
		MaxHeaderBytes: maxHeaderBytes, TLSConfig: cfg.TLS,
		ErrorLog:    slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return life },
		ConnState:   s.count,
	}
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log.Error("REST server ended", "address", s.addr, "cause", err)
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
	return nil, fmt.Errorf("bind REST server to host %s: %w", host, errors.Join(busy...))
}

// count closes connections above the limit.
func (s *Server) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.connect.Add(1) > int64(s.cfg.MaxConnections) {
			c.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.connect.Add(-1)
	}
}

// Addr returns host:port as others are to dial it.
func (s *Server) Addr() string { return s.addr }

// Port returns the port alone.
func (s *Server) Port() int { return s.port }

// closeGrace is how long Close lets answers go out that are nearly done.
const closeGrace = time.Second

// Close takes no more requests, lets those that run end within a second, cuts the rest and waits for all of them.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	s.stop()
	if err != nil {
		err = s.http.Close()
	}
	<-s.served
	s.handler.close()
	return err
}
