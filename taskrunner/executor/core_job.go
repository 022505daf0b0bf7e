package executor

import (
	"context"
	"fmt"
	"slices"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/registration"
	"github.com/flott-dev/flott/zkha/ha"
)

// job is what this worker has of a job, as long as the job has slots here.
type job struct {
	id      ids.JobID
	link    link[*pb.ToJobMaster, *pb.FromJobMaster]
	closed  bool
	opening bool
	runtime Runtime // nil until it is open

	offerID uint64 // of the newest offer, the only one whose result counts; 0: none is out
	offered []ids.AllocationID

	executions map[ids.ExecutionAttemptID]*execution
	deploys    map[uint64]*deploy // that the runtime has not answered, by the request id it knows
	waiting    []*pb.ToJobMaster  // messages of tasks for the next stream
	queued     int                // bytes of waiting
	unsure     []ids.ExecutionAttemptID
	unsureIn   ids.Epoch // of the stream on which messages of the unsure may have been lost
}

func newJob(id ids.JobID) *job {
	j := &job{id: id, executions: map[ids.ExecutionAttemptID]*execution{}, deploys: map[uint64]*deploy{}}
	j.link.key = string(id[:])
	return j
}

// peer is what the stream of the job's master means.
func (j *job) peer() peer[*pb.FromJobMaster] {
	return peer[*pb.FromJobMaster]{
		inventory: func(c *core) { c.jobMasterReady(j) },
		handle:    func(c *core, m *pb.FromJobMaster) { c.fromJobMaster(j, m) },
		lost:      func(c *core, cause error) { c.jobMasterLost(j, cause) },
	}
}

func (c *core) sortedJobs() []*job {
	list := make([]*job, 0, len(c.jobs))
	for _, j := range c.jobs {
		list = append(list, j)
	}
	slices.SortFunc(list, func(a, b *job) int { return a.id.Compare(b.id) })
	return list
}

// retarget makes the job's link register at another place or under another epoch.
func (c *core) retarget(j *job, address string, epoch ids.Epoch) {
	j.link.target = ha.Leader{Address: address, Epoch: max(epoch, j.link.target.Epoch)}
	j.link.since = c.self.Now().Add(-shortLived)
	if j.link.stream != nil && j.link.epoch < epoch {
		dropped(c, &j.link, j.link.stream, errMoved, j.peer()) // registers anew
		return
	}
	if j.link.stream == nil {
		c.registerJob(j)
	}
}

// registerJob registers at the job's master until that opens the job's stream.
func (c *core) registerJob(j *job) {
	if j.closed || c.dead {
		return
	}
	gw := c.cfg.Dialer.JobMaster(j.link.target.Address)
	begin(c, &j.link, func(ctx context.Context, epoch ids.Epoch, attempt uint64) (*pb.RegistrationResponse, error) {
		return gw.RegisterTaskExecutor(ctx, pb.RegisterAtJobMasterRequest_builder{
			Epoch: uint64(epoch), Job: j.id.Bytes(), ResourceId: string(c.roster.Resource), Attempt: attempt,
			Address: c.address, NodeId: c.cfg.Worker.GetNodeId(),
		}.Build())
	}, func(c *core, r registration.Result) {
		switch r.Event {
		case registration.Rejected:
			c.log.Warn("JobMaster rejected this worker", "job_id", j.id, "reason", r.Reason)
			c.giveUpJob(j, "the JobMaster rejected this worker: "+r.Reason)
		case registration.Fenced:
			j.link.target.Epoch = r.Epoch
			c.registerJob(j)
		default:
			j.link.again(c, func(c *core) { c.registerJob(j) })
		}
	})
}

func (c *core) acceptJob(open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
	id, err := ids.JobIDFromBytes(open.GetJob())
	if err != nil {
		return invalid("header of a job's stream", err)
	}
	j := c.jobs[id]
	if j == nil {
		return rpc.New(rpc.UnknownJob, fmt.Sprintf("job %s has no slots on worker %s", id, c.roster.Resource))
	}
	was := j.link
	if err := admit(c, &j.link, open, s, j.peer()); err != nil {
		return err
	}
	if was.stream != nil { // replaced: what was on its way there may be lost
		j.interrupted(c.self.Now().Add(-c.cfg.Heartbeat.Timeout), was.epoch)
	}
	return nil
}

func (c *core) jobMasterReady(j *job) {
	c.log.Info("registered at the JobMaster", "job_id", j.id, "address", j.link.target.Address, "epoch", j.link.epoch)
	c.sendInventory(j)
	c.offer(j)
}

// jobMasterLost begins to look for it again. Its tasks run on and its slots stay.
func (c *core) jobMasterLost(j *job, cause error) {
	if j.closed {
		return
	}
	c.log.Warn("JobMaster lost", "job_id", j.id, "cause", cause)
	j.offerID = 0
	j.interrupted(c.self.Now().Add(-c.cfg.Heartbeat.Timeout), j.link.epoch)
	j.link.again(c, func(c *core) { c.registerJob(j) })
}

func (c *core) fromJobMaster(j *job, m *pb.FromJobMaster) {
	switch m.WhichMessage() {
	case pb.FromJobMaster_Heartbeat_case:
		c.jobHeartbeat(j, m)
	case pb.FromJobMaster_SlotOfferResult_case:
		c.offerResult(j, m.GetSlotOfferResult())
	case pb.FromJobMaster_Deploy_case:
		c.takeDeploy(j, m)
	case pb.FromJobMaster_Cancel_case, pb.FromJobMaster_ToTask_case:
		if j.runtime != nil {
			j.runtime.Send(m)
		}
	case pb.FromJobMaster_FreeSlot_case:
		a, err := ids.AllocationIDFromBytes(m.GetFreeSlot().GetAllocation())
		if s := c.slots.find(a); err == nil && s != nil && s.job == j.id {
			c.takeBack(s, m.GetFreeSlot().GetReason(), false)
		}
	case pb.FromJobMaster_Acknowledge_case:
		c.acknowledge(j, m.GetAcknowledge())
	case pb.FromJobMaster_JobDone_case:
		c.giveUpJob(j, m.GetJobDone().GetReason())
	default:
		c.log.Warn("unknown message of the JobMaster", "job_id", j.id)
	}
}

// openRuntime opens the job's runtime, once; after one that is still closing.
func (c *core) openRuntime(j *job) {
	if j.opening || j.runtime != nil {
		return
	}
	j.opening = true
	before := c.closing[j.id]
	events := func(m *pb.ToJobMaster) {
		c.self.Post(func(c *core) {
			if !j.closed {
				c.fromRuntime(j, m)
				c.arm()
			}
		})
	}
	actor.Go(c.self, func(ctx context.Context) (Runtime, error) {
		if before != nil {
			<-before
		}
		return c.cfg.OpenRuntime(ctx, j.id, events)
	}, func(c *core, r Runtime, err error) { c.opened(j, r, err) })
}

// opened takes the runtime. When it could not be opened, the slots time out, and the next slot request tries again.
func (c *core) opened(j *job, r Runtime, err error) {
	j.opening = false
	switch {
	case err != nil:
		c.log.Error("job runtime not opened", "job_id", j.id, "error", err)
	case j.closed:
		c.closeRuntime(j.id, r)
	default:
		j.runtime = r
		c.offer(j)
	}
}

// offer offers all ALLOCATED slots; an earlier offer does not count any more.
func (c *core) offer(j *job) {
	list := c.slots.of(j.id, allocated)
	if j.runtime == nil || !j.link.ready || len(list) == 0 {
		return
	}
	c.lastRequest++
	j.offerID, j.offered = c.lastRequest, nil
	for _, s := range list {
		j.offered = append(j.offered, s.allocation)
	}
	j.link.send(c, pb.ToJobMaster_builder{SlotOffer: pb.SlotOffer_builder{
		RequestId: j.offerID, Slots: slotsToPB(list), DataAddress: j.runtime.DataAddress(),
	}.Build()}.Build())
}

func (c *core) offerResult(j *job, m *pb.SlotOfferResult) {
	if m.GetRequestId() != j.offerID || j.offerID == 0 {
		return
	}
	j.offerID = 0
	accepted := allocations(m.GetAccepted())
	for _, a := range j.offered {
		s := c.slots.find(a)
		switch {
		case s == nil || s.state != allocated && !s.shown:
		case accepted[a]:
			c.slots.activate(s)
		case s.state == allocated:
			c.takeBack(s, "the JobMaster did not take the slot", false)
		}
	}
}

// jobHeartbeat compares the slots with those the JobMaster believes in and lets the runtime answer with the tasks' metrics.
func (c *core) jobHeartbeat(j *job, m *pb.FromJobMaster) {
	if hb := m.GetHeartbeat(); !hb.GetHold() {
		listed := allocations(hb.GetAllocations())
		for _, s := range c.slots.of(j.id, active) {
			if !listed[s.allocation] {
				c.takeBack(s, "the JobMaster does not list the slot", false)
			}
		}
		for a := range listed {
			if s := c.slots.find(a); s == nil || s.job != j.id || s.state == releasing {
				c.slotLost(j, a, "the worker does not give the slot to the job")
			}
		}
	}
	if j.closed {
		return
	}
	if j.runtime == nil {
		c.beat(j, &pb.JobHeartbeat{})
		return
	}
	j.runtime.Send(m)
}

// beat adds what the executor knows to a runtime's answer.
func (c *core) beat(j *job, hb *pb.JobHeartbeat) {
	var list [][]byte
	for _, s := range c.slots.of(j.id, allocated, active) {
		list = append(list, s.allocation.Bytes())
	}
	hb.SetAllocations(list)
	j.link.send(c, pb.ToJobMaster_builder{Heartbeat: hb}.Build())
}

func allocations(list [][]byte) map[ids.AllocationID]bool {
	set := make(map[ids.AllocationID]bool, len(list))
	for _, b := range list {
		if a, err := ids.AllocationIDFromBytes(b); err == nil {
			set[a] = true
		}
	}
	return set
}

func (c *core) slotLost(j *job, a ids.AllocationID, why string) {
	j.link.send(c, pb.ToJobMaster_builder{SlotLost: pb.SlotLost_builder{
		Allocation: a.Bytes(), Cause: gateway.FailureToPB(rpc.New(rpc.NoSlot, why), c.self.Now()),
	}.Build()}.Build())
}

// takeBack takes a slot from its job: its tasks are cancelled, its final states dropped. tell: the JobMaster does not know.
func (c *core) takeBack(s *slot, reason string, tell bool) {
	if s.state == free || s.state == releasing {
		return
	}
	c.log.Info("slot taken back", "slot", s.index, "job_id", s.job, "allocation", s.allocation, "reason", reason)
	j, a := c.jobs[s.job], s.allocation
	c.endTasksIn(j, a)
	if tell {
		c.slotLost(j, a, reason)
	}
	if c.slots.release(s) {
		c.available(s.index, a)
	}
	c.tidy(j)
}

// available tells the ResourceManager that a slot is free.
func (c *core) available(index int, a ids.AllocationID) {
	c.rm.send(c, pb.ToResourceManager_builder{SlotAvailable: pb.SlotAvailable_builder{
		SlotIndex: uint32(index), Allocation: a.Bytes(),
	}.Build()}.Build())
}

// giveUpJob takes all slots of a job back.
func (c *core) giveUpJob(j *job, reason string) {
	for _, s := range c.slots.of(j.id) {
		c.takeBack(s, reason, false)
	}
}

// tidy forgets a job without slots: its link and its runtime end.
func (c *core) tidy(j *job) {
	if j.closed || len(c.slots.of(j.id)) > 0 {
		return
	}
	c.log.Info("job has no slots here any more", "job_id", j.id)
	j.closed = true
	delete(c.jobs, j.id)
	j.link.stop()
	if j.link.stream != nil {
		dropped(c, &j.link, j.link.stream, rpc.New(rpc.Closed, "the job has no slots on this worker any more"), j.peer())
	}
	if j.runtime != nil {
		c.closeRuntime(j.id, j.runtime)
		j.runtime = nil
	}
}

func (c *core) closeRuntime(id ids.JobID, r Runtime) {
	done := make(chan struct{})
	c.closing[id] = done
	actor.Go(c.self, func(context.Context) (struct{}, error) {
		defer close(done)
		return struct{}{}, r.Close()
	}, func(c *core, _ struct{}, err error) {
		if c.closing[id] == done {
			delete(c.closing, id)
		}
		if err != nil {
			c.log.Warn("job runtime not closed", "job_id", id, "error", err)
		}
	})
}
