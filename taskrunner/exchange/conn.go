package exchange

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// writeSize is how much is gathered for one write.
	writeSize = 128 << 10
	// maxStreams bounds the channels that a peer opens on one connection.
	maxStreams = 1 << 16
	// maxCredit bounds the credit of one channel.
	maxCredit = 1 << 16
)

// conn is one connection with a peer. Either side consumes over it and produces over it. The reader never waits for anything but the
// network; the writer encodes batches.
type conn struct {
	ex   *Exchange
	nc   net.Conn
	addr string // of the peer's listener, or where it called from
	wake chan struct{}
	done chan struct{} // closed with the connection
	wg   sync.WaitGroup

	mu      sync.Mutex
	ins     map[uint32]*channel // what we consume, by our numbers
	last    uint32              // the greatest of our numbers
	outs    map[uint32]*stream  // what the peer consumes, by its numbers
	lastOut uint32
	control []byte     // frames to be written before any data
	grants  []*channel // channels with credit to announce
	amounts map[*channel]int
	ready   []*stream // streams with something to send and the credit for it
	err     error
}

// peer is a connection that exists or is being made.
type peer struct {
	made chan struct{}
	c    *conn
	err  error
}

// reach connects channels with producers at an address, over the connection there is or a new one. It returns at once.
func (e *Exchange) reach(addr string, cs []*channel) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		for _, c := range cs {
			c.failed(ErrClosed)
		}
		return
	}
	p := e.peers[addr]
	if p == nil {
		p = &peer{made: make(chan struct{})}
		e.peers[addr] = p
		e.wg.Go(func() { e.dial(addr, p) })
	}
	e.wg.Go(func() {
		<-p.made
		for _, c := range cs {
			if p.err != nil {
				c.failed(p.err)
			} else {
				p.c.join(c)
			}
		}
	})
	e.mu.Unlock()
}

// dial makes the connection of a peer.
func (e *Exchange) dial(addr string, p *peer) {
	defer close(p.made)
	c, err := e.handshake(addr)
	if err != nil {
		p.err = &ConnectionError{Addr: addr, Err: err}
		e.mu.Lock()
		delete(e.peers, addr)
		e.mu.Unlock()
		return
	}
	e.mu.Lock()
	p.c = c
	if _, alive := e.conns[c]; !alive { // it has ended before it was known as this peer's
		delete(e.peers, addr)
	}
	e.mu.Unlock()
}

func (e *Exchange) handshake(addr string) (*conn, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.ConnectTimeout)
	defer cancel()
	nc, err := e.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if e.cfg.ClientTLS != nil {
		nc = tls.Client(nc, e.cfg.ClientTLS)
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	c, err := e.newConn(nc, addr)
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	if err := c.greet(frameHello, frameWelcome); err != nil {
		c.close(err)
		return nil, err
	}
	if !stop() {
		c.close(context.Cause(ctx))
		return nil, context.Cause(ctx)
	}
	c.start()
	return c, nil
}

// serve runs an accepted connection.
func (e *Exchange) serve(nc net.Conn) {
	c, err := e.newConn(nc, nc.RemoteAddr().String())
	if err != nil {
		_ = nc.Close()
		return
	}
	_ = nc.SetDeadline(time.Now().Add(e.cfg.ConnectTimeout))
	if err := c.greet(frameWelcome, frameHello); err != nil {
		e.cfg.Log.Warn("data connection refused", "peer", c.addr, "error", err)
		c.close(err)
		return
	}
	_ = nc.SetDeadline(time.Time{})
	p := &peer{made: make(chan struct{}), c: c}
	close(p.made)
	e.mu.Lock()
	if e.peers[c.addr] == nil {
		e.peers[c.addr] = p // what we consume from there goes over this connection
	}
	e.mu.Unlock()
	c.start()
}

// newConn makes a connection known to Close. One buffer is reserved for the frame that the reader is at.
func (e *Exchange) newConn(nc net.Conn, addr string) (*conn, error) {
	c := &conn{ex: e, nc: nc, addr: addr, wake: make(chan struct{}, 1), done: make(chan struct{}),
		ins: make(map[uint32]*channel), outs: make(map[uint32]*stream), amounts: make(map[*channel]int)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	if err := e.cfg.Pool.Reserve(1); err != nil {
		return nil, err
	}
	e.conns[c] = struct{}{}
	return c, nil
}

// greet exchanges hello and welcome and checks that the peer belongs to the job.
func (c *conn) greet(mine, theirs frameKind) error {
	me := hello{job: c.ex.cfg.Job, addr: c.ex.addr}.marshal()
	send := func(kind frameKind, payload []byte) error {
		_, err := c.nc.Write(appendFrame(nil, header{kind: kind}, payload))
		return err
	}
	if mine == frameHello {
		if err := send(mine, me); err != nil {
			return err
		}
	}
	var scratch [headerSize]byte
	h, b, err := readFrame(c.nc, &scratch, func(header) ([]byte, error) { return make([]byte, maxControl), nil })
	switch {
	case err != nil:
		return err
	case h.kind == frameError:
		return parseError(b)
	case h.kind != theirs:
		return fmt.Errorf("%w: greeting of kind %d", ErrProtocol, h.kind)
	}
	peer, err := parseHello(b)
	if err == nil && peer.job != c.ex.cfg.Job {
		err = fmt.Errorf("%w: %s, this is %s", ErrWrongJob, peer.job, c.ex.cfg.Job)
	}
	if err != nil {
		_ = send(frameError, marshalError(err))
		return err
	}
	if mine == frameWelcome {
		if peer.addr != "" {
			c.addr = peer.addr
		}
		return send(mine, me)
	}
	return nil
}

// start begins reading and writing.
func (c *conn) start() {
	c.wg.Add(2)
	c.ex.wg.Go(func() {
		defer c.wg.Done()
		c.close(c.read())
	})
	c.ex.wg.Go(func() {
		defer c.wg.Done()
		c.close(c.write())
	})
	c.ex.wg.Go(func() { // ends when both have
		c.wg.Wait()
		c.ended()
	})
}

// close ends the connection; the first cause counts. Channels hear of it when reader and writer have ended.
func (c *conn) close(cause error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = &ConnectionError{Addr: c.addr, Err: cause}
	c.mu.Unlock()
	close(c.done)
	_ = c.nc.Close()
	e := c.ex
	e.mu.Lock()
	if _, ok := e.conns[c]; ok {
		delete(e.conns, c)
		e.cfg.Pool.Release(1)
	}
	if p := e.peers[c.addr]; p != nil && p.c == c {
		delete(e.peers, c.addr)
	}
	e.mu.Unlock()
}

// ended fails everything on the connection.
func (c *conn) ended() {
	c.mu.Lock()
	ins, outs := c.ins, c.outs
	c.ins, c.outs, c.ready, c.grants = nil, nil, nil, nil
	c.mu.Unlock()
	for _, ch := range ins {
		ch.failed(c.err)
	}
	for _, s := range outs {
		s.cancel()
	}
	c.ex.cfg.Log.Debug("data connection ended", "peer", c.addr, "channels", len(ins)+len(outs), "error", c.err)
}

func (c *conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// join puts a channel on the connection and asks for it.
func (c *conn) join(ch *channel) {
	g := ch.gate
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	c.mu.Lock()
	err := c.err
	if err == nil {
		c.last++
		c.ins[c.last] = ch
		ch.conn, ch.number = c, c.last
		r := request{ch.id, ch.gen, uint32(ch.credit)}
		c.control = appendFrame(c.control, header{kind: frameRequest, channel: ch.number}, r.marshal())
	}
	c.mu.Unlock()
	g.mu.Unlock()
	if err != nil {
		ch.failed(err)
		return
	}
	c.wakeWriter()
}

// leave takes a channel off and tells the producer.
func (c *conn) leave(ch *channel) {
	c.mu.Lock()
	if c.ins[ch.number] != ch {
		c.mu.Unlock()
		return
	}
	delete(c.ins, ch.number)
	delete(c.amounts, ch)
	c.mu.Unlock()
	c.enqueue(header{kind: frameCancel, channel: ch.number}, nil)
}

// enqueue queues a control frame.
func (c *conn) enqueue(h header, payload []byte) {
	c.mu.Lock()
	if c.err == nil {
		c.control = appendFrame(c.control, h, payload)
	}
	c.mu.Unlock()
	c.wakeWriter()
}

// grant announces n more credits and what has not been announced before. While the producer has some and nothing queued, the announcement
// waits for whatever is written next. The caller holds the gate's lock and has added n to the channel's credit.
func (c *conn) grant(ch *channel, n int) {
	c.mu.Lock()
	owed := c.amounts[ch]
	if c.ins[ch.number] != ch || owed+n == 0 {
		c.mu.Unlock()
		return
	}
	if owed == 0 {
		c.grants = append(c.grants, ch)
	}
	owed += n
	c.amounts[ch] = owed
	c.mu.Unlock()
	if ch.backlog > 0 || owed >= ch.credit {
		c.wakeWriter()
	}
}

// read handles what comes in, until the connection ends.
func (c *conn) read() error {
	r := bufio.NewReaderSize(c.nc, 64<<10)
	var scratch [headerSize]byte
	spare := make([]byte, maxData)
	var to *channel
	buffer := func(h header) ([]byte, error) {
		if h.kind != frameData {
			if h.kind == frameEvent || h.kind == frameError {
				return make([]byte, h.length), nil
			}
			return spare, nil
		}
		var err error
		if to, err = c.in(h.channel); err != nil || to == nil {
			return spare, err
		}
		b, err := to.buffer()
		if b == nil {
			to = nil
			return spare, err
		}
		return b, nil
	}
	for {
		to = nil
		h, b, err := readFrame(r, &scratch, buffer)
		if err == nil {
			err = c.handle(h, b, to)
		} else if to != nil {
			c.ex.cfg.Pool.Put(b)
		}
		if err != nil {
			return err
		}
	}
}

// in returns the channel with this number, or nil when it has left. A number that was never given is an error.
func (c *conn) in(n uint32) (*channel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n == 0 || n > c.last {
		return nil, fmt.Errorf("%w: channel %d was never opened", ErrProtocol, n)
	}
	return c.ins[n], nil
}

// handle takes one frame; to is the channel of a data frame whose payload is a buffer of the pool.
func (c *conn) handle(h header, b []byte, to *channel) error {
	switch h.kind {
	case frameData:
		if to == nil {
			return nil
		}
		taken, err := to.deliver(h, b)
		if !taken {
			c.ex.cfg.Pool.Put(b)
		}
		return err
	case frameEvent:
		to, err := c.in(h.channel)
		if err == nil && to != nil {
			_, err = to.deliver(h, b)
		}
		return err
	case frameError:
		if h.channel == 0 {
			return parseError(b)
		}
		to, err := c.in(h.channel)
		if err == nil && to != nil {
			to.failed(parseError(b))
		}
		return err
	case frameRequest:
		r, err := parseRequest(b)
		if err != nil {
			return err
		}
		return c.open(h.channel, r)
	case frameCredit:
		if len(b) != 4 {
			return fmt.Errorf("%w: credit of %d bytes", ErrProtocol, len(b))
		}
		return c.credit(h.channel, binary.LittleEndian.Uint32(b))
	case frameCancel:
		return c.canceled(h.channel)
	}
	return fmt.Errorf("%w: frame of kind %d after the greeting", ErrProtocol, h.kind)
}
