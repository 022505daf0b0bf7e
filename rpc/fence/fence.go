package fence

import (
	"fmt"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
)

// Mark says how a method is fenced.
type Mark struct {
	Fenced bool
	// ByHeader: the epoch is in the StreamOpen header of the stream, not in a message.
	ByHeader bool
}

// Methods marks every method of flott's services, by full name as gRPC writes it without the leading slash.
func Methods() map[string]Mark {
	return map[string]Mark{
		"flott.rpc.ResourceManager/RegisterTaskExecutor": {Fenced: true},
		"flott.rpc.JobMaster/RegisterTaskExecutor":       {Fenced: true},
		"flott.rpc.TaskExecutor/ResourceManagerStream":   {Fenced: true, ByHeader: true},
		"flott.rpc.TaskExecutor/JobMasterStream":         {Fenced: true, ByHeader: true},
		"flott.rpc.TaskExecutor/ListLogs":                {},
		"flott.rpc.TaskExecutor/ReadLog":                 {},
	}
}

// EpochOf returns the epoch that a fenced request or stream header carries.
func EpochOf(m proto.Message) (ids.Epoch, bool) {
	e, ok := m.(interface{ GetEpoch() uint64 })
	if !ok {
		return 0, false
	}
	return ids.Epoch(e.GetEpoch()), true
}

// Leader is the epoch under which this process leads. The zero value does not lead.
type Leader struct{ epoch atomic.Uint64 }

// Set begins an epoch; 0 ends leadership.
func (l *Leader) Set(e ids.Epoch) { l.epoch.Store(uint64(e)) }

// Epoch returns the epoch, 0 when this process does not lead.
func (l *Leader) Epoch() ids.Epoch { return ids.Epoch(l.epoch.Load()) }

// Check refuses a caller that believes in another leader. Epoch 0 is a caller that knows none yet.
func (l *Leader) Check(e ids.Epoch) error {
	own := l.Epoch()
	switch {
	case own == 0:
		return rpc.New(rpc.NotLeader, "this process does not lead")
	case e != 0 && e != own:
		return refuse(e, own)
	}
	return nil
}

func refuse(got, own ids.Epoch) error {
	return &rpc.Error{Code: rpc.Fenced, Msg: fmt.Sprintf("epoch %d is refused, %d is known here", got, own), Epoch: own}
}

// Highest is the highest epoch that a worker has seen. The zero value has seen none. It is confined to one goroutine.
type Highest struct{ epoch ids.Epoch }

// Epoch returns the highest epoch admitted.
func (h *Highest) Epoch() ids.Epoch { return h.epoch }

// Admit refuses an epoch that is 0 or lower than known, and adopts a higher one, which raised reports.
func (h *Highest) Admit(e ids.Epoch) (raised bool, err error) {
	switch {
	case e == 0 || e < h.epoch:
		return false, refuse(e, h.epoch)
	case e > h.epoch:
		h.epoch = e
		return true, nil
	}
	return false, nil
}
