package token

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// ErrImage is wrapped by every error about a credentials image that cannot be read.
var ErrImage = errors.New("token: malformed credentials")

// MaxImage is the largest credentials image that is read, bytes.
const MaxImage = 16 << 20

const (
	magic          = "HDTS"
	formatWritable = 0
	formatProtobuf = 1
)

// Credentials is a set of tokens and secrets by alias (org.apache.hadoop.security.Credentials). The zero value is empty and usable.
type Credentials struct {
	tokens  map[string]*Token
	secrets map[string]Secret
}

// Put stores t under alias, replacing what was there. A nil token removes it.
func (c *Credentials) Put(alias string, t *Token) {
	if t == nil {
		delete(c.tokens, alias)
		return
	}
	if c.tokens == nil {
		c.tokens = map[string]*Token{}
	}
	c.tokens[alias] = t
}

// PutSecret stores a copy of s under alias. A nil secret removes it.
func (c *Credentials) PutSecret(alias string, s Secret) {
	if s == nil {
		delete(c.secrets, alias)
		return
	}
	if c.secrets == nil {
		c.secrets = map[string]Secret{}
	}
	c.secrets[alias] = bytes.Clone(s)
}

// Token is the token stored under alias, or nil.
func (c *Credentials) Token(alias string) *Token { return c.tokens[alias] }

// Secret is the secret stored under alias, or nil.
func (c *Credentials) Secret(alias string) Secret { return c.secrets[alias] }

// Aliases lists the tokens' aliases in order.
func (c *Credentials) Aliases() []string { return slices.Sorted(maps.Keys(c.tokens)) }

// SecretAliases lists the secrets' aliases in order.
func (c *Credentials) SecretAliases() []string { return slices.Sorted(maps.Keys(c.secrets)) }

// OfKind is the first token of a kind in the order of aliases, or nil. Tokens of YARN are chosen by kind alone: the YARN RM leaves
// their service empty.
func (c *Credentials) OfKind(kind Kind) *Token { return c.find(kind, nil) }

// For is the first token of a kind for a service, or nil.
func (c *Credentials) For(kind Kind, service string) *Token { return c.find(kind, &service) }

func (c *Credentials) find(kind Kind, service *string) *Token {
	for _, alias := range c.Aliases() {
		if t := c.tokens[alias]; t.Kind == kind && (service == nil || t.Service == *service) {
			return t
		}
	}
	return nil
}

// RemoveKind removes all tokens of a kind: a worker's credentials carry no AMRM token.
func (c *Credentials) RemoveKind(kind Kind) {
	maps.DeleteFunc(c.tokens, func(_ string, t *Token) bool { return t.Kind == kind })
}

// Merge copies everything of o into c; o wins where both have an alias.
func (c *Credentials) Merge(o *Credentials) {
	for alias, t := range o.tokens {
		c.Put(alias, t)
	}
	for alias, s := range o.secrets {
		c.PutSecret(alias, s)
	}
}

// Clone is a copy that can be changed on its own; the tokens, which nobody changes, are shared.
func (c *Credentials) Clone() *Credentials {
	out := &Credentials{}
	out.Merge(c)
	return out
}

// String counts; it names no secret.
func (c *Credentials) String() string {
	return fmt.Sprintf("%d tokens, %d secrets", len(c.tokens), len(c.secrets))
}

// Format prints String, whatever the verb: fmt would reach into unexported fields otherwise.
func (c Credentials) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// Encode writes the image in format 00, the one Hadoop writes by default, in the order of aliases:
//
//	"HDTS" 00 | VInt n, n × (Text alias, Token) | VInt m, m × (Text alias, VInt length, bytes)
//	Token: VInt length, identifier, VInt length, password, Text kind, Text service
func (c *Credentials) Encode() []byte {
	b := append([]byte(magic), formatWritable)
	b = appendVLong(b, int64(len(c.tokens)))
	for _, alias := range c.Aliases() {
		b = appendBytes(b, alias)
		b = c.tokens[alias].append(b)
	}
	b = appendVLong(b, int64(len(c.secrets)))
	for _, alias := range c.SecretAliases() {
		b = appendBytes(b, alias)
		b = appendBytes(b, c.secrets[alias])
	}
	return b
}

func (t *Token) append(b []byte) []byte {
	b = appendBytes(b, t.Identifier)
	b = appendBytes(b, t.Password)
	b = appendBytes(b, string(t.Kind))
	return appendBytes(b, t.Service)
}

// Decode reads an image of format 00 or 01 and copies what it keeps. Bytes after the image are ignored: NodeManagers leave some.
func Decode(image []byte) (*Credentials, error) {
	if len(image) > MaxImage {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrImage, len(image), MaxImage)
	}
	if len(image) < len(magic)+1 || string(image[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: does not begin with %s", ErrImage, magic)
	}
	body := image[len(magic)+1:]
	switch format := image[len(magic)]; format {
	case formatWritable:
		return decodeWritable(body)
	case formatProtobuf:
		return decodeProtobuf(body)
	default:
		return nil, fmt.Errorf("%w: format %d is unknown", ErrImage, format)
	}
}

func decodeWritable(body []byte) (*Credentials, error) {
	c := &Credentials{}
	r := &reader{buf: body}
	for range r.vint() {
		alias := r.text()
		t := &Token{Identifier: bytes.Clone(r.bytes()), Password: bytes.Clone(r.bytes()), Kind: Kind(r.text()), Service: r.text()}
		if r.err != nil {
			break
		}
		c.Put(alias, t)
	}
	for range r.vint() {
		alias, s := r.text(), r.bytes()
		if r.err != nil {
			break
		}
		c.PutSecret(alias, s)
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, r.err)
	}
	return c, nil
}

func decodeProtobuf(body []byte) (*Credentials, error) {
	var p commonpb.CredentialsProto
	if err := (protodelim.UnmarshalOptions{MaxSize: MaxImage}).UnmarshalFrom(bytes.NewReader(body), &p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	c := &Credentials{}
	for _, kv := range p.GetTokens() {
		if !kv.HasToken() {
			return nil, fmt.Errorf("%w: token %q is absent", ErrImage, kv.GetAlias())
		}
		c.Put(kv.GetAlias(), FromProto(kv.GetToken()))
	}
	for _, kv := range p.GetSecrets() {
		c.PutSecret(kv.GetAlias(), append(Secret{}, kv.GetSecret()...))
	}
	return c, nil
}

// ReadFile reads the image that the environment variable HADOOP_TOKEN_FILE_LOCATION names.
func ReadFile(path string) (*Credentials, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	defer f.Close()
	image, err := io.ReadAll(io.LimitReader(f, MaxImage+1))
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	c, err := Decode(image)
	if err != nil {
		return nil, fmt.Errorf("read credentials %s: %w", path, err)
	}
	return c, nil
}
