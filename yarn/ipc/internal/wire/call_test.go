package wire

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// The headers that are written by hand say what the messages say.
func TestAppendCall(t *testing.T) {
	client := []byte("0123456789abcdef")
	for _, c := range []struct {
		id     int32
		retry  int
		method string
	}{{0, 0, "getClusterMetrics"}, {1<<31 - 1, 7, strings.Repeat("m", 300)}, {77, 1 << 20, ""}} {
		b, err := AppendCall([]byte("before"), client, c.id, c.retry, c.method, "org.example.PB", message("body"))
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("before"))))
		frame, err := ReadFrame(r, 1<<20, nil)
		if err != nil || r.Buffered() != 0 {
			t.Fatalf("got %d bytes behind the frame, %v", r.Buffered(), err)
		}
		head, call, body := &commonpb.RpcRequestHeaderProto{}, &commonpb.RequestHeaderProto{}, message("")
		rest := frame
		for _, m := range []proto.Message{head, call, body} {
			if rest, err = CutDelimited(rest, m); err != nil {
				t.Fatal(err)
			}
		}
		wantHead := commonpb.RpcRequestHeaderProto_builder{RpcKind: commonpb.RpcKindProto_RPC_PROTOCOL_BUFFER.Enum(),
			RpcOp: commonpb.OperationProto_RPC_FINAL_PACKET.Enum(), CallId: &c.id, ClientId: client, RetryCount: proto.Int32(int32(c.retry))}.Build()
		wantCall := commonpb.RequestHeaderProto_builder{MethodName: &c.method, DeclaringClassProtocolName: proto.String("org.example.PB"),
			ClientProtocolVersion: proto.Uint64(1)}.Build()
		if !proto.Equal(head, wantHead) || !proto.Equal(call, wantCall) || body.GetRenewer() != "body" || len(rest) != 0 {
			t.Errorf("got %v, %v, %v and %d bytes, want %v, %v, body", head, call, body, len(rest), wantHead, wantCall)
		}
	}
	got, err := AppendCall([]byte("kept"), client, 1, 0, "m", "p", &commonpb.TokenProto{})
	if err == nil || string(got) != "kept" {
		t.Errorf("a request that lacks fields: got %q, %v", got, err)
	}
}

func TestPlainAnswer(t *testing.T) {
	id := int32(-33)
	ok, failed := commonpb.RpcStatusProto_SUCCESS.Enum(), commonpb.RpcStatusProto_ERROR.Enum()
	for _, c := range []struct {
		name  string
		head  *commonpb.RpcResponseHeaderProto
		plain bool
	}{
		{"success", commonpb.RpcResponseHeaderProto_builder{CallId: proto.Uint32(5), Status: ok, ServerIpcVersionNum: proto.Uint32(9),
			ClientId: []byte("me"), RetryCount: proto.Int32(-1), StateId: proto.Int64(4)}.Build(), true},
		{"negative id", commonpb.RpcResponseHeaderProto_builder{CallId: proto.Uint32(uint32(id)), Status: ok}.Build(), true},
		{"error", commonpb.RpcResponseHeaderProto_builder{CallId: proto.Uint32(5), Status: failed}.Build(), false},
		{"text of an exception", commonpb.RpcResponseHeaderProto_builder{CallId: proto.Uint32(5), Status: ok, ErrorMsg: proto.String("x")}.Build(), false},
	} {
		b, err := proto.Marshal(c.head)
		if err != nil {
			t.Fatal(err)
		}
		id, client, plain := PlainAnswer(b)
		if plain != c.plain || plain && (id != int32(c.head.GetCallId()) || !bytes.Equal(client, c.head.GetClientId())) {
			t.Errorf("%s: got %d, %q, %v, want plain %v", c.name, id, client, plain, c.plain)
		}
	}
	for _, b := range []string{"", "\x08\x05", "\x10\x00", "\x08\x05\x10\x00\xff", "\x08\x05\x10\x00\x3a\x05a"} {
		if _, _, plain := PlainAnswer([]byte(b)); plain {
			t.Errorf("%x: got a plain answer", b)
		}
	}
}

// FuzzPlainAnswer: what is taken for plain is what the general decoder reads.
func FuzzPlainAnswer(f *testing.F) {
	f.Add([]byte("\x08\x05\x10\x00\x18\x09\x3a\x02me\x40\x01"))
	f.Add([]byte("\x08\x05\x10\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, client, plain := PlainAnswer(b)
		if !plain {
			return
		}
		h := &commonpb.RpcResponseHeaderProto{}
		if err := proto.Unmarshal(b, h); err != nil {
			return // an unknown field that is fine here may be none there
		}
		if id != int32(h.GetCallId()) || !bytes.Equal(client, h.GetClientId()) || h.GetStatus() != commonpb.RpcStatusProto_SUCCESS {
			t.Errorf("got %d, %q, want %v", id, client, h)
		}
	})
}
