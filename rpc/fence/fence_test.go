package fence

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// TestEveryMethodIsMarked walks the descriptors: a method without a mark fails, a mark without a method too, and so does a fenced method
// whose request has no epoch to compare.
func TestEveryMethodIsMarked(t *testing.T) {
	left := Methods()
	protoregistry.GlobalFiles.RangeFilesByPackage("flott.rpc", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				name := string(service.FullName()) + "/" + string(m.Name())
				mark, ok := left[name]
				if !ok {
					t.Errorf("%s is neither fenced nor unfenced", name)
					continue
				}
				delete(left, name)
				carrier := m.Input()
				if mark.ByHeader {
					carrier = (&pb.StreamOpen{}).ProtoReflect().Descriptor()
				}
				epoch := carrier.Fields().ByName("epoch")
				if has := epoch != nil && epoch.Kind() == protoreflect.Uint64Kind; has != mark.Fenced {
					t.Errorf("%s: fenced is %v, but %s has an epoch: %v", name, mark.Fenced, carrier.FullName(), has)
				}
				if mark.ByHeader && !m.IsStreamingClient() {
					t.Errorf("%s is marked as a stream with a header, but is none", name)
				}
			}
		}
		return true
	})
	for name := range left {
		t.Errorf("%s is marked, but does not exist", name)
	}
}

func TestHighest(t *testing.T) {
	var h Highest
	for i, c := range []struct {
		epoch  ids.Epoch
		raised bool
		err    error
		after  ids.Epoch
	}{
		{0, false, rpc.ErrFenced, 0},
		{3, true, nil, 3},
		{3, false, nil, 3},
		{2, false, rpc.ErrFenced, 3},
		{1<<32 + 1, true, nil, 1<<32 + 1},
		{0, false, rpc.ErrFenced, 1<<32 + 1},
	} {
		raised, err := h.Admit(c.epoch)
		if raised != c.raised || !errors.Is(err, c.err) || h.Epoch() != c.after {
			t.Errorf("step %d: raised %v, %v, epoch %d; want %v, %v, %d", i, raised, err, h.Epoch(), c.raised, c.err, c.after)
		}
		if err != nil && rpc.EpochOf(err) != c.after {
			t.Errorf("step %d: the refusal names epoch %d, want %d", i, rpc.EpochOf(err), c.after)
		}
	}
}

func TestEpochOf(t *testing.T) {
	if e, ok := EpochOf(pb.StreamOpen_builder{Epoch: 4}.Build()); e != 4 || !ok {
		t.Errorf("stream header: %d, %v", e, ok)
	}
	if _, ok := EpochOf(&pb.ListLogsRequest{}); ok {
		t.Error("a request without epoch has one")
	}
}
