package jobruntime

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
)

// storedPlan is a plan as the JobMaster has it.
type storedPlan struct {
	raw      []byte
	plan     *plan.Plan
	jobGraph *plan.JobGraph
	digest   [32]byte
}

// deployment is a Deploy message that has been read. It does not change any more.
type deployment struct {
	*storedPlan
	generation ids.Generation
	tasks      []deployedTask
	locations  map[ids.VertexID][]location
}

type deployedTask struct {
	attempt    ids.ExecutionAttemptID
	allocation []byte
	restore    map[ids.OperatorID][]byte
}

// location is where a run of subtasks is.
type location struct {
	first, last uint32
	exchange.Location
}

// read turns a message into a deployment. The error has a code.
func (c *core) read(m *pb.Deploy) (*deployment, error) {
	d := &deployment{generation: gateway.GenerationFromPB(m.GetGeneration()), locations: map[ids.VertexID][]location{}}
	var err error
	if d.storedPlan, err = c.readPlan(m.GetPlan(), m.GetPlanDigest()); err != nil {
		return nil, err
	}
	for _, t := range m.GetTasks() {
		task, err := readTask(t)
		if err == nil && task.attempt.Job != c.cfg.Job {
			err = fmt.Errorf("task %s belongs to another job", task.attempt)
		}
		if err != nil {
			return nil, rpc.Wrap(rpc.Invalid, "read deployment", err)
		}
		d.tasks = append(d.tasks, task)
	}
	for _, l := range m.GetLocations() {
		v, err := ids.VertexIDFromBytes(l.GetVertex())
		if err != nil {
			return nil, rpc.Wrap(rpc.Invalid, "read deployment", err)
		}
		d.locations[v] = append(d.locations[v], location{l.GetFirstSubtask(), l.GetLastSubtask(),
			exchange.Location{Addr: l.GetDataAddress(), Generation: gateway.GenerationFromPB(l.GetGeneration())}})
	}
	return d, nil
}

func (c *core) readPlan(raw, digest []byte) (*storedPlan, error) {
	s := c.stored
	if s == nil || !bytes.Equal(s.raw, raw) {
		p, err := plan.Unmarshal(raw)
		if err != nil {
			return nil, rpc.Wrap(rpc.Invalid, "read deployment", err)
		}
		g, err := plan.Chain(p)
		if err != nil {
			return nil, rpc.Wrap(rpc.Invalid, "read deployment", err)
		}
		s = &storedPlan{raw, p, g, p.Digest()}
		c.stored = s
	}
	if !bytes.Equal(s.digest[:], digest) {
		return nil, rpc.New(rpc.Invalid, fmt.Sprintf("read deployment: the digest of its plan is %x, not %x", s.digest[:8], digest[:min(8, len(digest))]))
	}
	return s, nil
}

func readTask(m *pb.TaskDeployment) (deployedTask, error) {
	a, err := gateway.AttemptFromPB(m.GetAttempt())
	if err != nil {
		return deployedTask{}, err
	}
	t := deployedTask{attempt: a, allocation: m.GetAllocation()}
	for _, s := range m.GetState() {
		op, err := ids.OperatorIDFromBytes(s.GetOperator())
		if err != nil {
			return t, err
		}
		if t.restore == nil {
			t.restore = map[ids.OperatorID][]byte{}
		}
		t.restore[op] = s.GetState()
	}
	return t, nil
}

// locate implements task.Config.Locate.
func (d *deployment) locate(v ids.VertexID, subtask int) (exchange.Location, bool) {
	for _, l := range d.locations[v] {
		if int(l.first) <= subtask && subtask <= int(l.last) {
			return l.Location, true
		}
	}
	return exchange.Location{}, false
}

// samePlan compares what the JobMaster deploys with what this process has built.
func (c *core) samePlan(d *deployment) error {
	own := c.graph.Plan.Digest()
	if own == d.digest {
		return nil
	}
	return rpc.New(rpc.PlanMismatch, "this worker built another plan than the one deployed: "+plan.Diff(d.plan, c.graph.Plan))
}

// errGoexit: user code ended the goroutine it ran on.
var errGoexit = errors.New("the job's build function has ended its goroutine (runtime.Goexit)")

// build runs the job's builder, which is user code: whatever it does becomes an error with code UserCode.
func build(p program.Program, ctx program.Context) (*program.Graph, error) {
	var g *program.Graph
	err := errGoexit
	var stack string
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				err, stack = fmt.Errorf("the job's build function panicked: %v", r), string(debug.Stack())
			}
		}()
		g, err = p.Build(ctx)
	}()
	<-done
	switch {
	case err == nil && (g == nil || g.Plan == nil):
		err = errors.New("the job's build function returned no plan")
	case err == nil:
		return g, nil
	}
	return nil, &gateway.FailureError{Code: rpc.UserCode, Message: "build the job's graph on the worker: " + err.Error(), Stack: stack}
}
