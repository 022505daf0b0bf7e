package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/taskrunner/memory"
)

// Config configures the exchange of one job runtime.
type Config struct {
	Job ids.JobID
	// Bind is the address to listen on, host:port; port 0 takes a free one (taskmanager.data.port). Empty: no listener, every channel is
	// in-process.
	Bind string
	// Host is what peers are told instead of the listener's own host; empty: that of Bind.
	Host string
	// ServerTLS and ClientTLS secure the connections; both or none.
	ServerTLS, ClientTLS *tls.Config
	// Dial connects to a peer; nil: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Pool gives the buffers of incoming frames; required with Bind.
	Pool *memory.Pool
	// BufferTimeout is execution.buffer-timeout: how long a record may wait for its batch to fill. 0: not at all; negative: for ever.
	BufferTimeout time.Duration
	// BuffersPerChannel (2) and FloatingBuffers (8, per gate) are the credits of remote channels.
	BuffersPerChannel, FloatingBuffers int
	// RequestTimeout (10 s) bounds how long a consumer's request waits for its producer to be deployed.
	RequestTimeout time.Duration
	// ConnectTimeout (120 s) bounds connecting and the handshake.
	ConnectTimeout time.Duration
	Log            *slog.Logger
}

// DefaultBufferTimeout is Flink's execution.buffer-timeout.interval.
const DefaultBufferTimeout = 100 * time.Millisecond

func (c Config) withDefaults() Config {
	if c.BuffersPerChannel == 0 {
		c.BuffersPerChannel = 2
	}
	if c.FloatingBuffers == 0 {
		c.FloatingBuffers = 8
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 10 * time.Second
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 120 * time.Second
	}
	if c.Dial == nil {
		var d net.Dialer
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate joins everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Bind != "" && c.Pool == nil {
		errs = append(errs, errors.New("exchange: a listener needs a pool of buffers"))
	}
	if c.BuffersPerChannel < 0 || c.FloatingBuffers < 0 {
		errs = append(errs, errors.New("exchange: numbers of buffers are negative"))
	}
	if (c.ServerTLS == nil) != (c.ClientTLS == nil) {
		errs = append(errs, errors.New("exchange: TLS is set for one direction only"))
	}
	return errors.Join(errs...)
}

// Location says where the producing end of a channel is.
type Location struct {
	Addr       string // of the producer's exchange; the exchange's own address: in-process
	Generation ids.Generation
}
