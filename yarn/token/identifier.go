package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// ErrIdentifier is wrapped by every error of Token.Decode.
var ErrIdentifier = errors.New("token: identifier cannot be read")

// Identifier is what a token's identifier says, as far as its kind says it; the rest is zero. For logs and expiry only.
type Identifier struct {
	Owner, Renewer, RealUser string
	Attempt                  yarnid.AttemptID
	Container                yarnid.ContainerID
	Node                     string // host:port
	Issued                   time.Time
	Expires                  time.Time // a delegation token's last possible moment; a container token's expiry by the YARN RM's clock
	KeyID, Sequence          int32
}

// Decode reads the identifier of an AMRM, NM, container, RM delegation or HDFS delegation token.
func (t *Token) Decode() (Identifier, error) {
	decode, ok := map[Kind]func([]byte) (Identifier, error){
		AMRM: decodeAMRM, NM: decodeNM, Container: decodeContainer, RMDelegation: decodeRMDelegation, HDFSDelegation: decodeHDFSDelegation,
	}[t.Kind]
	if !ok {
		return Identifier{}, fmt.Errorf("%w: kind %q", ErrIdentifier, t.Kind)
	}
	id, err := decode(t.Identifier)
	if err != nil {
		return Identifier{}, fmt.Errorf("%w: %s: %w", ErrIdentifier, t.Kind, err)
	}
	return id, nil
}

func decodeAMRM(b []byte) (Identifier, error) {
	var p yarnpb.AMRMTokenIdentifierProto
	err := proto.Unmarshal(b, &p)
	return Identifier{Attempt: yarnid.FromAttempt(p.GetAppAttemptId()), KeyID: p.GetKeyId()}, err
}

func decodeNM(b []byte) (Identifier, error) {
	var p yarnpb.NMTokenIdentifierProto
	err := proto.Unmarshal(b, &p)
	return Identifier{
		Attempt: yarnid.FromAttempt(p.GetAppAttemptId()), Node: yarnid.FromNode(p.GetNodeId()).String(),
		Owner: p.GetAppSubmitter(), KeyID: p.GetKeyId(),
	}, err
}

func decodeContainer(b []byte) (Identifier, error) {
	var p yarnpb.ContainerTokenIdentifierProto
	err := proto.Unmarshal(b, &p)
	id := yarnid.FromContainer(p.GetContainerId())
	return Identifier{
		Container: id, Attempt: id.Attempt, Node: p.GetNmHostAddr(), Owner: p.GetAppSubmitter(),
		Issued: millis(p.GetCreationTime()), Expires: millis(p.GetExpiryTimeStamp()), KeyID: p.GetMasterKeyId(),
	}, err
}

func decodeRMDelegation(b []byte) (Identifier, error) {
	var p yarnpb.YARNDelegationTokenIdentifierProto
	err := proto.Unmarshal(b, &p)
	return Identifier{
		Owner: p.GetOwner(), Renewer: p.GetRenewer(), RealUser: p.GetRealUser(),
		Issued: millis(p.GetIssueDate()), Expires: millis(p.GetMaxDate()), Sequence: p.GetSequenceNumber(), KeyID: p.GetMasterKeyId(),
	}, err
}

// decodeHDFSDelegation reads the Writable form of AbstractDelegationTokenIdentifier (3.5.0):
// byte version 0, Text owner, renewer, real user, VLong issued, VLong max date, VInt sequence, VInt master key.
func decodeHDFSDelegation(b []byte) (Identifier, error) {
	r := &reader{buf: b}
	if v := r.byte(); v != 0 {
		r.fail("version %d is unknown", v)
	}
	id := Identifier{
		Owner: r.text(), Renewer: r.text(), RealUser: r.text(),
		Issued: millis(r.vlong()), Expires: millis(r.vlong()), Sequence: r.vint(), KeyID: r.vint(),
	}
	return id, r.err
}

func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// String names what is set.
func (id Identifier) String() string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("owner", id.Owner)
	add("real user", id.RealUser)
	add("renewer", id.Renewer)
	if !id.Container.IsZero() {
		add("container", id.Container.String())
	} else if !id.Attempt.IsZero() {
		add("attempt", id.Attempt.String())
	}
	add("node", id.Node)
	if !id.Expires.IsZero() {
		add("expires", id.Expires.Format(time.RFC3339))
	}
	add("key", fmt.Sprint(id.KeyID))
	return strings.Join(parts, ", ")
}
