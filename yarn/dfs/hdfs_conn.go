package dfs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// The byte client knows no contexts, sets no deadlines, keeps using a connection after it lost its place in it, and renews leases
// that it does not hold. These two connection types stand between it and the sockets and cure that from below.

const (
	preambleLen     = 7 // "hrpc", version, service class, authentication
	maxNNFrame      = 128 << 20
	leaseRenewEvery = 10 * time.Second // the soft limit is 60 s
)

// dialFunc is net.Dialer.DialContext or a stand-in for it.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// nameNodeConn carries the byte client's RPCs, which it makes one at a time, one Write per frame.
//
//   - Every frame gets a deadline of its own.
//   - After any error the connection is poisoned: each later Write fails, so that the byte client connects anew instead of
//     reading the answers of calls that it gave up.
//   - renewLease is answered here unless a writer is open, and then passed on every 10 s only.
//   - The last Java exception is kept, because the byte client drops its message.
type nameNodeConn struct {
	net.Conn // RemoteAddr must stay a *net.TCPAddr
	slot     *byteClient
	timeout  time.Duration

	// Confined to the goroutine that holds the byte client's call lock.
	in       []byte
	preamble bool
	renewed  time.Time
	renewing bool // the last frame was a renewLease: nobody asks for its error
	err      error
}

// Write takes one frame, or the preamble.
func (c *nameNodeConn) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if !c.preamble {
		// Here is the place for TOKEN and KERBEROS: swallow these seven bytes and the connection context after them,
		// authenticate the connection with yarn/sasl, and from then on wrap one frame per Write.
		if len(b) < preambleLen || string(b[:4]) != "hrpc" {
			return 0, c.poison(errors.New("the byte client did not begin with its preamble"))
		}
		c.preamble = true
	} else if callID, method := requestOf(b); method == "renewLease" {
		now := time.Now()
		if !c.slot.writing() || now.Sub(c.renewed) < leaseRenewEvery {
			c.in = append(c.in, successFrame(callID)...)
			return len(b), nil
		}
		c.renewed, c.renewing = now, true
	} else {
		c.renewing = false
		c.slot.forgetRemote()
	}
	// A connection that the NameNode closed meanwhile would swallow the frame, and the call's outcome would be unknown.
	if !alive(c.Conn) {
		return 0, c.poison(errors.New("closed by the name node"))
	}
	c.Conn.SetWriteDeadline(time.Now().Add(c.timeout))
	n, err := c.Conn.Write(b)
	if err != nil {
		return n, c.poison(err)
	}
	return n, nil
}

// Read serves whole frames only: half an answer is never passed on.
func (c *nameNodeConn) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		frame, err := c.frame()
		if err != nil {
			return 0, c.poison(err)
		}
		c.in = frame
	}
	n := copy(b, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *nameNodeConn) frame() ([]byte, error) {
	c.Conn.SetReadDeadline(time.Now().Add(c.timeout))
	var head [4]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxNNFrame {
		return nil, fmt.Errorf("answer of %d bytes is too long", n)
	}
	frame := make([]byte, 4+n)
	copy(frame, head[:])
	if _, err := io.ReadFull(c.Conn, frame[4:]); err != nil {
		return nil, err
	}
	c.Conn.SetReadDeadline(time.Time{}) // an old one would make alive fail
	if h, ok := responseOf(frame); ok && !c.renewing && h.GetStatus() != commonpb.RpcStatusProto_SUCCESS {
		c.slot.remember(h.GetExceptionClassName(), h.GetErrorMsg())
	}
	return frame, nil
}

func (c *nameNodeConn) poison(err error) error {
	c.err = fmt.Errorf("name node %s: %w", c.RemoteAddr(), err)
	c.Conn.Close()
	return c.err
}

// Close ends the connection; the byte client makes another one when it needs it.
func (c *nameNodeConn) Close() error {
	c.slot.forget(c)
	return c.Conn.Close()
}

// SetDeadline and its kin do nothing: deadlines are set here, per frame.
func (c *nameNodeConn) SetDeadline(time.Time) error      { return nil }
func (c *nameNodeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *nameNodeConn) SetWriteDeadline(time.Time) error { return nil }

// requestOf returns call id and method of a request frame; "" for the connection context and for what is none.
func requestOf(frame []byte) (int32, string) {
	head, rest, ok := delimited(frame, 4)
	if !ok {
		return 0, ""
	}
	var h commonpb.RpcRequestHeaderProto
	if proto.Unmarshal(head, &h) != nil || h.GetCallId() < 0 {
		return 0, ""
	}
	var m commonpb.RequestHeaderProto
	if body, _, ok := delimited(rest, 0); !ok || proto.Unmarshal(body, &m) != nil {
		return 0, ""
	}
	return h.GetCallId(), m.GetMethodName()
}

func responseOf(frame []byte) (*commonpb.RpcResponseHeaderProto, bool) {
	head, _, ok := delimited(frame, 4)
	if !ok {
		return nil, false
	}
	var h commonpb.RpcResponseHeaderProto
	return &h, proto.Unmarshal(head, &h) == nil
}

// successFrame answers a call whose response message is empty.
func successFrame(callID int32) []byte {
	h := commonpb.RpcResponseHeaderProto_builder{CallId: proto.Uint32(uint32(callID)),
		Status: commonpb.RpcStatusProto_SUCCESS.Enum()}.Build()
	b, err := proto.Marshal(h)
	if err != nil {
		return nil // cannot be: all required fields are set
	}
	body := append(protowire.AppendBytes(nil, b), 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// delimited splits off one message with a varint length after skip bytes.
func delimited(b []byte, skip int) (msg, rest []byte, ok bool) {
	if len(b) < skip {
		return nil, nil, false
	}
	msg, n := protowire.ConsumeBytes(b[skip:])
	if n < 0 {
		return nil, nil, false
	}
	return msg, b[skip+n:], true
}

// dataNodeConn carries one block.
//
//   - Every read and write gets a deadline of its own; what the byte client sets (also: none) is ignored.
//   - The end of the stream is an unexpected one: the byte client takes io.EOF within a block as a reason to connect again, at
//     once and for ever.
//   - Once broken, reads fail and writes are swallowed. A block counts as written only when its last packet was acknowledged, so
//     nothing is lost, and the byte client's goroutine that waits for acknowledgements comes to its end. Our Writer asks
//     byteClient.broken instead.
//   - Reads are buffered, because the byte client reads checksum chunks of 512 bytes.
type dataNodeConn struct {
	net.Conn
	slot    *byteClient
	timeout time.Duration
	r       *bufio.Reader // reading goroutine only

	mu  sync.Mutex
	err error
}

// Read fills b from the buffer.
func (c *dataNodeConn) Read(b []byte) (int, error) {
	if c.r == nil {
		c.r = bufio.NewReaderSize(socketReader{c}, 128<<10)
	}
	n, err := c.r.Read(b)
	if err != nil {
		err = c.fail(err)
	}
	return n, err
}

type socketReader struct{ c *dataNodeConn }

func (s socketReader) Read(b []byte) (int, error) {
	s.c.Conn.SetReadDeadline(time.Now().Add(s.c.timeout))
	n, err := s.c.Conn.Read(b)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Write sends b, or drops it when the connection is broken.
func (c *dataNodeConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	broken := c.err != nil
	c.mu.Unlock()
	if !broken {
		c.Conn.SetWriteDeadline(time.Now().Add(c.timeout))
		if _, err := c.Conn.Write(b); err != nil {
			_ = c.fail(err) // told by the next Read and by byteClient.broken
		}
	}
	return len(b), nil
}

// Close ends the connection; the block that it carried is finished with.
func (c *dataNodeConn) Close() error {
	c.slot.forget(c)
	return c.Conn.Close()
}

// fail keeps the first error and closes the socket.
func (c *dataNodeConn) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("data node %s: %w", c.RemoteAddr(), err)
		c.slot.dataFailed(c.err)
		c.Conn.Close()
	}
	return c.err
}

// SetDeadline and its kin do nothing: deadlines are set here, per operation.
func (c *dataNodeConn) SetDeadline(time.Time) error      { return nil }
func (c *dataNodeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *dataNodeConn) SetWriteDeadline(time.Time) error { return nil }

// alive looks at an idle connection without waiting: the peer has neither closed it nor sent anything unasked.
func alive(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = rc.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}
