package sasl

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/token"
)

// DIGEST-MD5 as Hadoop uses it for tokens (RFC 2831; the peer is the JDK's, checked against JDK 17):
// user name and password are the base64 of identifier and password, nc is always 1, the charset is utf-8.

const (
	mechanismDigest = "DIGEST-MD5"
	firstNonceCount = "00000001"
	// maxBuffer is the largest token the JDK announces and accepts by default.
	maxBuffer = 65536
	// maxChallenge bounds what is parsed: a token's identifier travels in it, base64.
	maxChallenge = 128 << 10
)

// ciphers of auth-conf that we speak, the fastest first.
var ciphers = []string{"rc4", "3des"}

// Token is the method that authenticates by a Hadoop token. protection lists the acceptable levels, the best first; empty means Auth.
func Token(t *token.Token, protection []QOP) Method {
	if len(protection) == 0 {
		protection = []QOP{Auth}
	}
	return &tokenMethod{t, protection}
}

type tokenMethod struct {
	token      *token.Token
	protection []QOP
}

func (*tokenMethod) Name() string    { return MethodToken }
func (*tokenMethod) Handshake() bool { return true }

func (m *tokenMethod) Client(auth *commonpb.RpcSaslProto_SaslAuth) (Client, error) {
	if auth.GetMechanism() != mechanismDigest {
		return nil, nil
	}
	return &digestClient{
		credentials: credentialsOf(m.token.Identifier, m.token.Password),
		uri:         auth.GetProtocol() + "/" + auth.GetServerId(),
		protection:  m.protection,
		cnonce:      newNonce(),
	}, nil
}

// digest is what both sides compute from.
type digest struct {
	user, password, realm, nonce, cnonce, uri string
	qop                                       QOP
	cipher                                    string
}

func credentialsOf(identifier, password []byte) digest {
	return digest{user: base64.StdEncoding.EncodeToString(identifier), password: base64.StdEncoding.EncodeToString(password)}
}

// a1 is H(A1) of RFC 2831, raw.
func (d *digest) a1() [md5.Size]byte {
	inner := md5.Sum([]byte(d.user + ":" + d.realm + ":" + d.password))
	return md5.Sum([]byte(string(inner[:]) + ":" + d.nonce + ":" + d.cnonce))
}

// response is the proof; verb is "AUTHENTICATE" for the client's, empty for the server's.
func (d *digest) response(verb string) string {
	a2 := verb + ":" + d.uri
	if d.qop != Auth {
		a2 += ":" + strings.Repeat("0", 32)
	}
	ha1, ha2 := d.a1(), md5.Sum([]byte(a2))
	parts := []string{hex.EncodeToString(ha1[:]), d.nonce, firstNonceCount, d.cnonce, string(d.qop), hex.EncodeToString(ha2[:])}
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

const clientVerb = "AUTHENTICATE"

type digestClient struct {
	credentials digest
	uri         string
	protection  []QOP
	cnonce      string

	chosen   digest // set by the first Step
	maxOut   int    // what the server announced
	answered bool
	verified bool
}

// Step answers the server's challenge, or checks its rspauth when that comes as a challenge of its own.
func (c *digestClient) Step(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 && !c.answered {
		return nil, nil // the server will send its challenge next
	}
	if c.answered {
		return nil, c.verify(challenge)
	}
	fields, err := parseDirectives(challenge)
	if err != nil {
		return nil, err
	}
	d := c.credentials
	d.realm, d.nonce, d.cnonce, d.uri = fields["realm"], fields["nonce"], c.cnonce, c.uri
	if d.nonce == "" || !strings.EqualFold(fields["algorithm"], "md5-sess") {
		return nil, fmt.Errorf("%w: challenge without nonce or md5-sess", ErrProtocol)
	}
	if c.maxOut, err = peerBuffer(fields); err != nil {
		return nil, err
	}
	if err := c.agree(&d, fields); err != nil {
		return nil, err
	}
	c.chosen, c.answered = d, true
	return []byte(c.render()), nil
}

// agree picks the first level of ours that the server offers, and a cipher for it.
func (c *digestClient) agree(d *digest, fields map[string]string) error {
	offered := splitList(fields["qop"])
	if len(offered) == 0 {
		offered = []string{string(Auth)}
	}
	i := slices.IndexFunc(c.protection, func(q QOP) bool { return slices.Contains(offered, string(q)) })
	if i < 0 {
		return fmt.Errorf("%w: protection: the server offers %s, this client wants %v", ErrNoMethod, strings.Join(offered, ", "), c.protection)
	}
	d.qop = c.protection[i]
	if d.qop != AuthConf {
		return nil
	}
	known := splitList(fields["cipher"])
	j := slices.IndexFunc(ciphers, func(s string) bool { return slices.Contains(known, s) })
	if j < 0 {
		return fmt.Errorf("%w: cipher: the server offers %s", ErrNoMethod, strings.Join(known, ", "))
	}
	d.cipher = ciphers[j]
	return nil
}

func (c *digestClient) render() string {
	d := &c.chosen
	var b strings.Builder
	fmt.Fprintf(&b, `charset=utf-8,username="%s",realm="%s",nonce="%s",nc=%s,cnonce="%s",digest-uri="%s",maxbuf=%d,response=%s,qop=%s`,
		quote(d.user), quote(d.realm), quote(d.nonce), firstNonceCount, quote(d.cnonce), quote(d.uri), maxBuffer, d.response(clientVerb), d.qop)
	if d.cipher != "" {
		fmt.Fprintf(&b, `,cipher="%s"`, d.cipher)
	}
	return b.String()
}

func (c *digestClient) verify(final []byte) error {
	fields, err := parseDirectives(final)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(fields["rspauth"]), []byte(c.chosen.response(""))) {
		return ErrServer
	}
	c.verified = true
	return nil
}

// Finish checks the server's proof and sets up the agreed layer.
func (c *digestClient) Finish(final []byte) (Layer, error) {
	if !c.answered {
		return nil, fmt.Errorf("%w: success before the challenge", ErrProtocol)
	}
	if len(final) > 0 || !c.verified {
		if err := c.verify(final); err != nil {
			return nil, err
		}
	}
	return newLayer(&c.chosen, true, c.maxOut)
}

// peerBuffer reads maxbuf, the largest token the peer takes.
func peerBuffer(fields map[string]string) (int, error) {
	s, ok := fields["maxbuf"]
	if !ok {
		return maxBuffer, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1024 || n > 1<<24 {
		return 0, fmt.Errorf("%w: maxbuf %q", ErrProtocol, s)
	}
	return n, nil
}

func newNonce() string {
	var b [30]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
