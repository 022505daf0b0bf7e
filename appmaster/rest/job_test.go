package rest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/restapi"
)

func get[T any](t *testing.T, w *world, path string) T {
	t.Helper()
	got := ask(w.handler(t), "GET", path)
	var v T
	if err := json.Unmarshal(got.Body.Bytes(), &v); err != nil || got.Code != 200 {
		t.Fatalf("%s: %d %s: %v", path, got.Code, got.Body, err)
	}
	return v
}

func TestJobValues(t *testing.T) {
	w := newWorld(t)
	w.d.ending = "store result"
	j := get[restapi.Job](t, w, "/jobs/"+finished)
	at := func(ms int64) int64 { return began.UnixMilli() + ms }
	if j.StartTime != at(0) || j.EndTime != at(3000) || j.Duration != 3000 || j.State != "FINISHED" || j.MaxParallelism != 128 {
		t.Errorf("job %+v", j)
	}
	if j.Timestamps["CREATED"] != at(1) || j.Timestamps["FINISHED"] != at(3000) || j.Timestamps["FAILED"] != 0 || len(j.Timestamps) != 11 {
		t.Errorf("timestamps %v", j.Timestamps)
	}
	v := j.Vertices[1]
	if v.Tasks["FINISHED"] != 2 || len(v.Tasks) != 10 || v.Duration != 2000 || v.Metrics.ReadRecords != 1234567 || !v.Metrics.ReadRecordsComplete || v.Metrics.BusyTime != 5 {
		t.Errorf("vertex %+v", v)
	}
	if j.StatusCounts["FINISHED"] != 2 {
		t.Errorf("status counts %v", j.StatusCounts)
	}
	want := restapi.Flott{
		Phases: restapi.Phases{Created: at(0), Wanted: at(1), Placed: at(1000), Running: at(2000)}, Ending: "store result",
		Workers: 1, SlotsWanted: 2, SlotsPresent: 2,
		Totals: restapi.Totals{RecordsIn: 2 * 1234567, RecordsOut: 40, BytesIn: 6 << 20, BytesOut: 80},
	}
	if d := cmp.Diff(want, *j.Flott); d != "" {
		t.Errorf("flott: %s", d)
	}
}

func TestWaitingJob(t *testing.T) {
	w := newWorld(t)
	v := view(mustJob(t, running), scheduler.JobCreated)
	v.WaitingFor, v.OnHold = "1 of 2 workers", true
	w.d.views = []*jobmaster.View{v}
	j := get[restapi.Job](t, w, "/jobs/"+running)
	if j.EndTime != -1 || j.Duration <= 0 || j.Flott.WaitingFor != "1 of 2 workers" || !j.Flott.OnHold {
		t.Errorf("job %+v, flott %+v", j, j.Flott)
	}
}

// TestBareJob shows a job that has no plan and no tasks yet.
func TestBareJob(t *testing.T) {
	w := newWorld(t)
	s := &scheduler.View{Job: mustJob(t, running)}
	s.Reached[scheduler.JobInitializing] = began
	w.d.views = []*jobmaster.View{{View: s, Name: "new", Plan: &plan.Plan{}, Graph: &plan.JobGraph{}}}
	for _, path := range []string{"", "/plan", "/config", "/exceptions", "/status", "/execution-result"} {
		get[map[string]any](t, w, "/jobs/"+running+path)
	}
	j := get[restapi.Job](t, w, "/jobs/"+running)
	if j.Vertices == nil || j.Plan.Nodes == nil || j.MaxParallelism != -1 || j.State != "INITIALIZING" {
		t.Errorf("job %+v", j)
	}
	if body := ask(w.handler(t), "GET", "/").Body.String(); !strings.Contains(body, "INITIALIZING") {
		t.Errorf("page %s", body)
	}
}

func TestPlan(t *testing.T) {
	p := get[restapi.PlanResponse](t, newWorld(t), "/jobs/"+running+"/plan").Plan
	source, sum := ids.VertexID{1}.String(), ids.VertexID{2}.String()
	want := restapi.Plan{ID: running, Name: "words", Type: "STREAMING", Nodes: []restapi.PlanNode{
		{ID: sum, Parallelism: 2, Description: "sum &lt;b&gt;<br/>+- Sink: out<br/>", OptimizerProperties: map[string]any{},
			Inputs: []restapi.PlanInput{{ID: source, ShipStrategy: "HASH", Exchange: "pipelined_bounded"}}},
		{ID: source, Parallelism: 2, Description: "Source: numbers<br/>", OptimizerProperties: map[string]any{}},
	}}
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}
}

func TestExceptions(t *testing.T) {
	e := get[restapi.Exceptions](t, newWorld(t), "/jobs/"+failed+"/exceptions")
	const text = "parse line 7: not a number\ninput was <i>x</i>\nmain.parse\n\tmain.go:7"
	if e.RootException == nil || *e.RootException != text || *e.Timestamp != began.UnixMilli()+2000 || len(e.All) != 2 || e.Truncated {
		t.Errorf("exceptions %+v", e)
	}
	if a := e.All[0]; a.Exception != text || a.TaskManagerID != "tm-0" || a.Endpoint != "localhost:44295" || a.Timestamp != began.UnixMilli()+2000 {
		t.Errorf("newest %+v", a)
	}
	h := e.History.Entries
	if len(h) != 1 || h[0].Name != "*strconv.NumError" || h[0].TaskName != "sum -> Sink: out (1/2) - execution #0" || len(h[0].Concurrent) != 1 {
		t.Errorf("history %+v", h)
	}
	if e := get[restapi.Exceptions](t, newWorld(t), "/jobs/"+failed+"/exceptions?maxExceptions=1"); len(e.All) != 1 || !e.Truncated {
		t.Errorf("limited: %+v", e)
	}
}

func TestExecutionResult(t *testing.T) {
	r := get[restapi.ExecutionResult](t, newWorld(t), "/jobs/"+failed+"/execution-result").Result
	if r.ApplicationStatus != "FAILED" || r.NetRuntime != 3000 || r.FailureCause.Class != "*strconv.NumError" ||
		!strings.HasPrefix(r.FailureCause.StackTrace, "task sum -> Sink: out (1/2) on tm-0 failed: parse line 7: not a number\n") {
		t.Errorf("result %+v, cause %+v", r, r.FailureCause)
	}
}

func TestTaskManagerValues(t *testing.T) {
	w := newWorld(t)
	d := get[restapi.TaskManagerDetails](t, w, "/taskmanagers/tm-1")
	if d.Path != "tm-1:1234" || d.FreeSlots != 1 || d.TimeSinceLastHeartbeat != began.UnixMilli() || d.TotalResource.ManagedMemory != 512 ||
		d.FreeResource.TaskHeapMemory != 128 || d.TotalResource.CPUCores != 3 || d.MemoryConfiguration.TotalProcessMemory != 1811939328 {
		t.Errorf("worker %+v", d)
	}
	if len(d.AllocatedSlots) != 2*len(w.d.views) {
		t.Errorf("slots %+v", d.AllocatedSlots)
	}
	if d := get[restapi.TaskManagerDetails](t, w, "/taskmanagers/tm-0"); len(d.AllocatedSlots) != 0 {
		t.Errorf("slots of a free worker %+v", d.AllocatedSlots)
	}
}
