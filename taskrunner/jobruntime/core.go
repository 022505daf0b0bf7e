package jobruntime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/task"
)

// errInputEnded is the failure of a task that ended because a producer of its input did.
var errInputEnded = errors.New("a task that this one reads from has ended early")

// core is the state of the runtime's loop.
type core struct {
	cfg      Config
	log      *slog.Logger
	self     actor.Self[core]
	exchange *exchange.Exchange

	graph    *program.Graph // this process' own; nil before the first deployment
	building bool
	waiting  []*pb.FromJobMaster // what came while the graph was being built
	stored   *storedPlan         // of the last deployment

	tasks   map[ids.ExecutionAttemptID]*execution // that have not ended
	newest  map[subtask]deployed
	closing bool
}

// execution is one task that has not ended.
type execution struct {
	runner
	allocation []byte
	canceled   bool // somebody asked for it
}

type subtask struct {
	vertex ids.VertexID
	index  uint32
}

// deployed is the last execution of a subtask.
type deployed struct {
	attempt    ids.ExecutionAttemptID
	generation ids.Generation
}

func newCore(r *Runtime, self actor.Self[core]) *core {
	return &core{
		cfg: r.cfg, log: r.cfg.Log, self: self, exchange: r.exchange,
		tasks: map[ids.ExecutionAttemptID]*execution{}, newest: map[subtask]deployed{},
	}
}

// receive keeps the order of messages while the graph is being built; only heartbeats are answered at once.
func (c *core) receive(m *pb.FromJobMaster) {
	switch {
	case m.HasHeartbeat():
		c.heartbeat()
	case c.building:
		c.waiting = append(c.waiting, m)
	default:
		c.carryOut(m)
	}
}

func (c *core) carryOut(m *pb.FromJobMaster) {
	switch m.WhichMessage() {
	case pb.FromJobMaster_Deploy_case:
		c.takeDeploy(m.GetDeploy())
	case pb.FromJobMaster_Cancel_case:
		c.cancel(m.GetCancel())
	case pb.FromJobMaster_ToTask_case:
		c.toTask(m.GetToTask())
	default:
		c.log.Warn("message is not for a job runtime", "message", m.WhichMessage())
	}
}

// takeDeploy deploys at once, or first lets the graph be built.
func (c *core) takeDeploy(m *pb.Deploy) {
	d, err := c.read(m)
	if err != nil {
		c.answer(m, err)
		return
	}
	if c.graph != nil {
		c.answerDeploy(m, d)
		return
	}
	c.building = true
	ctx := c.cfg.Context
	if ctx.Params == nil {
		ctx.Params = d.plan.Params
	}
	actor.Go(c.self, func(context.Context) (*program.Graph, error) { return build(c.cfg.Program, ctx) },
		func(c *core, g *program.Graph, err error) { c.built(m, d, g, err) })
}

// built goes on with the deployment that needed the graph, and with what has come meanwhile.
func (c *core) built(m *pb.Deploy, d *deployment, g *program.Graph, err error) {
	c.building = false
	if err != nil {
		c.answer(m, err)
	} else {
		c.graph = g
		c.answerDeploy(m, d)
	}
	for len(c.waiting) > 0 && !c.building {
		next := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.carryOut(next)
	}
}

// answerDeploy answers before it starts the tasks, so that their states follow the answer.
func (c *core) answerDeploy(m *pb.Deploy, d *deployment) {
	made, err := c.make(d)
	c.answer(m, err)
	for _, e := range made {
		e.Start()
	}
}

func (c *core) answer(m *pb.Deploy, err error) {
	if err != nil {
		c.log.Warn("deployment refused", "request", m.GetRequestId(), "error", err)
	}
	c.cfg.Events(pb.ToJobMaster_builder{Response: pb.Response_builder{
		RequestId: m.GetRequestId(), Failure: gateway.FailureToPB(err, c.self.Now()),
	}.Build()}.Build())
}

// make makes the tasks of a deployment that are not there yet, all or none.
func (c *core) make(d *deployment) ([]*execution, error) {
	if c.closing {
		return nil, rpc.New(rpc.Stopped, "the job's runtime on this worker is closing")
	}
	if err := c.samePlan(d); err != nil {
		return nil, err
	}
	made := map[ids.ExecutionAttemptID]*execution{}
	var order []*execution
	for _, t := range d.tasks {
		known, err := c.known(t.attempt, d.generation)
		if err != nil {
			return nil, err
		}
		if known || made[t.attempt] != nil {
			continue
		}
		e, err := c.newExecution(d, t)
		if err != nil {
			return nil, err
		}
		made[t.attempt] = e
		order = append(order, e)
	}
	for a, e := range made {
		c.tasks[a] = e
		c.newest[subtask{a.Vertex, a.Subtask}] = deployed{a, d.generation}
	}
	return order, nil
}

// known says whether an execution was deployed before; for a subtask nothing may go back.
func (c *core) known(a ids.ExecutionAttemptID, g ids.Generation) (bool, error) {
	last, ok := c.newest[subtask{a.Vertex, a.Subtask}]
	switch {
	case !ok:
		return false, nil
	case last.attempt == a:
		return true, nil
	case g.Compare(last.generation) < 0:
		return false, &rpc.Error{Code: rpc.Fenced, Epoch: last.generation.Epoch,
			Msg: fmt.Sprintf("deploy %s: generation %s is older than %s, which was deployed here", a, g, last.generation)}
	case a.Compare(last.attempt) < 0:
		return false, rpc.New(rpc.Replayed, fmt.Sprintf("deploy %s: attempt %s of the subtask came later", a, last.attempt))
	}
	return false, nil
}

func (c *core) newExecution(d *deployment, t deployedTask) (*execution, error) {
	r, err := c.cfg.newTask(task.Config{
		Attempt: t.attempt, Generation: d.generation, Graph: c.graph, Plan: d.plan, JobGraph: d.jobGraph, Exchange: c.exchange,
		Locate: d.locate, FS: c.cfg.FS, CopyValues: c.cfg.CopyValues, Restore: t.restore,
		Log: c.log.With("attempt", t.attempt.String()),
		Send: func(op ids.OperatorID, payload []byte) {
			m := pb.ToJobMaster_builder{FromTask: pb.FromTask_builder{
				Attempt: gateway.AttemptToPB(t.attempt), Operator: op.Bytes(), Payload: payload,
			}.Build()}.Build()
			c.self.Post(func(c *core) { c.cfg.Events(m) })
		},
		OnUpdate: func(u task.Update) { c.self.Post(func(c *core) { c.update(u) }) },
		Fatal:    c.cfg.Fatal, CancelInterval: c.cfg.CancelInterval, CancelTimeout: c.cfg.CancelTimeout,
	})
	if err != nil {
		return nil, rpc.Wrap(rpc.Invalid, "", err)
	}
	return &execution{runner: r, allocation: t.allocation}, nil
}

// update passes a task's state on.
func (c *core) update(u task.Update) {
	e := c.tasks[u.Attempt]
	if e == nil {
		return
	}
	if u.State == task.Canceled && !e.canceled {
		// The task saw the end of a producer before anybody told it to stop. Said so, the cause can be told from its consequence.
		u.State, u.Failure = task.Failed, &task.Failure{Err: errInputEnded}
	}
	if u.State.Terminal() {
		delete(c.tasks, u.Attempt)
	}
	c.log.Info("task state", "attempt", u.Attempt.String(), "state", u.State.String())
	c.cfg.Events(pb.ToJobMaster_builder{TaskState: updateToPB(u, e.allocation)}.Build())
}

func (c *core) cancel(m *pb.CancelTasks) {
	attempts, err := gateway.AttemptsFromPB(m.GetAttempts())
	if err != nil {
		c.log.Warn("cancel request not understood", "error", err)
		return
	}
	for _, a := range attempts {
		if e := c.tasks[a]; e != nil {
			e.canceled = true
			e.Cancel()
		}
	}
}

func (c *core) toTask(m *pb.ToTask) {
	a, err := gateway.AttemptFromPB(m.GetAttempt())
	op, opErr := ids.OperatorIDFromBytes(m.GetOperator())
	if err := errors.Join(err, opErr); err != nil {
		c.log.Warn("message to a task not understood", "error", err)
		return
	}
	if e := c.tasks[a]; e != nil {
		e.Event(op, m.GetPayload())
	}
}

func (c *core) heartbeat() {
	var list []*pb.TaskMetrics
	for a, e := range c.tasks {
		list = append(list, metricsToPB(a, e.Metrics()))
	}
	c.cfg.Events(pb.ToJobMaster_builder{Heartbeat: pb.JobHeartbeat_builder{Tasks: list}.Build()}.Build())
}

// stop cancels all tasks and returns them.
func (c *core) stop() []runner {
	c.closing = true
	var all []runner
	for _, e := range c.tasks {
		e.canceled = true
		e.Cancel()
		all = append(all, e.runner)
	}
	return all
}
