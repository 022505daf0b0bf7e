package slotmanager

import (
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// Config holds the limits that do not change while the application runs.
type Config struct {
	// SlotsPerWorker is how many slots a new worker will bring (taskmanager.numberOfTaskSlots); at least 1.
	SlotsPerWorker int
	// MaxSlots bounds the slots of all workers together (slotmanager.number-of-slots.max); 0 means no bound.
	MaxSlots int
	// RedundantWorkers are kept beyond what the jobs need (slotmanager.redundant-taskmanager-num).
	RedundantWorkers int
	// IdleTimeout is how long a worker may serve nobody before it is given back (resourcemanager.taskmanager-timeout).
	IdleTimeout time.Duration
	// NewAllocation makes the id of each new allocation.
	NewAllocation func() ids.AllocationID
}

// Manager is the state of the slots and requirements. The zero value is not usable; see [New].
type Manager struct {
	cfg     Config
	jobs    map[ids.JobID]*job
	workers map[ids.ResourceID]*worker
	order   []ids.ResourceID // of registration, so that decisions are reproducible
	wanted  int              // as last declared
	effects []Effect
}

type job struct {
	master   string // address of its JobMaster
	required int
	starved  bool // told that there is not enough
}

type worker struct {
	id        ids.ResourceID
	instance  ids.InstanceID
	slots     []slot
	idleSince time.Time // zero while it serves somebody
	releasing bool      // asked whether it can be released
}

type slotState int

const (
	free     slotState = iota
	pending            // RequestSlot is on its way
	taken              // allocated, active or releasing at the worker
	doubtful           // the worker refused it; its next report says what it is
)

type slot struct {
	state      slotState
	job        ids.JobID
	allocation ids.AllocationID
}

// New returns a manager without workers and requirements.
func New(cfg Config) *Manager {
	cfg.SlotsPerWorker = max(cfg.SlotsPerWorker, 1)
	return &Manager{
		cfg:     cfg,
		jobs:    make(map[ids.JobID]*job),
		workers: make(map[ids.ResourceID]*worker),
	}
}

// Step applies one event at the given time and returns what is to be done, in order.
func (m *Manager) Step(now time.Time, ev Event) []Effect {
	m.effects = nil
	ev.apply(m, now)
	m.serve()
	m.markIdle(now)
	m.declare()
	return m.effects
}

// NextDeadline is when [Tick] is due next, or the zero time when nothing waits for a clock.
func (m *Manager) NextDeadline() time.Time {
	var next time.Time
	if !m.mayRelease() {
		return next
	}
	for _, w := range m.workers {
		if w.idleSince.IsZero() || w.releasing {
			continue
		}
		if due := w.idleSince.Add(m.cfg.IdleTimeout); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next
}

// Overview counts workers and slots as REST shows them.
func (m *Manager) Overview() (workers, slots, freeSlots int) {
	for _, w := range m.workers {
		slots += len(w.slots)
		freeSlots += w.count(free)
	}
	return len(m.workers), slots, freeSlots
}

// FreeSlots is the number of free slots of one worker; 0 when it is unknown.
func (m *Manager) FreeSlots(id ids.ResourceID) int {
	if w := m.workers[id]; w != nil {
		return w.count(free)
	}
	return 0
}

func (m *Manager) emit(e Effect) { m.effects = append(m.effects, e) }

// serve gives free slots to jobs that lack some, jobs and workers in a fixed order.
func (m *Manager) serve() {
	for _, id := range m.jobOrder() {
		j := m.jobs[id]
		for missing := j.required - m.held(id); missing > 0; missing-- {
			w, i := m.freeSlot()
			if w == nil {
				break
			}
			w.slots[i] = slot{state: pending, job: id, allocation: m.cfg.NewAllocation()}
			w.releasing = false
			m.emit(Allocate{
				Worker: w.id, Instance: w.instance, Slot: i,
				Job: id, JobMaster: j.master, Allocation: w.slots[i].allocation,
			})
		}
	}
}

// freeSlot picks from the worker that is used most already, so that idle ones can go.
func (m *Manager) freeSlot() (*worker, int) {
	var best *worker
	for _, id := range m.order {
		w := m.workers[id]
		n := w.count(free)
		if n > 0 && (best == nil || n < best.count(free)) {
			best = w
		}
	}
	if best == nil {
		return nil, 0
	}
	return best, slices.IndexFunc(best.slots, func(s slot) bool { return s.state == free })
}

// declare says how many workers are wanted in all when that has changed, and tells jobs that can never be served.
func (m *Manager) declare() {
	missing := 0
	for id, j := range m.jobs {
		missing += max(0, j.required-m.held(id))
	}
	missing = max(0, missing-m.doubtful())
	want := len(m.workers) + ceilDiv(missing, m.cfg.SlotsPerWorker)
	if idle := m.idle() + want - len(m.workers); len(m.jobs) > 0 && idle < m.cfg.RedundantWorkers && missing == 0 {
		want += m.cfg.RedundantWorkers - idle
	}
	if limit := m.cfg.MaxSlots; limit > 0 {
		want = min(want, max(len(m.workers), limit/m.cfg.SlotsPerWorker))
	}
	if want != m.wanted {
		m.wanted = want
		m.emit(DeclareWorkers{Total: want})
	}
	m.tellStarved((want-len(m.workers))*m.cfg.SlotsPerWorker + m.doubtful())
}

// tellStarved reports each job whose lack the slots on their way cannot cover, once until that changes.
func (m *Manager) tellStarved(coming int) {
	for _, id := range m.jobOrder() {
		j := m.jobs[id]
		lack := max(0, j.required-m.held(id))
		starved := lack > coming
		coming = max(0, coming-lack)
		if starved && !j.starved {
			m.emit(NotEnough{Job: id, Missing: lack, Limit: m.cfg.MaxSlots})
		}
		j.starved = starved
	}
}

func (m *Manager) markIdle(now time.Time) {
	for _, w := range m.workers {
		switch {
		case w.count(free) < len(w.slots):
			w.idleSince = time.Time{}
		case w.idleSince.IsZero():
			w.idleSince = now
		}
	}
}

// mayRelease says whether an idle worker is surplus.
func (m *Manager) mayRelease() bool { return m.idle() > m.cfg.RedundantWorkers || len(m.jobs) == 0 }

func (m *Manager) idle() int {
	n := 0
	for _, w := range m.workers {
		if w.count(free) == len(w.slots) {
			n++
		}
	}
	return n
}

func (m *Manager) doubtful() int {
	n := 0
	for _, w := range m.workers {
		n += w.count(doubtful)
	}
	return n
}

// held counts the slots that a job has or is about to have.
func (m *Manager) held(id ids.JobID) int {
	n := 0
	for _, w := range m.workers {
		for _, s := range w.slots {
			if (s.state == pending || s.state == taken) && s.job == id {
				n++
			}
		}
	}
	return n
}

func (m *Manager) jobOrder() []ids.JobID {
	order := make([]ids.JobID, 0, len(m.jobs))
	for id := range m.jobs {
		order = append(order, id)
	}
	slices.SortFunc(order, ids.JobID.Compare)
	return order
}

func (w *worker) count(st slotState) int {
	n := 0
	for _, s := range w.slots {
		if s.state == st {
			n++
		}
	}
	return n
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
