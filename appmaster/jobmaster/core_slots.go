package jobmaster

import (
	"fmt"
	"slices"
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// takeInventory is the first message of a stream: it says all the worker has for the job and supersedes what was known.
func (c *core) takeInventory(now time.Time, w *worker, m *pb.JobInventory) {
	reconnected := w.inventory || !w.broke.IsZero()
	w.inventory, w.failures, w.data = true, 0, m.GetDataAddress()
	c.dirty = true
	if c.hold {
		return
	}
	inv := scheduler.Inventory{Worker: w.id}
	listed := map[ids.ExecutionAttemptID]bool{}
	clear(w.foreign)
	for _, e := range m.GetExecutions() {
		u, err := updateFromPB(w.id, e)
		if err != nil {
			c.broken(now, w.id, w.link, fmt.Errorf("read the inventory of %s: %w", w.id, err))
			return
		}
		inv.Executions = append(inv.Executions, u)
		listed[u.Attempt] = true
		if a, err := ids.AllocationIDFromBytes(e.GetAllocation()); err == nil && !u.State.Terminal() && !c.sched.Knows(u.Attempt) {
			w.foreign[u.Attempt] = a
		}
	}
	again := c.closeRequests(w, listed)
	for _, d := range again {
		for _, t := range d.GetTasks() {
			if a, err := gateway.AttemptFromPB(t.GetAttempt()); err == nil {
				inv.Undelivered = append(inv.Undelivered, a)
			}
		}
	}
	c.takeSlots(now, w, m.GetSlots())
	c.step(now, inv)
	c.useGained(now, w)
	if reconnected {
		c.failUnsure(now, w)
	}
	for _, d := range again {
		c.sendTo(w, pb.FromJobMaster_builder{Deploy: d}.Build())
	}
	for _, m := range w.waiting {
		c.sendTo(w, m)
	}
	w.waiting = nil
	c.beat(w)
}

// closeRequests drops the deployments that the inventory shows to have arrived, and those whose tasks are not wanted any more; it
// returns the others in their order.
func (c *core) closeRequests(w *worker, listed map[ids.ExecutionAttemptID]bool) []*pb.Deploy {
	var again []*pb.Deploy
	for id, d := range w.requests {
		wanted := false
		for _, t := range d.GetTasks() {
			a, _ := gateway.AttemptFromPB(t.GetAttempt())
			if listed[a] {
				wanted = false
				break
			}
			_, current := c.sched.Current(a)
			wanted = wanted || current && c.sched.State() == scheduler.JobRunning
		}
		if wanted {
			again = append(again, d)
		} else {
			delete(w.requests, id)
		}
	}
	slices.SortFunc(again, func(a, b *pb.Deploy) int { return int(a.GetRequestId()) - int(b.GetRequestId()) })
	return again
}

// failUnsure fails executions to which a coordinator sent something so shortly before the stream broke that it may be lost: a split
// that neither side counts as given would be a silent hole in the result.
func (c *core) failUnsure(now time.Time, w *worker) {
	var unsure []ids.ExecutionAttemptID
	for a, at := range w.sentEvent {
		if _, current := c.sched.Current(a); current && w.broke.Sub(at) < c.cfg.HeartbeatTimeout {
			unsure = append(unsure, a)
		}
	}
	clear(w.sentEvent)
	if len(unsure) == 0 {
		return
	}
	slices.SortFunc(unsure, ids.ExecutionAttemptID.Compare)
	c.sendTo(w, pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: gateway.AttemptsToPB(unsure)}.Build()}.Build())
	cause := fmt.Sprintf("the connection to worker %s broke while its tasks were being given work", w.id)
	c.step(now, scheduler.AttemptsLost{Attempts: unsure, Cause: scheduler.Failure{Message: cause, At: now, Worker: w.id}})
}

// takeSlots compares an inventory's slots with the pool. ALLOCATED slots that are new will be offered; ACTIVE ones that are new were
// given to an earlier leader and are taken or returned.
func (c *core) takeSlots(now time.Time, w *worker, slots []*pb.Slot) {
	there := map[ids.AllocationID]bool{}
	for _, s := range slots {
		a, err := ids.AllocationIDFromBytes(s.GetAllocation())
		if err != nil {
			continue // free
		}
		there[a] = true
		if s.GetState() != pb.SlotState_ACTIVE {
			continue
		}
		if !c.takeSlot(w, a, s) {
			c.free(w.id, a, "the slot is not wanted")
		}
	}
	c.dropMissing(now, w, there)
}

func (c *core) dropMissing(now time.Time, w *worker, there map[ids.AllocationID]bool) {
	for _, a := range c.pool.of(w.id) {
		if !there[a] {
			c.dropSlot(now, w, a, fmt.Sprintf("worker %s no longer gives the slot to the job", w.id))
		}
	}
}

func (c *core) dropSlot(now time.Time, w *worker, a ids.AllocationID, why string) {
	c.pool.remove(a)
	c.step(now, scheduler.SlotRemoved{Allocation: a, Cause: scheduler.Failure{Message: why, At: now, Worker: w.id}})
}

// takeSlot says whether the slot is in the pool now.
func (c *core) takeSlot(w *worker, a ids.AllocationID, s *pb.Slot) bool {
	accepted, added := c.pool.offer(pooled{allocation: a, worker: w.id, index: s.GetIndex()})
	if added {
		w.gained = append(w.gained, scheduler.Slot{Allocation: a, Worker: w.id, Index: s.GetIndex(), Endpoint: w.address, DataAddress: w.data})
	}
	return accepted
}

// takeOffer answers first and tells the scheduler afterwards, so that the answer travels ahead of a deployment.
func (c *core) takeOffer(now time.Time, w *worker, m *pb.SlotOffer) {
	if c.hold {
		return // the worker offers again, to the next leader
	}
	w.data = firstNonEmpty(m.GetDataAddress(), w.data)
	var accepted [][]byte
	for _, s := range m.GetSlots() {
		a, err := ids.AllocationIDFromBytes(s.GetAllocation())
		if err == nil && c.takeSlot(w, a, s) {
			accepted = append(accepted, a.Bytes())
		}
	}
	c.sendTo(w, pb.FromJobMaster_builder{
		SlotOfferResult: pb.SlotOfferResult_builder{RequestId: m.GetRequestId(), Accepted: accepted}.Build(),
	}.Build())
	c.useGained(now, w)
}

// useGained tells the scheduler of new slots, except those in which a task of an earlier leader has not ended yet.
func (c *core) useGained(now time.Time, w *worker) {
	gained := w.gained
	w.gained = nil
	busy := map[ids.AllocationID]bool{}
	for _, a := range w.foreign {
		busy[a] = true
	}
	for _, s := range gained {
		switch {
		case c.pool.slots[s.Allocation] == nil: // lost meanwhile
		case busy[s.Allocation]:
			w.gained = append(w.gained, s)
		default:
			c.step(now, scheduler.SlotAdded{Slot: s})
		}
	}
}

func (c *core) takeSlotLost(now time.Time, w *worker, m *pb.SlotLost) {
	a, err := ids.AllocationIDFromBytes(m.GetAllocation())
	if s := c.pool.slots[a]; err != nil || c.hold || s == nil || s.worker != w.id {
		return
	}
	c.dropSlot(now, w, a, fmt.Sprintf("worker %s lost the slot: %s", w.id, m.GetCause().GetMessage()))
}

// takeHeartbeat reads the metrics and compares the slots; what the worker lists beyond the pool it learns from our next heartbeat.
func (c *core) takeHeartbeat(now time.Time, w *worker, m *pb.JobHeartbeat) {
	if c.hold {
		return
	}
	for _, t := range m.GetTasks() {
		if a, err := gateway.AttemptFromPB(t.GetAttempt()); err == nil && c.sched.Report(w.id, a, metricsFromPB(t)) {
			c.counted = true
		}
	}
	there := map[ids.AllocationID]bool{}
	for _, b := range m.GetAllocations() {
		if a, err := ids.AllocationIDFromBytes(b); err == nil {
			there[a] = true
		}
	}
	c.dropMissing(now, w, there)
}

func (c *core) takeTaskState(now time.Time, w *worker, m *pb.TaskStateChange) {
	u, err := updateFromPB(w.id, m)
	if err != nil {
		c.broken(now, w.id, w.link, fmt.Errorf("read a task state of %s: %w", w.id, err))
		return
	}
	c.step(now, u)
	if u.State.Terminal() && len(w.foreign) > 0 {
		delete(w.foreign, u.Attempt)
		c.useGained(now, w)
	}
}

func (c *core) takeEvent(w *worker, m *pb.FromTask) {
	a, err1 := gateway.AttemptFromPB(m.GetAttempt())
	op, err2 := ids.OperatorIDFromBytes(m.GetOperator())
	if at, ok := c.sched.Current(a); err1 != nil || err2 != nil || !ok || at != w.id {
		c.log.Debug("event of an execution that is not alive", "worker", w.id, "attempt", a)
		return
	}
	c.out.event(op, a, m.GetPayload())
}

// deploy sends workers their tasks, one message each; without a stream the request waits for the next inventory. A worker that is not there
// was lost in this very step; the scheduler is told next.
func (c *core) deploy(deployments []scheduler.Deploy) {
	tasks, shared := 0, locationLists{}
	for _, d := range deployments {
		w := c.workers[d.Worker]
		if w == nil {
			continue
		}
		c.lastRequest++
		m := deployToPB(d, c.lastRequest, &c.cfg, shared)
		w.requests[c.lastRequest] = m
		if w.ready() {
			c.sendTo(w, pb.FromJobMaster_builder{Deploy: m}.Build())
		}
		c.log.Debug("tasks deployed", "worker", d.Worker, "tasks", len(d.Tasks))
		tasks += len(d.Tasks)
	}
	if tasks > 0 {
		c.log.Info("tasks deployed", "workers", len(deployments), "tasks", tasks)
	}
}

func (c *core) takeResponse(now time.Time, w *worker, m *pb.Response) {
	d := w.requests[ids.RequestID(m.GetRequestId())]
	if d == nil {
		return // answered before, or closed by an inventory
	}
	delete(w.requests, ids.RequestID(m.GetRequestId()))
	if !m.HasFailure() {
		return
	}
	var attempts []ids.ExecutionAttemptID
	for _, t := range d.GetTasks() {
		if a, err := gateway.AttemptFromPB(t.GetAttempt()); err == nil {
			attempts = append(attempts, a)
		}
	}
	cause := failureFromPB(m.GetFailure())
	cause.Message = fmt.Sprintf("worker %s refused the tasks: %s", w.id, cause.Message)
	cause.Worker = w.id
	c.step(now, scheduler.AttemptsLost{Attempts: attempts, Cause: cause})
}

// free returns a slot to its worker.
func (c *core) free(id ids.ResourceID, a ids.AllocationID, reason string) {
	c.send(id, pb.FromJobMaster_builder{
		FreeSlot: pb.FromJobMaster_FreeSlot_builder{Allocation: a.Bytes(), Reason: reason}.Build(),
	}.Build())
}
