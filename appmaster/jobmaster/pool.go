package jobmaster

import (
	"cmp"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// pool is the set of slots that serve the job.
type pool struct {
	wanted   int
	slots    map[ids.AllocationID]*pooled
	byWorker map[ids.ResourceID][]*pooled // the same, by index
}

func newPool() pool {
	return pool{slots: map[ids.AllocationID]*pooled{}, byWorker: map[ids.ResourceID][]*pooled{}}
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
	p.add(&s)
	return true, true
}

func (p *pool) add(s *pooled) {
	p.slots[s.allocation] = s
	list := p.byWorker[s.worker]
	at, _ := slices.BinarySearchFunc(list, s.index, func(o *pooled, index uint32) int { return cmp.Compare(o.index, index) })
	p.byWorker[s.worker] = slices.Insert(list, at, s)
}

func (p *pool) remove(a ids.AllocationID) {
	s := p.slots[a]
	if s == nil {
		return
	}
	delete(p.slots, a)
	list := slices.DeleteFunc(p.byWorker[s.worker], func(o *pooled) bool { return o == s })
	if p.byWorker[s.worker] = list; len(list) == 0 {
		delete(p.byWorker, s.worker)
	}
}

func (p *pool) clear() {
	clear(p.slots)
	clear(p.byWorker)
}

// of lists the allocations on one worker, by slot index.
func (p *pool) of(w ids.ResourceID) []ids.AllocationID {
	slots := p.byWorker[w]
	list := make([]ids.AllocationID, len(slots))
	for i, s := range slots {
		list[i] = s.allocation
	}
	return list
}

// want changes how many slots are wanted; from then on unused ones count as idle.
func (p *pool) want(n int) {
	p.wanted = n
	for _, s := range p.slots {
		s.idleSince = time.Time{}
	}
}

// surplus removes and returns slots beyond what is wanted that have been idle for the given time, oldest first.
func (p *pool) surplus(now time.Time, timeout time.Duration, inUse func(ids.ResourceID, ids.AllocationID) bool) []pooled {
	if len(p.slots) <= p.wanted {
		return nil
	}
	var idle []*pooled
	for _, s := range p.slots {
		switch {
		case inUse(s.worker, s.allocation):
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
		p.remove(s.allocation)
		out = append(out, *s)
	}
	return out
}
