package ipctest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// maxRequest is ipc.maximum.data.length; a longer frame closes the connection, as in Java.
const maxRequest = 128 << 20

const (
	classIO            = "java.io.IOException"
	classRPC           = "org.apache.hadoop.ipc.RpcServerException"
	classAccess        = "org.apache.hadoop.security.AccessControlException"
	classAuthorization = "org.apache.hadoop.security.authorize.AuthorizationException"
	classInvalidToken  = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
)

// errEnd ends a connection after its last frame was sent.
var errEnd = errors.New("end")

// conn is one connection. serve runs on its goroutine; calls write through send.
type conn struct {
	server *Server
	nc     net.Conn
	r      *bufio.Reader
	calls  sync.WaitGroup
	caller Caller
	ready  bool // the context has come

	mu sync.Mutex // one frame at a time
	w  io.Writer
}

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{server: s, nc: nc, r: bufio.NewReader(nc), w: nc, caller: Caller{Remote: nc.RemoteAddr()}}
}

func (c *conn) serve() {
	ctx, cancel := context.WithCancel(c.server.ctx)
	err := c.run(ctx)
	_ = c.nc.Close()
	cancel()
	c.calls.Wait()
	c.server.cfg.Log.Debug("connection ended", "remote", c.caller.Remote, "error", err)
}

func (c *conn) run(ctx context.Context) error {
	head := make([]byte, len(wire.Preamble)+1)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return err
	}
	if string(head[:len(wire.Preamble)]) != wire.Preamble {
		return c.refuse(wire.CallRefused, commonpb.RpcErrorCodeProto_FATAL_VERSION_MISMATCH, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.RPC$VersionMismatch", Message: "bad preamble"})
	}
	switch auth := head[len(wire.Preamble)]; {
	case auth == wire.AuthNone && !c.server.cfg.Simple:
		return c.unauthorized(wire.CallRefused, classAccess, "SIMPLE authentication is not enabled.  Available:[TOKEN]")
	case auth == wire.AuthSASL:
		if err := c.authenticate(); err != nil {
			return err
		}
	case auth != wire.AuthNone:
		return c.unauthorized(wire.CallRefused, classAccess, fmt.Sprintf("auth byte %x is unknown", auth))
	}
	for {
		frame, err := wire.ReadFrame(c.r, maxRequest, nil)
		if err != nil {
			return err
		}
		if err := c.frame(ctx, frame); err != nil {
			return err
		}
	}
}

// frame takes a frame after authentication.
func (c *conn) frame(ctx context.Context, frame []byte) error {
	h := &commonpb.RpcRequestHeaderProto{}
	body, err := wire.CutDelimited(frame, h)
	if err != nil {
		return c.refuse(wire.CallInvalid, commonpb.RpcErrorCodeProto_FATAL_DESERIALIZING_REQUEST, err)
	}
	if h.GetRpcKind() != commonpb.RpcKindProto_RPC_PROTOCOL_BUFFER || !h.HasRpcKind() || !h.HasRpcOp() || h.GetRpcOp() != commonpb.OperationProto_RPC_FINAL_PACKET {
		return c.refuse(h.GetCallId(), commonpb.RpcErrorCodeProto_FATAL_INVALID_RPC_HEADER, errors.New("kind and operation must be protobuf and final packet"))
	}
	switch id := h.GetCallId(); {
	case id == wire.CallContext:
		return c.context(body)
	case id == wire.CallPing:
		c.server.mu.Lock()
		c.server.pings++
		c.server.mu.Unlock()
		return nil
	case id < 0 || !c.ready:
		return c.refuse(id, commonpb.RpcErrorCodeProto_FATAL_INVALID_RPC_HEADER, fmt.Errorf("call id %d at this point", id))
	default:
		return c.call(ctx, h, body)
	}
}

func (c *conn) context(body []byte) error {
	m := &commonpb.IpcConnectionContextProto{}
	if _, err := wire.CutDelimited(body, m); err != nil || c.ready {
		return c.refuse(wire.CallContext, commonpb.RpcErrorCodeProto_FATAL_DESERIALIZING_REQUEST, fmt.Errorf("connection context: %w", err))
	}
	c.caller.Protocol = m.GetProtocol()
	c.caller.User, c.caller.RealUser = m.GetUserInfo().GetEffectiveUser(), m.GetUserInfo().GetRealUser()
	if c.caller.Identifier != nil && c.caller.User != "" {
		return c.unauthorized(wire.CallContext, classAccess, "Authenticated user doesn't match what the client claims to be: "+c.caller.User)
	}
	if authorize := c.server.cfg.Authorize; authorize != nil {
		if err := authorize(c.caller); err != nil {
			return c.unauthorized(wire.CallContext, classAuthorization, err.Error())
		}
	}
	c.ready = true
	return nil
}

func (c *conn) call(ctx context.Context, h *commonpb.RpcRequestHeaderProto, body []byte) error {
	m := &commonpb.RequestHeaderProto{}
	rest, err := wire.CutDelimited(body, m)
	if err != nil {
		return c.refuse(h.GetCallId(), commonpb.RpcErrorCodeProto_FATAL_DESERIALIZING_REQUEST, err)
	}
	req, _, err := wire.CutBytes(rest)
	if err != nil {
		return c.refuse(h.GetCallId(), commonpb.RpcErrorCodeProto_FATAL_DESERIALIZING_REQUEST, err)
	}
	caller := c.caller
	caller.ClientID, caller.CallID, caller.Retry = bytes.Clone(h.GetClientId()), h.GetCallId(), h.GetRetryCount()
	c.calls.Go(func() {
		resp, err := c.server.cfg.Handle(ctx, caller, m.GetDeclaringClassProtocolName(), m.GetMethodName(), req)
		c.answer(caller, resp, err)
	})
	return nil
}

// answer sends what a handler returned; a connection that fails meanwhile ends by its reader.
func (c *conn) answer(caller Caller, resp proto.Message, err error) {
	h := &commonpb.RpcResponseHeaderProto{}
	h.SetCallId(uint32(caller.CallID))
	h.SetClientId(caller.ClientID)
	h.SetRetryCount(caller.Retry)
	h.SetServerIpcVersionNum(9)
	h.SetStatus(commonpb.RpcStatusProto_SUCCESS)
	switch {
	case errors.Is(err, ErrDrop):
		return
	case errors.Is(err, ErrHangUp):
		_ = c.nc.Close()
		return
	case err != nil:
		fillError(h, commonpb.RpcErrorCodeProto_ERROR_APPLICATION, err)
		_ = c.send(h)
	default:
		_ = c.send(h, resp)
	}
	if h.GetStatus() == commonpb.RpcStatusProto_FATAL {
		_ = c.nc.Close()
	}
}

func fillError(h *commonpb.RpcResponseHeaderProto, code commonpb.RpcErrorCodeProto, err error) {
	var remote *ipc.RemoteError
	if !errors.As(err, &remote) {
		remote = &ipc.RemoteError{Class: classIO, Message: err.Error()}
	}
	text := remote.Message
	if remote.Stack != "" {
		text += "\n" + remote.Stack
	}
	h.SetStatus(commonpb.RpcStatusProto_ERROR)
	if remote.Fatal {
		h.SetStatus(commonpb.RpcStatusProto_FATAL)
	}
	if remote.Code != 0 {
		code = remote.Code
	}
	h.SetExceptionClassName(remote.Class)
	h.SetErrorMsg(text)
	h.SetErrorDetail(code)
}

func (c *conn) unauthorized(id int32, class, message string) error {
	return c.refuse(id, commonpb.RpcErrorCodeProto_FATAL_UNAUTHORIZED, &ipc.RemoteError{Class: class, Message: message})
}

// refuse sends a fatal answer and ends the connection.
func (c *conn) refuse(id int32, code commonpb.RpcErrorCodeProto, err error) error {
	var remote *ipc.RemoteError
	if !errors.As(err, &remote) {
		remote = &ipc.RemoteError{Class: classRPC, Message: err.Error()}
	}
	fatal := *remote
	fatal.Fatal = true
	h := &commonpb.RpcResponseHeaderProto{}
	h.SetCallId(uint32(id))
	fillError(h, code, &fatal)
	_ = c.send(h)
	return fmt.Errorf("%w: %w", errEnd, &fatal)
}

// send writes one frame. Its lock keeps frames whole and, with a protection layer, in sequence.
func (c *conn) send(messages ...proto.Message) error {
	frame, err := wire.AppendFrame(nil, messages...)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.w.Write(frame)
	return err
}
