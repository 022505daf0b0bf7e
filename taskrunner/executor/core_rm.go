package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/registration"
)

// resourceManager is what the stream of the ResourceManager means.
func resourceManager() peer[*pb.FromResourceManager] {
	return peer[*pb.FromResourceManager]{
		inventory: (*core).resourceManagerReady, handle: (*core).fromResourceManager, lost: (*core).resourceManagerLost,
	}
}

// register registers at the ResourceManager, if its address is known.
func (c *core) register() {
	if c.rm.target.Address == "" || c.dead {
		return
	}
	gw := c.cfg.Dialer.ResourceManager(c.rm.target.Address)
	begin(c, &c.rm, func(ctx context.Context, epoch ids.Epoch, attempt uint64) (*pb.RegistrationResponse, error) {
		req := proto.CloneOf(c.cfg.Worker)
		req.SetEpoch(uint64(epoch))
		req.SetAttempt(attempt)
		req.SetAddress(c.address)
		return gw.RegisterTaskExecutor(ctx, req)
	}, func(c *core, r registration.Result) {
		switch r.Event {
		case registration.Rejected:
			c.fatal(&RejectedError{r.Reason})
		case registration.Fenced:
			c.log.Info("ResourceManager leads another epoch", "known", c.rm.target.Epoch, "epoch", r.Epoch)
			c.rm.target.Epoch = r.Epoch
			c.register()
		default:
			c.rm.again(c, (*core).register)
		}
	})
}

func (c *core) acceptResourceManager(open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
	if err := admit(c, &c.rm, open, s, resourceManager()); err != nil {
		return err
	}
	c.giveUp = time.Time{}
	return nil
}

// resourceManagerReady sends the inventory. The leader's JobMasters are in the same process, under the same epoch.
func (c *core) resourceManagerReady() {
	c.log.Info("registered at the ResourceManager", "address", c.rm.target.Address, "epoch", c.rm.epoch)
	c.rm.send(c, pb.ToResourceManager_builder{Inventory: c.slots.report()}.Build())
	for _, j := range c.sortedJobs() {
		if j.link.target.Epoch < c.rm.epoch {
			c.retarget(j, c.rm.target.Address, c.rm.epoch)
		}
	}
}

// resourceManagerLost begins to look for it again. Tasks and slots stay.
func (c *core) resourceManagerLost(cause error) {
	c.log.Warn("ResourceManager lost", "cause", cause)
	c.armGiveUp()
	c.rm.again(c, (*core).register)
}

func (c *core) fromResourceManager(m *pb.FromResourceManager) {
	switch m.WhichMessage() {
	case pb.FromResourceManager_Heartbeat_case:
		c.rm.send(c, pb.ToResourceManager_builder{Heartbeat: c.slots.report()}.Build())
	case pb.FromResourceManager_RequestSlot_case:
		r := m.GetRequestSlot()
		c.answer(r.GetRequestId(), func() error { return c.requestSlot(r) })
	case pb.FromResourceManager_FreeSlot_case:
		r := m.GetFreeSlot()
		c.answer(r.GetRequestId(), func() error { return c.freeSlot(r.GetAllocation(), r.GetReason()) })
	case pb.FromResourceManager_CanBeReleased_case:
		// A question, not a request: an old answer would be wrong.
		c.respond(c.response(m.GetCanBeReleased().GetRequestId(), c.busy()))
	case pb.FromResourceManager_Goodbye_case:
		c.goodbye(m.GetGoodbye())
	default:
		c.log.Warn("unknown message of the ResourceManager")
	}
}

// answer carries out a request once; repeated, it gets the same answer.
func (c *core) answer(id uint64, do func() error) {
	answer, isNew := c.rm.answers.begin(c.rm.epoch, id)
	if isNew {
		answer = c.response(id, do())
		c.rm.answers.end(c.rm.epoch, answer)
	}
	c.respond(answer)
}

func (c *core) respond(r *pb.Response) {
	c.rm.send(c, pb.ToResourceManager_builder{Response: r}.Build())
}

func (c *core) requestSlot(r *pb.RequestSlot) error {
	id, jobErr := ids.JobIDFromBytes(r.GetJob())
	a, allocErr := ids.AllocationIDFromBytes(r.GetAllocation())
	if err := errors.Join(jobErr, allocErr); err != nil {
		return invalid("slot request", err)
	}
	if r.GetJobMasterAddress() == "" {
		return rpc.New(rpc.Invalid, fmt.Sprintf("slot request for job %s: no address of the JobMaster", id))
	}
	s, err := c.slots.allocate(c.self.Now(), int(r.GetSlotIndex()), id, a, r.GetProfile())
	if err != nil {
		return err
	}
	c.log.Info("slot allocated", "slot", s.index, "job_id", id, "allocation", a)
	j := c.jobs[id]
	if j == nil {
		j = newJob(id)
		c.jobs[id] = j
	}
	c.openRuntime(j)
	if j.link.target.Address != r.GetJobMasterAddress() || j.link.target.Epoch < c.rm.epoch {
		c.retarget(j, r.GetJobMasterAddress(), c.rm.epoch)
	}
	c.offer(j)
	return nil
}

// freeSlot takes a slot back because the ResourceManager says so; one that is not there is free already.
func (c *core) freeSlot(allocation []byte, reason string) error {
	a, err := ids.AllocationIDFromBytes(allocation)
	if err != nil {
		return invalid("request to free a slot", err)
	}
	if s := c.slots.find(a); s != nil {
		c.takeBack(s, reason, true)
	}
	return nil
}

// busy says why the worker must not be released: a slot in use has tasks, partitions, or final states to be acknowledged, or will.
func (c *core) busy() error {
	for _, s := range c.slots.list {
		if s.state != free {
			return rpc.New(rpc.NoSlot, fmt.Sprintf("slot %d is %s for job %s", s.index, s.state, s.job))
		}
	}
	return nil
}

func (c *core) goodbye(m *pb.Goodbye) {
	if m.GetExit() {
		c.fatal(&DismissedError{m.GetReason()})
		return
	}
	dropped(c, &c.rm, c.rm.stream, rpc.New(rpc.Closed, "the ResourceManager said goodbye: "+m.GetReason()), resourceManager())
}
