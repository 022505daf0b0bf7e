package sasl

import (
	"fmt"
	"strings"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// Method is one way to authenticate that the client can offer.
type Method interface {
	// Name is what servers call it: MethodToken, …
	Name() string
	// Client starts the mechanism a server advertises for this method; nil without error means: not that mechanism.
	// For a method without a mechanism of its own (SIMPLE) the Client is nil and Handshake is false.
	Client(advertised *commonpb.RpcSaslProto_SaslAuth) (Client, error)
	// Handshake reports whether messages are exchanged at all after the choice.
	Handshake() bool
}

// Simple is the method that proves nothing: the user's name follows in the connection context.
func Simple() Method { return simple{} }

type simple struct{}

func (simple) Name() string                                           { return MethodSimple }
func (simple) Handshake() bool                                        { return false }
func (simple) Client(*commonpb.RpcSaslProto_SaslAuth) (Client, error) { return nil, nil }

// Negotiator is the client's side of Hadoop's SASL exchange (Java: SaslRpcClient, 3.5.0):
//
//	client NEGOTIATE                       server NEGOTIATE(auths), or SUCCESS when it only knows SIMPLE
//	client INITIATE(token, the auth)       server CHALLENGE(token) …, SUCCESS(token?)
//	client RESPONSE(token) …
//
// Every message the server sends goes to Step, until it reports done.
type Negotiator struct {
	methods []Method
	state   negotiation
	chosen  Method
	client  Client
	layer   Layer
}

type negotiation int

const (
	negotiating negotiation = iota
	challenged
	finished
)

// NewNegotiator offers methods; the server's order of preference decides among them.
func NewNegotiator(methods ...Method) *Negotiator { return &Negotiator{methods: methods} }

// First is the message that opens the exchange.
func (n *Negotiator) First() *commonpb.RpcSaslProto { return message(commonpb.RpcSaslProto_NEGOTIATE) }

// Method is the chosen method's name once done.
func (n *Negotiator) Method() string {
	if n.chosen == nil {
		return MethodSimple
	}
	return n.chosen.Name()
}

// Layer is the agreed protection once done; nil means none.
func (n *Negotiator) Layer() Layer { return n.layer }

// Step takes a message of the server. It returns the answer to send, or nil, and whether the exchange is over; with SIMPLE it is
// over while there is still an answer to send.
func (n *Negotiator) Step(in *commonpb.RpcSaslProto) (out *commonpb.RpcSaslProto, done bool, err error) {
	if n.state == finished {
		return nil, false, fmt.Errorf("%w: %s after the end", ErrProtocol, in.GetState())
	}
	switch state := in.GetState(); {
	case n.state == negotiating && state == commonpb.RpcSaslProto_NEGOTIATE:
		return n.initiate(in.GetAuths())
	case n.state == negotiating && state == commonpb.RpcSaslProto_SUCCESS:
		return n.serverIsSimple()
	case n.state == challenged && state == commonpb.RpcSaslProto_CHALLENGE:
		token, err := n.client.Step(in.GetToken())
		if err != nil {
			return nil, false, err
		}
		return withToken(commonpb.RpcSaslProto_RESPONSE, token), false, nil
	case n.state == challenged && state == commonpb.RpcSaslProto_SUCCESS:
		n.state = finished
		n.layer, err = n.client.Finish(in.GetToken())
		return nil, err == nil, err
	default:
		return nil, false, fmt.Errorf("%w: %s", ErrProtocol, state)
	}
}

// serverIsSimple ends the exchange with a server that wants no proof. A client that did not offer SIMPLE refuses: else anyone
// who answers SUCCESS could pass for the server.
func (n *Negotiator) serverIsSimple() (*commonpb.RpcSaslProto, bool, error) {
	for _, m := range n.methods {
		if m.Name() == MethodSimple {
			n.state, n.chosen = finished, m
			return nil, true, nil
		}
	}
	return nil, false, fmt.Errorf("%w: the server offers SIMPLE, this client %s", ErrNoMethod, n.offered())
}

func (n *Negotiator) initiate(auths []*commonpb.RpcSaslProto_SaslAuth) (*commonpb.RpcSaslProto, bool, error) {
	var advertised []string
	for _, auth := range auths {
		advertised = append(advertised, auth.GetMethod()+"/"+auth.GetMechanism())
		for _, m := range n.methods {
			if m.Name() != auth.GetMethod() {
				continue
			}
			client, err := m.Client(auth)
			if err != nil {
				return nil, false, err
			}
			if client == nil && m.Handshake() {
				continue
			}
			return n.choose(m, client, auth)
		}
	}
	return nil, false, fmt.Errorf("%w: the server offers %s, this client %s", ErrNoMethod, strings.Join(advertised, ", "), n.offered())
}

func (n *Negotiator) choose(m Method, client Client, auth *commonpb.RpcSaslProto_SaslAuth) (*commonpb.RpcSaslProto, bool, error) {
	n.chosen, n.client = m, client
	token := []byte{}
	if client != nil {
		var err error
		if token, err = client.Step(auth.GetChallenge()); err != nil {
			return nil, false, err
		}
	}
	out := withToken(commonpb.RpcSaslProto_INITIATE, token)
	out.SetAuths([]*commonpb.RpcSaslProto_SaslAuth{echo(auth)})
	n.state = challenged
	if !m.Handshake() {
		n.state = finished
	}
	return out, n.state == finished, nil
}

// echo repeats an advertised entry without its challenge. The server looks the entry up by equality, so a field that was absent must stay
// absent, and an empty one empty.
func echo(auth *commonpb.RpcSaslProto_SaslAuth) *commonpb.RpcSaslProto_SaslAuth {
	out := &commonpb.RpcSaslProto_SaslAuth{}
	out.SetMethod(auth.GetMethod())
	out.SetMechanism(auth.GetMechanism())
	if auth.HasProtocol() {
		out.SetProtocol(auth.GetProtocol())
	}
	if auth.HasServerId() {
		out.SetServerId(auth.GetServerId())
	}
	return out
}

func (n *Negotiator) offered() string {
	var names []string
	for _, m := range n.methods {
		names = append(names, m.Name())
	}
	return strings.Join(names, ", ")
}

func message(state commonpb.RpcSaslProto_SaslState) *commonpb.RpcSaslProto {
	m := &commonpb.RpcSaslProto{}
	m.SetState(state)
	return m
}

// withToken sets the token also when it is empty: Java's server insists on its presence.
func withToken(state commonpb.RpcSaslProto_SaslState, token []byte) *commonpb.RpcSaslProto {
	m := message(state)
	m.SetToken(append([]byte{}, token...))
	return m
}
