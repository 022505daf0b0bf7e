package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/zkha/ha"
)

var testJob = ids.JobID{1}

// world is what outlives a Dispatcher: stores, YARN, the file system. It records what happened, in order.
type world struct {
	t  *testing.T
	mu sync.Mutex

	log     []string
	results map[ids.JobID][]byte
	staging bool
	fail    map[string]error // by name of what is called
	exits   chan Exit
	masters []*fakeMaster
	outcome scheduler.JobState // of every fake master's tasks
	crash   string             // before this step the Dispatcher dies
}

func newWorld(t *testing.T) *world {
	return &world{t: t, results: map[ids.JobID][]byte{}, staging: true, fail: map[string]error{}, exits: make(chan Exit, 10), outcome: scheduler.JobFinished}
}

func (w *world) did(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what)
	name, _, _ := strings.Cut(what, " ")
	return w.fail[name]
}

func (w *world) history() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, ", ")
}

func (w *world) DeclareRequirements(ids.JobID, string, int)        {}
func (w *world) KnowsWorker(context.Context, ids.ResourceID) error { return nil }
func (w *world) StopWorkers(context.Context, time.Duration) error  { return w.did("stop") }
func (w *world) AddLeftover(context.Context, string) error         { return nil }
func (w *world) Finish(_ context.Context, s resourcemanager.Status, diagnostics string) error {
	first, _, _ := strings.Cut(diagnostics, "\n")
	return w.did(fmt.Sprintf("finish %s (%s)", s, first))
}

type staging struct{ *world }

func (s staging) Remove(context.Context) error {
	s.staging = false
	return s.did("unstage")
}

type jobData struct{ *world }

func (s jobData) Remove(context.Context, ids.JobID) error { return s.did("clean") }

// Load, Store and Remove are the result store.
func (w *world) Load(_ context.Context, job ids.JobID) ([]byte, bool, error) {
	data, ok := w.results[job]
	return data, ok, w.fail["load"]
}

func (w *world) Store(_ context.Context, job ids.JobID, data []byte) error {
	if err := w.did("store"); err != nil {
		return err
	}
	w.results[job] = data
	return nil
}

func (w *world) Remove(_ context.Context, job ids.JobID) error {
	delete(w.results, job)
	return w.did("forget")
}

// fakeMaster is a JobMaster whose tasks end as the world says.
type fakeMaster struct {
	w         *world
	cfg       jobmaster.Config
	mu        sync.Mutex
	state     scheduler.JobState
	cause     scheduler.Failure
	concluded bool
	held      bool
	closed    bool
	gone      []ids.ResourceID
}

func (m *fakeMaster) set(s scheduler.JobState, cause scheduler.Failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.cause = s, cause
}

func (m *fakeMaster) end(s scheduler.JobState) {
	var cause scheduler.Failure
	if s == scheduler.JobFailed {
		cause = scheduler.Failure{Message: "boom\nbecause", Task: `"a" (1/1)`, Worker: "w1", Stack: "main.f()"}
	}
	m.set(s, cause)
	m.cfg.Listener.TasksEnded(m.cfg.Job, s, cause)
}

func (m *fakeMaster) Start(context.Context) {
	m.w.did("run")
	if m.w.outcome != scheduler.JobRunning {
		m.end(m.w.outcome)
	}
}
func (m *fakeMaster) Close() error { m.closed = true; return nil }
func (m *fakeMaster) Hold()        { m.held = true }
func (m *fakeMaster) Cancel(context.Context) error {
	m.w.did("cancel")
	m.end(scheduler.JobCanceled)
	return nil
}
func (m *fakeMaster) Fail(_ context.Context, cause error) error {
	m.set(scheduler.JobFailed, scheduler.Failure{Message: cause.Error()})
	m.cfg.Listener.TasksEnded(m.cfg.Job, scheduler.JobFailed, scheduler.Failure{Message: cause.Error()})
	return nil
}
func (m *fakeMaster) Commit(context.Context) error  { return m.w.did("commit") }
func (m *fakeMaster) Discard(context.Context) error { return m.w.did("discard") }
func (m *fakeMaster) Conclude(context.Context) error {
	m.mu.Lock()
	m.concluded = true
	m.mu.Unlock()
	return m.w.did("conclude")
}
func (m *fakeMaster) View() *jobmaster.View {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := scheduler.JobRunning
	if m.concluded {
		state = m.state
	}
	return &jobmaster.View{View: &scheduler.View{Job: m.cfg.Job, State: state, Cause: m.cause}, Name: "test", Plan: m.cfg.Plan, Graph: &plan.JobGraph{}}
}
func (m *fakeMaster) RegisterTaskExecutor(context.Context, *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return &pb.RegistrationResponse{}, nil
}
func (m *fakeMaster) NotEnoughResources(string, bool)           {}
func (m *fakeMaster) WorkerGone(worker ids.ResourceID, _ error) { m.gone = append(m.gone, worker) }

var errCrash = errors.New("crash")

func (w *world) config(epoch ids.Epoch) Config {
	return Config{
		Epoch: epoch, ResourceManager: w, Dialer: gateway.NewInProcess(gateway.StreamConfig{}).Dialer(), Results: w, Staging: staging{w}, JobData: jobData{w},
		Exit: func(e Exit) { w.exits <- e },
		Application: &Application{Job: testJob, Name: "test", Build: func(context.Context) (Job, error) {
			return Job{Plan: &plan.Plan{Name: "test"}}, w.fail["build"]
		}},
		newMaster: func(c jobmaster.Config) (master, error) {
			m := &fakeMaster{w: w, cfg: c}
			w.masters = append(w.masters, m)
			return m, nil
		},
		onStep: func(name string) error {
			if name == w.crash {
				return errCrash
			}
			return nil
		},
	}
}

func (w *world) dispatcher(cfg Config) *Dispatcher {
	w.t.Helper()
	d, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	d.Start(context.Background())
	w.t.Cleanup(func() { d.Close() })
	return d
}

func (w *world) wantHistory(want string) {
	w.t.Helper()
	if got := w.history(); got != want {
		w.t.Errorf("history:\n got %s\nwant %s", got, want)
	}
}

func TestEndOrder(t *testing.T) {
	const tail = "store, conclude, stop, clean, finish "
	for _, c := range []struct {
		outcome scheduler.JobState
		fail    map[string]error
		want    string
		status  resourcemanager.Status
	}{
		{scheduler.JobFinished, nil, "run, commit, " + tail + "SUCCEEDED (job test finished), forget, unstage", resourcemanager.Succeeded},
		{scheduler.JobFailed, nil, "run, discard, " + tail + `FAILED (task "a" (1/1) on w1 failed: boom), forget, unstage`, resourcemanager.Failed},
		{scheduler.JobCanceled, nil, "run, discard, " + tail + "CANCELED (job test was cancelled), forget, unstage", resourcemanager.Canceled},
		{scheduler.JobFinished, map[string]error{"commit": fmt.Errorf("rename /out: %w", fs.ErrExist)},
			"run, commit, discard, " + tail + "FAILED (rename /out: file already exists), forget, unstage", resourcemanager.Failed},
		{scheduler.JobFinished, map[string]error{"build": errors.New("the job program: no source")},
			tail + "FAILED (the job program: no source), forget, unstage", resourcemanager.Failed},
		{scheduler.JobFailed, map[string]error{"discard": fs.ErrPermission, "clean": fs.ErrPermission, "forget": fs.ErrPermission, "unstage": fs.ErrPermission},
			"run, discard, " + tail + `FAILED (task "a" (1/1) on w1 failed: boom), forget, unstage`, resourcemanager.Failed},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.outcome = c.outcome
			if c.fail != nil {
				w.fail = c.fail
			}
			d := w.dispatcher(w.config(7))
			exit := <-w.exits
			want := c.want
			if c.fail["build"] != nil {
				want = strings.Replace(want, "conclude, ", "", 1) // there is no JobMaster
			}
			w.wantHistory(want)
			if exit.Status != c.status {
				t.Errorf("exit = %s, want %s", exit.Status, c.status)
			}
			v, err := d.Job(testJob)
			r, _ := d.Result(testJob)
			if err != nil || !v.State.Terminal() || r == nil || r.State != v.State {
				t.Errorf("job shows %v, %v, result %v", v, err, r)
			}
		})
	}
}

// TestCrashPoints kills the Dispatcher before each step and lets a later leader go on: the end is the same, a job whose result is stored
// never runs again, and one whose result is not is run again and commits again.
func TestCrashPoints(t *testing.T) {
	for _, outcome := range []scheduler.JobState{scheduler.JobFinished, scheduler.JobFailed} {
		stored := false
		for i := range endSteps {
			name := endSteps[i].name
			if name == "commit" && outcome == scheduler.JobFailed || name == "discard" && outcome == scheduler.JobFinished {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.outcome, w.crash = outcome, name
				first := w.dispatcher(w.config(7))
				synctest.Wait()
				first.Close()
				if len(w.exits) != 0 {
					t.Fatalf("%s: exited before the crash", name)
				}
				runs := strings.Count(w.history(), "run")
				w.crash = ""
				w.dispatcher(w.config(8))
				exit := <-w.exits
				if exit.Status != statusOf(outcome) {
					t.Errorf("%s: exit %s, want %s", name, exit.Status, statusOf(outcome))
				}
				again := strings.Count(w.history(), "run") - runs
				gone := name == "remove staging" // a process that dies here: YARN starts no attempt after unregister
				if stored && again != 0 && !gone || !stored && again != 1 {
					t.Errorf("%s: the later leader ran the job %d times; %s", name, again, w.history())
				}
				if w.staging || len(w.results) != 0 {
					t.Errorf("%s: left behind: staging %v, results %d", name, w.staging, len(w.results))
				}
			})
			stored = stored || name == "store result"
		}
	}
}

// TestHold: on hold no step begins; the next leader begins it. An application that YARN has let go of is tidied up all the same.
func TestHold(t *testing.T) {
	for _, c := range []struct {
		step string
		ends bool
	}{{"store result", false}, {"unregister", false}, {"remove result", true}, {"remove staging", true}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			cfg := w.config(7)
			var d *Dispatcher
			cfg.onStep = func(name string) error {
				if name == c.step {
					d.Hold()
					synctestPause()
				}
				return nil
			}
			var err error
			if d, err = New(cfg); err != nil {
				t.Fatal(err)
			}
			d.Start(context.Background())
			defer d.Close()
			synctestPause()
			synctestPause()
			if ended := len(w.exits) == 1; ended != c.ends {
				t.Errorf("hold before %s: exited %v, want %v; %s", c.step, ended, c.ends, w.history())
			}
			if err := d.CancelJob(t.Context(), testJob); err == nil {
				t.Error("cancel on hold succeeded")
			}
			if !c.ends && !w.masters[0].held {
				t.Error("the JobMaster was not told")
			}
		})
	}
}

// synctestPause lets virtual time pass, so that everything else gets as far as it can.
func synctestPause() { <-time.After(time.Second) }

func TestStoreLosesToAnotherLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fail["store"] = &rpc.Error{Code: rpc.Fenced}
		w.dispatcher(w.config(7))
		synctest.Wait()
		w.wantHistory("run, commit, store")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := Result{Job: testJob, Name: "test", State: scheduler.JobCanceled}
		data, err := first.encode()
		if err != nil {
			t.Fatal(err)
		}
		cfg := w.config(7)
		cfg.onStep = func(name string) error {
			if name == "store result" {
				w.results[testJob] = data
				w.fail["store"] = ha.ErrStored
			}
			return nil
		}
		w.dispatcher(cfg)
		if exit := <-w.exits; exit.Status != resourcemanager.Canceled {
			t.Errorf("exit %s, want that of the result that was there first", exit.Status)
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fail["store"] = errors.New("no DataNode")
		w.dispatcher(w.config(7))
		<-time.After(10 * time.Minute)
		w.mu.Lock()
		tries := len(w.log)
		delete(w.fail, "store")
		w.mu.Unlock()
		if tries < 50 || tries > 100 {
			t.Errorf("%d tries in ten minutes, want one every 10 s", tries)
		}
		if exit := <-w.exits; exit.Status != resourcemanager.Succeeded {
			t.Errorf("exit %s", exit.Status)
		}
	})
}

func TestStoredResultIsFinishedOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := Result{Job: testJob, Name: "test", State: scheduler.JobFailed, Cause: "boom", Details: "because", Start: time.Unix(10, 0), End: time.Unix(20, 0)}
		w.results[testJob], _ = r.encode()
		d := w.dispatcher(w.config(8))
		<-w.exits
		w.wantHistory("stop, clean, finish FAILED (boom), forget, unstage")
		if v, err := d.Job(testJob); err != nil || v.State != scheduler.JobFailed || v.Cause.Sentence() != "boom" {
			t.Errorf("job shows %v, %v", v.State, err)
		}
		if err := d.CancelJob(t.Context(), testJob); err == nil || !strings.Contains(err.Error(), "FAILED") {
			t.Errorf("cancel: %v", err)
		}
	})
}

func TestShutdownCancelsRunningJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.outcome = scheduler.JobRunning
		d := w.dispatcher(w.config(7))
		synctest.Wait()
		if got := d.Overview(); got != (Overview{Running: 1}) {
			t.Errorf("overview = %+v", got)
		}
		if err := d.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exit := <-w.exits; exit.Status != resourcemanager.Canceled {
			t.Errorf("exit %s", exit.Status)
		}
		w.wantHistory("run, cancel, discard, store, conclude, stop, clean, finish CANCELED (job test was cancelled), forget, unstage")
		if got := d.Overview(); got != (Overview{Cancelled: 1}) {
			t.Errorf("overview = %+v", got)
		}
	})
}

func TestCancelWhileBuilding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.outcome = scheduler.JobRunning
		cfg := w.config(7)
		cfg.Application.Build = func(context.Context) (Job, error) {
			<-time.After(time.Minute)
			return Job{Plan: &plan.Plan{Name: "test"}}, nil
		}
		d := w.dispatcher(cfg)
		synctest.Wait()
		if v, err := d.Job(testJob); err != nil || v.State != scheduler.JobInitializing {
			t.Errorf("while building: %v, %v", v, err)
		}
		if err := d.CancelJob(t.Context(), testJob); err != nil {
			t.Fatal(err)
		}
		if exit := <-w.exits; exit.Status != resourcemanager.Canceled {
			t.Errorf("exit %s", exit.Status)
		}
	})
}

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config(7)
		cfg.Application = nil
		d := w.dispatcher(cfg)
		one := Job{ID: ids.JobID{3}, Plan: &plan.Plan{Name: "one"}}
		if err := d.SubmitJob(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := d.SubmitJob(t.Context(), one); !errors.Is(err, ErrDuplicateJob) {
			t.Errorf("submitted twice: %v", err)
		}
		if err := d.SubmitJob(t.Context(), Job{ID: ids.JobID{4}}); err == nil {
			t.Error("a job without plan was accepted")
		}
		w.wantHistory("run, commit, store, conclude, clean")
		if err := d.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if exit := <-w.exits; exit.Status != resourcemanager.Succeeded {
			t.Errorf("exit %s", exit.Status)
		}
		if err := d.SubmitJob(t.Context(), Job{ID: ids.JobID{5}, Plan: one.Plan}); !errors.Is(err, ErrShuttingDown) {
			t.Errorf("submitted during the shutdown: %v", err)
		}
		if len(w.results) != 1 {
			t.Errorf("%d results are kept, want 1", len(w.results))
		}
	})
}

func TestRouting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.outcome = scheduler.JobRunning
		d := w.dispatcher(w.config(7))
		synctest.Wait()
		ask := func(epoch ids.Epoch, job []byte) error {
			_, err := d.RegisterTaskExecutor(t.Context(), pb.RegisterAtJobMasterRequest_builder{Epoch: uint64(epoch), Job: job}.Build())
			return err
		}
		if err := ask(7, testJob.Bytes()); err != nil {
			t.Errorf("own job: %v", err)
		}
		if err := ask(6, testJob.Bytes()); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != 7 {
			t.Errorf("stale epoch: %v", err)
		}
		for _, job := range [][]byte{nil, {1, 2}, ids.JobID{9}.Bytes()} {
			if err := ask(7, job); !errors.Is(err, rpc.ErrUnknownJob) {
				t.Errorf("job %x: %v", job, err)
			}
		}
		d.WorkerGone("w1", errors.New("gone"))
		d.NotEnoughResources(testJob, "wait", false)
		if got := w.masters[0].gone; len(got) != 1 || got[0] != "w1" {
			t.Errorf("the JobMaster heard of %v", got)
		}
		if _, err := d.Job(ids.JobID{9}); !errors.Is(err, rpc.ErrUnknownJob) {
			t.Errorf("unknown job: %v", err)
		}
		if err := d.CancelJob(t.Context(), ids.JobID{9}); !errors.Is(err, rpc.ErrUnknownJob) {
			t.Errorf("cancel unknown job: %v", err)
		}
		d.Close()
		if !w.masters[0].closed {
			t.Error("Close left a JobMaster open")
		}
	})
}

func TestBuildPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config(7)
		cfg.Application.Build = func(context.Context) (Job, error) { panic("no such thing") }
		w.dispatcher(cfg)
		exit := <-w.exits
		first, rest, _ := strings.Cut(exit.Diagnostics, "\n")
		if exit.Status != resourcemanager.Failed || first != "the job program: build: panic: no such thing" || !strings.Contains(rest, "dispatcher_test.go") {
			t.Errorf("exit %s: %s", exit.Status, exit.Diagnostics)
		}
	})
}

func TestDecodeResult(t *testing.T) {
	for _, bad := range []string{"", "{", `{"state":"RUNNING"}`, `{"state":"SUSPENDED"}`, `{}`} {
		if r, err := decodeResult([]byte(bad)); err == nil {
			t.Errorf("decodeResult(%q) = %+v", bad, r)
		}
	}
}

func FuzzDecodeResult(f *testing.F) {
	f.Add([]byte(`{"state":"FINISHED","name":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeResult(data); err == nil && !r.State.Terminal() {
			t.Errorf("%q gives %s", data, r.State)
		}
	})
}
