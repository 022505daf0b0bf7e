package ipc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/sasl"
)

// maxHandshake bounds one frame before the connection is established.
const maxHandshake = 1 << 20

// errHandshake marks failures of authentication that another try will not cure.
var errHandshake = errors.New("authenticate")

func isHandshakeError(err error) bool { return errors.Is(err, errHandshake) }

// open dials and authenticates. ctx bounds both. The connection context is left in the write buffer, to go out with the first call: a
// server that refuses the connection then answers before it resets.
func (c *Client) open(ctx context.Context, peer *Peer) (*conn, error) {
	nc, err := c.cfg.Dial(ctx, "tcp", peer.Addr)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	r, w, err := c.handshake(nc, peer)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	conn := &conn{
		cfg: &c.cfg, client: c.id[:], nc: nc, r: r, w: w, wake: make(chan struct{}, 1),
		pending: map[int32]*pending{}, lastUsed: time.Now(), forget: func() {},
	}
	conn.heard.Store(time.Now().UnixNano())
	return conn, nil
}

// handshake sends the preamble, authenticates, and leaves the connection context in w. Frames pass through r and w as plain text.
func (c *Client) handshake(nc net.Conn, peer *Peer) (*bufio.Reader, *bufio.Writer, error) {
	r, w := bufio.NewReaderSize(nc, 32<<10), bufio.NewWriterSize(nc, 32<<10)
	_, _ = w.WriteString(wire.Preamble)
	methods := c.methods(peer)
	if methods == nil {
		_ = w.WriteByte(wire.AuthNone)
		return r, w, c.sendContext(w, peer, sasl.MethodSimple)
	}
	_ = w.WriteByte(wire.AuthSASL)
	n := sasl.NewNegotiator(methods...)
	if err := negotiate(n, r, w); err != nil {
		return nil, nil, err
	}
	if l := n.Layer(); l != nil {
		r, w = protect(l, r, nc, c.cfg.MaxResponse)
	}
	return r, w, c.sendContext(w, peer, n.Method())
}

// methods is what we can offer a peer; nil means plain SIMPLE, without negotiation.
func (c *Client) methods(peer *Peer) []sasl.Method {
	if peer.Token == nil {
		return nil
	}
	return []sasl.Method{sasl.Token(peer.Token, c.cfg.Protection)}
}

func negotiate(n *sasl.Negotiator, r *bufio.Reader, w *bufio.Writer) error {
	out, done := n.First(), false
	for {
		if out != nil {
			if err := writeFrame(w, wire.SASLRequest(), out); err != nil {
				return err
			}
			if err := w.Flush(); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		in, err := readSASL(r)
		if err != nil {
			return err
		}
		if out, done, err = n.Step(in); err != nil {
			return fmt.Errorf("%w: %w", errHandshake, err)
		}
	}
}

func readSASL(r *bufio.Reader) (*commonpb.RpcSaslProto, error) {
	frame, err := wire.ReadFrame(r, maxHandshake, nil)
	if err != nil {
		return nil, broken(err)
	}
	h, m := &commonpb.RpcResponseHeaderProto{}, &commonpb.RpcSaslProto{}
	body, err := wire.CutDelimited(frame, h)
	if err != nil {
		return nil, err
	}
	if err := checkSASL(h); err != nil {
		return nil, err
	}
	if _, err = wire.CutDelimited(body, m); err != nil {
		return nil, err
	}
	return m, nil
}

func checkSASL(header proto.Message) error {
	h := header.(*commonpb.RpcResponseHeaderProto)
	if h.GetStatus() != commonpb.RpcStatusProto_SUCCESS {
		return newRemoteError(h)
	}
	if id := int32(h.GetCallId()); id != wire.CallSASL {
		return fmt.Errorf("%w: call id %d instead of a SASL message", ErrFrame, id)
	}
	return nil
}

// protect puts the agreed layer below the frames.
func protect(l sasl.Layer, r *bufio.Reader, nc io.Writer, maxResponse int) (*bufio.Reader, *bufio.Writer) {
	const overhead = 1 << 10 // of one token and its header
	in := &wire.WrapReader{
		R: r, Layer: l, Limit: maxResponse + overhead, Check: checkSASL,
		Header: func() proto.Message { return &commonpb.RpcResponseHeaderProto{} },
	}
	out := &wire.WrapWriter{W: nc, Layer: l, Header: wire.SASLRequest()}
	return bufio.NewReaderSize(in, 32<<10), bufio.NewWriterSize(out, l.MaxChunk())
}

// sendContext says who we are and which protocol follows. With a token the server knows the user; a name that differs from its would be refused.
func (c *Client) sendContext(w *bufio.Writer, peer *Peer, method string) error {
	user := &commonpb.UserInformationProto{}
	if method == sasl.MethodSimple {
		user.SetEffectiveUser(peer.User)
		if peer.RealUser != "" {
			user.SetRealUser(peer.RealUser)
		}
	}
	m := &commonpb.IpcConnectionContextProto{}
	m.SetUserInfo(user)
	m.SetProtocol(peer.Protocol)
	h := &commonpb.RpcRequestHeaderProto{}
	c.fillHeader(h, wire.CallContext, -1)
	return writeFrame(w, h, m)
}

func writeFrame(w *bufio.Writer, messages ...proto.Message) error {
	frame, err := wire.AppendFrame(nil, messages...)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}
