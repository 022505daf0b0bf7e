package sasl

import (
	"errors"
	"fmt"
	"strings"
)

// QOP is a quality of protection, by its name in SASL.
type QOP string

// The three levels of hadoop.rpc.protection.
const (
	Auth     QOP = "auth"      // "authentication": nothing after the handshake
	AuthInt  QOP = "auth-int"  // "integrity": every message signed
	AuthConf QOP = "auth-conf" // "privacy": every message signed and encrypted
)

// Authentication methods as servers advertise them.
const (
	MethodSimple   = "SIMPLE"
	MethodToken    = "TOKEN"
	MethodKerberos = "KERBEROS"
)

// Errors of a handshake.
var (
	ErrProtocol = errors.New("sasl: unexpected message from the server")
	ErrNoMethod = errors.New("sasl: no common authentication method")
	ErrServer   = errors.New("sasl: the server does not know the password")
	ErrRefused  = errors.New("sasl: authentication refused")
	ErrLayer    = errors.New("sasl: protected message is damaged or replayed")
)

// ParseProtection reads hadoop.rpc.protection: a comma list in order of preference.
func ParseProtection(s string) ([]QOP, error) {
	names := map[string]QOP{"authentication": Auth, "integrity": AuthInt, "privacy": AuthConf}
	var out []QOP
	for part := range strings.SplitSeq(s, ",") {
		q, ok := names[strings.ToLower(strings.TrimSpace(part))]
		if !ok {
			return nil, fmt.Errorf("rpc protection %q: must be authentication, integrity or privacy", part)
		}
		out = append(out, q)
	}
	return out, nil
}

// Client is the client's half of one mechanism, for one handshake.
type Client interface {
	// Step answers a challenge. An empty challenge asks for the initial response.
	Step(challenge []byte) ([]byte, error)
	// Finish takes what the server sent along with its success, and returns the agreed protection, nil for none.
	Finish(final []byte) (Layer, error)
}

// Layer protects the bytes after a handshake with integrity or privacy.
type Layer interface {
	// Wrap protects a message of at most MaxChunk bytes; the result is the caller's.
	Wrap(message []byte) ([]byte, error)
	// Unwrap checks and opens a token of any size, in place: the result aliases it.
	Unwrap(token []byte) ([]byte, error)
	// MaxChunk is how many bytes of plain text one Wrap may take, by what the peer announced.
	MaxChunk() int
}
