package ipctest

import (
	"bufio"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/sasl"
)

// authenticate is the server's half of the SASL exchange; an error ends the connection.
func (c *conn) authenticate() error {
	in, err := c.readSASL()
	if err != nil {
		return err
	}
	if in.GetState() != commonpb.RpcSaslProto_NEGOTIATE {
		return c.unauthorized(wire.CallSASL, classAccess, "expected NEGOTIATE")
	}
	digest := &sasl.Digest{Password: c.server.cfg.Password, Offer: c.server.cfg.Protection, Ciphers: c.server.cfg.Ciphers}
	offer := c.offer(digest)
	if len(offer) == 1 && offer[0].GetMethod() == sasl.MethodSimple {
		return c.sendSASL(commonpb.RpcSaslProto_SUCCESS, nil)
	}
	if err := c.sendSASL(commonpb.RpcSaslProto_NEGOTIATE, func(m *commonpb.RpcSaslProto) { m.SetAuths(offer) }); err != nil {
		return err
	}
	if in, err = c.readSASL(); err != nil {
		return err
	}
	if in.GetState() != commonpb.RpcSaslProto_INITIATE || len(in.GetAuths()) != 1 || !in.HasToken() {
		return c.unauthorized(wire.CallSASL, classAccess, "expected INITIATE with a token and one entry")
	}
	switch chosen := in.GetAuths()[0]; {
	case !c.offered(offer, chosen):
		return c.unauthorized(wire.CallSASL, classAccess, chosen.GetMethod()+" authentication is not enabled")
	case chosen.GetMethod() == sasl.MethodSimple:
		return nil
	default:
		return c.finish(digest, in.GetToken())
	}
}

func (c *conn) offer(digest *sasl.Digest) []*commonpb.RpcSaslProto_SaslAuth {
	var out []*commonpb.RpcSaslProto_SaslAuth
	if c.server.cfg.Password != nil {
		out = append(out, commonpb.RpcSaslProto_SaslAuth_builder{
			Method: proto.String(sasl.MethodToken), Mechanism: proto.String(sasl.DigestName), Protocol: proto.String(""),
			ServerId: proto.String(sasl.DigestServerID), Challenge: digest.Challenge(),
		}.Build())
	}
	if c.server.cfg.Simple {
		out = append(out, commonpb.RpcSaslProto_SaslAuth_builder{Method: proto.String(sasl.MethodSimple), Mechanism: proto.String("")}.Build())
	}
	return out
}

// offered compares as Java does: equal entries, the challenge aside.
func (c *conn) offered(offer []*commonpb.RpcSaslProto_SaslAuth, chosen *commonpb.RpcSaslProto_SaslAuth) bool {
	for _, o := range offer {
		plain := proto.CloneOf(o)
		plain.ClearChallenge()
		if proto.Equal(plain, chosen) {
			return true
		}
	}
	return false
}

func (c *conn) finish(digest *sasl.Digest, token []byte) error {
	final, identifier, layer, err := digest.Evaluate(token)
	var remote *ipc.RemoteError
	switch {
	case errors.As(err, &remote):
		return c.unauthorized(wire.CallSASL, remote.Class, remote.Message)
	case errors.Is(err, sasl.ErrRefused):
		return c.unauthorized(wire.CallSASL, classInvalidToken, err.Error())
	case err != nil:
		return c.unauthorized(wire.CallSASL, "javax.security.sasl.SaslException", err.Error())
	}
	c.caller.Identifier = identifier
	if err := c.sendSASL(commonpb.RpcSaslProto_SUCCESS, func(m *commonpb.RpcSaslProto) { m.SetToken(final) }); err != nil {
		return err
	}
	if layer != nil {
		c.r = bufio.NewReader(&wire.WrapReader{
			R: c.r, Layer: layer, Limit: maxRequest, Check: checkWrap,
			Header: func() proto.Message { return &commonpb.RpcRequestHeaderProto{} },
		})
		c.w = &wire.WrapWriter{W: c.nc, Layer: layer, Header: wire.SASLResponse()}
	}
	return nil
}

func checkWrap(header proto.Message) error {
	if id := header.(*commonpb.RpcRequestHeaderProto).GetCallId(); id != wire.CallSASL {
		return fmt.Errorf("call id %d on a protected connection", id)
	}
	return nil
}

func (c *conn) readSASL() (*commonpb.RpcSaslProto, error) {
	frame, err := wire.ReadFrame(c.r, maxRequest, nil)
	if err != nil {
		return nil, err
	}
	h, m := &commonpb.RpcRequestHeaderProto{}, &commonpb.RpcSaslProto{}
	body, err := wire.CutDelimited(frame, h)
	if err == nil && h.GetCallId() != wire.CallSASL {
		err = fmt.Errorf("call id %d before authentication", h.GetCallId())
	}
	if err == nil {
		_, err = wire.CutDelimited(body, m)
	}
	if err != nil {
		return nil, c.unauthorized(wire.CallSASL, classAccess, err.Error())
	}
	return m, nil
}

func (c *conn) sendSASL(state commonpb.RpcSaslProto_SaslState, fill func(*commonpb.RpcSaslProto)) error {
	m := &commonpb.RpcSaslProto{}
	m.SetState(state)
	if fill != nil {
		fill(m)
	}
	return c.send(wire.SASLResponse(), m)
}
