package control

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// fault is what is wrong with a message.
type fault string

const (
	staleEpoch fault = "stale epoch"
	unknown    fault = "unknown worker" // or job, slot, execution or request: whatever it names is not there
	replayed   fault = "replay"         // of an earlier registration attempt, of an earlier stream, or of a request
)

var faults = []fault{staleEpoch, unknown, replayed}

const transportOnly = "written and read by the transport only: it is the end of the stream itself"

// exempt are the faults that a subject cannot have. A subject is a method ("Service/Method") or a kind of message ("Message.field").
var exempt = map[string]map[fault]string{
	"TaskExecutor/ListLogs":               {staleEpoch: "unfenced: it only reads", unknown: "names nothing", replayed: "it only reads"},
	"TaskExecutor/ReadLog":                {staleEpoch: "unfenced: it only reads", replayed: "it only reads"},
	"FromResourceManager.heartbeat":       {unknown: "names nothing"},
	"FromResourceManager.can_be_released": {unknown: "names nothing"},
	"FromResourceManager.goodbye":         {unknown: "names nothing"},
	"FromResourceManager.closed":          {staleEpoch: transportOnly, unknown: transportOnly, replayed: transportOnly},
	"ToResourceManager.leaving":           {unknown: "speaks of the stream's worker only"},
	"ToResourceManager.closed":            {staleEpoch: transportOnly, unknown: transportOnly, replayed: transportOnly},
	"FromJobMaster.job_done":              {unknown: "speaks of the stream's job only"},
	"FromJobMaster.closed":                {staleEpoch: transportOnly, unknown: transportOnly, replayed: transportOnly},
	"ToJobMaster.leaving":                 {unknown: "speaks of the stream's worker only"},
	"ToJobMaster.closed":                  {staleEpoch: transportOnly, unknown: transportOnly, replayed: transportOnly},
}

// subjects lists all methods of our services, and all kinds of messages on their streams, from the descriptors.
func subjects() []string {
	found := map[string]bool{}
	protoregistry.GlobalFiles.RangeFilesByPackage("flott.rpc", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				found[string(service.Name())+"/"+string(m.Name())] = true
				if m.IsStreamingClient() && m.IsStreamingServer() {
					for _, kind := range append(kindsOf(m.Input()), kindsOf(m.Output())...) {
						found[kind] = true
					}
				}
			}
		}
		return true
	})
	return slices.Sorted(maps.Keys(found))
}

// kindsOf lists the alternatives of an envelope.
func kindsOf(m protoreflect.MessageDescriptor) []string {
	var kinds []string
	for i := range m.Fields().Len() {
		kinds = append(kinds, string(m.Name())+"."+string(m.Fields().Get(i).Name()))
	}
	return kinds
}

// kindOf is the kind of one message.
func kindOf(m protoreflect.ProtoMessage) string {
	r := m.ProtoReflect()
	field := r.WhichOneof(r.Descriptor().Oneofs().Get(0))
	return string(r.Descriptor().Name()) + "." + string(field.Name())
}

// TestEveryMessageIsTried compares the tables of this package with the descriptors.
func TestEveryMessageIsTried(t *testing.T) {
	tried := map[string]map[fault]bool{}
	mark := func(subject string, fs ...fault) {
		if tried[subject] == nil {
			tried[subject] = map[fault]bool{}
		}
		for _, f := range fs {
			tried[subject][f] = true
		}
	}
	for _, s := range fromLeader {
		mark(s.kind, staleEpoch, replayed) // TestDeadStreamsOfLeaders
	}
	for _, s := range fromWorker {
		mark(s.kind, staleEpoch, replayed) // TestDeadStreamsOfWorkers
	}
	for _, r := range leaderRows {
		mark(r.kind, r.fault)
	}
	for _, r := range workerRows {
		mark(r.kind, r.fault)
	}
	for _, r := range callRows {
		mark(r.method, r.fault)
	}
	all := subjects()
	if len(all) < 35 {
		t.Errorf("got %d methods and messages, want them all: %s", len(all), strings.Join(all, " "))
	}
	for _, s := range all {
		for _, f := range faults {
			switch why := exempt[s][f]; {
			case tried[s][f] && why != "":
				t.Errorf("%s, %s: exempt (%s), and tried", s, f, why)
			case !tried[s][f] && why == "":
				t.Errorf("%s, %s: no row tries it", s, f)
			}
		}
		delete(tried, s)
	}
	for s := range tried {
		t.Errorf("%s: rows for something that does not exist", s)
	}
}
