package token

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// Kind says what a token is for.
type Kind string

// Kinds, as Hadoop spells them.
const (
	AMRM            Kind = "YARN_AM_RM_TOKEN"      // ApplicationMaster to YARN RM; alias and service are empty
	NM              Kind = "NMToken"               // ApplicationMaster to one NodeManager
	Container       Kind = "ContainerToken"        // inside start and update requests, not for connections
	RMDelegation    Kind = "RM_DELEGATION_TOKEN"   // a client to the YARN RM
	HDFSDelegation  Kind = "HDFS_DELEGATION_TOKEN" // to the NameNode
	HDFSBlock       Kind = "HDFS_BLOCK_TOKEN"      // to a DataNode
	ClientToAMToken Kind = "YARN_CLIENT_TOKEN"     // a client to an ApplicationMaster
)

const masked = "***"

// Secret is bytes that never print. Convert to []byte to use them.
type Secret []byte

// Format prints ***, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String is ***.
func (Secret) String() string { return masked }

// MarshalText is ***.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue is ***.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// Token is org.apache.hadoop.security.token.Token.
type Token struct {
	Identifier []byte
	Password   Secret
	Kind       Kind
	Service    string // which server it is for; often empty, or an address from the server's point of view
}

// FromProto copies a token from the wire; nil stays nil.
func FromProto(p *commonpb.TokenProto) *Token {
	if p == nil {
		return nil
	}
	return &Token{bytes.Clone(p.GetIdentifier()), bytes.Clone(p.GetPassword()), Kind(p.GetKind()), p.GetService()}
}

// Proto is the token on the wire; nil stays nil.
func (t *Token) Proto() *commonpb.TokenProto {
	if t == nil {
		return nil
	}
	return commonpb.TokenProto_builder{
		Identifier: append([]byte{}, t.Identifier...),
		Password:   append([]byte{}, t.Password...),
		Kind:       proto.String(string(t.Kind)),
		Service:    &t.Service,
	}.Build()
}

// Equal reports whether both are the same token for the same service.
func (t *Token) Equal(o *Token) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.Kind == o.Kind && t.Service == o.Service && bytes.Equal(t.Identifier, o.Identifier) && bytes.Equal(t.Password, o.Password)
}

// String tells kind, service and what the identifier says, never the password.
func (t *Token) String() string {
	if t == nil {
		return "no token"
	}
	var b strings.Builder
	b.WriteString(string(t.Kind))
	if t.Service != "" {
		fmt.Fprintf(&b, " for %s", t.Service)
	}
	if id, err := t.Decode(); err == nil {
		fmt.Fprintf(&b, " (%s)", id)
	} else {
		fmt.Fprintf(&b, " (%d bytes)", len(t.Identifier))
	}
	return b.String()
}

// Format prints String, whatever the verb, so that a Token by value does not show its password either.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// LogValue is String.
func (t *Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
