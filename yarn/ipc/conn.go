package ipc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
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

	mu        sync.Mutex
	closed    error // why the connection ended
	retired   bool  // takes no more calls, ends with the last one
	pending   map[int32]*pending
	queue     []*pending // those of pending that the writer has not taken
	gathering bool       // the writer looks soon by itself: see due
	lastUsed  time.Time  // when pending last became empty
}

// With many calls under way their requests go out together, in fewer packets, each of which costs both sides a system call or more.
// The server has enough to do meanwhile: at least gatherShare times as much as waits here, and nothing waits longer than gatherTime.
const (
	gatherShare = 8
	gatherTime  = time.Millisecond
	// answerTime is how long the reader lets answers gather then: a server sends each by itself, and each would wake two threads here.
	answerTime = 250 * time.Microsecond
)

// keepBuffer is the largest buffer that is kept for the next call, or the next packet, bytes.
const keepBuffer = 64 << 10

// pending is one try of a call. While a connection has it, everything but done and timer belongs to that connection's mu. It is used again
// for another call of the same Client.
type pending struct {
	id      int32
	frame   []byte
	taken   bool // by the writer
	sent    bool // the outcome's half that the caller reads
	payload []byte
	err     error
	done    chan struct{} // capacity 1: gets one token for each successful start
	timer   *time.Timer
}

func newPending() any {
	p := &pending{done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	p.timer.Stop()
	return p
}

// reset makes p fit for another call.
func (p *pending) reset() {
	p.timer.Stop()
	p.frame, p.payload = kept(p.frame), kept(p.payload)
	p.taken, p.sent, p.err = false, false, nil
}

func kept(b []byte) []byte {
	if cap(b) > keepBuffer {
		return nil
	}
	return b[:0]
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
		p.done <- struct{}{}
		return true
	}
	c.pending[p.id] = p
	c.queue = append(c.queue, p)
	if c.dueLocked() {
		c.wakeLocked()
	}
	return true
}

// dueLocked says whether what is queued should wait no longer for more to come.
func (c *conn) dueLocked() bool {
	return !c.gathering || len(c.queue)*gatherShare >= len(c.pending)-len(c.queue)
}

func (c *conn) wakeLocked() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// finishLocked ends a call that is still pending. It must not be in the queue any more.
func (c *conn) finishLocked(p *pending, err error) {
	delete(c.pending, p.id)
	p.err, p.sent = err, p.taken
	p.done <- struct{}{}
	switch {
	case len(c.pending) == 0:
		c.lastUsed = time.Now()
		if c.retired {
			c.wakeLocked()
		}
	case len(c.queue) > 0 && c.dueLocked(): // less is under way than before
		c.wakeLocked()
	}
}

// abandon ends a call whose caller waits no longer. An answer that comes later finds no call and is dropped.
func (c *conn) abandon(p *pending, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[p.id] != p {
		return
	}
	if i := slices.Index(c.queue, p); i >= 0 {
		c.queue = slices.Delete(c.queue, i, i+1)
	}
	c.finishLocked(p, cause)
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
		c.closed, c.queue = err, nil
		for _, p := range c.pending {
			c.finishLocked(p, err)
		}
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
	var packet []byte
	for {
		select {
		case <-c.wake:
		case <-timer.C:
		}
		var wait time.Duration
		var err error
		if packet, wait, err = c.next(kept(packet)); err != nil {
			c.fail(err)
			return
		}
		timer.Reset(wait)
		if len(packet) == 0 {
			continue
		}
		if err := c.send(packet); err != nil {
			c.fail(broken(err))
			return
		}
	}
}

// next appends the frames of the queue to packet and says when to look again; an error ends the connection.
func (c *conn) next(packet []byte) (_ []byte, wait time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return nil, 0, c.closed
	}
	for _, p := range c.queue {
		p.taken = true
		packet = append(packet, p.frame...)
	}
	clear(c.queue)
	c.queue = c.queue[:0]
	c.gathering = len(packet) > 0 && len(c.pending) > gatherShare
	if len(c.pending) == 0 {
		idle := time.Since(c.lastUsed)
		if c.retired || idle >= c.cfg.IdleTimeout {
			c.retired = true
			return nil, 0, errIdle
		}
		return packet, c.cfg.IdleTimeout - idle, nil
	}
	if c.gathering {
		return packet, min(gatherTime, c.cfg.IdleTimeout, c.cfg.PingInterval), nil
	}
	left := c.cfg.PingInterval - time.Since(time.Unix(0, c.heard.Load()))
	if left <= 0 {
		left = c.cfg.PingInterval
		if len(packet) == 0 {
			packet = append(packet, c.ping()...)
		}
	}
	return packet, min(left, c.cfg.IdleTimeout), nil // the last call's end does not wake us
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

func (c *conn) send(packet []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.cfg.CallTimeout)); err != nil {
		return err
	}
	if _, err := c.w.Write(packet); err != nil {
		return err
	}
	return c.w.Flush()
}

// read is the reader goroutine.
func (c *conn) read() {
	var buf []byte
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		if c.r.Buffered() == 0 && c.busy() {
			pause.Reset(answerTime)
			<-pause.C
		}
		frame, err := wire.ReadFrame(c.r, c.cfg.MaxResponse, buf)
		if err != nil {
			c.fail(broken(err))
			return
		}
		c.heard.Store(time.Now().UnixNano())
		if err := c.dispatch(frame); err != nil {
			c.fail(err)
			return
		}
		buf = kept(frame) // a larger one may be the call's now
	}
}

// busy says whether many calls are under way.
func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) > gatherShare
}

// dispatch hands a response to its call; an error ends the connection.
func (c *conn) dispatch(frame []byte) error {
	head, payload, err := wire.CutBytes(frame)
	if err != nil {
		return broken(err)
	}
	id, client, plain := wire.PlainAnswer(head)
	var remote *RemoteError
	if !plain {
		h := &commonpb.RpcResponseHeaderProto{}
		if err := proto.Unmarshal(head, h); err != nil {
			return broken(fmt.Errorf("%w: %w", ErrFrame, err))
		}
		id, client = int32(h.GetCallId()), h.GetClientId()
		if h.GetStatus() != commonpb.RpcStatusProto_SUCCESS {
			remote = newRemoteError(h)
		}
	}
	if len(client) > 0 && !bytes.Equal(client, c.client) {
		return broken(fmt.Errorf("%w: answer for another client", ErrFrame))
	}
	if err := c.answer(id, payload, remote); err != nil {
		return err
	}
	switch {
	case remote == nil || id >= 0 && !remote.Fatal:
		return nil // a call that nobody waits for any more is dropped
	case id >= 0:
		return fmt.Errorf("%w: the server closed it after an error of another call: %s", ErrBroken, remote.Class)
	default:
		return remote // the connection itself was refused: none of its calls was executed
	}
}

// answer ends the call with an id, if it still waits.
func (c *conn) answer(id int32, payload []byte, remote *RemoteError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[id]
	switch {
	case p == nil:
	case !p.taken:
		return broken(fmt.Errorf("%w: answer to a call before it was sent", ErrFrame))
	case remote != nil:
		c.finishLocked(p, remote)
	default:
		if len(payload) > keepBuffer {
			p.payload = payload // read leaves it the buffer
		} else {
			p.payload = append(p.payload[:0], payload...)
		}
		c.finishLocked(p, nil)
	}
	return nil
}
