package wire

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// AppendCall appends the frame of one call: RpcRequestHeaderProto, RequestHeaderProto and the request. The headers are written by hand,
// because every call has them and they cost more than most requests. client is the client's id of 16 bytes, retry counts repetitions.
func AppendCall(b, client []byte, id int32, retry int, method, protocol string, req proto.Message) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0) // the frame's length, and the header's, which is one byte long
	b = appendVarint(b, 1, uint64(commonpb.RpcKindProto_RPC_PROTOCOL_BUFFER))
	b = appendVarint(b, 2, uint64(commonpb.OperationProto_RPC_FINAL_PACKET))
	b = appendVarint(b, 3, protowire.EncodeZigZag(int64(id)))
	b = protowire.AppendBytes(protowire.AppendTag(b, 4, protowire.BytesType), client)
	b = appendVarint(b, 5, protowire.EncodeZigZag(int64(retry)))
	b[start+4] = byte(len(b) - start - 5)

	const tag, version = 1, 2 // bytes
	b = protowire.AppendVarint(b, uint64(tag+protowire.SizeBytes(len(method))+tag+protowire.SizeBytes(len(protocol))+version))
	b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), method)
	b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), protocol)
	b = appendVarint(b, 3, 1)

	b, err := appendDelimited(b, req)
	if err != nil {
		return b[:start], err
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b, nil
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// PlainAnswer reads an RpcResponseHeaderProto that says nothing but success: the call's id, and the client's, which aliases head and may be
// empty. plain is false for every other header, also a malformed one: that one has to be unmarshalled.
func PlainAnswer(head []byte) (id int32, client []byte, plain bool) {
	const callID, status = 1, 2
	seen := 0
	for len(head) > 0 {
		field, typ, n := protowire.ConsumeTag(head)
		if n < 0 {
			return 0, nil, false
		}
		head = head[n:]
		switch {
		case typ == protowire.VarintType && field != 6: // 6: errorDetail
			v, n := protowire.ConsumeVarint(head)
			if n < 0 || field == status && v != uint64(commonpb.RpcStatusProto_SUCCESS) {
				return 0, nil, false
			}
			head = head[n:]
			if field == callID {
				id = int32(uint32(v))
			}
			if field <= status {
				seen |= 1 << field
			}
		case typ == protowire.BytesType && field == 7:
			if client, n = protowire.ConsumeBytes(head); n < 0 {
				return 0, nil, false
			}
			head = head[n:]
		default:
			return 0, nil, false
		}
	}
	return id, client, seen == 1<<callID|1<<status
}
