package jobmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

type (
	fromJobMaster = pb.FromJobMaster
	// answerFunc gives the answer to one RegisterTaskExecutor call.
	answerFunc func(*pb.RegistrationResponse, error)
)

// worker is one TaskExecutor that serves the job.
type worker struct {
	id       ids.ResourceID
	address  string
	attempt  uint64 // newest registration attempt
	instance ids.InstanceID
	answers  []answerFunc // calls of that attempt that wait for the stream

	link      link // current stream, nil while there is none
	inventory bool // it has sent its inventory
	opening   bool // a dial of the current attempt is under way
	failures  int  // streams refused or reset in a row, without an inventory in between
	lastSeen  time.Time
	broke     time.Time // when the stream before the current one broke; zero before

	data      string // address of the job's exchange there
	requests  map[ids.RequestID]*pb.Deploy
	waiting   []*fromJobMaster                            // events to tasks, while there is no stream
	sentEvent map[ids.ExecutionAttemptID]time.Time        // when a coordinator's event last went out
	gained    []scheduler.Slot                            // slots in the pool that the scheduler is not told of yet
	foreign   map[ids.ExecutionAttemptID]ids.AllocationID // executions of earlier leaders that still live in a slot
}

func newWorker(id ids.ResourceID) *worker {
	return &worker{
		id: id, requests: map[ids.RequestID]*pb.Deploy{}, sentEvent: map[ids.ExecutionAttemptID]time.Time{},
		foreign: map[ids.ExecutionAttemptID]ids.AllocationID{},
	}
}

func (w *worker) ready() bool { return w.link != nil && w.inventory }

// opening is a request to open a stream.
type opening struct {
	worker   ids.ResourceID
	address  string
	attempt  uint64
	instance ids.InstanceID
}

// register takes a RegisterTaskExecutor call; answer is called once, perhaps later.
func (c *core) register(now time.Time, req *pb.RegisterAtJobMasterRequest, answer answerFunc) {
	id, attempt := ids.ResourceID(req.GetResourceId()), req.GetAttempt()
	if got := ids.Epoch(req.GetEpoch()); got != c.cfg.Epoch {
		answer(nil, &rpc.Error{Code: rpc.Fenced, Method: method, Epoch: c.cfg.Epoch, Msg: fmt.Sprintf("epoch %d is not that of the leader, %d", got, c.cfg.Epoch)})
		return
	}
	if job, err := ids.JobIDFromBytes(req.GetJob()); err != nil || job != c.cfg.Job {
		answer(nil, refused(rpc.UnknownJob, "job %x is not job %s", req.GetJob(), c.cfg.Job))
		return
	}
	if c.hold {
		answer(c.refuse("the leader is on hold", 0), nil)
		return
	}
	w := c.workers[id]
	switch {
	case id == "" || req.GetAddress() == "":
		answer(nil, refused(rpc.Invalid, "the worker gives no id or no address"))
		return
	case w != nil && attempt < w.attempt:
		answer(nil, refused(rpc.Replayed, "attempt %d of %s is older than %d", attempt, id, w.attempt))
		return
	case w != nil && attempt == w.attempt && w.link != nil:
		answer(c.success(w), nil)
		return
	case w != nil && attempt == w.attempt && w.opening:
		w.answers = append(w.answers, answer)
		return
	case w == nil:
		w = newWorker(id)
		c.workers[id] = w
	}
	c.answer(w, c.refuse("a later registration attempt has come", 0), nil)
	w.attempt, w.address, w.instance = attempt, req.GetAddress(), ids.NewInstanceID()
	w.lastSeen, w.failures = now, 0
	w.answers = []answerFunc{answer}
	c.open(w)
}

// method is how errors name the call.
const method = "JobMaster.RegisterTaskExecutor"

func refused(code rpc.Code, format string, args ...any) error {
	return &rpc.Error{Code: code, Method: method, Msg: fmt.Sprintf(format, args...)}
}

func (c *core) open(w *worker) {
	w.opening = true
	c.out.open(opening{worker: w.id, address: w.address, attempt: w.attempt, instance: w.instance})
}

// opened takes the result of an opening. Says whether the stream is taken: then its reader may start.
func (c *core) opened(now time.Time, o opening, l link, err error) bool {
	w := c.workers[o.worker]
	if c.closed || w == nil || w.attempt != o.attempt || w.instance != o.instance {
		if l != nil {
			l.Close(errSuperseded)
		}
		return false
	}
	w.opening = false
	if err != nil {
		c.notOpened(now, w, err)
		return false
	}
	if w.link != nil {
		w.link.Close(errSuperseded)
	}
	w.link, w.inventory = l, false
	w.lastSeen = now
	c.answer(w, c.success(w), nil)
	return true
}

func (c *core) notOpened(now time.Time, w *worker, err error) {
	c.log.Warn("worker not reached", "worker", w.id, "address", w.address, "err", err)
	if errors.Is(err, rpc.ErrUnknownWorker) {
		c.answer(w, nil, err)
		if len(c.pool.of(w.id)) == 0 { // a stranger, or one whose loss was told with its reason
			delete(c.workers, w.id)
			return
		}
		c.loseWorker(now, w.id, err)
		return
	}
	if len(w.answers) > 0 { // a registration: its caller tries again
		c.answer(w, c.refuse(fmt.Sprintf("the worker's address %s did not answer: %v", w.address, err), 0), nil)
		return
	}
	if rpc.Refused(err) {
		return // alive, and about to register anew; if not, its silence will tell
	}
	c.failedOnce(w, err)
}

// failedOnce counts a refused or reset stream; below the threshold it is opened again, else the worker is lost, unless the
// ResourceManager tells its end before, with a better reason, or it registers anew.
func (c *core) failedOnce(w *worker, err error) {
	w.failures++
	delay, then := reopenDelay, func(c *core, _ time.Time, w *worker) { c.open(w) }
	if limit := c.cfg.FailureThreshold; limit > 0 && w.failures >= limit {
		delay, then = lossPatience, func(c *core, now time.Time, w *worker) {
			c.loseWorker(now, w.id, fmt.Errorf("unreachable at %s: %w", w.address, err))
		}
	} else if w.failures <= 1 {
		c.open(w)
		return
	}
	o := *w
	c.out.after(delay, func(c *core, now time.Time) {
		if w := c.workers[o.id]; w != nil && w.instance == o.instance && w.link == nil && !w.opening && !c.closed {
			then(c, now, w)
		}
	})
}

// broken is told by the reader of a stream when that has ended.
func (c *core) broken(now time.Time, id ids.ResourceID, l link, err error) {
	w := c.workers[id]
	if c.closed || w == nil || w.link != l {
		return
	}
	l.Close(err)
	w.link, w.inventory, w.broke = nil, false, now
	if c.sched.State().Terminal() {
		c.answer(w, c.refuse("the job has ended", 0), nil)
		delete(c.workers, id)
		return
	}
	if errors.Is(err, rpc.ErrClosed) { // on purpose: it gives the job nothing any more
		c.loseWorker(now, id, err)
		return
	}
	c.log.Warn("stream to worker broken", "worker", id, "err", err)
	if !w.opening {
		c.failedOnce(w, err)
	}
}

// message takes what a worker sent over one of its streams.
func (c *core) message(now time.Time, id ids.ResourceID, l link, m *pb.ToJobMaster) {
	w := c.workers[id]
	if c.closed || w == nil || w.link != l {
		return
	}
	w.lastSeen = now
	if !w.inventory && m.WhichMessage() != pb.ToJobMaster_Inventory_case {
		c.broken(now, id, l, fmt.Errorf("the first message of %s is not its inventory", id))
		return
	}
	switch m.WhichMessage() {
	case pb.ToJobMaster_Inventory_case:
		c.takeInventory(now, w, m.GetInventory())
	case pb.ToJobMaster_Heartbeat_case:
		c.takeHeartbeat(now, w, m.GetHeartbeat())
	case pb.ToJobMaster_SlotOffer_case:
		c.takeOffer(now, w, m.GetSlotOffer())
	case pb.ToJobMaster_Response_case:
		c.takeResponse(now, w, m.GetResponse())
	case pb.ToJobMaster_TaskState_case:
		c.takeTaskState(now, w, m.GetTaskState())
	case pb.ToJobMaster_FromTask_case:
		c.takeEvent(w, m.GetFromTask())
	case pb.ToJobMaster_SlotLost_case:
		c.takeSlotLost(now, w, m.GetSlotLost())
	case pb.ToJobMaster_Leaving_case:
		c.loseWorker(now, id, errors.New(firstNonEmpty(m.GetLeaving().GetCause().GetMessage(), "it left")))
	default:
		c.log.Warn("unknown message", "worker", id)
	}
}

// loseWorker forgets a worker with all it gave. While on hold workers only lose their streams: what that means is the next
// leader's to decide.
func (c *core) loseWorker(now time.Time, id ids.ResourceID, cause error) {
	w := c.workers[id]
	if w == nil {
		return
	}
	level := slog.LevelWarn
	if c.sched.State().Terminal() { // workers leave when the job has ended
		level = slog.LevelInfo
	}
	c.log.Log(context.Background(), level, "worker lost", "worker", id, "cause", cause)
	if w.link != nil {
		w.link.Close(cause)
		w.link = nil
	}
	delete(c.workers, id)
	c.answer(w, c.refuse("the worker was given up: "+cause.Error(), 0), nil)
	for _, a := range c.pool.of(id) {
		c.pool.remove(a)
	}
	c.step(now, workerLost(now, id, cause))
}

// workerGone is the ResourceManager's word that a worker is no more. It may know more than the broken stream did.
func (c *core) workerGone(now time.Time, id ids.ResourceID, cause error) {
	if cause == nil {
		cause = errors.New("it has ended")
	}
	if c.workers[id] != nil {
		c.loseWorker(now, id, cause)
		return
	}
	c.step(now, workerLost(now, id, cause))
}

func workerLost(now time.Time, id ids.ResourceID, cause error) scheduler.WorkerLost {
	return scheduler.WorkerLost{Worker: id, Cause: scheduler.Failure{Message: fmt.Sprintf("worker %s lost: %v", id, cause), At: now, Worker: id}}
}

func (c *core) answer(w *worker, r *pb.RegistrationResponse, err error) {
	answers := w.answers
	w.answers = nil
	for _, f := range answers {
		f(r, err)
	}
}

func (c *core) success(w *worker) *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{
		Epoch:   uint64(c.cfg.Epoch),
		Success: pb.RegistrationSuccess_builder{InstanceId: w.instance[:], ResourceId: c.cfg.Job.String()}.Build(),
	}.Build()
}

func (c *core) refuse(reason string, retry time.Duration) *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{
		Epoch:   uint64(c.cfg.Epoch),
		Failure: pb.RegistrationFailure_builder{Reason: reason, RetryAfterMillis: uint64(retry.Milliseconds())}.Build(),
	}.Build()
}

// beat sends a heartbeat. Before the inventory it would tell the worker to give up slots that this leader does not know yet.
func (c *core) beat(w *worker) {
	if !w.ready() {
		return
	}
	var allocations [][]byte
	for _, a := range c.pool.of(w.id) {
		allocations = append(allocations, a[:])
	}
	c.sendTo(w, pb.FromJobMaster_builder{Heartbeat: pb.JobMasterHeartbeat_builder{Allocations: allocations, Hold: c.hold}.Build()}.Build())
}

// send is for messages that an inventory makes good: without a stream they are dropped.
func (c *core) send(id ids.ResourceID, m *fromJobMaster) {
	if w := c.workers[id]; w != nil && w.ready() {
		c.sendTo(w, m)
	}
}

// sendTo enqueues; a stream that cannot take it is broken, which its reader tells.
func (c *core) sendTo(w *worker, m *fromJobMaster) {
	if err := w.link.Send(m); err != nil {
		c.log.Debug("message not sent", "worker", w.id, "err", err)
	}
}

func (c *core) sorted() []*worker {
	list := make([]*worker, 0, len(c.workers))
	for _, w := range c.workers {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *worker) int { return strings.Compare(string(a.id), string(b.id)) })
	return list
}
