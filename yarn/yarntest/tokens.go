package yarntest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// keyRing is a master key secret manager (Java: BaseNMTokenSecretManager and its like): the newest key signs, older
// ones verify until they are forgotten.
type keyRing struct {
	current int32
	keys    map[int32][]byte
}

func newKeyRing() keyRing {
	r := keyRing{keys: map[int32][]byte{}}
	r.roll()
	return r
}

// roll makes a new signing key.
func (r *keyRing) roll() {
	key := make([]byte, 20)
	_, _ = rand.Read(key) // never fails
	r.current++
	r.keys[r.current] = key
}

// forget drops all keys but the signing one.
func (r *keyRing) forget() {
	for id := range r.keys {
		if id != r.current {
			delete(r.keys, id)
		}
	}
}

// password is the HMAC of an identifier; false when its key is forgotten.
func (r *keyRing) password(keyID int32, identifier []byte) ([]byte, bool) {
	key, ok := r.keys[keyID]
	if !ok {
		return nil, false
	}
	mac := hmac.New(sha1.New, key)
	mac.Write(identifier)
	return mac.Sum(nil), true
}

// sign makes a token from an identifier that names r.current.
func (r *keyRing) sign(kind token.Kind, service string, identifier proto.Message) *token.Token {
	b, _ := proto.Marshal(identifier) // our own message, all required fields set: cannot fail
	password, _ := r.password(r.current, b)
	return &token.Token{Identifier: b, Password: password, Kind: kind, Service: service}
}

func (c *Cluster) amrmToken(a *attempt) *token.Token {
	a.keyID = c.amrmKeys.current
	return c.amrmKeys.sign(token.AMRM, "", yarnpb.AMRMTokenIdentifierProto_builder{
		AppAttemptId: a.id.Proto(), KeyId: &c.amrmKeys.current,
	}.Build())
}

func (c *Cluster) nmToken(a *attempt, n *node) *token.Token {
	return c.nmKeys.sign(token.NM, n.id.String(), yarnpb.NMTokenIdentifierProto_builder{
		AppAttemptId: a.id.Proto(), NodeId: n.id.Proto(), AppSubmitter: &a.app.user, KeyId: &c.nmKeys.current,
	}.Build())
}

// tokenLife is how long a container may wait for its start.
const tokenLife = 10 * time.Minute

func (c *Cluster) containerToken(ct *container) *token.Token {
	kind := yarnpb.ContainerTypeProto_TASK
	if ct.isAM {
		kind = yarnpb.ContainerTypeProto_APPLICATION_MASTER
	}
	now := c.cfg.Now()
	return c.containerKeys.sign(token.Container, ct.node.id.String(), yarnpb.ContainerTokenIdentifierProto_builder{
		ContainerId: ct.id.Proto(), NmHostAddr: proto.String(ct.node.id.String()), AppSubmitter: &ct.app.user,
		Resource: ct.resource, ExpiryTimeStamp: proto.Int64(now.Add(tokenLife).UnixMilli()),
		MasterKeyId: &c.containerKeys.current, RmIdentifier: proto.Int64(c.rmIdentifier),
		Priority:     yarnpb.PriorityProto_builder{Priority: proto.Int32(ct.key.priority)}.Build(),
		CreationTime: proto.Int64(now.UnixMilli()), ContainerType: kind.Enum(),
		ExecutionType:       yarnpb.ExecutionTypeProto_GUARANTEED.Enum(),
		AllocationRequestId: proto.Int64(ct.key.requestID), Version: proto.Int32(0),
	}.Build())
}

// amrmPassword authenticates a connection to the scheduler port.
func (c *Cluster) amrmPassword(identifier []byte) ([]byte, error) {
	var id yarnpb.AMRMTokenIdentifierProto
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, err
	}
	attemptID := yarnid.FromAttempt(id.GetAppAttemptId())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.liveAttempt(attemptID) == nil {
		return nil, c.throw(AMRMTokenUnknown, attemptID)
	}
	password, ok := c.amrmKeys.password(id.GetKeyId(), identifier)
	if !ok {
		return nil, c.throw(AMRMTokenInvalid, attemptID)
	}
	return password, nil
}

// nmPassword authenticates a connection to a node.
func (c *Cluster) nmPassword(n *node, identifier []byte) ([]byte, error) {
	var id yarnpb.NMTokenIdentifierProto
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	password, ok := c.nmKeys.password(id.GetKeyId(), identifier)
	if !ok || yarnid.FromNode(id.GetNodeId()) != n.id {
		return nil, c.throw(NMTokenInvalid, yarnid.FromAttempt(id.GetAppAttemptId()))
	}
	return password, nil
}
