package executor

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// maxWaiting bounds the messages of a job's tasks that wait for a stream, in bytes.
const maxWaiting = 16 << 20

// execution is one execution of a subtask here. It is forgotten when it has ended and its end is acknowledged, or its slot is taken back.
type execution struct {
	slot       *slot
	allocation ids.AllocationID
	last       *pb.TaskStateChange // what was said last; nil until the runtime has answered the deployment
	spoke      time.Time           // when its last message to a coordinator went out on the current stream
	doom       error               // the failure that its cancellation stands for
}

func (e *execution) ended() bool {
	return e.last != nil && e.last.GetState() >= pb.ExecutionState_FINISHED && !canceling(e.last)
}

func canceling(m *pb.TaskStateChange) bool { return m.GetState() == pb.ExecutionState_CANCELING }

// deploy is a deployment that the runtime has not answered.
type deploy struct {
	epoch      ids.Epoch
	request    uint64 // as the JobMaster numbers it
	generation *pb.Generation
	attempts   []ids.ExecutionAttemptID // that it brought
}

// takeDeploy checks generation and slots and lets the runtime do the rest. A slot that is still ALLOCATED has been taken by the JobMaster, as the
// deployment shows.
func (c *core) takeDeploy(j *job, m *pb.FromJobMaster) {
	msg := m.GetDeploy()
	answer, isNew := j.link.answers.begin(j.link.epoch, msg.GetRequestId())
	switch {
	case isNew:
	case answer == nil:
		return // the answer follows
	default:
		j.link.send(c, pb.ToJobMaster_builder{Response: answer}.Build())
		return
	}
	tasks, err := c.checkDeploy(j, msg)
	if err != nil {
		c.log.Warn("deployment refused", "job_id", j.id, "error", err)
		c.answerDeploy(j, j.link.epoch, c.response(msg.GetRequestId(), err))
		return
	}
	c.lastRequest++
	d := &deploy{epoch: j.link.epoch, request: msg.GetRequestId(), generation: msg.GetGeneration()}
	j.deploys[c.lastRequest] = d
	for a, s := range tasks {
		if j.executions[a] == nil {
			c.slots.show(s)
			c.slots.taskStarted(s)
			j.executions[a] = &execution{slot: s, allocation: s.allocation}
			d.attempts = append(d.attempts, a)
		}
	}
	msg.SetRequestId(c.lastRequest)
	j.runtime.Send(m)
}

func (c *core) checkDeploy(j *job, m *pb.Deploy) (map[ids.ExecutionAttemptID]*slot, error) {
	if got := ids.Epoch(m.GetGeneration().GetEpoch()); got != j.link.epoch {
		return nil, &rpc.Error{Code: rpc.Fenced, Epoch: j.link.epoch,
			Msg: fmt.Sprintf("deployment of epoch %d on a stream of epoch %d", got, j.link.epoch)}
	}
	if j.runtime == nil {
		return nil, rpc.New(rpc.NoSlot, "the job has no runtime on this worker")
	}
	tasks := map[ids.ExecutionAttemptID]*slot{}
	for _, t := range m.GetTasks() {
		attempt, err := gateway.AttemptFromPB(t.GetAttempt())
		if err != nil {
			return nil, invalid("deployment", err)
		}
		a, err := ids.AllocationIDFromBytes(t.GetAllocation())
		if err != nil {
			return nil, invalid("deployment", err)
		}
		s := c.slots.find(a)
		if s == nil || s.job != j.id || s.state == releasing {
			return nil, rpc.New(rpc.NoSlot, fmt.Sprintf("task %s: allocation %s is no slot of the job on this worker", attempt, a))
		}
		tasks[attempt] = s
	}
	return tasks, nil
}

func (c *core) answerDeploy(j *job, epoch ids.Epoch, r *pb.Response) {
	j.link.answers.end(epoch, r)
	if j.link.epoch == epoch {
		j.link.send(c, pb.ToJobMaster_builder{Response: r}.Build())
	}
}

// fromRuntime takes an event of the job's runtime.
func (c *core) fromRuntime(j *job, m *pb.ToJobMaster) {
	switch m.WhichMessage() {
	case pb.ToJobMaster_Response_case:
		c.deployed(j, m.GetResponse())
	case pb.ToJobMaster_TaskState_case:
		c.taskState(j, m)
	case pb.ToJobMaster_FromTask_case:
		c.fromTask(j, m)
	case pb.ToJobMaster_Heartbeat_case:
		c.beat(j, m.GetHeartbeat())
	default:
		c.log.Warn("unknown message of a job runtime", "job_id", j.id)
	}
}

// deployed takes the runtime's answer to a deployment.
func (c *core) deployed(j *job, r *pb.Response) {
	d := j.deploys[r.GetRequestId()]
	if d == nil {
		return
	}
	delete(j.deploys, r.GetRequestId())
	r.SetRequestId(d.request)
	c.answerDeploy(j, d.epoch, r)
	for _, a := range d.attempts {
		e := j.executions[a]
		if e == nil {
			continue
		}
		if r.HasFailure() {
			delete(j.executions, a)
			c.refused(j, e)
			continue
		}
		e.last = pb.TaskStateChange_builder{
			Attempt: gateway.AttemptToPB(a), Generation: d.generation, State: pb.ExecutionState_DEPLOYING,
			AtMillis: uint64(c.self.Now().UnixMilli()), Allocation: e.allocation.Bytes(),
		}.Build()
	}
}

// refused takes back what the deployment of an execution changed. The slot is offered again unless its offer is still out.
func (c *core) refused(j *job, e *execution) {
	s := e.slot
	c.taskEnded(j, e)
	if j.closed || s.allocation != e.allocation {
		return
	}
	c.slots.unshow(c.self.Now(), s)
	if s.state == allocated && j.offerID == 0 {
		c.offer(j)
	}
}

// taskEnded gives an execution's place in its slot back.
func (c *core) taskEnded(j *job, e *execution) {
	index := e.slot.index
	if c.slots.taskEnded(e.slot) {
		c.available(index, e.allocation)
		c.tidy(j)
	}
}

func (c *core) taskState(j *job, m *pb.ToJobMaster) {
	a, err := gateway.AttemptFromPB(m.GetTaskState().GetAttempt())
	e := j.executions[a]
	if err != nil || e == nil || e.ended() {
		c.log.Warn("state of an execution that is not here", "job_id", j.id, "attempt", a)
		return
	}
	if m.GetTaskState().GetState() == pb.ExecutionState_CANCELED && e.doom != nil {
		failed := proto.CloneOf(m.GetTaskState())
		failed.SetState(pb.ExecutionState_FAILED)
		failed.SetFailure(gateway.FailureToPB(e.doom, c.self.Now()))
		m = pb.ToJobMaster_builder{TaskState: failed}.Build()
	}
	e.last = m.GetTaskState()
	j.link.send(c, m)
	if !e.ended() {
		return
	}
	if e.slot.state == releasing {
		delete(j.executions, a)
	}
	c.taskEnded(j, e)
}

// fromTask passes on what a task says to a coordinator; without a stream it waits for the next one.
func (c *core) fromTask(j *job, m *pb.ToJobMaster) {
	a, err := gateway.AttemptFromPB(m.GetFromTask().GetAttempt())
	e := j.executions[a]
	if err != nil || e == nil {
		return
	}
	if j.link.ready {
		e.spoke = c.self.Now()
		j.link.send(c, m)
		return
	}
	size := proto.Size(m)
	if j.queued+size > maxWaiting {
		c.doom(j, a, rpc.New(rpc.Overflow, "the task's messages to its coordinator found no JobMaster for too long"))
		return
	}
	j.queued += size
	j.waiting = append(j.waiting, m)
}

// interrupted notes whose messages may have been lost with a stream of the given epoch: those sent since.
func (j *job) interrupted(since time.Time, epoch ids.Epoch) {
	if j.unsureIn != epoch {
		j.unsure, j.unsureIn = nil, epoch
	}
	for a, e := range j.executions {
		if e.spoke.After(since) && !e.ended() {
			j.unsure = append(j.unsure, a)
		}
		e.spoke = time.Time{}
	}
	slices.SortFunc(j.unsure, ids.ExecutionAttemptID.Compare)
}

// sendInventory is the first message of a stream: all the worker has of the job. What waited for the stream follows.
func (c *core) sendInventory(j *job) {
	if j.unsureIn == j.link.epoch {
		// The same coordinators as before the break: a message that neither side counts would be a silent hole. Other coordinators begin
		// with what the tasks tell them.
		for _, a := range j.unsure {
			c.doom(j, a, rpc.New(rpc.Unreachable, "the connection to the JobMaster broke while the task was talking to its coordinator"))
		}
	}
	j.unsure = nil
	inv := pb.JobInventory_builder{Slots: slotsToPB(c.slots.of(j.id, allocated, active))}
	if j.runtime != nil {
		inv.DataAddress = j.runtime.DataAddress()
	}
	for _, e := range j.executions {
		if e.last != nil {
			inv.Executions = append(inv.Executions, e.last)
		}
	}
	j.link.send(c, pb.ToJobMaster_builder{Inventory: inv.Build()}.Build())
	waiting := j.waiting
	j.waiting, j.queued = nil, 0
	for _, m := range waiting {
		c.fromTask(j, m)
	}
}

// doom fails an execution for a reason that its task does not know: it is cancelled, and its end told as FAILED.
func (c *core) doom(j *job, a ids.ExecutionAttemptID, cause error) {
	e := j.executions[a]
	if e == nil || e.ended() || e.doom != nil {
		return
	}
	c.log.Warn("task is failed", "job_id", j.id, "attempt", a, "cause", cause)
	e.doom = cause
	c.cancel(j, a)
}

func (c *core) cancel(j *job, attempts ...ids.ExecutionAttemptID) {
	if j.runtime == nil || len(attempts) == 0 {
		return
	}
	j.runtime.Send(pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: gateway.AttemptsToPB(attempts)}.Build()}.Build())
}

// endTasksIn cancels what runs in a slot and forgets what has ended there.
func (c *core) endTasksIn(j *job, allocation ids.AllocationID) {
	var running []ids.ExecutionAttemptID
	for a, e := range j.executions {
		switch {
		case e.allocation != allocation:
		case e.ended():
			delete(j.executions, a)
		default:
			running = append(running, a)
		}
	}
	slices.SortFunc(running, ids.ExecutionAttemptID.Compare)
	c.cancel(j, running...)
}

// acknowledge forgets ends that are durable now.
func (c *core) acknowledge(j *job, m *pb.AcknowledgeFinals) {
	attempts, err := gateway.AttemptsFromPB(m.GetAttempts())
	if err != nil {
		c.log.Warn("acknowledgement not understood", "job_id", j.id, "error", err)
	}
	for _, a := range attempts {
		if e := j.executions[a]; e != nil && e.ended() {
			delete(j.executions, a)
		}
	}
}
