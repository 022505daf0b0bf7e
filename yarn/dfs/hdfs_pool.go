package dfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/flott-dev/flott/yarn/ipc"
)

const (
	clientLinger = 10 * time.Second // as ipc.client.connection.maxidletime
	clientMaxAge = time.Hour        // the byte client caches the data encryption key for its whole life
	maxIdle      = 8
)

var errPoolClosed = errors.New("file system is closed")

// byteClients lends clients of colinmarc/hdfs, each to one open file at a time.
//
// A shared client would be cheaper by a few connections, but it runs all calls under one lock, is not safe for concurrent use, and
// its data connections could not be told apart when one file is cancelled. Idle clients linger for 10 s.
type byteClients struct {
	cfg HDFSConfig

	mu     sync.Mutex
	idle   []*byteClient // newest last
	lent   map[*byteClient]struct{}
	closed bool
}

// byteClient is one client with the connections that it made.
type byteClient struct {
	client *hdfs.Client
	born   time.Time
	ctx    context.Context // ends with kill
	cancel context.CancelCauseFunc
	expiry *time.Timer

	mu     sync.Mutex
	nn     *nameNodeConn
	conns  map[net.Conn]struct{}
	remote *ipc.RemoteError
	data   error
	writer bool
}

// get lends an idle client or makes one.
func (p *byteClients) get(ctx context.Context) (*byteClient, error) {
	for {
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			return nil, errPoolClosed
		}
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return p.open(ctx)
		}
		b := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.lent[b] = struct{}{}
		p.mu.Unlock()
		if b.expiry.Stop() && b.usable() {
			return b, nil
		}
		p.drop(b, errors.New("idle connection was closed"))
	}
}

func (p *byteClients) open(ctx context.Context) (*byteClient, error) {
	b := &byteClient{born: time.Now(), conns: map[net.Conn]struct{}{}}
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	stop := context.AfterFunc(ctx, func() { b.kill(context.Cause(ctx)) })
	defer stop()
	// Each address twice: the byte client leaves an address alone for 5 s after one failed call, which would
	// turn a single stale connection into "no available namenodes".
	addrs := append(append([]string(nil), p.cfg.NameNodes...), p.cfg.NameNodes...)
	c, err := hdfs.NewClient(hdfs.ClientOptions{
		Addresses: addrs, User: p.cfg.User, UseDatanodeHostname: p.cfg.UseDataNodeHostname,
		DataTransferProtection: p.cfg.DataTransferProtection,
		NamenodeDialFunc: func(_ context.Context, network, addr string) (net.Conn, error) {
			return b.dial(network, addr, p.cfg.Dial, func(c net.Conn) net.Conn {
				b.nn = &nameNodeConn{Conn: c, slot: b, timeout: p.cfg.RPCTimeout}
				return b.nn
			})
		},
		DatanodeDialFunc: func(_ context.Context, network, addr string) (net.Conn, error) {
			return b.dial(network, addr, p.cfg.Dial, func(c net.Conn) net.Conn {
				return &dataNodeConn{Conn: c, slot: b, timeout: p.cfg.DataTimeout}
			})
		},
	})
	if err != nil {
		b.kill(err)
		return nil, b.cause(err)
	}
	b.client = c
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		b.kill(errPoolClosed)
		_ = c.Close()
		return nil, errPoolClosed
	}
	p.lent[b] = struct{}{}
	return b, nil
}

// dial connects under the client's own context, since the byte client brings none, and keeps account of the connection.
func (b *byteClient) dial(network, addr string, dial dialFunc, wrap func(net.Conn) net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(b.ctx, connectTimeout)
	defer cancel()
	c, err := dial(ctx, network, addr)
	if err != nil {
		return nil, b.cause(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		c.Close()
		return nil, context.Cause(b.ctx)
	}
	w := wrap(c)
	b.conns[w] = struct{}{}
	return w, nil
}

// put takes a client back. ok says that the file ended well; other clients are closed.
func (p *byteClients) put(b *byteClient, ok bool) {
	b.setWriting(false)
	if !ok || !b.usable() {
		p.drop(b, errPoolClosed)
		return
	}
	b.closeData()
	p.mu.Lock()
	full := p.closed || len(p.idle) >= maxIdle
	if !full {
		delete(p.lent, b)
		b.expiry = time.AfterFunc(clientLinger, func() { p.expire(b) })
		p.idle = append(p.idle, b)
	}
	p.mu.Unlock()
	if full {
		p.drop(b, errPoolClosed)
	}
}

// expire ends an idle client, unless it was lent meanwhile.
func (p *byteClients) expire(b *byteClient) {
	p.mu.Lock()
	found := false
	for i, x := range p.idle {
		if x == b {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			found = true
			break
		}
	}
	p.mu.Unlock()
	if found {
		p.drop(b, errPoolClosed)
	}
}

// drop ends a client for good. It is called once per client: the byte client panics when closed twice.
func (p *byteClients) drop(b *byteClient, cause error) {
	b.kill(cause)
	_ = b.client.Close()
	p.mu.Lock()
	delete(p.lent, b)
	p.mu.Unlock()
}

// close ends the idle clients and kills the lent ones, whose files then fail and give them back.
func (p *byteClients) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	var lent []*byteClient
	for b := range p.lent {
		lent = append(lent, b)
	}
	p.mu.Unlock()
	for _, b := range lent {
		b.kill(errPoolClosed)
	}
	for _, b := range idle {
		b.expiry.Stop()
		p.drop(b, errPoolClosed)
	}
}

// kill closes every connection and lets no new one be made; whatever the byte client waits for ends.
func (b *byteClient) kill(cause error) {
	b.cancel(cause)
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		rawClose(c)
	}
	clear(b.conns)
}

func rawClose(c net.Conn) {
	switch c := c.(type) {
	case *nameNodeConn:
		c.Conn.Close()
	case *dataNodeConn:
		c.Conn.Close()
	}
}

// closeData closes data connections that the byte client forgot, as it does after a failed handshake.
func (b *byteClient) closeData() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		if c != net.Conn(b.nn) {
			rawClose(c)
			delete(b.conns, c)
		}
	}
	b.data, b.remote = nil, nil
}

// usable says whether the next file may have this client.
func (b *byteClient) usable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ctx.Err() == nil && time.Since(b.born) < clientMaxAge && b.nn != nil && alive(b.nn.Conn)
}

// cause prefers the reason for which the client was killed to the noise that this made.
func (b *byteClient) cause(err error) error {
	if c := context.Cause(b.ctx); c != nil && err != nil {
		return c
	}
	return err
}

func (b *byteClient) forget(c net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
}

func (b *byteClient) writing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.writer
}

func (b *byteClient) setWriting(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writer = on
}

func (b *byteClient) remember(class, msg string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, stack, _ := strings.Cut(msg, "\n")
	b.remote = &ipc.RemoteError{Class: class, Message: strings.TrimPrefix(first, class+": "), Stack: stack}
}

func (b *byteClient) forgetRemote() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remote = nil
}

func (b *byteClient) dataFailed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.data == nil {
		b.data = err
	}
}

// broken returns what ended a data connection, if anything did.
func (b *byteClient) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data
}

// explain turns an error of the byte client into the one to report: why it was killed, the Java exception, or what a data
// connection met.
func (b *byteClient) explain(err error) error {
	if err == nil {
		return nil
	}
	if c := context.Cause(b.ctx); c != nil {
		return c
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.remote != nil:
		return b.remote
	case b.data != nil && !errors.Is(err, b.data):
		return fmt.Errorf("%w (%w)", err, b.data)
	}
	return err
}
