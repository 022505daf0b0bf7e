package ipc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// errIdle closes a connection that nobody uses; no call ever sees it.
var errIdle = errors.New("idle")

// conn is one established connection. Its reader and writer goroutines end when it fails; both stop at nc.Close.
type conn struct {
	cfg    *Config
	client []byte // client id
	nc     net.Conn
	r      *bufio.Reader
	w      *bufio.Writer // used by the writer goroutine only, after open
	forget func()        // takes the connection out of the client; set before the goroutines start

	heard atomic.Int64  // when bytes last came, nanoseconds
	wake  chan struct{} // capacity 1: there is something to write, or the connection ended

	mu       sync.Mutex
	closed   error // why the connection ended
	retired  bool  // takes no more calls, ends with the last one
	pending  map[int32]*pending
	queue    []*pending // not yet taken by the writer
	lastUsed time.Time  // when pending last became empty
}

// pending is one try of a call. Everything but done belongs to the connection's mu until done is closed.
type pending struct {
	id      int32
	frame   []byte
	taken   bool // by the writer
	sent    bool // the outcome's half that the caller reads
	payload []byte
	err     error
	done    chan struct{}
}

// start queues a call; false means that the connection takes none any more.
func (c *conn) start(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil || c.retired {
		return false
	}
	if c.pending[p.id] != nil { // the ids wrapped around a call that still waits
		p.err = fmt.Errorf("%w: call id %d is in use", ErrBroken, p.id)
		close(p.done)
		return true
	}
	c.pending[p.id] = p
	c.queue = append(c.queue, p)
	c.wakeLocked()
	return true
}

func (c *conn) wakeLocked() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// finishLocked ends a call that is still pending.
func (c *conn) finishLocked(p *pending, payload []byte, err error) {
	delete(c.pending, p.id)
	p.payload, p.err, p.sent = payload, err, p.taken
	close(p.done)
	if len(c.pending) == 0 {
		c.lastUsed = time.Now()
		if c.retired {
			c.wakeLocked()
		}
	}
}

// abandon ends a call whose caller waits no longer. An answer that comes later finds no call and is dropped.
func (c *conn) abandon(p *pending, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[p.id] == p {
		c.finishLocked(p, nil, cause)
	}
}

// suspect retires a connection on which nothing came for as long as a call waited: new calls dial anew, those under way may still end.
func (c *conn) suspect(silence time.Duration) {
	if time.Since(time.Unix(0, c.heard.Load())) < silence {
		return
	}
	c.forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	c.wakeLocked()
}

// fail ends the connection once. Calls whose frame the writer has not taken were not sent; of the others nobody knows, unless err is the
// server's refusal of the whole connection.
func (c *conn) fail(err error) {
	c.forget()
	c.mu.Lock()
	first := c.closed == nil
	if first {
		c.closed = err
		for _, p := range c.pending {
			c.finishLocked(p, nil, err)
		}
		c.queue = nil
		c.wakeLocked()
	}
	c.mu.Unlock()
	if first {
		_ = c.nc.Close() // ends the reader
	}
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: closed by the server", ErrBroken)
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}

// write is the writer goroutine: it sends what is queued, pings a silent server and closes an idle connection.
func (c *conn) write() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.wake:
		case <-timer.C:
		}
		batch, next, err := c.next()
		if err != nil {
			c.fail(err)
			return
		}
		timer.Reset(next)
		if len(batch) == 0 {
			continue
		}
		if err := c.send(batch); err != nil {
			c.fail(broken(err))
			return
		}
	}
}

// next takes the queue and says when to look again; an error ends the connection.
func (c *conn) next() (frames [][]byte, wait time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return nil, 0, c.closed
	}
	for _, p := range c.queue {
		if c.pending[p.id] == p { // else abandoned
			p.taken = true
			frames = append(frames, p.frame)
		}
	}
	c.queue = nil
	if len(c.pending) == 0 {
		idle := time.Since(c.lastUsed)
		if c.retired || idle >= c.cfg.IdleTimeout {
			c.retired = true
			return nil, 0, errIdle
		}
		return frames, c.cfg.IdleTimeout - idle, nil
	}
	left := c.cfg.PingInterval - time.Since(time.Unix(0, c.heard.Load()))
	if left <= 0 {
		left = c.cfg.PingInterval
		if len(frames) == 0 {
			frames = append(frames, c.ping())
		}
	}
	return frames, min(left, c.cfg.IdleTimeout), nil // the last call's end does not wake us
}

func (c *conn) ping() []byte {
	h := &commonpb.RpcRequestHeaderProto{}
	h.SetRpcKind(commonpb.RpcKindProto_RPC_PROTOCOL_BUFFER)
	h.SetRpcOp(commonpb.OperationProto_RPC_FINAL_PACKET)
	h.SetCallId(wire.CallPing)
	h.SetClientId(c.client)
	frame, _ := wire.AppendFrame(nil, h) // cannot fail: all required fields are set
	return frame
}

func (c *conn) send(frames [][]byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.cfg.CallTimeout)); err != nil {
		return err
	}
	for _, f := range frames {
		if _, err := c.w.Write(f); err != nil {
			return err
		}
	}
	return c.w.Flush()
}

// read is the reader goroutine.
func (c *conn) read() {
	h := &commonpb.RpcResponseHeaderProto{}
	for {
		frame, err := wire.ReadFrame(c.r, c.cfg.MaxResponse, nil)
		if err != nil {
			c.fail(broken(err))
			return
		}
		c.heard.Store(time.Now().UnixNano())
		if err := c.dispatch(h, frame); err != nil {
			c.fail(err)
			return
		}
	}
}

// dispatch hands a response to its call; an error ends the connection.
func (c *conn) dispatch(h *commonpb.RpcResponseHeaderProto, frame []byte) error {
	head, payload, err := wire.CutBytes(frame)
	if err != nil {
		return broken(err)
	}
	if err := proto.Unmarshal(head, h); err != nil {
		return broken(fmt.Errorf("%w: %w", ErrFrame, err))
	}
	if id := h.GetClientId(); len(id) > 0 && !bytes.Equal(id, c.client) {
		return broken(fmt.Errorf("%w: answer for another client", ErrFrame))
	}
	id := int32(h.GetCallId())
	var remote *RemoteError
	if h.GetStatus() != commonpb.RpcStatusProto_SUCCESS {
		remote = newRemoteError(h)
	}
	c.mu.Lock()
	p := c.pending[id]
	switch {
	case p != nil && !p.taken:
		err = broken(fmt.Errorf("%w: answer to a call before it was sent", ErrFrame))
	case p != nil && remote != nil:
		c.finishLocked(p, nil, remote)
	case p != nil:
		c.finishLocked(p, payload, nil)
	}
	c.mu.Unlock()
	switch {
	case err != nil:
		return err
	case remote == nil || id >= 0 && !remote.Fatal:
		return nil // a call that nobody waits for any more is dropped
	case id >= 0:
		return fmt.Errorf("%w: the server closed it after an error of another call: %s", ErrBroken, remote.Class)
	default:
		return remote // the connection itself was refused: none of its calls was executed
	}
}
