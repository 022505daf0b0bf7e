package sasl

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/token"
)

var sampleToken = &token.Token{Identifier: []byte("identifier-bytes-0123456789"), Password: token.Secret("password"), Kind: token.AMRM}

func advertise(challenge string) *commonpb.RpcSaslProto_SaslAuth {
	return commonpb.RpcSaslProto_SaslAuth_builder{
		Method: proto.String(MethodToken), Mechanism: proto.String(mechanismDigest), Protocol: proto.String(""), ServerId: proto.String("default"), Challenge: []byte(challenge),
	}.Build()
}

// TestVectorsOfTheJDK holds response and rspauth against what JDK 17 computed.
func TestVectorsOfTheJDK(t *testing.T) {
	tests := []struct {
		qop                              QOP
		nonce, cnonce, response, rspauth string
	}{
		{Auth, "MqWdQZ9uLGhk5/F42zRfCGQATgD88W7ne3B7JeyF", "pmyoLEpmXOKK2MRnHc9eT1Dffu8CQ0UTFjJUeZ61", "a0452038f92d54f27cc012236ad0f526", "3ed08f4408ccd7378925f790f611e6aa"},
		{AuthInt, "y5v8YhCrBv/b41CIi33PJXFhlCbM2fu+ItRJP/iG", "pzqalfqay7U7z3KvZ2y3OjttUv9TwcMs38c+IKKj", "a8045f477d68fa7e1caaa60839936d09", "bfa0602876f6523467cb139eaf6db137"},
		{AuthConf, "42tEvW0BLtIUAY4vHF/bY6a1gPn5cE3gz8Moy8d4", "hx2OX1YbHkopojaRBnhBKYCLZuFUMFC5nZp/JSCM", "e13668b8a0b16d71c114616aa59d2dd3", "37176640eb8008c2d158dec5cb559bb6"},
	}
	for _, tt := range tests {
		t.Run(string(tt.qop), func(t *testing.T) {
			c, err := Token(sampleToken, []QOP{tt.qop}).Client(advertise(""))
			if err != nil {
				t.Fatal(err)
			}
			c.(*digestClient).cnonce = tt.cnonce
			challenge := fmt.Sprintf(`realm="default",nonce="%s",qop="auth,auth-int,auth-conf",charset=utf-8,algorithm=md5-sess,cipher="3des,rc4,des,rc4-56,rc4-40"`, tt.nonce)
			got, err := c.Step([]byte(challenge))
			if err != nil {
				t.Fatal(err)
			}
			fields, err := parseDirectives(got)
			if err != nil || fields["response"] != tt.response {
				t.Errorf("response: got %s, %v, want %s", fields["response"], err, tt.response)
			}
			if _, err := c.Finish([]byte("rspauth=" + tt.rspauth)); err != nil {
				t.Errorf("finish: %v", err)
			}
			if _, err := c.Finish([]byte("rspauth=" + strings.Repeat("0", 32))); !errors.Is(err, ErrServer) {
				t.Errorf("finish with a wrong proof: got %v, want ErrServer", err)
			}
		})
	}
}

func TestClientRefusesChallenges(t *testing.T) {
	const good = `realm="default",nonce="n",qop="auth",algorithm=md5-sess`
	tests := []struct {
		name, challenge string
		protection      []QOP
		want            error
	}{
		{"good", good, nil, nil},
		{"qop absent means auth", `nonce="n",algorithm=md5-sess`, nil, nil},
		{"no nonce", `realm="default",qop="auth",algorithm=md5-sess`, nil, ErrProtocol},
		{"no algorithm", `nonce="n",qop="auth"`, nil, ErrProtocol},
		{"garbage", `nonce`, nil, ErrProtocol},
		{"twice", good + `,nonce="m"`, nil, ErrProtocol},
		{"open quote", `nonce="n`, nil, ErrProtocol},
		{"open escape", `nonce="n\`, nil, ErrProtocol},
		{"not separated", `nonce="n"algorithm=md5-sess`, nil, ErrProtocol},
		{"maxbuf", good + `,maxbuf=10`, nil, ErrProtocol},
		{"talked down", good, []QOP{AuthConf, AuthInt}, ErrNoMethod},
		{"weak cipher", `nonce="n",qop="auth-conf",algorithm=md5-sess,cipher="des,rc4-40"`, []QOP{AuthConf}, ErrNoMethod},
		{"huge", good + `,x="` + strings.Repeat("a", maxChallenge) + `"`, nil, ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Token(sampleToken, tt.protection).Client(advertise(""))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Step([]byte(tt.challenge)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// shake runs client against server and returns both layers.
func shake(t *testing.T, client []QOP, server *Digest) (c, s Layer) {
	t.Helper()
	server.Password = func(id []byte) ([]byte, error) {
		if !bytes.Equal(id, sampleToken.Identifier) {
			return nil, errors.New("unknown token")
		}
		return []byte("password"), nil
	}
	n := NewNegotiator(Token(sampleToken, client))
	if got := n.First().GetState(); got != commonpb.RpcSaslProto_NEGOTIATE {
		t.Fatalf("first message: got %v, want NEGOTIATE", got)
	}
	offer := message(commonpb.RpcSaslProto_NEGOTIATE)
	offer.SetAuths([]*commonpb.RpcSaslProto_SaslAuth{advertise(string(server.Challenge()))})
	out, done, err := n.Step(offer)
	if err != nil || done || out.GetState() != commonpb.RpcSaslProto_INITIATE {
		t.Fatalf("after NEGOTIATE: got %v, %v, %v", out, done, err)
	}
	final, id, s, err := server.Evaluate(out.GetToken())
	if err != nil || !bytes.Equal(id, sampleToken.Identifier) {
		t.Fatalf("server: got %q, %v", id, err)
	}
	if _, done, err = n.Step(withToken(commonpb.RpcSaslProto_SUCCESS, final)); err != nil || !done {
		t.Fatalf("after SUCCESS: got %v, %v", done, err)
	}
	if n.Method() != MethodToken {
		t.Errorf("method: got %s, want TOKEN", n.Method())
	}
	return n.Layer(), s
}

func TestLayers(t *testing.T) {
	all := []QOP{AuthConf, AuthInt, Auth}
	tests := []struct {
		name    string
		client  []QOP
		offer   []QOP
		ciphers []string
		plain   bool
		sealed  bool
	}{
		{"auth", nil, all, nil, true, false},
		{"integrity", []QOP{AuthInt}, all, nil, false, false},
		{"privacy rc4", []QOP{AuthConf}, all, []string{"rc4"}, false, true},
		{"privacy 3des", []QOP{AuthConf}, all, []string{"3des"}, false, true},
		{"best common", all, []QOP{Auth, AuthInt}, nil, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, s := shake(t, tt.client, &Digest{Offer: tt.offer, Ciphers: tt.ciphers})
			if tt.plain {
				if c != nil || s != nil {
					t.Fatalf("layers: got %v and %v, want none", c, s)
				}
				return
			}
			for _, pair := range [][2]Layer{{c, s}, {s, c}} {
				for size := range 40 {
					exchange(t, pair[0], pair[1], bytes.Repeat([]byte{byte(size)}, size), tt.sealed)
				}
				exchange(t, pair[0], pair[1], bytes.Repeat([]byte("abcdefgh"), pair[0].MaxChunk()/8), tt.sealed)
				if _, err := pair[0].Wrap(make([]byte, pair[0].MaxChunk()+1)); !errors.Is(err, ErrLayer) {
					t.Errorf("wrap of more than MaxChunk: got %v, want ErrLayer", err)
				}
			}
		})
	}
}

func exchange(t *testing.T, from, to Layer, msg []byte, sealed bool) {
	t.Helper()
	tok, err := from.Wrap(msg)
	if err != nil {
		t.Fatal(err)
	}
	if len(tok) > maxBuffer {
		t.Errorf("token of %d bytes, the peer takes %d", len(tok), maxBuffer)
	}
	if len(msg) >= 16 && bytes.Contains(tok, msg) == sealed {
		t.Errorf("message readable in its token: got %v, want %v", !sealed, sealed)
	}
	got, err := to.Unwrap(tok)
	if err != nil || !bytes.Equal(got, msg) {
		t.Fatalf("unwrap of %d bytes: got %d bytes, %v", len(msg), len(got), err)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	for _, cipher := range []string{"", "rc4", "3des"} {
		for name, damage := range map[string]func([]byte) []byte{
			"empty":        func([]byte) []byte { return nil },
			"short":        func(b []byte) []byte { return b[len(b)-8:] },
			"message":      func(b []byte) []byte { b[0] ^= 1; return b },
			"checksum":     func(b []byte) []byte { b[len(b)-trailerSize-1] ^= 1; return b },
			"sequence":     func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			"message type": func(b []byte) []byte { b[len(b)-5] ^= 2; return b },
			"cut":          func(b []byte) []byte { return b[1:] },
		} {
			qop := AuthConf
			if cipher == "" {
				qop = AuthInt
			}
			c, s := shake(t, []QOP{qop}, &Digest{Offer: []QOP{qop}, Ciphers: strings.Fields(cipher)})
			tok, err := c.Wrap([]byte("a message"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.Unwrap(damage(tok)); !errors.Is(err, ErrLayer) {
				t.Errorf("%s %s: got %q, %v, want ErrLayer", cipher, name, got, err)
			}
		}
	}
	c, s := shake(t, []QOP{AuthInt}, &Digest{Offer: []QOP{AuthInt}})
	tok, _ := c.Wrap([]byte("once"))
	again := bytes.Clone(tok)
	if _, err := s.Unwrap(tok); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Unwrap(again); !errors.Is(err, ErrLayer) {
		t.Errorf("replay: got %v, want ErrLayer", err)
	}
}

func TestServerRefuses(t *testing.T) {
	wrong := &token.Token{Identifier: sampleToken.Identifier, Password: token.Secret("guess")}
	unknown := &token.Token{Identifier: []byte("who"), Password: token.Secret("password")}
	passwords := func(id []byte) ([]byte, error) {
		if string(id) == "who" {
			return nil, errors.New("unknown token")
		}
		return []byte("password"), nil
	}
	for name, tok := range map[string]*token.Token{"wrong password": wrong, "unknown token": unknown} {
		s := &Digest{Password: passwords}
		c, _ := Token(tok, nil).Client(advertise(""))
		resp, err := c.Step(s.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := s.Evaluate(resp); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: got %v, want ErrRefused", name, err)
		}
	}
	s := &Digest{Password: passwords}
	c, _ := Token(sampleToken, nil).Client(advertise(""))
	resp, _ := c.Step(s.Challenge())
	if _, _, _, err := s.Evaluate(resp); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.Evaluate(resp); !errors.Is(err, ErrRefused) {
		t.Errorf("same response again: got %v, want ErrRefused", err)
	}
}

func TestNegotiatorChoices(t *testing.T) {
	simpleAuth := commonpb.RpcSaslProto_SaslAuth_builder{Method: proto.String("SIMPLE"), Mechanism: proto.String("")}.Build()
	scram := commonpb.RpcSaslProto_SaslAuth_builder{Method: proto.String("TOKEN"), Mechanism: proto.String("SCRAM-SHA-256"), Protocol: proto.String("")}.Build()
	tok := advertise(`nonce="n",algorithm=md5-sess`)
	tests := []struct {
		name    string
		methods []Method
		auths   []*commonpb.RpcSaslProto_SaslAuth
		want    string
		err     error
		done    bool
	}{
		{"token first", []Method{Simple(), Token(sampleToken, nil)}, []*commonpb.RpcSaslProto_SaslAuth{tok, simpleAuth}, MethodToken, nil, false},
		{"no token, simple", []Method{Simple()}, []*commonpb.RpcSaslProto_SaslAuth{tok, simpleAuth}, MethodSimple, nil, true},
		{"unknown mechanism", []Method{Token(sampleToken, nil)}, []*commonpb.RpcSaslProto_SaslAuth{scram}, "", ErrNoMethod, false},
		{"token only, none held", []Method{Simple()}, []*commonpb.RpcSaslProto_SaslAuth{tok}, "", ErrNoMethod, false},
		{"nothing", []Method{Simple()}, nil, "", ErrNoMethod, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := NewNegotiator(tt.methods...)
			offer := message(commonpb.RpcSaslProto_NEGOTIATE)
			offer.SetAuths(tt.auths)
			out, done, err := n.Step(offer)
			if !errors.Is(err, tt.err) || done != tt.done {
				t.Fatalf("got done %v, %v, want %v, %v", done, err, tt.done, tt.err)
			}
			if err != nil {
				return
			}
			if n.Method() != tt.want {
				t.Errorf("method: got %s, want %s", n.Method(), tt.want)
			}
			a := out.GetAuths()
			if len(a) != 1 || a[0].HasChallenge() || !out.HasToken() {
				t.Errorf("INITIATE: got %v, want a token and one entry without challenge", out)
			}
			for _, in := range tt.auths {
				if in.GetMethod() == tt.want && (a[0].HasProtocol() != in.HasProtocol() || a[0].HasServerId() != in.HasServerId()) {
					t.Errorf("echo: got %v, want presence as in %v", a[0], in)
				}
			}
		})
	}
}

func TestNegotiatorRefusesOutOfOrder(t *testing.T) {
	const (
		success   = commonpb.RpcSaslProto_SUCCESS
		challenge = commonpb.RpcSaslProto_CHALLENGE
	)
	if _, _, err := NewNegotiator(Token(sampleToken, nil)).Step(message(success)); !errors.Is(err, ErrNoMethod) {
		t.Errorf("a server that only knows SIMPLE: got %v, want ErrNoMethod", err)
	}
	n := NewNegotiator(Simple())
	if _, done, err := n.Step(message(success)); err != nil || !done || n.Method() != MethodSimple {
		t.Errorf("SIMPLE: got %v, %v", done, err)
	}
	if _, _, err := n.Step(message(success)); !errors.Is(err, ErrProtocol) {
		t.Errorf("after the end: got %v, want ErrProtocol", err)
	}
	for _, state := range []commonpb.RpcSaslProto_SaslState{challenge, commonpb.RpcSaslProto_INITIATE, commonpb.RpcSaslProto_RESPONSE, commonpb.RpcSaslProto_WRAP} {
		if _, _, err := NewNegotiator(Token(sampleToken, nil)).Step(message(state)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%v first: got %v, want ErrProtocol", state, err)
		}
	}
	n = NewNegotiator(Token(sampleToken, nil))
	offer := message(commonpb.RpcSaslProto_NEGOTIATE)
	offer.SetAuths([]*commonpb.RpcSaslProto_SaslAuth{advertise("")})
	out, _, err := n.Step(offer) // no challenge supplied: an empty token goes out, the challenge comes next
	if err != nil || !out.HasToken() || len(out.GetToken()) != 0 {
		t.Fatalf("no challenge: got %v, %v", out, err)
	}
	if _, _, err := n.Step(message(success)); !errors.Is(err, ErrProtocol) {
		t.Errorf("success without a challenge: got %v, want ErrProtocol", err)
	}
}

func TestParseProtection(t *testing.T) {
	got, err := ParseProtection("privacy, Integrity,authentication")
	if want := []QOP{AuthConf, AuthInt, Auth}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := ParseProtection("secret"); err == nil {
		t.Error("unknown level: got no error")
	}
}

func FuzzDigest(f *testing.F) {
	f.Add([]byte(`realm="default",nonce="a\"b",qop="auth,auth-conf",charset=utf-8,algorithm=md5-sess,cipher="3des,rc4"`))
	f.Add([]byte(`a=b,,c="d"`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Token(sampleToken, []QOP{Auth, AuthConf}).Client(advertise(""))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := c.Step(b); err == nil && out != nil {
			if _, err := parseDirectives(out); err != nil {
				t.Errorf("our own response does not parse: %v: %s", err, out)
			}
		}
		s := &Digest{Password: func([]byte) ([]byte, error) { return nil, nil }}
		s.Challenge()
		if _, _, _, err := s.Evaluate(b); err == nil {
			t.Errorf("server accepts %q", b)
		}
	})
}

func FuzzUnwrap(f *testing.F) {
	f.Add([]byte("0123456789012345\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []string{"", "rc4", "3des"} {
			d := &digest{user: "u", qop: AuthConf, cipher: c}
			if c == "" {
				d.qop = AuthInt
			}
			l, err := newLayer(d, true, maxBuffer)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Unwrap(bytes.Clone(b)); err == nil {
				t.Errorf("accepts a forged token %x", b)
			}
		}
	})
}
