package executor

import (
	"fmt"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

func TestSlotTransitions(t *testing.T) {
	for _, c := range []struct {
		from slotState
		want [numSlotInputs]slotState // by allocate, activate, free, free busy, drained, refused
	}{
		{free, [...]slotState{allocated, free, free, free, free, free}},
		{allocated, [...]slotState{allocated, active, free, releasing, allocated, allocated}},
		{active, [...]slotState{active, active, free, releasing, active, allocated}},
		{releasing, [...]slotState{releasing, releasing, free, releasing, free, releasing}},
	} {
		for in, want := range c.want {
			s := &slot{state: c.from}
			if got := s.move(slotInput(in)); got != want || s.state != want {
				t.Errorf("%s by input %d: got %s, want %s", c.from, in, got, want)
			}
		}
	}
}

func TestSlotAllocation(t *testing.T) {
	now := time.Unix(1000, 0)
	job, other := ids.NewJobID(), ids.NewJobID()
	a, b := ids.NewAllocationID(), ids.NewAllocationID()
	profile := pb.ResourceProfile_builder{CpuMillis: 500}.Build()
	table := newSlots(2, profile, 10*time.Second)
	if _, err := table.allocate(now, 0, job, a, nil); err != nil {
		t.Fatalf("allocate a free slot: %v", err)
	}
	for _, c := range []struct {
		what  string
		index int
		job   ids.JobID
		alloc ids.AllocationID
		ok    bool
	}{
		{"the same again", 0, job, a, true},
		{"other allocation of the job", 0, job, b, false},
		{"other job, same allocation", 0, other, a, false},
		{"same allocation elsewhere", 1, job, a, false},
		{"beyond the last slot", 2, job, b, false},
		{"negative index", -1, job, b, false},
		{"a free slot", 1, other, b, true},
	} {
		if _, err := table.allocate(now, c.index, c.job, c.alloc, nil); (err == nil) != c.ok || err != nil && rpc.CodeOf(err) != rpc.NoSlot {
			t.Errorf("%s: got error %v, want success %v", c.what, err, c.ok)
		}
	}
	s := table.find(a)
	if s.profile != profile || s.deadline != now.Add(10*time.Second) {
		t.Errorf("slot has profile %v and deadline %v", s.profile, s.deadline)
	}
	table.taskStarted(s)
	if table.release(s) || s.state != releasing {
		t.Errorf("releasing a slot with a task: state %s, want RELEASING", s.state)
	}
	if _, err := table.allocate(now, 0, job, a, nil); err == nil {
		t.Error("a slot on its way out was allocated")
	}
	if !table.taskEnded(s) || s.state != free || table.find(a) != nil {
		t.Errorf("after its last task: state %s, want FREE", s.state)
	}
}

func TestSlotTimeout(t *testing.T) {
	now := time.Unix(1000, 0)
	job := ids.NewJobID()
	table := newSlots(3, nil, 10*time.Second)
	var s [3]*slot
	for i := range s {
		s[i], _ = table.allocate(now.Add(time.Duration(i)*time.Second), i, job, ids.NewAllocationID(), nil)
	}
	table.activate(s[0])
	table.taskStarted(s[1])
	if got, want := table.next(), now.Add(12*time.Second); got != want {
		t.Errorf("next deadline %v, want %v: of the only slot that waits", got, want)
	}
	if got := table.expired(now.Add(11 * time.Second)); len(got) != 0 {
		t.Errorf("expired after 11 s: %d slots, want none", len(got))
	}
	if got := table.expired(now.Add(time.Hour)); len(got) != 1 || got[0] != s[2] {
		t.Errorf("expired after an hour: %d slots, want the third", len(got))
	}
	if got := len(table.of(job)); got != 3 {
		t.Errorf("the job has %d slots, want 3", got)
	}
	if got := table.of(job, active); len(got) != 1 || got[0] != s[0] {
		t.Errorf("the job has %d active slots, want the first", len(got))
	}
}

func TestAnswers(t *testing.T) {
	var a answers
	if _, isNew := a.begin(5, 1); !isNew {
		t.Error("the first request is not new")
	}
	if r, isNew := a.begin(5, 1); isNew || r != nil {
		t.Errorf("a request being worked on: %v, new %v", r, isNew)
	}
	a.end(5, pb.Response_builder{RequestId: 1}.Build())
	if r, isNew := a.begin(5, 1); isNew || r.GetRequestId() != 1 {
		t.Errorf("a request that was answered: %v, new %v", r, isNew)
	}
	if _, isNew := a.begin(6, 1); !isNew {
		t.Error("the same number under another epoch is not new")
	}
	a.end(5, pb.Response_builder{RequestId: 1}.Build())
	if r, isNew := a.begin(6, 1); isNew || r != nil {
		t.Error("an answer of the old epoch answers the new one")
	}
	for i := range uint64(3 * rememberedAnswers) {
		a.begin(6, i)
	}
	if n := len(a.given); n > rememberedAnswers+1 {
		t.Errorf("%d answers are remembered", n)
	}
	if _, isNew := a.begin(6, 3*rememberedAnswers-1); isNew {
		t.Error("a recent request was forgotten")
	}
}

func TestSlotStateNames(t *testing.T) {
	if got, want := fmt.Sprint(free, allocated, active, releasing), "FREE ALLOCATED ACTIVE RELEASING"; got != want {
		t.Errorf("states print as %q, want %q", got, want)
	}
}
