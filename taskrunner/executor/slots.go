package executor

import (
	"fmt"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// slot is one entry of the slot table.
type slot struct {
	index      int
	profile    *pb.ResourceProfile
	state      slotState
	job        ids.JobID
	allocation ids.AllocationID
	deadline   time.Time // of an ALLOCATED slot
	tasks      int       // that have not ended
	shown      bool      // ACTIVE because a deployment came; the answer to its offer has not
}

// slots is the slot table: a fixed number of slots, numbered from 0. It is pure; time is an argument.
type slots struct {
	list    []*slot
	profile *pb.ResourceProfile // of a slot that was asked for without profile
	timeout time.Duration
}

func newSlots(n int, profile *pb.ResourceProfile, timeout time.Duration) *slots {
	t := &slots{profile: profile, timeout: timeout}
	for i := range n {
		t.list = append(t.list, &slot{index: i, profile: profile, state: free})
	}
	return t
}

// allocate gives slot i to a job. Repeating it changes nothing. The error has code NoSlot.
func (t *slots) allocate(now time.Time, i int, job ids.JobID, a ids.AllocationID, profile *pb.ResourceProfile) (*slot, error) {
	if i < 0 || i >= len(t.list) {
		return nil, rpc.New(rpc.NoSlot, fmt.Sprintf("slot %d of %d does not exist", i, len(t.list)))
	}
	s := t.list[i]
	if other := t.find(a); other != nil && other != s {
		return nil, rpc.New(rpc.NoSlot, fmt.Sprintf("allocation %s has slot %d, not %d", a, other.index, i))
	}
	if s.state != free {
		if s.allocation == a && s.job == job && s.state != releasing {
			return s, nil
		}
		return nil, rpc.New(rpc.NoSlot, fmt.Sprintf("slot %d is %s for allocation %s of job %s", i, s.state, s.allocation, s.job))
	}
	if profile == nil {
		profile = t.profile
	}
	s.move(slotAllocate)
	s.job, s.allocation, s.profile = job, a, profile
	s.deadline = now.Add(t.timeout)
	return s, nil
}

// activate notes that the job's master has taken the slot.
func (t *slots) activate(s *slot) {
	if s.move(slotActivate) == active {
		s.deadline, s.shown = time.Time{}, false
	}
}

// show activates a slot that the job's master has taken, as its deployment shows before it says so.
func (t *slots) show(s *slot) {
	if s.state == allocated {
		t.activate(s)
		s.shown = true
	}
}

// unshow takes back what only a deployment showed that was refused.
func (t *slots) unshow(now time.Time, s *slot) {
	if s.shown && s.tasks == 0 && s.move(slotRefused) == allocated {
		s.deadline, s.shown = now.Add(t.timeout), false
	}
}

// release takes a slot back: it is free at once, or when its last task ends. It says whether it is free.
func (t *slots) release(s *slot) bool {
	in := slotFree
	if s.tasks > 0 {
		in = slotFreeBusy
	}
	s.deadline = time.Time{}
	if s.move(in) != free {
		return false
	}
	t.clear(s)
	return true
}

// taskStarted and taskEnded count what runs in a slot. taskEnded says whether the slot has become free by it.
func (t *slots) taskStarted(s *slot) { s.tasks++ }

func (t *slots) taskEnded(s *slot) bool {
	s.tasks--
	if s.tasks > 0 || s.move(slotDrained) != free {
		return false
	}
	t.clear(s)
	return true
}

func (t *slots) clear(s *slot) {
	*s = slot{index: s.index, profile: t.profile, state: free}
}

// find returns the slot of an allocation, or nil.
func (t *slots) find(a ids.AllocationID) *slot {
	for _, s := range t.list {
		if s.state != free && s.allocation == a {
			return s
		}
	}
	return nil
}

// of returns a job's slots in any of the states, by index; all that are not free when no state is given.
func (t *slots) of(job ids.JobID, states ...slotState) []*slot {
	var out []*slot
	for _, s := range t.list {
		if s.state != free && s.job == job && (len(states) == 0 || slices.Contains(states, s.state)) {
			out = append(out, s)
		}
	}
	return out
}

// expired returns the slots whose job has not taken them in time. One in which tasks run is not among them.
func (t *slots) expired(now time.Time) []*slot {
	var out []*slot
	for _, s := range t.list {
		if s.state == allocated && s.tasks == 0 && !now.Before(s.deadline) {
			out = append(out, s)
		}
	}
	return out
}

// next returns when expired has something new at the earliest; zero: never.
func (t *slots) next() time.Time {
	var next time.Time
	for _, s := range t.list {
		if s.state == allocated && s.tasks == 0 && (next.IsZero() || s.deadline.Before(next)) {
			next = s.deadline
		}
	}
	return next
}

// report lists all slots.
func (t *slots) report() *pb.SlotReport {
	return pb.SlotReport_builder{Slots: slotsToPB(t.list)}.Build()
}

func slotsToPB(list []*slot) []*pb.Slot {
	out := make([]*pb.Slot, len(list))
	for i, s := range list {
		out[i] = pb.Slot_builder{
			Index: uint32(s.index), Profile: s.profile, State: pb.SlotState(s.state), Job: s.job.Bytes(), Allocation: s.allocation.Bytes(),
		}.Build()
	}
	return out
}

func (s *slot) move(in slotInput) slotState {
	s.state = slotTable[s.state][in]
	return s.state
}
