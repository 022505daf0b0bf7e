package jobmaster

import (
	"cmp"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// pool is the set of slots that serve the job.
type pool struct {
	wanted int
	slots  map[ids.AllocationID]*pooled
}

type pooled struct {
	allocation ids.AllocationID
	worker     ids.ResourceID
	index      uint32
	idleSince  time.Time // when it was first seen to be surplus and without use; zero before
}

// offer says whether a slot is taken into the pool. A slot that is there already is accepted again.
func (p *pool) offer(s pooled) (accepted, added bool) {
	if old, ok := p.slots[s.allocation]; ok {
		return old.worker == s.worker, false
	}
	if len(p.slots) >= p.wanted {
		return false, false
	}
	p.slots[s.allocation] = &s
	return true, true
}

// of lists the allocations on one worker, by slot index.
func (p *pool) of(w ids.ResourceID) []ids.AllocationID {
	var slots []*pooled
	for _, s := range p.slots {
		if s.worker == w {
			slots = append(slots, s)
		}
	}
	slices.SortFunc(slots, func(a, b *pooled) int { return cmp.Compare(a.index, b.index) })
	list := make([]ids.AllocationID, len(slots))
	for i, s := range slots {
		list[i] = s.allocation
	}
	return list
}

// count counts the slots of each worker that gives some.
func (p *pool) count() map[ids.ResourceID]int {
	n := map[ids.ResourceID]int{}
	for _, s := range p.slots {
		n[s.worker]++
	}
	return n
}

// want changes how many slots are wanted; from then on unused ones count as idle.
func (p *pool) want(n int) {
	p.wanted = n
	for _, s := range p.slots {
		s.idleSince = time.Time{}
	}
}

// surplus removes and returns slots beyond what is wanted that have been idle for the given time, oldest first.
func (p *pool) surplus(now time.Time, timeout time.Duration, inUse func(ids.AllocationID) bool) []pooled {
	if len(p.slots) <= p.wanted {
		return nil
	}
	var idle []*pooled
	for _, s := range p.slots {
		switch {
		case inUse(s.allocation):
			s.idleSince = time.Time{}
		case s.idleSince.IsZero():
			s.idleSince = now
		case now.Sub(s.idleSince) >= timeout:
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *pooled) int {
		return cmp.Or(a.idleSince.Compare(b.idleSince), slices.Compare(a.allocation[:], b.allocation[:]))
	})
	idle = idle[:min(len(idle), max(0, len(p.slots)-p.wanted))]
	var out []pooled
	for _, s := range idle {
		delete(p.slots, s.allocation)
		out = append(out, *s)
	}
	return out
}
