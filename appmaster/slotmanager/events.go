package slotmanager

import (
	"cmp"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// Event is one thing that happened; the types below are all there are.
type Event interface {
	apply(m *Manager, now time.Time)
}

// Require sets what a job wants in all. Zero slots and an ended job are the same.
type Require struct {
	Job       ids.JobID
	JobMaster string // address that workers offer the slots to
	Slots     int
}

func (e Require) apply(m *Manager, _ time.Time) {
	if e.Slots == 0 {
		delete(m.jobs, e.Job)
		return
	}
	j := m.jobs[e.Job]
	if j == nil {
		j = &job{}
		m.jobs[e.Job] = j
	}
	j.master, j.required = e.JobMaster, e.Slots
}

// SlotStatus is one slot as its worker reports it; the position in a report is its index.
type SlotStatus struct {
	Free       bool
	Job        ids.JobID
	Allocation ids.AllocationID
}

// Register adds a worker with its inventory; an older registration of the same worker is replaced.
type Register struct {
	Worker   ids.ResourceID
	Instance ids.InstanceID
	Slots    []SlotStatus
}

func (e Register) apply(m *Manager, _ time.Time) {
	m.remove(e.Worker)
	if m.cfg.MaxSlots > 0 && m.total()+len(e.Slots) > m.cfg.MaxSlots {
		m.emit(Reject{Worker: e.Worker, Instance: e.Instance, Limit: m.cfg.MaxSlots})
		return
	}
	w := &worker{id: e.Worker, instance: e.Instance, slots: make([]slot, len(e.Slots))}
	for i, s := range e.Slots {
		w.slots[i] = reported(s)
	}
	m.add(w)
}

// Report is a later slot report of a registered worker. Slots being allocated keep the manager's view: the report may
// have crossed the request.
type Report struct {
	Worker   ids.ResourceID
	Instance ids.InstanceID
	Slots    []SlotStatus
}

func (e Report) apply(m *Manager, _ time.Time) {
	w := m.current(e.Worker, e.Instance)
	if w == nil {
		return
	}
	for i, s := range e.Slots {
		if i < len(w.slots) && w.slots[i].state != pending {
			m.set(w, i, reported(s))
		}
	}
}

func reported(s SlotStatus) slot {
	if s.Free {
		return slot{}
	}
	return slot{state: taken, job: s.Job, allocation: s.Allocation}
}

// Allocated is the answer to [Allocate]. A refused slot is left alone until the worker reports what it is, so that a
// worker that always refuses is not asked in a circle.
type Allocated struct {
	Worker     ids.ResourceID
	Instance   ids.InstanceID
	Allocation ids.AllocationID
	Refused    bool
}

func (e Allocated) apply(m *Manager, _ time.Time) {
	w := m.current(e.Worker, e.Instance)
	if w == nil {
		return
	}
	for i, s := range w.slots {
		if s.state != pending || s.allocation != e.Allocation {
			continue
		}
		s.state = taken
		if e.Refused {
			s = slot{state: doubtful}
		}
		m.set(w, i, s)
	}
}

// SlotFreed says that a worker has given up an allocation.
type SlotFreed struct {
	Worker     ids.ResourceID
	Instance   ids.InstanceID
	Allocation ids.AllocationID
}

func (e SlotFreed) apply(m *Manager, _ time.Time) {
	w := m.current(e.Worker, e.Instance)
	if w == nil {
		return
	}
	for i, s := range w.slots {
		if s.state != free && s.allocation == e.Allocation {
			m.set(w, i, slot{})
		}
	}
}

// Unregister removes a worker and its slots.
type Unregister struct {
	Worker ids.ResourceID
}

func (e Unregister) apply(m *Manager, _ time.Time) { m.remove(e.Worker) }

// Tick lets time pass: workers idle for too long are asked whether they can go.
type Tick struct{}

func (Tick) apply(m *Manager, now time.Time) {
	if !m.mayRelease() || m.idleDue.IsZero() || now.Before(m.idleDue) {
		return
	}
	m.idleDue = time.Time{}
	var due []*worker
	for _, w := range m.workers {
		switch {
		case w.idleSince.IsZero() || w.releasing:
		case now.Before(w.idleSince.Add(m.cfg.IdleTimeout)):
			m.considerIdle(w)
		default:
			due = append(due, w)
		}
	}
	slices.SortFunc(due, func(a, b *worker) int { return cmp.Compare(a.sequence, b.sequence) })
	for _, w := range due {
		w.releasing = true
		m.emit(AskRelease{Worker: w.id, Instance: w.instance})
	}
}

// CanRelease is the answer to [AskRelease]. A worker that got work meanwhile stays.
type CanRelease struct {
	Worker   ids.ResourceID
	Instance ids.InstanceID
	Yes      bool
}

func (e CanRelease) apply(m *Manager, now time.Time) {
	w := m.current(e.Worker, e.Instance)
	if w == nil || !w.releasing {
		return
	}
	w.releasing = false
	if !e.Yes || !w.idle() {
		w.idleSince = now
		m.touched = append(m.touched, w)
		return
	}
	m.remove(e.Worker)
	m.emit(Release{Worker: e.Worker, Instance: e.Instance})
}

// current finds a worker unless the message belongs to an older registration of it.
func (m *Manager) current(id ids.ResourceID, instance ids.InstanceID) *worker {
	if w := m.workers[id]; w != nil && w.instance == instance {
		return w
	}
	return nil
}
