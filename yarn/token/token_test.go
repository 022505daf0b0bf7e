package token

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// javaImage was written by Hadoop: one AMRM token under the empty alias, no secret.
const javaImage = "48445453 00 01 00 03 010203 02 aabb 10 5941524e5f414d5f524d5f544f4b454e 00 00"

func TestImageOfHadoop(t *testing.T) {
	image := unhex(t, javaImage)
	c, err := Decode(append(bytes.Clone(image), "trailing garbage"...))
	if err != nil {
		t.Fatal(err)
	}
	want := &Token{Identifier: []byte{1, 2, 3}, Password: Secret{0xaa, 0xbb}, Kind: AMRM}
	if got := c.Token(""); !got.Equal(want) {
		t.Errorf("token: got %v, want %v", got, want)
	}
	if got := c.Encode(); !bytes.Equal(got, image) {
		t.Errorf("image: got %x, want %x", got, image)
	}
}

func sample() *Credentials {
	c := &Credentials{}
	c.Put("", &Token{Identifier: []byte("id"), Password: Secret("hunter2"), Kind: AMRM})
	c.Put("ha-hdfs:ns", &Token{Identifier: bytes.Repeat([]byte("x"), 130), Password: Secret("hunter3"), Kind: HDFSDelegation, Service: "ha-hdfs:ns"})
	c.PutSecret("flott.ca", Secret("hunter4"))
	return c
}

func sameCredentials(a, b *Credentials) bool { return bytes.Equal(a.Encode(), b.Encode()) }

func TestImageRoundTrip(t *testing.T) {
	for name, c := range map[string]*Credentials{"empty": {}, "sample": sample()} {
		got, err := Decode(c.Encode())
		if err != nil || !sameCredentials(got, c) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c)
		}
	}
}

func TestImageOfFormat01(t *testing.T) {
	want := sample()
	p := &commonpb.CredentialsProto{}
	var tokens, secrets []*commonpb.CredentialsKVProto
	for _, a := range want.Aliases() {
		tokens = append(tokens, commonpb.CredentialsKVProto_builder{Alias: &a, Token: want.Token(a).Proto()}.Build())
	}
	for _, a := range want.SecretAliases() {
		secrets = append(secrets, commonpb.CredentialsKVProto_builder{Alias: &a, Secret: want.Secret(a)}.Build())
	}
	p.SetTokens(tokens)
	p.SetSecrets(secrets)
	image := bytes.NewBufferString(magic + "\x01")
	if _, err := protodelim.MarshalTo(image, p); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(image.Bytes())
	if err != nil || !sameCredentials(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	whole := sample().Encode()
	bad := map[string][]byte{
		"empty": {}, "no magic": []byte("XDTS\x00\x00\x00"), "unknown format": []byte("HDTS\x02"), "no counts": []byte("HDTS\x00"),
		"huge count":      unhex(t, "48445453 00 8c 7fffffff"),
		"huge length":     unhex(t, "48445453 00 01 00 8c 7fffffff"),
		"negative length": unhex(t, "48445453 00 01 ff"),
		"64-bit count":    unhex(t, "48445453 00 88 7fffffffffffffff"),
		"protobuf cut":    []byte("HDTS\x01\x7f"),
		"protobuf huge":   []byte("HDTS\x01\xff\xff\xff\xff\x0f"),
		"too large":       append([]byte("HDTS\x00\x00\x00"), make([]byte, MaxImage)...),
	}
	for i := range whole {
		bad[fmt.Sprintf("cut at %d", i)] = whole[:i]
	}
	for name, image := range bad {
		if _, err := Decode(image); !errors.Is(err, ErrImage) {
			t.Errorf("%s: got error %v, want ErrImage", name, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "container_tokens")
	if _, err := ReadFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: got %v, want ErrNotExist", err)
	}
	if err := os.WriteFile(path, sample().Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadFile(path); err != nil || !sameCredentials(got, sample()) {
		t.Errorf("got %v, %v, want %v", got, err, sample())
	}
	if err := os.Truncate(path, 7); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), path) {
		t.Errorf("cut: got %v, want ErrImage that names the file", err)
	}
}

func TestCredentialsSet(t *testing.T) {
	c := sample()
	if got := c.OfKind(HDFSDelegation); got != c.Token("ha-hdfs:ns") || got == nil {
		t.Errorf("OfKind: got %v", got)
	}
	if got := c.For(HDFSDelegation, "other"); got != nil {
		t.Errorf("For another service: got %v, want nil", got)
	}
	worker := c.Clone()
	worker.RemoveKind(AMRM)
	worker.PutSecret("flott.ca", nil)
	if worker.OfKind(AMRM) != nil || worker.Secret("flott.ca") != nil || c.OfKind(AMRM) == nil || c.Secret("flott.ca") == nil {
		t.Errorf("clone: got %v from %v", worker, c)
	}
	newer := &Credentials{}
	newer.Put("", &Token{Kind: AMRM, Identifier: []byte("newer")})
	c.Merge(newer)
	if got := string(c.OfKind(AMRM).Identifier); got != "newer" {
		t.Errorf("merge: got %q, want newer", got)
	}
	c.Put("", nil)
	if c.Token("") != nil {
		t.Error("put nil: token is still there")
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	c := sample()
	tok := c.Token("ha-hdfs:ns")
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, nil))
	log.Info("x", "t", tok, "c", c, "s", tok.Password)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "t", tok, "t2", *tok, "c", c, "s", tok.Password)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+verb+verb+verb, tok, *tok, tok.Password, *c)
	}
	for _, v := range []any{tok, tok.Password} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(j)
	}
	out := b.String()
	for _, secret := range []string{"hunter", hex.EncodeToString([]byte("hunter")), "aHVudGVy", "104 117 110", "0x68, 0x75"} {
		if strings.Contains(out, secret) {
			i := strings.Index(out, secret)
			t.Errorf("output holds a secret as %q: …%s", secret, out[max(0, i-100):i+len(secret)])
		}
	}
}

func TestVLong(t *testing.T) {
	tests := []struct {
		v    int64
		want string
	}{
		{0, "00"}, {127, "7f"}, {-112, "90"}, {128, "8f80"}, {-113, "8770"}, {255, "8fff"}, {256, "8e0100"},
		{-256, "87ff"}, {-257, "860100"}, {math.MaxInt32, "8c7fffffff"}, {math.MaxInt64, "887fffffffffffffff"}, {math.MinInt64, "807fffffffffffffff"},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(appendVLong(nil, tt.v)); got != tt.want {
			t.Errorf("encode %d: got %s, want %s", tt.v, got, tt.want)
		}
		r := &reader{buf: unhex(t, tt.want)}
		if got := r.vlong(); got != tt.v || r.err != nil {
			t.Errorf("decode %s: got %d, %v, want %d", tt.want, got, r.err, tt.v)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	app := yarnid.ApplicationID{ClusterTimestamp: 1410901177871, ID: 1}
	attempt := yarnid.AttemptID{Application: app, Attempt: 2}
	container := yarnid.ContainerID{Attempt: attempt, ID: 5}
	node := yarnid.NodeID{Host: "nm1", Port: 45454}
	pb := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	hdfs := []byte{0}
	for _, s := range []string{"alice", "rm", "bob"} {
		hdfs = appendBytes(hdfs, s)
	}
	for _, v := range []int64{1_700_000_000_000, 1_700_600_000_000, 3, 4} {
		hdfs = appendVLong(hdfs, v)
	}
	issued, expires := time.UnixMilli(1_700_000_000_000).UTC(), time.UnixMilli(1_700_600_000_000).UTC()
	tests := []struct {
		kind Kind
		id   []byte
		want Identifier
		text string
	}{
		{AMRM, pb(yarnpb.AMRMTokenIdentifierProto_builder{AppAttemptId: attempt.Proto(), KeyId: proto.Int32(9)}.Build()),
			Identifier{Attempt: attempt, KeyID: 9}, "attempt appattempt_1410901177871_0001_000002, key 9"},
		{NM, pb(yarnpb.NMTokenIdentifierProto_builder{AppAttemptId: attempt.Proto(), NodeId: node.Proto(), AppSubmitter: proto.String("alice"), KeyId: proto.Int32(9)}.Build()),
			Identifier{Attempt: attempt, Node: "nm1:45454", Owner: "alice", KeyID: 9}, "owner alice, attempt appattempt_1410901177871_0001_000002, node nm1:45454, key 9"},
		{Container, pb(yarnpb.ContainerTokenIdentifierProto_builder{ContainerId: container.Proto(), NmHostAddr: proto.String("nm1:45454"), AppSubmitter: proto.String("alice"),
			ExpiryTimeStamp: proto.Int64(expires.UnixMilli()), CreationTime: proto.Int64(issued.UnixMilli()), MasterKeyId: proto.Int32(9)}.Build()),
			Identifier{Container: container, Attempt: attempt, Node: "nm1:45454", Owner: "alice", Issued: issued, Expires: expires, KeyID: 9},
			"owner alice, container container_1410901177871_0001_02_000005, node nm1:45454, expires 2023-11-21T20:53:20Z, key 9"},
		{RMDelegation, pb(yarnpb.YARNDelegationTokenIdentifierProto_builder{Owner: proto.String("alice"), Renewer: proto.String("rm"), RealUser: proto.String("bob"),
			IssueDate: proto.Int64(issued.UnixMilli()), MaxDate: proto.Int64(expires.UnixMilli()), SequenceNumber: proto.Int32(3), MasterKeyId: proto.Int32(4)}.Build()),
			Identifier{Owner: "alice", Renewer: "rm", RealUser: "bob", Issued: issued, Expires: expires, Sequence: 3, KeyID: 4}, ""},
		{HDFSDelegation, hdfs, Identifier{Owner: "alice", Renewer: "rm", RealUser: "bob", Issued: issued, Expires: expires, Sequence: 3, KeyID: 4},
			"owner alice, real user bob, renewer rm, expires 2023-11-21T20:53:20Z, key 4"},
	}
	for _, tt := range tests {
		tok := &Token{Kind: tt.kind, Identifier: tt.id}
		got, err := tok.Decode()
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.kind, got, err, tt.want)
		}
		if tt.text != "" && got.String() != tt.text {
			t.Errorf("%s: got %q, want %q", tt.kind, got, tt.text)
		}
		if _, err := (&Token{Kind: tt.kind, Identifier: []byte("\xff\xff\xff")}).Decode(); !errors.Is(err, ErrIdentifier) {
			t.Errorf("%s from garbage: got %v, want ErrIdentifier", tt.kind, err)
		}
	}
	if _, err := (&Token{Kind: "X"}).Decode(); !errors.Is(err, ErrIdentifier) {
		t.Errorf("unknown kind: got %v, want ErrIdentifier", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(unhex(f, javaImage))
	f.Add(sample().Encode())
	f.Add([]byte("HDTS\x01\x00"))
	f.Fuzz(func(t *testing.T, image []byte) {
		c, err := Decode(image)
		if err != nil {
			return
		}
		again, err := Decode(c.Encode())
		if err != nil || !sameCredentials(again, c) {
			t.Errorf("round trip: got %v, %v, want %v", again, err, c)
		}
		for _, a := range c.Aliases() {
			_ = c.Token(a).String()
		}
	})
}

func FuzzIdentifier(f *testing.F) {
	f.Add("HDFS_DELEGATION_TOKEN", []byte{0, 1, 'a', 1, 'b', 0, 1, 1, 1, 1})
	f.Add("NMToken", []byte{0x0a, 0})
	f.Fuzz(func(_ *testing.T, kind string, id []byte) {
		_ = (&Token{Kind: Kind(kind), Identifier: id}).String()
	})
}
