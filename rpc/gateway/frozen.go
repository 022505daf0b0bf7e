package gateway

import (
	"hash/fnv"

	"google.golang.org/protobuf/proto"
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
