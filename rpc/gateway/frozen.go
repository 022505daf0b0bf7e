package gateway

import (
	"hash/fnv"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc/invariant"
)

// fingerprint hashes a message's content; used under the tag "invariants" to see that nobody changes a message that was sent.
func fingerprint(m proto.Message) uint64 {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return 0 // a message that cannot be sent; the transport says so
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

func fingerprintIfChecked(m proto.Message) uint64 {
	if !invariant.Enabled {
		return 0
	}
	return fingerprint(m)
}

// checkFrozen panics, under the tag, when m is no longer what sum was taken of.
func checkFrozen(m proto.Message, sum uint64) {
	if invariant.Enabled && fingerprint(m) != sum {
		invariant.Failf("gateway: a %T was changed after it was sent", m)
	}
}
