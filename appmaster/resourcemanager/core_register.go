package resourcemanager

import (
	"fmt"
	"time"

	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// replayed refuses a registration that a newer one of the same worker has overtaken: nobody waits for its answer.
func (c *core) replayed(req *pb.RegisterTaskExecutorRequest) error {
	if w := c.workers[ids.ResourceID(req.GetResourceId())]; w != nil && req.GetAttempt() < w.attempt {
		return rpc.New(rpc.Replayed, fmt.Sprintf("registration attempt %d of %s is older than %d", req.GetAttempt(), w.ID, w.attempt))
	}
	return nil
}

// begin takes a call that admit lets pass. It returns the opening that has to be done, or nil when that is under way: a worker that was not
// answered in time asks again with the same number.
func (c *core) begin(req *pb.RegisterTaskExecutorRequest, answer func(*pb.RegistrationResponse, error)) *opening {
	w := c.workers[ids.ResourceID(req.GetResourceId())]
	if o := w.opening; o != nil && o.attempt == req.GetAttempt() {
		o.answers = append(o.answers, answer)
		return nil
	}
	w.opening = &opening{req.GetAttempt(), []func(*pb.RegistrationResponse, error){answer}}
	return w.opening
}

// admit decides about a registration before the stream is opened. A nil answer means: begin, open the stream, then call accept.
func (c *core) admit(req *pb.RegisterTaskExecutorRequest) *pb.RegistrationResponse {
	id := ids.ResourceID(req.GetResourceId())
	w := c.workers[id]
	switch {
	case c.hold:
		return c.failure("the leader has lost ZooKeeper and accepts nothing for now", time.Second)
	case !c.attached:
		return c.failure("the ResourceManager does not know its workers yet", 500*time.Millisecond)
	case !c.knows(id):
		c.log.Warn("rejecting unknown worker", "worker", string(id), "address", req.GetAddress())
		return c.rejection(fmt.Sprintf("worker %s is not one of this application's workers", id))
	case req.GetAttempt() == w.attempt && w.conn != nil && w.conn.link != nil:
		return c.success(w.conn.instance) // the answer was lost
	}
	w.attempt = req.GetAttempt()
	return nil
}

// accept takes the opened stream of a registration, unless the world has moved on meanwhile: the worker is gone, or has registered
// again. Only a Success means that the stream is in use.
func (c *core) accept(req *pb.RegisterTaskExecutorRequest, instance ids.InstanceID, l link, err error) *pb.RegistrationResponse {
	id := ids.ResourceID(req.GetResourceId())
	if w := c.workers[id]; w != nil && w.opening != nil && w.opening.attempt == req.GetAttempt() {
		w.opening = nil
	}
	if err != nil {
		return c.failure(fmt.Sprintf("connect back to %s: %v", req.GetAddress(), err), 0)
	}
	w := c.workers[id]
	switch {
	case !c.knows(id):
		l.Close(errNotCurrent)
		return c.rejection(fmt.Sprintf("worker %s is not one of this application's workers", id))
	case w.attempt != req.GetAttempt() || w.conn != nil && w.conn.request.GetAttempt() == req.GetAttempt():
		l.Close(errNotCurrent)
		return c.failure("outdated registration: a newer one came", 0)
	}
	if old := w.conn; old != nil {
		c.log.Info("worker registered again", "worker", string(id))
		clear(old.requests)
		if old.link != nil {
			old.link.Close(errNotCurrent)
		}
	}
	w.conn = &connection{instance: instance, request: req, link: l, seen: c.now(), requests: make(map[ids.RequestID]answer)}
	c.considerDue(w)
	c.wake()
	return c.success(instance)
}

// receive handles one message of a worker's stream; conn tells messages of older streams, which are dropped.
func (c *core) receive(id ids.ResourceID, conn *connection, l link, m *pb.ToResourceManager) {
	w := c.workers[id]
	if w == nil || w.conn != conn || conn.link != l {
		return
	}
	conn.seen = c.now()
	switch {
	case m.HasInventory():
		c.inventory(w, m.GetInventory())
	case !conn.listed: // the first message has to be the inventory
	case m.HasHeartbeat():
		c.step(slotmanager.Report{Worker: id, Instance: conn.instance, Slots: statuses(m.GetHeartbeat())})
	case m.HasResponse():
		c.answered(conn, m.GetResponse())
	case m.HasSlotAvailable():
		if alloc, err := ids.AllocationIDFromBytes(m.GetSlotAvailable().GetAllocation()); err == nil {
			c.step(slotmanager.SlotFreed{Worker: id, Instance: conn.instance, Allocation: alloc})
		}
	case m.HasLeaving():
		c.lose(w, fmt.Errorf("it left: %s", m.GetLeaving().GetCause().GetMessage()))
	}
}

// inventory makes the worker's slots count. It supersedes everything known of the worker, also the questions still open: what they
// asked for is in the list, or was never done.
func (c *core) inventory(w *worker, report *pb.SlotReport) {
	conn := w.conn
	clear(conn.requests)
	if !conn.listed {
		c.log.Info("worker registered", "worker", string(w.ID), "address", conn.request.GetAddress(), "node", w.Node,
			"slots", len(report.GetSlots()))
	}
	conn.listed = true
	if w.state == starting {
		c.move(w, registered)
	}
	if c.count[starting] == 0 {
		c.settled = time.Time{}
	}
	c.step(slotmanager.Register{Worker: w.ID, Instance: conn.instance, Slots: statuses(report)})
}

func (c *core) answered(conn *connection, resp *pb.Response) {
	id := ids.RequestID(resp.GetRequestId())
	event, ok := conn.requests[id]
	if !ok {
		return
	}
	delete(conn.requests, id)
	c.step(event(resp.GetFailure()))
}

// broken notes that a stream has ended. It is opened again at once; whether the worker lives shows by the heartbeat timeout, or by what
// the driver says, which knows the reason.
func (c *core) broken(id ids.ResourceID, conn *connection, l link, cause error) {
	w := c.workers[id]
	if w == nil || w.conn != conn || conn.link != l {
		return
	}
	c.log.Info("stream to worker broke", "worker", string(id), "cause", cause)
	conn.link = nil
	if w.state != leaving {
		c.cfg.Driver.Suspect(c.cfg.Epoch, id)
		c.redial(id, conn)
	}
}

// reopened takes the stream of a redial, or its error.
func (c *core) reopened(id ids.ResourceID, conn *connection, l link, err error) bool {
	w := c.workers[id]
	if w == nil || w.conn != conn || w.state == leaving {
		if l != nil && err == nil {
			l.Close(errNotCurrent)
		}
		return false
	}
	if err != nil {
		c.redial(id, conn)
		return false
	}
	conn.link = l
	return true
}

func statuses(r *pb.SlotReport) []slotmanager.SlotStatus {
	out := make([]slotmanager.SlotStatus, 0, len(r.GetSlots()))
	for _, s := range r.GetSlots() {
		st := slotmanager.SlotStatus{Free: s.GetState() == pb.SlotState_FREE}
		if !st.Free {
			st.Job, _ = ids.JobIDFromBytes(s.GetJob())
			st.Allocation, _ = ids.AllocationIDFromBytes(s.GetAllocation())
		}
		out = append(out, st)
	}
	return out
}

func (c *core) success(instance ids.InstanceID) *pb.RegistrationResponse {
	return c.response(pb.RegistrationResponse_builder{Success: pb.RegistrationSuccess_builder{
		InstanceId: instance.Bytes(), ResourceId: string(c.cfg.Resource),
	}.Build()}.Build())
}

func (c *core) failure(reason string, retryAfter time.Duration) *pb.RegistrationResponse {
	return c.response(pb.RegistrationResponse_builder{Failure: pb.RegistrationFailure_builder{
		Reason: reason, RetryAfterMillis: uint64(retryAfter.Milliseconds()),
	}.Build()}.Build())
}

func (c *core) rejection(reason string) *pb.RegistrationResponse {
	return c.response(pb.RegistrationResponse_builder{Rejection: pb.RegistrationRejection_builder{
		Reason: reason,
	}.Build()}.Build())
}

func (c *core) response(r *pb.RegistrationResponse) *pb.RegistrationResponse {
	r.SetEpoch(uint64(c.cfg.Epoch))
	return r
}
