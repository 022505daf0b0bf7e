package jobruntime

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/task"
)

var gen = ids.Generation{Epoch: 5, Restart: 1}

func builds(p *plan.Plan) buildFunc {
	return func(program.Context) (*program.Graph, error) { return &program.Graph{Plan: p}, nil }
}

func TestDeployAndStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 3, "main.out")
		var ctx program.Context
		h := newHarness(t, buildFunc(func(c program.Context) (*program.Graph, error) { ctx = c; return builds(p)(c) }))
		a, b := attempt(1, 0, 1), attempt(2, 0, 1)
		h.Send(deployMessage(t, 1, p, gen, a, b))
		if f := h.answer(1); f != nil {
			t.Fatalf("deployment refused: %v", f)
		}
		s := h.state(a, pb.ExecutionState_INITIALIZING)
		h.state(b, pb.ExecutionState_INITIALIZING)
		if string(s.GetAllocation()) != "allocation------" || gateway.GenerationFromPB(s.GetGeneration()) != gen {
			t.Errorf("state %v, want its allocation and generation", s)
		}
		if len(ctx.Params) != 1 || ctx.Params[0].Value != "1" {
			t.Errorf("built with parameters %v, want those of the deployed plan", ctx.Params)
		}
		cfg := h.task(b).cfg
		for subtask, want := range []string{"here:1", "there:1", "there:1"} {
			if l, ok := cfg.Locate(ids.VertexID{1}, subtask); !ok || l.Addr != want || l.Generation != gen {
				t.Errorf("producer %d is at %v, want %s", subtask, l, want)
			}
		}
		if _, ok := cfg.Locate(ids.VertexID{1}, 3); ok {
			t.Error("a fourth producer was found")
		}
		if string(cfg.Restore[ids.OperatorID{1}]) != "s" {
			t.Errorf("restored state %v", cfg.Restore)
		}
		cfg.Send(ids.OperatorID{2}, []byte("split please"))
		if m := <-h.events; string(m.GetFromTask().GetPayload()) != "split please" {
			t.Errorf("got %v, want the task's message", m)
		}
		h.Send(pb.FromJobMaster_builder{ToTask: pb.ToTask_builder{Attempt: gateway.AttemptToPB(b), Operator: ids.OperatorID{2}.Bytes(),
			Payload: []byte("split 1")}.Build()}.Build())
		synctest.Wait()
		if got := h.task(b).events(); len(got) != 1 || got[0] != "split 1" {
			t.Errorf("the task got %q", got)
		}
		h.Send(pb.FromJobMaster_builder{Heartbeat: &pb.JobMasterHeartbeat{}}.Build())
		if m := <-h.events; len(m.GetHeartbeat().GetTasks()) != 2 || m.GetHeartbeat().GetTasks()[0].GetRecordsIn() != 3 {
			t.Errorf("heartbeat %v, want the metrics of both tasks", m)
		}
		h.task(b).end(task.Update{State: task.Finished, Finals: map[ids.OperatorID][]byte{{2}: []byte("part")}, Metrics: task.Metrics{RecordsIn: 9}})
		s = h.state(b, pb.ExecutionState_FINISHED)
		if f := s.GetFinals(); len(f) != 1 || string(f[0].GetState()) != "part" || s.GetMetrics().GetRecordsIn() != 9 {
			t.Errorf("final state %v, want what the sink left and the metrics", s)
		}
		h.Send(cancelMessage(a, b))
		h.state(a, pb.ExecutionState_CANCELED)
	})
}

func TestDeployOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 3, "main.out")
		h := newHarness(t, builds(p))
		first := attempt(1, 0, 3)
		h.Send(deployMessage(t, 1, p, gen, first))
		h.answer(1)
		h.state(first, pb.ExecutionState_INITIALIZING)
		for i, c := range []struct {
			name string
			gen  ids.Generation
			a    ids.ExecutionAttemptID
			want rpc.Code
			runs bool
		}{
			{"the same", gen, first, 0, false},
			{"an earlier attempt", gen, attempt(1, 0, 2), rpc.Replayed, false},
			{"an older generation", ids.Generation{Epoch: 5}, attempt(1, 0, 4), rpc.Fenced, false},
			{"a lower epoch", ids.Generation{Epoch: 4, Restart: 9}, attempt(1, 0, 4), rpc.Fenced, false},
			{"another subtask, older generation", ids.Generation{Epoch: 4}, attempt(1, 1, 1), 0, true},
			{"no such job", gen, ids.ExecutionAttemptID{Job: ids.JobID{1}, Vertex: ids.VertexID{1}, Epoch: 5}, rpc.Invalid, false},
			{"the next generation", ids.Generation{Epoch: 5, Restart: 2}, attempt(1, 0, 4), 0, true},
		} {
			made := h.made
			h.Send(deployMessage(t, uint64(10+i), p, c.gen, c.a))
			if got := rpc.Code(h.answer(uint64(10 + i)).GetCode()); got != c.want {
				t.Errorf("%s: got code %d, want %d", c.name, got, c.want)
			}
			if c.runs {
				h.state(c.a, pb.ExecutionState_INITIALIZING)
			}
			if (h.made > made) != c.runs {
				t.Errorf("%s: %d tasks made, want %v", c.name, h.made-made, c.runs)
			}
		}
	})
}

func TestDeployAllOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 3, "main.out")
		h := newHarness(t, builds(p))
		h.Send(deployMessage(t, 1, p, gen, attempt(1, 0, 2)))
		h.answer(1)
		h.state(attempt(1, 0, 2), pb.ExecutionState_INITIALIZING)
		h.Send(deployMessage(t, 2, p, gen, attempt(1, 1, 1), attempt(1, 0, 1)))
		if f := h.answer(2); f == nil {
			t.Error("a deployment with a task that cannot run was accepted")
		}
		if f := h.task(attempt(1, 1, 1)); f.started {
			t.Error("a task of a refused deployment was started")
		}
		h.Send(deployMessage(t, 3, p, gen, attempt(1, 1, 1)))
		if f := h.answer(3); f != nil {
			t.Errorf("refused: %v", f)
		}
		h.state(attempt(1, 1, 1), pb.ExecutionState_INITIALIZING)
		h.mu.Lock()
		h.fail = errors.New("no such vertex")
		h.mu.Unlock()
		h.Send(deployMessage(t, 4, p, gen, attempt(1, 2, 1)))
		if f := h.answer(4); rpc.Code(f.GetCode()) != rpc.Invalid {
			t.Errorf("a task that cannot be made: %v, want code %d", f, rpc.Invalid)
		}
	})
}

func TestPlansDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deployed, own := simplePlan(t, 3, "main.out"), simplePlan(t, 3, "main.other")
		h := newHarness(t, builds(own))
		h.Send(deployMessage(t, 1, deployed, gen, attempt(1, 0, 1)))
		f := h.answer(1)
		if rpc.Code(f.GetCode()) != rpc.PlanMismatch || !strings.Contains(f.GetMessage(), plan.Diff(deployed, own)) {
			t.Errorf("got %v, want code %d and what differs", f, rpc.PlanMismatch)
		}
		m := deployMessage(t, 2, deployed, gen)
		m.GetDeploy().SetPlanDigest([]byte("wrong"))
		h.Send(m)
		if f := h.answer(2); rpc.Code(f.GetCode()) != rpc.Invalid {
			t.Errorf("a wrong digest: %v, want code %d", f, rpc.Invalid)
		}
		m = deployMessage(t, 3, deployed, gen)
		m.GetDeploy().SetPlan([]byte("{"))
		h.Send(m)
		if f := h.answer(3); rpc.Code(f.GetCode()) != rpc.Invalid {
			t.Errorf("a plan that cannot be read: %v, want code %d", f, rpc.Invalid)
		}
	})
}

func TestBuilderFails(t *testing.T) {
	for name, b := range map[string]buildFunc{
		"error":  func(program.Context) (*program.Graph, error) { return nil, errors.New("boom") },
		"panic":  func(program.Context) (*program.Graph, error) { panic("boom") },
		"goexit": func(program.Context) (*program.Graph, error) { runtime.Goexit(); return nil, nil },
		"empty":  func(program.Context) (*program.Graph, error) { return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := simplePlan(t, 1, "main.out")
				good := false
				h := newHarness(t, buildFunc(func(c program.Context) (*program.Graph, error) {
					if good {
						return builds(p)(c)
					}
					return b(c)
				}))
				h.Send(deployMessage(t, 1, p, gen, attempt(1, 0, 1)))
				f := h.answer(1)
				if rpc.Code(f.GetCode()) != rpc.UserCode || (f.GetStack() != "") != (name == "panic") {
					t.Errorf("got %v, want code %d, and a stack for a panic", f, rpc.UserCode)
				}
				good = true
				h.Send(deployMessage(t, 2, p, gen, attempt(1, 0, 1)))
				if f := h.answer(2); f != nil {
					t.Errorf("the next deployment: %v, want success", f)
				}
				h.state(attempt(1, 0, 1), pb.ExecutionState_INITIALIZING)
			})
		})
	}
}

func TestMessagesWaitForTheGraph(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 1, "main.out")
		gate := make(chan struct{})
		h := newHarness(t, buildFunc(func(c program.Context) (*program.Graph, error) { <-gate; return builds(p)(c) }))
		a, b := attempt(1, 0, 1), attempt(2, 0, 1)
		h.Send(deployMessage(t, 1, p, gen, a))
		h.Send(deployMessage(t, 2, p, gen, b))
		h.Send(cancelMessage(a))
		h.Send(pb.FromJobMaster_builder{Heartbeat: &pb.JobMasterHeartbeat{}}.Build())
		if m := <-h.events; !m.HasHeartbeat() {
			t.Errorf("got %v, want the heartbeat while the graph is being built", m)
		}
		close(gate)
		h.answer(1)
		h.answer(2)
		h.state(a, pb.ExecutionState_INITIALIZING)
		h.state(b, pb.ExecutionState_INITIALIZING)
		h.state(a, pb.ExecutionState_CANCELED)
	})
}

func TestOrderOfStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 1, "main.out")
		h := newHarness(t, builds(p))
		a := attempt(1, 0, 1)
		h.Send(deployMessage(t, 1, p, gen, a))
		h.answer(1)
		f := h.task(a)
		f.report(task.Update{State: task.Running})
		at := time.Unix(1000, 0)
		f.end(task.Update{State: task.Failed, At: at, Failure: &task.Failure{Err: errors.New("bad line"), Stack: "goroutine 1\nmain.parse()"}})
		f.report(task.Update{State: task.Finished})
		h.state(a, pb.ExecutionState_INITIALIZING)
		h.state(a, pb.ExecutionState_RUNNING)
		s := h.state(a, pb.ExecutionState_FAILED)
		fail := s.GetFailure()
		if fail.GetMessage() != "bad line" || fail.GetStack() != "goroutine 1\nmain.parse()" || rpc.Code(fail.GetCode()) != rpc.UserCode ||
			fail.GetAtMillis() != uint64(at.UnixMilli()) {
			t.Errorf("failure %v", fail)
		}
		synctest.Wait()
		if n := len(h.events); n != 0 {
			t.Errorf("%d events after the last state", n)
		}
	})
}

func TestEndOfAnotherTaskIsNoCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 1, "main.out")
		h := newHarness(t, builds(p))
		a := attempt(2, 0, 1)
		h.Send(deployMessage(t, 1, p, gen, a))
		h.answer(1)
		h.state(a, pb.ExecutionState_INITIALIZING)
		h.task(a).end(task.Update{State: task.Canceled})
		if f := h.state(a, pb.ExecutionState_FAILED).GetFailure(); rpc.Code(f.GetCode()) != rpc.Closed {
			t.Errorf("failure %v, want code %d: it follows from another one", f, rpc.Closed)
		}
	})
}

func TestFailureCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want rpc.Code
	}{
		{errors.New("x"), rpc.UserCode},
		{fmt.Errorf("read: %w", &exchange.ConnectionError{Addr: "a:1", Err: errors.New("reset")}), rpc.Unreachable},
		{exchange.ErrPartitionNotFound, rpc.Unreachable},
		{fmt.Errorf("input: %w", exchange.ErrProducerFailed), rpc.Closed},
		{exchange.ErrStale, rpc.Closed},
		{exchange.ErrClosed, rpc.Stopped},
		{exchange.ErrRecordTooLarge, rpc.UserCode},
	} {
		if got := codeOf(&task.Failure{Err: c.err}); got != c.want {
			t.Errorf("%v: got code %d, want %d", c.err, got, c.want)
		}
	}
	if got := codeOf(&task.Failure{Err: exchange.ErrClosed, Stack: "s"}); got != rpc.UserCode {
		t.Errorf("a panic: got code %d, want %d", got, rpc.UserCode)
	}
}

func TestCloseWaitsForTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 3, "main.out")
		h := newHarness(t, builds(p))
		for i := range uint32(3) {
			h.Send(deployMessage(t, uint64(i), p, gen, attempt(1, i, 1)))
			h.answer(uint64(i))
			h.state(attempt(1, i, 1), pb.ExecutionState_INITIALIZING)
		}
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		canceled := 0
		for len(h.events) > 0 {
			if m := <-h.events; m.GetTaskState().GetState() == pb.ExecutionState_CANCELED {
				canceled++
			}
		}
		if canceled != 3 {
			t.Errorf("%d tasks were cancelled, want 3", canceled)
		}
		h.Send(deployMessage(t, 9, p, gen, attempt(1, 0, 2)))
		synctest.Wait()
		if len(h.events) != 0 {
			t.Error("a closed runtime says something")
		}
	})
}

func TestUnreadableMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simplePlan(t, 1, "main.out")
		h := newHarness(t, builds(p))
		h.Send(&pb.FromJobMaster{})
		h.Send(pb.FromJobMaster_builder{Cancel: pb.CancelTasks_builder{Attempts: []*pb.ExecutionAttempt{{}}}.Build()}.Build())
		h.Send(pb.FromJobMaster_builder{ToTask: &pb.ToTask{}}.Build())
		m := deployMessage(t, 1, p, gen)
		m.GetDeploy().SetTasks([]*pb.TaskDeployment{{}})
		h.Send(m)
		if f := h.answer(1); rpc.Code(f.GetCode()) != rpc.Invalid {
			t.Errorf("got %v, want code %d", f, rpc.Invalid)
		}
		m = deployMessage(t, 2, p, gen)
		m.GetDeploy().SetLocations([]*pb.Location{{}})
		h.Send(m)
		if f := h.answer(2); rpc.Code(f.GetCode()) != rpc.Invalid {
			t.Errorf("got %v, want code %d", f, rpc.Invalid)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	if _, err := New(Config{Job: job, Program: builds(nil), Events: func(*pb.ToJobMaster) {}, Fatal: func(error) {},
		Exchange: exchange.Config{Bind: "127.0.0.1:0"}}); err == nil {
		t.Error("a listener without network memory was accepted")
	}
}
