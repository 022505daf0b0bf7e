package scheduler

import (
	"cmp"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
)

// place gives every execution its slot and deploys, once all wanted slots are there.
func (s *Scheduler) place(now time.Time) {
	if s.job != JobRunning || s.placed || len(s.slots) < s.wanted {
		return
	}
	s.placed = true
	s.phases.Placed = now
	slots := s.orderedSlots()[:s.wanted]
	for _, v := range s.vertices {
		for _, e := range v.tasks {
			e.slot = slots[slotOf(int(e.id.Subtask), len(v.tasks), len(slots))]
			s.byWorker[e.slot.Worker] = append(s.byWorker[e.slot.Worker], e)
			s.move(now, now, e, taskDeploy)
		}
	}
	s.deploy()
}

// slotOf spreads the subtasks of a vertex evenly over the slots; vertices of equal parallelism meet subtask by subtask, so that a
// forward edge stays inside a slot.
func slotOf(subtask, parallelism, slots int) int { return subtask * slots / parallelism }

func (s *Scheduler) orderedSlots() []*Slot {
	slots := make([]*Slot, 0, len(s.slots))
	for _, slot := range s.slots {
		slots = append(slots, slot)
	}
	slices.SortFunc(slots, func(a, b *Slot) int {
		return cmp.Or(cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Index, b.Index), slices.Compare(a.Allocation[:], b.Allocation[:]))
	})
	return slots
}

// deploy emits one Deploy per worker with the locations that its tasks have channels to or from.
func (s *Scheduler) deploy() {
	tasks := map[ids.ResourceID][]*execution{}
	for _, e := range s.on(func(e *execution) bool { return e.state == TaskDeploying }) {
		tasks[e.slot.Worker] = append(tasks[e.slot.Worker], e)
	}
	whole := map[*vertex][]Location{}
	for _, w := range sortedKeys(tasks) {
		d := Deploy{Worker: w, Generation: tasks[w][0].generation, Locations: s.locations(tasks[w], whole)}
		for _, e := range tasks[w] {
			d.Tasks = append(d.Tasks, TaskDeployment{Attempt: e.id, Allocation: e.slot.Allocation, AttemptNumber: e.number})
		}
		s.emit(d)
	}
}

// locations lists where the peers of the given executions are, as ranges of subtasks that share a place, one list for each vertex. Of a
// vertex whose subtasks are all needed, whole keeps the list: for a job that exchanges all with all, it is long and the same for everyone.
func (s *Scheduler) locations(tasks []*execution, whole map[*vertex][]Location) [][]Location {
	needed, all := map[*vertex][]bool{}, map[*vertex]bool{}
	need := func(id ids.VertexID, first, last int) {
		v := s.byVertex[id]
		if first == 0 && last == len(v.tasks)-1 {
			all[v] = true
		}
		if all[v] {
			return
		}
		if needed[v] == nil {
			needed[v] = make([]bool, len(v.tasks))
		}
		for i := first; i <= last; i++ {
			needed[v][i] = true
		}
	}
	for _, e := range tasks {
		for _, i := range e.vertex.info.In {
			edge := s.cfg.Graph.Edges[i]
			first, last := plan.Producers(s.cfg.Graph, edge, int(e.id.Subtask))
			need(edge.From, first, last)
		}
		for _, i := range e.vertex.info.Out {
			edge := s.cfg.Graph.Edges[i]
			first, last := plan.Consumers(s.cfg.Graph, edge, int(e.id.Subtask))
			need(edge.To, first, last)
		}
	}
	var locations [][]Location
	for _, v := range s.vertices {
		var list []Location
		switch {
		case all[v]:
			if whole[v] == nil {
				whole[v] = ranges(v, func(int) bool { return true })
			}
			list = whole[v]
		case needed[v] != nil:
			list = ranges(v, func(i int) bool { return needed[v][i] })
		}
		if len(list) > 0 {
			locations = append(locations, list)
		}
	}
	return locations
}

func ranges(v *vertex, want func(subtask int) bool) []Location {
	var locations []Location
	open := false
	for i, e := range v.tasks {
		if !want(i) || e.slot == nil {
			open = false
			continue
		}
		if open {
			last := &locations[len(locations)-1]
			if last.DataAddress == e.slot.DataAddress && last.Generation == e.generation && last.AttemptEpoch == e.id.Epoch {
				last.Last = uint32(i)
				last.Attempts = append(last.Attempts, e.id.N)
				continue
			}
		}
		open = true
		locations = append(locations, Location{
			Vertex: v.info.ID, First: uint32(i), Last: uint32(i), DataAddress: e.slot.DataAddress,
			Generation: e.generation, Attempts: []uint32{e.id.N}, AttemptEpoch: e.id.Epoch,
		})
	}
	return locations
}
