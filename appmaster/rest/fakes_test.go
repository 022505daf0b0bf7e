package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
)

// The ids of the recorded jobs.
const (
	running   = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
	finished  = "37a56984344bd584de2f8376ea61bc82"
	failed    = "f584ae45af09a08ffa2a52c81ecd6fe1"
	canceled  = "a2e251ba7b2dce00a8eec61bb2687dd9"
	cancelled = "7d1f1cb792c3c4b7c13f650f69c7bf48" // by yarn-cancel
	unknown   = "00000000000000000000000000000001"
)

func mustJob(t testing.TB, text string) ids.JobID {
	t.Helper()
	id, err := ids.ParseJobID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

var began = time.UnixMilli(1795223499812)

// view is a job of two vertices with two subtasks each, in the given state.
func view(id ids.JobID, state scheduler.JobState) *jobmaster.View {
	task := map[scheduler.JobState]scheduler.TaskState{
		scheduler.JobRunning: scheduler.TaskRunning, scheduler.JobFinished: scheduler.TaskFinished,
		scheduler.JobFailed: scheduler.TaskFailed, scheduler.JobCanceled: scheduler.TaskCanceled,
	}[state]
	source, sum, sink, edge, chained := ids.OperatorID{1}, ids.OperatorID{2}, ids.OperatorID{3}, ids.EdgeID{4}, ids.EdgeID{5}
	p := &plan.Plan{
		Name: "words", Parallelism: 2, MaxParallelism: 128,
		Operators: []plan.Operator{
			{ID: source, Name: "numbers", Kind: plan.Source}, {ID: sum, Name: "sum <b>", Kind: plan.Transform}, {ID: sink, Name: "out", Kind: plan.Sink},
		},
		Edges: []plan.Edge{{ID: edge, From: source, To: sum, Ship: plan.Hash}, {ID: chained, From: sum, To: sink, Ship: plan.Forward}},
	}
	g := &plan.JobGraph{
		Vertices: []plan.Vertex{
			{ID: ids.VertexID(source), Name: "Source: numbers", Operators: []ids.OperatorID{source}, Parallelism: 2, MaxParallelism: 128, Out: []int{0}},
			{ID: ids.VertexID(sum), Name: "sum <b> -> Sink: out", Operators: []ids.OperatorID{sum, sink}, Chained: []ids.EdgeID{chained}, Parallelism: 2, MaxParallelism: 128, In: []int{0}},
		},
		Edges: []plan.JobEdge{{ID: edge, From: ids.VertexID(source), To: ids.VertexID(sum), FromOp: source, ToOp: sum, Ship: plan.Hash}},
	}
	s := &scheduler.View{
		Job: id, State: state, Changed: began.Add(3 * time.Second), WantedSlots: 2, PresentSlots: 2, TasksTotal: 4,
		Phases: scheduler.Phases{Created: began, Wanted: began.Add(time.Millisecond), Placed: began.Add(time.Second), Running: began.Add(2 * time.Second)},
	}
	s.Reached[scheduler.JobInitializing] = began
	s.Reached[scheduler.JobCreated] = began.Add(time.Millisecond)
	s.Reached[scheduler.JobRunning] = began.Add(2 * time.Millisecond)
	s.Reached[state] = began.Add(3 * time.Second)
	for _, v := range g.Vertices {
		x := &scheduler.VertexView{
			ID: v.ID, Name: v.Name, Parallelism: 2, MaxParallelism: 128, State: task, Start: began.Add(time.Second), MetricsFinal: state.Terminal(),
			Metrics: scheduler.Metrics{RecordsIn: 1234567, RecordsOut: 20, BytesIn: 3 << 20, BytesOut: 40, BusyMillis: 5, IdleMillis: 6, BackpressedMillis: 7},
		}
		x.Counts[task] = 2
		if state.Terminal() {
			x.End = s.Reached[state]
		}
		for i := range 2 {
			attempt := ids.ExecutionAttemptID{Job: id, Vertex: v.ID, Subtask: uint32(i), Epoch: 1, N: uint32(i)}
			x.Subtasks = append(x.Subtasks, scheduler.SubtaskView{Index: i, Attempt: attempt, State: task, Worker: "tm-0", Endpoint: "localhost:44295"})
		}
		s.Vertices = append(s.Vertices, x)
	}
	if state == scheduler.JobFailed {
		for i, x := range s.Vertices[1].Subtasks {
			s.FailedTasks = append(s.FailedTasks, scheduler.Failure{
				Message: "parse line 7: not a number\ninput was <i>x</i>", Stack: "main.parse\n\tmain.go:7", Kind: "*strconv.NumError", At: began.Add(time.Duration(2-i) * time.Second),
				Task: "sum -> Sink: out (1/2)", Attempt: x.Attempt, Worker: "tm-0",
			})
		}
		s.Cause = s.FailedTasks[0]
	}
	return &jobmaster.View{View: s, Name: "words", Epoch: 1, Plan: p, Graph: g, Workers: []jobmaster.Worker{{ID: "tm-1", Connected: true, Slots: 2}}}
}

// fakeDispatcher has the recorded jobs.
type fakeDispatcher struct {
	mu       sync.Mutex
	views    []*jobmaster.View
	asked    []ids.JobID // to be cancelled
	shut     int
	fail     error
	ending   string
	blocking chan struct{} // CancelJob waits for it or its context
}

func (d *fakeDispatcher) Overview() dispatcher.Overview {
	return dispatcher.Overview{Running: len(d.Jobs()), Failed: 1}
}

func (d *fakeDispatcher) Jobs() []*jobmaster.View {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.views
}

func (d *fakeDispatcher) Job(id ids.JobID) (*jobmaster.View, error) {
	for _, v := range d.Jobs() {
		if v.Job == id {
			return v, nil
		}
	}
	return nil, rpc.New(rpc.UnknownJob, "unknown")
}

func (d *fakeDispatcher) Result(id ids.JobID) (*dispatcher.Result, error) {
	v, err := d.Job(id)
	if err != nil || !v.State.Terminal() {
		return nil, err
	}
	r := &dispatcher.Result{Job: id, Name: v.Name, State: v.State, Start: v.Start(), End: v.End()}
	if v.State == scheduler.JobFailed {
		r.Cause, r.Details, r.CauseKind = v.Cause.Sentence(), v.Cause.Details(), v.Cause.Kind
	}
	return r, nil
}

func (d *fakeDispatcher) EndingStep() string { return d.ending }

func (d *fakeDispatcher) CancelJob(ctx context.Context, id ids.JobID) error {
	if d.blocking != nil {
		select {
		case <-d.blocking:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if d.fail != nil {
		return d.fail
	}
	v, err := d.Job(id)
	if err != nil {
		return err
	}
	if v.State.Terminal() {
		return &jobmaster.EndedError{Job: id, State: v.State}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, id)
	return nil
}

func (d *fakeDispatcher) Shutdown(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut++
	return d.fail
}

// fakeWorkers has tm-0, all free, and tm-1.
type fakeWorkers struct{ none bool }

func (f fakeWorkers) Overview(context.Context) (resourcemanager.Overview, error) {
	return resourcemanager.Overview{Workers: 2, Slots: 6, FreeSlots: 4, Wanted: 3}, nil
}

func (f fakeWorkers) Workers(context.Context) ([]resourcemanager.View, error) {
	if f.none {
		return nil, nil
	}
	var out []resourcemanager.View
	for i, id := range []string{"tm-0", "tm-1"} {
		slot := pb.ResourceProfile_builder{CpuMillis: 1000, TaskHeap: 128 << 20, Network: 42 << 20, Managed: 171 << 20}.Build()
		reg := pb.RegisterTaskExecutorRequest_builder{
			ResourceId: id, Address: id + ":1234", DataPort: 41957, Slots: 3, SlotProfile: slot,
			TotalProfile: pb.ResourceProfile_builder{CpuMillis: 3000, TaskHeap: 384 << 20, Network: 128 << 20, Managed: 512 << 20}.Build(),
			Hardware:     pb.Hardware_builder{CpuCores: 2, PhysicalMemory: 25276514304, FreeMemory: 536870912, ManagedMemory: 536870920}.Build(),
			Memory:       map[string]uint64{"taskHeap": 402653174, "totalProcessMemory": 1811939328},
		}.Build()
		out = append(out, resourcemanager.View{
			Worker:       resourcemanager.Worker{ID: ids.ResourceID(id), LogURL: "http://node:8042/node/containerlogs/" + id},
			Registration: reg, LastHeartbeat: began, FreeSlots: 3 - 2*i, State: "registered",
		})
	}
	return out, nil
}

// fakeLogs serves the same files for every worker.
type fakeLogs struct {
	noStreams
	files map[string]string
	fail  error
	short bool // files end before their size
	read  *[]string
}

// noStreams lacks what REST does not call.
type noStreams struct{ gateway.TaskExecutor }

func (f fakeLogs) TaskExecutor(string) gateway.TaskExecutor { return f }

func (f fakeLogs) ListLogs(context.Context, *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	var out []*pb.LogFile
	for name, text := range f.files {
		out = append(out, pb.LogFile_builder{Name: name, Size: uint64(len(text)), ModifiedMillis: 1795223320044}.Build())
	}
	return pb.ListLogsResponse_builder{Files: out}.Build(), f.fail
}

func (f fakeLogs) ReadLog(_ context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error) {
	if f.read != nil {
		*f.read = append(*f.read, req.GetName())
	}
	text, there := f.files[req.GetName()]
	if !there {
		return nil, errors.New("asked for a file that is not listed")
	}
	if f.short {
		text = text[:len(text)/2]
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// world is a server's configuration over fakes.
type world struct {
	Config
	d *fakeDispatcher
}

func newWorld(t testing.TB) *world {
	t.Helper()
	d := &fakeDispatcher{}
	for id, state := range map[string]scheduler.JobState{
		running: scheduler.JobRunning, finished: scheduler.JobFinished, failed: scheduler.JobFailed, canceled: scheduler.JobCanceled,
		cancelled: scheduler.JobRunning,
	} {
		d.views = append(d.views, view(mustJob(t, id), state))
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"jobmanager.log": "first line\nlast line\n", "jobmanager.out": "said\n", "rest-jobmanager.log": "older\n", "empty.log": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{d: d}
	w.Config = Config{
		Leader: func() (Leader, bool) { return Leader{Epoch: 1, Dispatcher: w.d, Workers: fakeWorkers{}}, true },
		Logs: fakeLogs{files: map[string]string{
			"taskmanager.log": "worker's words\n", "taskmanager.out": "printed\n", "rest-taskmanager-0.log": "more\n", "empty.log": "",
		}},
		LogDir: dir, Application: "application_1_0001", AllowCancel: true,
		Configuration: []conf.Entry{{Key: "my.secret.password", Value: "******"}, {Key: "rest.port", Value: "8081"}},
	}
	return w
}

// handler makes the handler alone, for tests without a socket.
func (w *world) handler(t testing.TB) *handler {
	t.Helper()
	if err := w.Validate(); err != nil {
		t.Fatal(err)
	}
	return newHandler(w.withDefaults())
}

// ask sends a request to the handler.
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
