package commonpb_test

import (
	"testing"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/proto/hdfspb"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
)

// TestBesideColinmarcHDFS links both sets of Hadoop messages into one binary: a clash of names would have panicked before
// this test began.
func TestBesideColinmarcHDFS(t *testing.T) {
	_ = hdfs.ClientOptions{}
	for _, name := range []string{"hadoop.common.TokenProto", "flott.hadoop.common.TokenProto"} {
		if _, err := protoregistry.GlobalTypes.FindMessageByURL(name); err != nil {
			t.Errorf("%s is not registered: %v", name, err)
		}
	}
}

// TestProto2DefaultsAndPresence pins what the wire needs: defaults from the descriptors, required fields, and a bytes
// field that is present though empty.
func TestProto2DefaultsAndPresence(t *testing.T) {
	if got := (&yarnpb.ContainerStatusProto{}).GetExitStatus(); got != -1000 {
		t.Errorf("exit status default: got %d, want -1000", got)
	}
	if got := (&yarnpb.ResourceRequestProto{}).GetAllocationRequestId(); got != -1 {
		t.Errorf("allocation request id default: got %d, want -1", got)
	}
	if got := (&hdfspb.FsServerDefaultsProto{}).GetChecksumType(); got != hdfspb.ChecksumTypeProto_CHECKSUM_CRC32 {
		t.Errorf("checksum type default: got %v, want CHECKSUM_CRC32", got)
	}
	if _, err := proto.Marshal(&commonpb.TokenProto{}); err == nil {
		t.Error("marshal of a token without required fields: got no error")
	}
	m := &commonpb.RpcSaslProto{}
	m.SetState(commonpb.RpcSaslProto_RESPONSE)
	m.SetToken([]byte{})
	got, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x10\x04\x1a\x00"; string(got) != want {
		t.Errorf("response with an empty token: got %x, want %x", got, want)
	}
}
