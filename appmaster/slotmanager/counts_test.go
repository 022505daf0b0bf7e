package slotmanager

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// TestCounts: what the manager keeps is what counting all slots gives, after any events.
func TestCounts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	next := byte(0)
	m := New(Config{SlotsPerWorker: 3, RedundantWorkers: 1, IdleTimeout: time.Second, NewAllocation: func() ids.AllocationID {
		next++
		return ids.AllocationID{next, byte(rnd.UintN(256))}
	}})
	now := time.Unix(0, 0)
	var waiting []Event // answers on their way
	for range 5000 {
		now = now.Add(time.Duration(rnd.IntN(300)) * time.Millisecond)
		for _, e := range m.Step(now, randomEvent(rnd, m, &waiting)) {
			switch e := e.(type) {
			case Allocate:
				waiting = append(waiting, Allocated{Worker: e.Worker, Instance: e.Instance, Allocation: e.Allocation, Refused: rnd.IntN(5) == 0})
			case AskRelease:
				waiting = append(waiting, CanRelease{Worker: e.Worker, Instance: e.Instance, Yes: rnd.IntN(2) == 0})
			}
		}
		checkCounts(t, m)
		if t.Failed() {
			return
		}
	}
}

func randomEvent(rnd *rand.Rand, m *Manager, waiting *[]Event) Event {
	id := ids.ResourceID(fmt.Sprint("w", rnd.IntN(8)))
	job := ids.JobID{byte(rnd.IntN(3))}
	w := m.workers[id]
	switch kind := rnd.IntN(7); {
	case kind == 0:
		return Require{Job: job, Slots: rnd.IntN(10)}
	case kind == 1 && w != nil:
		return Unregister{Worker: id}
	case kind == 2 && w != nil:
		report := Report{Worker: id, Instance: w.instance}
		for _, s := range w.slots {
			report.Slots = append(report.Slots, SlotStatus{Free: s.state == free || rnd.IntN(3) == 0, Job: job, Allocation: s.allocation})
		}
		return report
	case kind == 3 && w != nil:
		return SlotFreed{Worker: id, Instance: w.instance, Allocation: w.slots[rnd.IntN(len(w.slots))].allocation}
	case kind == 4 && len(*waiting) > 0:
		ev := (*waiting)[0]
		*waiting = (*waiting)[1:]
		return ev
	case kind == 5 && w == nil:
		slots := make([]SlotStatus, 1+rnd.IntN(3))
		for i := range slots {
			slots[i] = SlotStatus{Free: rnd.IntN(4) > 0, Job: job}
		}
		return Register{Worker: id, Instance: ids.InstanceID{byte(rnd.UintN(256))}, Slots: slots}
	}
	return Tick{}
}

func checkCounts(t *testing.T, m *Manager) {
	t.Helper()
	var slots [numSlotStates]int
	idle, open := 0, 0
	held := map[ids.JobID]int{}
	var first *worker
	for _, w := range m.workers {
		n := 0
		for _, s := range w.slots {
			slots[s.state]++
			if s.state == free {
				n++
			}
			if s.state == pending || s.state == taken {
				held[s.job]++
			}
		}
		if n == len(w.slots) {
			idle++
			if m.mayRelease() && !w.releasing && m.NextDeadline().After(w.idleSince.Add(m.cfg.IdleTimeout)) {
				t.Errorf("the next deadline %v is after that of %s, idle since %v", m.NextDeadline(), w.id, w.idleSince)
			}
		}
		if w.idleSince.IsZero() == (n == len(w.slots)) {
			t.Errorf("worker %s with %d of %d slots free is idle since %v", w.id, n, len(w.slots), w.idleSince)
		}
		if n == 0 {
			continue
		}
		open++
		if first == nil || n < first.count[free] || n == first.count[free] && w.sequence < first.sequence {
			first = w
		}
	}
	if slots != m.slots || idle != m.idle || open != len(m.open) || fmt.Sprint(held) != fmt.Sprint(m.held) {
		t.Errorf("kept are slots %v, idle %d, open %d, held %v; counted are %v, %d, %d, %v", m.slots, m.idle, len(m.open), m.held, slots, idle, open, held)
	}
	if open > 0 && m.open[0] != first {
		t.Errorf("the next slot would come from %s, not from %s", m.open[0].id, first.id)
	}
}

// BenchmarkReport is what a heartbeat of one worker costs among many.
func BenchmarkReport(b *testing.B) {
	for _, workers := range []int{100, 10_000} {
		b.Run(fmt.Sprint("workers=", workers), func(b *testing.B) {
			m := New(Config{SlotsPerWorker: 4, IdleTimeout: time.Minute, NewAllocation: ids.NewAllocationID})
			job, now := ids.JobID{1}, time.Unix(0, 0)
			m.Step(now, Require{Job: job, Slots: 4 * workers})
			report := Report{}
			for i := range workers {
				id := ids.ResourceID(fmt.Sprintf("container_1700000000000_0001_01_%06d", i))
				report = Report{Worker: id}
				m.Step(now, Register{Worker: id, Slots: frees(4)})
			}
			for _, s := range m.workers[report.Worker].slots {
				report.Slots = append(report.Slots, SlotStatus{Job: s.job, Allocation: s.allocation})
			}
			b.ReportAllocs()
			for b.Loop() {
				m.Step(now, report)
			}
		})
	}
}
