package sasl

import (
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Digest is the server's half of TOKEN with DIGEST-MD5, for the fakes that stand in for a YARN RM or NodeManager. One value serves one handshake:
// Challenge once, then Evaluate once.
type Digest struct {
	// Password finds the password of the token with this identifier; an error refuses the client.
	Password func(identifier []byte) ([]byte, error)
	// Offer lists the protection levels offered, empty means Auth only.
	Offer []QOP
	// Ciphers offered for AuthConf, empty means all that are spoken.
	Ciphers []string

	nonce string
}

// DigestRealm and DigestServerID are what Hadoop's servers advertise for tokens; their protocol is the empty string.
const (
	DigestRealm    = "default"
	DigestServerID = "default"
	DigestName     = mechanismDigest
)

// Challenge is what the server advertises beside the mechanism.
func (s *Digest) Challenge() []byte {
	if len(s.Offer) == 0 {
		s.Offer = []QOP{Auth}
	}
	if len(s.Ciphers) == 0 {
		s.Ciphers = ciphers
	}
	s.nonce = newNonce()
	var offer []string
	for _, q := range s.Offer {
		offer = append(offer, string(q))
	}
	c := fmt.Sprintf(`realm="%s",nonce="%s",qop="%s",charset=utf-8,algorithm=md5-sess`, DigestRealm, s.nonce, strings.Join(offer, ","))
	if slices.Contains(s.Offer, AuthConf) {
		c += fmt.Sprintf(`,cipher="%s"`, strings.Join(s.Ciphers, ","))
	}
	return []byte(c)
}

// Evaluate checks the client's response. It returns what goes along with SUCCESS, the identifier of the client's token and the agreed layer
// (nil for none). Errors wrap ErrRefused, ErrProtocol, or what Password returned.
func (s *Digest) Evaluate(response []byte) (final, identifier []byte, l Layer, err error) {
	fields, err := parseDirectives(response)
	if err != nil {
		return nil, nil, nil, err
	}
	identifier, err = base64.StdEncoding.DecodeString(fields["username"])
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: user name", ErrProtocol)
	}
	password, err := s.Password(identifier)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	d := credentialsOf(identifier, password)
	d.realm, d.nonce, d.cnonce, d.uri = DigestRealm, s.nonce, fields["cnonce"], fields["digest-uri"]
	d.qop, d.cipher = QOP(fields["qop"]), fields["cipher"]
	maxOut, err := peerBuffer(fields)
	if err != nil {
		return nil, nil, nil, err
	}
	valid := s.nonce != "" && fields["nonce"] == s.nonce && fields["realm"] == DigestRealm && fields["nc"] == firstNonceCount && d.uri == "/"+DigestServerID &&
		slices.Contains(s.Offer, d.qop) && (d.qop == AuthConf) == slices.Contains(s.Ciphers, d.cipher)
	s.nonce = "" // a response is good once
	if !valid || !hmac.Equal([]byte(fields["response"]), []byte(d.response(clientVerb))) {
		return nil, nil, nil, fmt.Errorf("%w: digest response does not match", ErrRefused)
	}
	l, err = newLayer(&d, false, maxOut)
	return []byte("rspauth=" + d.response("")), identifier, l, err
}
