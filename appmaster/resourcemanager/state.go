package resourcemanager

import (
	"time"

	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// workerState is where a worker is in its life; it ends by being forgotten.
//
//	starting ─▶ registered ─▶ leaving
//	    └──────────────────────▲
type workerState int

const (
	starting   workerState = iota // announced by the driver
	registered                    // its first inventory has come
	leaving                       // released or told to exit; only its end is awaited
	numWorkerStates
)

func (s workerState) String() string { return [...]string{"starting", "registered", "leaving"}[s] }

type worker struct {
	Worker
	state    workerState
	previous bool      // lived already when this ResourceManager attached
	deadline time.Time // by when it must have registered
	attempt  uint64    // the newest registration attempt that was seen
	opening  *opening  // the stream of that attempt is being opened; nil: it is not
	conn     *connection
}

// opening is a stream on its way, and the calls of the attempt that wait for it.
type opening struct {
	attempt uint64
	answers []func(*pb.RegistrationResponse, error)
}

func (o *opening) answer(resp *pb.RegistrationResponse) {
	for _, f := range o.answers {
		f(resp, nil)
	}
}

// link is what a connection needs of a gateway stream.
type link interface {
	Send(m *pb.FromResourceManager) error
	Close(cause error)
}

// connection is one accepted registration of a worker.
type connection struct {
	instance ids.InstanceID
	request  *pb.RegisterTaskExecutorRequest
	link     link // nil while it is being opened again
	redials  int  // in a row without success
	seen     time.Time
	listed   bool // the first inventory has come
	// requests are the questions on the stream that are not answered yet.
	requests map[ids.RequestID]answer
}

// answer makes an event of what a worker says to a question; nil: yes.
type answer func(failure *pb.Failure) slotmanager.Event

// View is a worker as REST shows it.
type View struct {
	Worker
	Registration  *pb.RegisterTaskExecutorRequest
	LastHeartbeat time.Time
	FreeSlots     int
	State         string
}
