package executor

import "github.com/flott-dev/flott/rpc/pb"

// slotState is Flink's TaskSlotState; the numbers are those of the wire.
type slotState uint8

const (
	free      = slotState(pb.SlotState_FREE)
	allocated = slotState(pb.SlotState_ALLOCATED) // given to a job, which has not taken it yet
	active    = slotState(pb.SlotState_ACTIVE)
	releasing = slotState(pb.SlotState_RELEASING) // taken back, while tasks still run in it
)

func (s slotState) String() string { return pb.SlotState(s).String() }

// slotInput is what moves a slot.
type slotInput uint8

const (
	slotAllocate slotInput = iota
	slotActivate           // the JobMaster takes it
	slotFree               // no task runs in it
	slotFreeBusy           // tasks run in it
	slotDrained            // the last task has ended
	slotRefused            // the deployment that showed that it is taken was refused
	numSlotInputs
)

// slotTable is the transition table; an entry equal to its row changes nothing.
var slotTable = [...][numSlotInputs]slotState{
	//           allocate   activate   free       free busy  drained    refused
	free:      {allocated, free, free, free, free, free},
	allocated: {allocated, active, free, releasing, allocated, allocated},
	active:    {active, active, free, releasing, active, allocated},
	releasing: {releasing, releasing, free, releasing, free, releasing},
}
