package slotmanager

import (
	"container/heap"
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

// Manager is the state of the slots and requirements. The zero value is not usable; see [New]. A Step costs what the event is about, not
// what the cluster is large: all counts are kept, none is taken.
type Manager struct {
	cfg      Config
	jobs     map[ids.JobID]*job
	workers  map[ids.ResourceID]*worker
	held     map[ids.JobID]int // slots that a job has or is about to have; also of jobs that require nothing
	slots    [numSlotStates]int
	idle     int       // workers that serve nobody
	open     byFree    // workers with free slots
	sequence uint64    // of the last registration
	idleDue  time.Time // no worker has been idle for too long before this; zero: none is idle
	effects  []Effect
	touched  []*worker // by the event at hand
	wanted   int       // as last declared
}

type job struct {
	master   string // address of its JobMaster
	required int
	starved  bool // told that there is not enough
}

type worker struct {
	id        ids.ResourceID
	instance  ids.InstanceID
	sequence  uint64 // of its registration, so that decisions are reproducible
	slots     []slot
	count     [numSlotStates]int
	place     int       // in Manager.open, or -1
	idleSince time.Time // zero while it serves somebody
	releasing bool      // asked whether it can be released
	gone      bool
}

func (w *worker) idle() bool { return w.count[free] == len(w.slots) }

type slotState int

const (
	free     slotState = iota
	pending            // RequestSlot is on its way
	taken              // allocated, active or releasing at the worker
	doubtful           // the worker refused it; its next report says what it is
	numSlotStates
)

type slot struct {
	state      slotState
	job        ids.JobID
	allocation ids.AllocationID
}

func (s slot) isHeld() bool { return s.state == pending || s.state == taken }

// New returns a manager without workers and requirements.
func New(cfg Config) *Manager {
	cfg.SlotsPerWorker = max(cfg.SlotsPerWorker, 1)
	return &Manager{
		cfg:     cfg,
		jobs:    make(map[ids.JobID]*job),
		workers: make(map[ids.ResourceID]*worker),
		held:    make(map[ids.JobID]int),
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

// NextDeadline is when [Tick] is due next, or the zero time when nothing waits for a clock. It may be early.
func (m *Manager) NextDeadline() time.Time {
	if !m.mayRelease() {
		return time.Time{}
	}
	return m.idleDue
}

// Overview counts workers and slots as REST shows them.
func (m *Manager) Overview() (workers, slots, freeSlots int) {
	return len(m.workers), m.total(), m.slots[free]
}

func (m *Manager) total() int {
	n := 0
	for _, c := range m.slots {
		n += c
	}
	return n
}

// FreeSlots is the number of free slots of one worker; 0 when it is unknown.
func (m *Manager) FreeSlots(id ids.ResourceID) int {
	if w := m.workers[id]; w != nil {
		return w.count[free]
	}
	return 0
}

func (m *Manager) emit(e Effect) { m.effects = append(m.effects, e) }

// set changes a slot and every count that it is in.
func (m *Manager) set(w *worker, i int, to slot) {
	if w.slots[i] == to {
		return
	}
	m.uncount(w, w.slots[i])
	w.slots[i] = to
	m.count(w, to)
	m.placeByFree(w)
	m.touched = append(m.touched, w)
}

func (m *Manager) count(w *worker, s slot) {
	if s.state == free && w.count[free] == len(w.slots)-1 {
		m.idle++
	}
	w.count[s.state]++
	m.slots[s.state]++
	if s.isHeld() {
		m.held[s.job]++
	}
}

func (m *Manager) uncount(w *worker, s slot) {
	if w.idle() {
		m.idle--
	}
	w.count[s.state]--
	m.slots[s.state]--
	if !s.isHeld() {
		return
	}
	if m.held[s.job]--; m.held[s.job] == 0 {
		delete(m.held, s.job)
	}
}

// add makes a worker count that has registered.
func (m *Manager) add(w *worker) {
	m.sequence++
	w.sequence, w.place = m.sequence, -1
	m.workers[w.id] = w
	for _, s := range w.slots {
		m.count(w, s)
	}
	if len(w.slots) == 0 {
		m.idle++
	}
	m.placeByFree(w)
	m.touched = append(m.touched, w)
}

func (m *Manager) remove(id ids.ResourceID) {
	w := m.workers[id]
	if w == nil {
		return
	}
	delete(m.workers, id)
	w.gone = true
	if len(w.slots) == 0 {
		m.idle--
	}
	for _, s := range w.slots {
		m.uncount(w, s)
	}
	m.placeByFree(w)
}

// placeByFree keeps the worker where it belongs among those with free slots.
func (m *Manager) placeByFree(w *worker) {
	switch wants := w.count[free] > 0 && !w.gone; {
	case wants && w.place < 0:
		heap.Push(&m.open, w)
	case wants:
		heap.Fix(&m.open, w.place)
	case w.place >= 0:
		heap.Remove(&m.open, w.place)
	}
}

// byFree is a heap of workers with free slots: the one with the fewest first, then the one that registered first.
type byFree []*worker

func (h byFree) Len() int { return len(h) }

func (h byFree) Less(i, j int) bool {
	if a, b := h[i].count[free], h[j].count[free]; a != b {
		return a < b
	}
	return h[i].sequence < h[j].sequence
}

func (h byFree) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *byFree) Push(x any) {
	w := x.(*worker)
	w.place = len(*h)
	*h = append(*h, w)
}

func (h *byFree) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.place = -1
	return w
}

// serve gives free slots to jobs that lack some, jobs and workers in a fixed order. It picks from the worker that is used most already, so
// that idle ones can go.
func (m *Manager) serve() {
	if len(m.open) == 0 {
		return
	}
	for _, id := range m.jobOrder() {
		j := m.jobs[id]
		for missing := j.required - m.held[id]; missing > 0 && len(m.open) > 0; missing-- {
			w := m.open[0]
			i := slices.IndexFunc(w.slots, func(s slot) bool { return s.state == free })
			allocation := m.cfg.NewAllocation()
			m.set(w, i, slot{state: pending, job: id, allocation: allocation})
			w.releasing = false
			m.emit(Allocate{Worker: w.id, Instance: w.instance, Slot: i, Job: id, JobMaster: j.master, Allocation: allocation})
		}
	}
}

// declare says how many workers are wanted in all when that has changed, and tells jobs that can never be served.
func (m *Manager) declare() {
	missing := 0
	for id, j := range m.jobs {
		missing += max(0, j.required-m.held[id])
	}
	missing = max(0, missing-m.slots[doubtful])
	want := len(m.workers) + ceilDiv(missing, m.cfg.SlotsPerWorker)
	if idle := m.idle + want - len(m.workers); len(m.jobs) > 0 && idle < m.cfg.RedundantWorkers && missing == 0 {
		want += m.cfg.RedundantWorkers - idle
	}
	if limit := m.cfg.MaxSlots; limit > 0 {
		want = min(want, max(len(m.workers), limit/m.cfg.SlotsPerWorker))
	}
	if want != m.wanted {
		m.wanted = want
		m.emit(DeclareWorkers{Total: want})
	}
	m.tellStarved((want-len(m.workers))*m.cfg.SlotsPerWorker + m.slots[doubtful])
}

// tellStarved reports each job whose lack the slots on their way cannot cover, once until that changes.
func (m *Manager) tellStarved(coming int) {
	for _, id := range m.jobOrder() {
		j := m.jobs[id]
		lack := max(0, j.required-m.held[id])
		starved := lack > coming
		coming = max(0, coming-lack)
		if starved && !j.starved {
			m.emit(NotEnough{Job: id, Missing: lack, Limit: m.cfg.MaxSlots})
		}
		j.starved = starved
	}
}

func (m *Manager) markIdle(now time.Time) {
	for _, w := range m.touched {
		switch {
		case !w.idle():
			w.idleSince = time.Time{}
			continue
		case w.idleSince.IsZero():
			w.idleSince = now
		}
		m.considerIdle(w)
	}
	m.touched = m.touched[:0]
}

// considerIdle keeps idleDue not after the moment at which the worker has been idle for too long.
func (m *Manager) considerIdle(w *worker) {
	if due := w.idleSince.Add(m.cfg.IdleTimeout); m.idleDue.IsZero() || due.Before(m.idleDue) {
		m.idleDue = due
	}
}

// mayRelease says whether an idle worker is surplus.
func (m *Manager) mayRelease() bool { return m.idle > m.cfg.RedundantWorkers || len(m.jobs) == 0 }

func (m *Manager) jobOrder() []ids.JobID {
	order := make([]ids.JobID, 0, len(m.jobs))
	for id := range m.jobs {
		order = append(order, id)
	}
	slices.SortFunc(order, ids.JobID.Compare)
	return order
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
