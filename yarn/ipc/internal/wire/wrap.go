package wire

import (
	"bufio"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/sasl"
)

// SASLRequest is the header of a client's SASL frame; its client id is empty but present.
func SASLRequest() *commonpb.RpcRequestHeaderProto {
	h := &commonpb.RpcRequestHeaderProto{}
	h.SetRpcKind(commonpb.RpcKindProto_RPC_PROTOCOL_BUFFER)
	h.SetRpcOp(commonpb.OperationProto_RPC_FINAL_PACKET)
	h.SetCallId(CallSASL)
	h.SetClientId([]byte{})
	h.SetRetryCount(-1)
	return h
}

// SASLResponse is the header of a server's SASL frame.
func SASLResponse() *commonpb.RpcResponseHeaderProto {
	h := &commonpb.RpcResponseHeaderProto{}
	id := int32(CallSASL)
	h.SetCallId(uint32(id))
	h.SetStatus(commonpb.RpcStatusProto_SUCCESS)
	return h
}

// WrapWriter protects what is written and sends it as WRAP frames, cut where the layer demands.
type WrapWriter struct {
	W      io.Writer
	Layer  sasl.Layer
	Header proto.Message // SASLRequest or SASLResponse
}

// Write implements io.Writer.
func (w *WrapWriter) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		chunk := p[sent:min(len(p), sent+w.Layer.MaxChunk())]
		token, err := w.Layer.Wrap(chunk)
		if err != nil {
			return sent, err
		}
		m := &commonpb.RpcSaslProto{}
		m.SetState(commonpb.RpcSaslProto_WRAP)
		m.SetToken(token)
		frame, err := AppendFrame(nil, w.Header, m)
		if err != nil {
			return sent, err
		}
		if _, err := w.W.Write(frame); err != nil {
			return sent, err
		}
		sent += len(chunk)
	}
	return len(p), nil
}

// WrapReader opens WRAP frames into the byte stream of inner frames.
type WrapReader struct {
	R      *bufio.Reader
	Layer  sasl.Layer
	Limit  int                  // of an outer frame, bytes
	Header func() proto.Message // of the peer's kind
	// Check looks at an outer header before its token is opened; an error ends the stream.
	Check func(header proto.Message) error

	rest []byte
}

// Read implements io.Reader.
func (r *WrapReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		frame, err := ReadFrame(r.R, r.Limit, nil)
		if err != nil {
			return 0, err
		}
		h, m := r.Header(), &commonpb.RpcSaslProto{}
		body, err := CutDelimited(frame, h)
		if err != nil {
			return 0, err
		}
		if err := r.Check(h); err != nil {
			return 0, err
		}
		if _, err := CutDelimited(body, m); err != nil {
			return 0, err
		}
		if m.GetState() != commonpb.RpcSaslProto_WRAP {
			return 0, fmt.Errorf("%w: %s on a protected connection", ErrFrame, m.GetState())
		}
		if r.rest, err = r.Layer.Unwrap(m.GetToken()); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
