package scheduler

import (
	"fmt"
	"slices"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// moveJob changes the job's state by its table and says so when that was a change.
func (s *Scheduler) moveJob(now time.Time, in jobInput) bool {
	to := jobTable[s.job][in]
	if to == s.job {
		return false
	}
	s.job = to
	s.reached[to] = now
	s.changed = now
	s.emit(JobStateChanged{State: to, At: now})
	return true
}

// move changes an execution's state by its table; at is when that happened where it happened.
func (s *Scheduler) move(now, at time.Time, e *execution, in taskInput) bool {
	to := taskTable[e.state][in]
	if to == e.state {
		return false
	}
	if at.IsZero() || at.After(now) {
		at = now
	}
	s.counts[e.state]--
	s.counts[to]++
	e.state = to
	e.reached[to] = at
	e.vertex.view = nil
	s.changed = now
	if to.Terminal() {
		s.live--
	}
	if !e.hasRun && (to == TaskRunning || to == TaskFinished) {
		e.hasRun = true
		if s.notRun--; s.notRun == 0 && s.phases.Running.IsZero() {
			s.phases.Running = now
		}
	}
	return true
}

func (s *Scheduler) lookup(a ids.ExecutionAttemptID) *execution {
	v := s.byVertex[a.Vertex]
	if v == nil || int(a.Subtask) >= len(v.tasks) {
		return nil
	}
	if e := v.tasks[a.Subtask]; e.id == a {
		return e
	}
	return nil
}

func (s *Scheduler) find(attempts []ids.ExecutionAttemptID) []*execution {
	found := make([]*execution, 0, len(attempts))
	for _, a := range attempts {
		if e := s.lookup(a); e != nil {
			found = append(found, e)
		}
	}
	return found
}

// on returns the executions for which keep holds, in the order of the graph.
func (s *Scheduler) on(keep func(*execution) bool) []*execution {
	var found []*execution
	for _, v := range s.vertices {
		for _, e := range v.tasks {
			if keep(e) {
				found = append(found, e)
			}
		}
	}
	return found
}

// in returns the executions in one slot of a worker.
func (s *Scheduler) in(w ids.ResourceID, a ids.AllocationID) []*execution {
	var found []*execution
	for _, e := range s.byWorker[w] {
		if e.slot.Allocation == a {
			found = append(found, e)
		}
	}
	return found
}

func (s *Scheduler) schedule(now time.Time) {
	if !s.moveJob(now, jobScheduled) {
		return
	}
	for _, e := range s.on(func(e *execution) bool { return e.state == TaskCreated }) {
		s.move(now, now, e, taskSchedule)
	}
	s.phases.Wanted = now
	s.emit(WantSlots{Count: s.wanted})
	s.place(now)
}

func (s *Scheduler) addSlot(now time.Time, slot Slot) {
	if s.slots[slot.Allocation] == nil {
		s.slotsOf[slot.Worker] = append(s.slotsOf[slot.Worker], slot.Allocation)
	}
	s.slots[slot.Allocation] = &slot
	s.place(now)
}

func (s *Scheduler) removeSlot(now time.Time, a ids.AllocationID, cause Failure) {
	slot := s.slots[a]
	if slot == nil {
		return
	}
	delete(s.slots, a)
	s.slotsOf[slot.Worker] = slices.DeleteFunc(s.slotsOf[slot.Worker], func(b ids.AllocationID) bool { return a == b })
	s.lose(now, s.in(slot.Worker, a), cause)
}

func (s *Scheduler) loseWorker(now time.Time, w ids.ResourceID, cause Failure) {
	for _, a := range s.slotsOf[w] {
		delete(s.slots, a)
	}
	delete(s.slotsOf, w)
	if s.job == JobFailing && s.cause.Worker == w && s.cause.Task == "" {
		s.cause = cause // a second word about the same loss: the ResourceManager's, who knows how the process ended
	}
	if there := s.byWorker[w]; len(there) > 0 {
		s.lose(now, there, cause) // its loss may be behind what was blamed before, even when none of its tasks is left to fail
	}
}

// lose gives up executions that their worker cannot tell about any more; those that have ended stay as they are.
func (s *Scheduler) lose(now time.Time, lost []*execution, cause Failure) {
	var failed []*execution
	for _, e := range lost {
		if e.state.Terminal() {
			continue
		}
		e.failure = cause
		if e.state == TaskCanceling {
			s.move(now, now, e, taskCancelDone)
			continue
		}
		s.move(now, now, e, taskFail)
		failed = append(failed, e)
	}
	for _, e := range failed {
		s.emit(SubtaskFailed{Attempt: e.id})
	}
	if len(failed) > 0 {
		s.onFailure(now, cause) // after all are given up, so that none of them is asked to cancel
		return
	}
	s.reconsider(cause)
}

// update takes what a worker tells about an execution. One that is not ours, or no longer, is ended there.
func (s *Scheduler) update(now time.Time, u TaskUpdate) {
	e := s.lookup(u.Attempt)
	if e == nil || e.slot == nil || e.slot.Worker != u.Worker || e.generation != u.Generation {
		s.disown(u)
		return
	}
	if e.state.Terminal() && !u.State.Terminal() {
		s.disown(u) // given up here, alive there
		return
	}
	if u.Metrics != nil && !e.state.Terminal() {
		e.metrics = *u.Metrics
		e.vertex.view = nil
	}
	in, ok := told(u.State)
	if !ok {
		return
	}
	was := e.state
	if !s.move(now, u.At, e, in) {
		return
	}
	switch {
	case e.state == TaskFinished:
		e.finals = u.Finals
	case u.State == TaskFailed:
		e.failure = s.inTask(now, e, u.Failure)
		if was == TaskCanceling {
			s.reconsider(e.failure)
			return
		}
		s.emit(SubtaskFailed{Attempt: e.id})
		s.onFailure(now, e.failure)
	case e.state == TaskCanceled && was != TaskCanceling:
		// Nobody here asked for it: a task before it ended early, and its own word has not come yet.
		e.failure = s.inTask(now, e, Failure{Message: "a task that it reads from ended early", Secondary: true})
		s.emit(SubtaskFailed{Attempt: e.id})
		s.onFailure(now, e.failure)
	}
}

func (s *Scheduler) inTask(now time.Time, e *execution, f Failure) Failure {
	f.Task = fmt.Sprintf("%q (%d/%d)", e.vertex.info.Name, e.id.Subtask+1, len(e.vertex.tasks))
	f.Attempt, f.Number, f.Worker = e.id, e.number, e.slot.Worker
	if f.At.IsZero() {
		f.At = now
	}
	return f
}

func (s *Scheduler) disown(u TaskUpdate) {
	if u.State.Terminal() {
		s.emit(Acknowledge{Worker: u.Worker, Attempts: []ids.ExecutionAttemptID{u.Attempt}})
		return
	}
	s.emit(CancelTasks{Worker: u.Worker, Attempts: []ids.ExecutionAttemptID{u.Attempt}})
}

// inventory compares what a worker has with what it should have.
func (s *Scheduler) inventory(now time.Time, inv Inventory) {
	there := map[ids.ExecutionAttemptID]bool{}
	for _, a := range inv.Undelivered {
		there[a] = true
	}
	var again []ids.ExecutionAttemptID
	for _, u := range inv.Executions {
		there[u.Attempt] = true
		s.update(now, u)
		if e := s.lookup(u.Attempt); e != nil && e.state == TaskCanceling && u.State != TaskCanceling {
			again = append(again, u.Attempt) // the request to cancel was lost with the old stream
		}
	}
	if len(again) > 0 {
		s.emit(CancelTasks{Worker: inv.Worker, Attempts: again})
	}
	for _, e := range s.byWorker[inv.Worker] {
		if e.state < TaskDeploying || e.state.Terminal() || there[e.id] {
			continue
		}
		cause := s.inTask(now, e, Failure{Message: "the worker no longer has the task"})
		s.lose(now, []*execution{e}, cause)
	}
}

// onFailure is where every failure of an execution is judged. There is no restart strategy yet: it fails the job.
func (s *Scheduler) onFailure(now time.Time, cause Failure) {
	s.fail(now, cause)
}

// fail starts the job's end as FAILED, unless it is ending already.
func (s *Scheduler) fail(now time.Time, cause Failure) {
	if cause.At.IsZero() {
		cause.At = now
	}
	if !s.moveJob(now, jobFail) {
		s.reconsider(cause)
		return
	}
	s.cause = cause
	s.cancelTasks(now)
}

// reconsider replaces a cause that only followed from something else by what it followed from.
func (s *Scheduler) reconsider(cause Failure) {
	if s.job == JobFailing && s.cause.Secondary && !cause.Secondary && !cause.IsZero() {
		s.cause = cause
	}
}

func (s *Scheduler) cancel(now time.Time) {
	if s.ended {
		return // the final commit may be under way: too late
	}
	if s.moveJob(now, jobCancel) {
		s.cancelTasks(now)
	}
}

// cancelTasks cancels every execution that has not ended, with one message per worker.
func (s *Scheduler) cancelTasks(now time.Time) {
	byWorker := map[ids.ResourceID][]ids.ExecutionAttemptID{}
	for _, e := range s.on(func(e *execution) bool { return !e.state.Terminal() }) {
		if s.move(now, now, e, taskCancel) && e.state == TaskCanceling {
			byWorker[e.slot.Worker] = append(byWorker[e.slot.Worker], e.id)
		}
	}
	for _, w := range sortedKeys(byWorker) {
		s.emit(CancelTasks{Worker: w, Attempts: byWorker[w]})
	}
}

// checkEnd says Ended once when the last execution has ended, and again when FINISHED was turned into a failure.
func (s *Scheduler) checkEnd(now time.Time) {
	if s.live > 0 || s.job.Terminal() {
		return
	}
	state := jobTable[s.job][jobConcluded]
	if !state.Terminal() || s.ended && s.endedWith == state {
		return
	}
	if !s.ended {
		s.phases.Ended = now
	}
	s.ended, s.endedWith = true, state
	s.emit(Ended{State: state})
}

// conclude makes the promised end the job's state and lets the workers forget it.
func (s *Scheduler) conclude(now time.Time) {
	if !s.ended || !s.moveJob(now, jobConcluded) {
		return
	}
	byWorker := map[ids.ResourceID][]ids.ExecutionAttemptID{}
	for _, e := range s.on(func(e *execution) bool { return e.slot != nil }) {
		if s.slots[e.slot.Allocation] != nil {
			byWorker[e.slot.Worker] = append(byWorker[e.slot.Worker], e.id)
		}
	}
	for _, w := range sortedKeys(byWorker) {
		s.emit(Acknowledge{Worker: w, Attempts: byWorker[w]})
	}
	s.emit(WantSlots{})
}

func sortedKeys[V any](m map[ids.ResourceID]V) []ids.ResourceID {
	keys := make([]ids.ResourceID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
