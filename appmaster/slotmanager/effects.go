package slotmanager

import "github.com/flott-dev/flott/rpc/ids"

// Effect is one thing for the ResourceManager to do; the types below are all there are.
type Effect interface{ effect() }

// Allocate asks a worker for a slot on behalf of a job; answered by [Allocated].
type Allocate struct {
	Worker     ids.ResourceID
	Instance   ids.InstanceID
	Slot       int
	Job        ids.JobID
	JobMaster  string
	Allocation ids.AllocationID
}

// DeclareWorkers says how many workers are wanted in all: registered, starting and still to be asked for.
type DeclareWorkers struct{ Total int }

// AskRelease asks an idle worker whether it holds anything; answered by [CanRelease].
type AskRelease struct {
	Worker   ids.ResourceID
	Instance ids.InstanceID
}

// Release gives an idle worker back; the manager has forgotten it already.
type Release struct {
	Worker   ids.ResourceID
	Instance ids.InstanceID
}

// Reject refuses a worker whose slots would exceed the limit.
type Reject struct {
	Worker   ids.ResourceID
	Instance ids.InstanceID
	Limit    int // slots
}

// NotEnough says that a job lacks slots which no worker that may still be asked for can bring.
type NotEnough struct {
	Job     ids.JobID
	Missing int // slots
	Limit   int // slots of all workers together; 0: no limit
}

func (Allocate) effect()       {}
func (DeclareWorkers) effect() {}
func (AskRelease) effect()     {}
func (Release) effect()        {}
func (Reject) effect()         {}
func (NotEnough) effect()      {}
