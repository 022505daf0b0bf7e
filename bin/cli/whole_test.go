package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// patience bounds what a test waits for; only a failing one waits that long.
const patience = 30 * time.Second

// site is a fake YARN with a Hadoop configuration that points to it; staging is a local directory.
type site struct {
	*testing.T
	yarn    *yarntest.Cluster
	dir     string
	environ []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	c, err := yarntest.Start(yarntest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{T: t, yarn: c, dir: t.TempDir()}
	for name, values := range map[string]map[string]string{
		"core-site.xml": {"fs.defaultFS": "file:///"},
		"yarn-site.xml": {"yarn.resourcemanager.address": c.ClientAddr(), "yarn.nodemanager.remote-app-log-dir": s.dir + "/logs"},
	} {
		var b strings.Builder
		b.WriteString("<configuration>")
		for k, v := range values {
			fmt.Fprintf(&b, "<property><name>%s</name><value>%s</value></property>", k, v)
		}
		b.WriteString("</configuration>")
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "config.yaml"), []byte("yarn.staging-directory: file://"+s.dir+"/staging\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.environ = []string{"HADOOP_CONF_DIR=" + s.dir, "FLOTT_CONF_DIR=" + s.dir}
	return s
}

// left lists the applications' directories and references in the staging area.
func (s *site) left() []string {
	s.Helper()
	var out []string
	err := filepath.WalkDir(s.dir+"/staging", func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), "application_") {
			out = append(out, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	return out
}

// running is a command that runs.
type running struct {
	*console
	s    *site
	code chan int
}

func (s *site) start(args ...string) *running {
	r := &running{newConsole(s.environ...), s, make(chan int, 1)}
	ctx := s.Context()
	go func() { r.code <- r.run(ctx, args...) }()
	return r
}

func (r *running) wait(want int) {
	r.s.Helper()
	select {
	case got := <-r.code:
		if got != want {
			r.s.Errorf("exit code: got %d, want %d\n%s%s", got, want, r.out.String(), r.err.String())
		}
	case <-time.After(patience):
		r.s.Fatalf("the command does not end\n%s%s", r.out.String(), r.err.String())
	}
}

// command runs one to its end.
func (s *site) command(want int, args ...string) *running {
	s.Helper()
	r := s.start(args...)
	r.wait(want)
	return r
}

// master plays an application's ApplicationMaster.
type master struct {
	*site
	id      yarnid.ApplicationID
	session *amrm.Session
	mu      sync.Mutex
	job     restapi.Job
	called  chan string
}

// play registers an ApplicationMaster for the application, whose REST interface answers from job.
func (s *site) play(id yarnid.ApplicationID, change func(*restapi.Job)) *master {
	s.Helper()
	job := ids.JobIDForApplication(id.String()).String()
	m := &master{site: s, id: id, called: make(chan string, 100), job: restapi.Job{
		ID: job, Name: "fixture", State: "RUNNING", Now: time.Now().UnixMilli(),
		Vertices: []restapi.Vertex{
			{ID: "a", Name: "Source: numbers", Status: "RUNNING", Parallelism: 1, Tasks: map[string]int{"RUNNING": 1}, Metrics: restapi.VertexMetrics{WriteRecords: 1234}},
			{ID: "b", Name: "Sink: print", Status: "RUNNING", Parallelism: 1, Tasks: map[string]int{"RUNNING": 1}, Metrics: restapi.VertexMetrics{ReadRecords: 1200}},
		},
		Plan:  restapi.Plan{Nodes: []restapi.PlanNode{{ID: "a"}, {ID: "b", Inputs: []restapi.PlanInput{{ID: "a"}}}}},
		Flott: &restapi.Flott{},
	}}
	if change != nil {
		change(&m.job)
	}
	server := httptest.NewServer(m)
	s.Cleanup(server.Close)
	client := ipc.New(ipc.Config{})
	s.Cleanup(func() { _ = client.Close() })
	caller, err := amrm.NewCaller(client, []string{s.yarn.SchedulerAddr()})
	if err != nil {
		s.Fatal(err)
	}
	_, tok, ok := s.yarn.AMToken(id)
	if !ok {
		s.Fatalf("%s has no live attempt", id)
	}
	if m.session, err = amrm.New(amrm.Config{Caller: caller, Token: tok, OnEvent: func(amrm.Event) {}}); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(m.session.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		s.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		s.Fatal(err)
	}
	if _, err := m.session.Register(s.Context(), amrm.Address{Host: host, RPCPort: n, TrackingURL: server.URL + "/"}); err != nil {
		s.Fatal(err)
	}
	return m
}

// ServeHTTP implements http.Handler.
func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	call := r.Method + " " + r.URL.RequestURI()
	select {
	case m.called <- call:
	default:
	}
	var body any = restapi.Empty{}
	switch call {
	case "GET /jobs/" + m.job.ID:
		body = m.job
	case "GET /jobs/overview":
		body = restapi.JobsOverview{Jobs: []restapi.JobOverview{{ID: m.job.ID, Name: m.job.Name, State: m.job.State, StartTime: m.job.Now}}}
	case "GET /overview":
		body = restapi.Overview{TaskManagers: 1}
	case "GET /taskmanagers":
		body = restapi.TaskManagers{TaskManagers: []restapi.TaskManager{{ID: "container_1", SlotsNumber: 2, FreeSlots: 1, TimeSinceLastHeartbeat: m.job.Now}}}
	case "DELETE /cluster":
	case "PATCH /jobs/" + m.job.ID + "?mode=cancel":
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusNotFound)
		body = restapi.Error{Errors: []string{"no " + call}}
	}
	_ = json.NewEncoder(w).Encode(body) // a client that hung up
}

// await waits until the ApplicationMaster is called so.
func (m *master) await(call string) {
	m.Helper()
	over := time.After(patience)
	for {
		select {
		case got := <-m.called:
			if strings.HasPrefix(got, call) {
				return
			}
		case <-over:
			m.Fatalf("nobody calls %s", call)
		}
	}
}

func (m *master) end(status amrm.FinalStatus, diagnostics string) {
	m.Helper()
	if err := m.session.Unregister(m.Context(), status, diagnostics, ""); err != nil {
		m.Error(err)
	}
}

// submitted waits for the application that a command submitted.
func (r *running) submitted() yarnid.ApplicationID {
	r.s.Helper()
	ctx, cancel := context.WithTimeout(r.s.Context(), patience)
	defer cancel()
	var id yarnid.ApplicationID
	if err := r.s.yarn.Await(ctx, func() bool {
		entries, err := os.ReadDir(r.s.dir + "/staging/.flott")
		if err != nil {
			return false
		}
		for _, e := range entries {
			if app, err := yarnid.ParseApplicationID(e.Name()); err == nil {
				if _, _, ok := r.s.yarn.AMToken(app); ok {
					id = app
				}
			}
		}
		return !id.IsZero()
	}); err != nil {
		r.s.Fatalf("nothing was submitted: %v\n%s", err, r.err.String())
	}
	return id
}

func TestAttachedRunThatFinishes(t *testing.T) {
	s := newSite(t)
	r := s.start("run", "-t", "yarn-application", "-p", "1", program(t, "job"), "good")
	id := r.submitted()
	m := s.play(id, nil)
	m.await("GET /jobs/")
	m.await("GET /jobs/")
	m.end(amrm.FinalSucceeded, "job fixture finished")
	r.wait(0)
	contains(t, "standard output", r.out.String(), "Submitted application "+id.String()+"\n", "JobID "+m.job.ID+"\n", "finished after ", "records in 1,234 out 1,200\n",
		"YARN final status SUCCEEDED (FINISHED)\n", "Phases: command 0.00s, submitted ", ", AM up ", ", workers registered ", ", finished ")
	contains(t, "standard error", r.err.String(), "workers 1/1")
	if left := s.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRunsThatDoNotFinish(t *testing.T) {
	for name, tc := range map[string]struct {
		end         func(s *site, r *running, m *master)
		code        int
		out, stderr string
	}{
		"failed": {func(_ *site, _ *running, m *master) { m.end(amrm.FinalFailed, "order 7 has no price\nmore of it") }, 1,
			"YARN final status FAILED (FINISHED)", "failed: order 7 has no price\nmore of it"},
		"cancelled": {func(_ *site, _ *running, m *master) { m.end(amrm.FinalKilled, "job fixture was cancelled") }, 1,
			"was cancelled after", "was cancelled: job fixture was cancelled"},
		"AM dies": {func(s *site, _ *running, m *master) { s.yarn.FailAM(m.id, 137) }, 1, "YARN final status FAILED (FAILED)", "137"},
		"killed":  {func(s *site, _ *running, m *master) { s.command(0, "kill", m.id.String()) }, 1, "YARN final status KILLED (KILLED)", "killed by"},
		"cancelled by command": {func(s *site, _ *running, m *master) {
			k := s.start("cancel", m.id.String())
			m.await("PATCH /jobs/")
			m.end(amrm.FinalKilled, "job fixture was cancelled")
			k.wait(0)
			contains(s.T, "cancel", k.out.String(), "Cancelling job "+m.job.ID, "was cancelled, YARN final status KILLED (FINISHED)")
		}, 1, "was cancelled after", "was cancelled"},
		"Ctrl-C": {func(_ *site, r *running, m *master) {
			r.signals <- syscall.SIGINT
			m.await("DELETE /cluster")
			m.end(amrm.FinalKilled, "job fixture was cancelled")
		}, 130, "Submitted application", "was stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			r := s.start("run", "-t", "yarn-application", program(t, "job"))
			m := s.play(r.submitted(), nil)
			m.await("GET /jobs/")
			tc.end(s, r, m)
			r.wait(tc.code)
			contains(t, "standard output", r.out.String(), tc.out)
			contains(t, "standard error", r.err.String(), tc.stderr)
			if _, _, alive := s.yarn.AMToken(m.id); alive {
				t.Error("the application lives on")
			}
			if left := s.left(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestInterruptBeforeTheMasterIsUp(t *testing.T) {
	s := newSite(t)
	r := s.start("run", "-t", "yarn-application", "-d", program(t, "job"))
	id := r.submitted()
	r.signals <- syscall.SIGTERM
	r.wait(130)
	if a, ok := s.yarn.Application(id); ok && a.State.String() != "KILLED" {
		t.Errorf("the application is %v, want it killed", a.State)
	}
	if left := s.left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDetachedRunAndWhatFollows(t *testing.T) {
	s := newSite(t)
	r := s.start("run", "-t", "yarn-application", "-d", program(t, "job"))
	id := r.submitted()
	m := s.play(id, func(j *restapi.Job) { j.Flott.WaitingFor = "waiting for 1 container" })
	r.wait(0)
	contains(t, "run -d", r.out.String(), "Submitted application "+id.String(), "JobID "+m.job.ID, "flott cancel "+id.String(), "AM up ")
	if len(s.left()) == 0 {
		t.Error("the files of a running application are gone")
	}
	contains(t, "list", s.command(0, "list").out.String(), id.String(), "RUNNING", "fixture")
	contains(t, "list of jobs", s.command(0, "list", id.String()).out.String(), "Running/Restarting Jobs", m.job.ID+" : fixture (RUNNING)")
	contains(t, "status", s.command(0, "status", id.String()).out.String(), "type flott", "state RUNNING", "waiting for 1 container", "records in 1,234 out 1,200",
		"RUNNING   Source: numbers, parallelism 1 (1 RUNNING)", "worker container_1, slots 1 of 2 in use")
	contains(t, "status of another job", s.command(1, "status", id.String(), strings.Repeat("0", 32)).err.String(), "the ApplicationMaster answers 404")
	contains(t, "status of nonsense", s.command(1, "status", id.String(), "xyz").err.String(), `"xyz" is no job id`)

	// Its ApplicationMaster dies, and nobody is there to clean up but the next command.
	s.yarn.FailAM(id, 137)
	contains(t, "list", s.command(0, "list").out.String(), "No flott applications")
	if left := s.left(); len(left) > 0 {
		t.Errorf("left after the next command: %v", left)
	}
	contains(t, "list -a", s.command(0, "list", "-a").out.String(), id.String(), "FAILED")
	contains(t, "status of an ended one", s.command(1, "status", id.String()).out.String(), "state FAILED, final status FAILED")
	contains(t, "jobs of an ended one", s.command(1, "list", id.String()).err.String(), "has ended (FAILED, final status FAILED)")
	contains(t, "kill of an ended one", s.command(0, "kill", id.String()).out.String(), "had ended before")
}

func TestApplicationsThatDoNotExist(t *testing.T) {
	s := newSite(t)
	for _, verb := range []string{"status", "cancel", "kill", "logs"} {
		contains(t, verb, s.command(1, verb, "application_1_0001").err.String(), "does not know application_1_0001")
		contains(t, verb, s.command(1, verb, "app").err.String(), `"app" is no application id`)
		contains(t, verb, s.command(1, verb).err.String(), "which application?")
	}
}

func TestLogsOfAnEndedApplication(t *testing.T) {
	s := newSite(t)
	r := s.start("run", "-t", "yarn-application", program(t, "job"))
	m := s.play(r.submitted(), nil)
	m.end(amrm.FinalSucceeded, "")
	r.wait(0)
	contains(t, "before they are there", s.command(1, "logs", m.id.String()).err.String(), "YARN has collected no logs")

	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.dir, "logs", me.Username, "bucket-logs-tfile", fmt.Sprintf("%04d", m.id.ID%10000), m.id.String())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nm1_8041", "nm2_8041.tmp"} {
		data, err := os.ReadFile("../../yarn/tfile/testdata/none.tfile")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]int{"": 3, "--am": 1, "-am": 1, "--all": 6, "-f stderr": 3, "-f std.*|task.*": 6, "-f task": 0} {
		code := 0
		if want == 0 {
			code = 1
		}
		got := s.command(code, append([]string{"logs", m.id.String()}, strings.Fields(args)...)...)
		if n := strings.Count(got.out.String(), "==> "); n != want {
			t.Errorf("logs %s: got %d files, want %d", args, n, want)
		}
	}
	contains(t, "logs", s.command(0, "logs", m.id.String(), "--am").out.String(), "==> container_1700000000000_0001_01_000001 on nm1_8041: taskmanager.log (770 bytes) <==\nline 0 of 1\n", "line 59 of 1\n\n")
	contains(t, "a bad pattern", s.command(1, "logs", m.id.String(), "-f", "(").err.String(), "is no regular expression")
	contains(t, "another container", s.command(1, "logs", m.id.String(), "container_1700000000000_0001_01_000001").err.String(), "is no container of")
}

func TestLocalRun(t *testing.T) {
	c := newConsole()
	if code := c.run(t.Context(), "run", "-t", "local", "-p", "2", program(t, "job"), "good", "-x", "--", "y z"); code != 0 {
		t.Errorf("exit code: got %d\n%s", code, c.err.String())
	}
	contains(t, "output", c.out.String(), `ran locally with ["good" "-x" "--" "y z"], parallelism 2, child arguments ["good" "-x" "--" "y z"]`)
	if code := c.run(t.Context(), "run", "-Dexecution.target=local", program(t, "job"), "exit 7"); code != 7 {
		t.Errorf("exit code: got %d, want that of the job, 7", code)
	}
	if code := c.run(t.Context(), "run", "-t", "local", program(t, "job"), "refuse"); code != 1 {
		t.Errorf("exit code: got %d, want 1", code)
	}
	if code := c.run(t.Context(), "run", "-t", "local", program(t, "plain")); code != 1 {
		t.Errorf("exit code: got %d, want 1", code)
	}
	contains(t, "no job", c.err.String(), "does not call flow.Main")
}

func TestLocalRunPassesSignalsOn(t *testing.T) {
	c := newConsole()
	code := make(chan int, 1)
	path := program(t, "job")
	go func() { code <- c.run(context.WithoutCancel(t.Context()), "run", "-t", "local", path, "hang") }()
	c.out.await(t, "hanging")
	c.signals <- syscall.SIGTERM
	select {
	case got := <-code:
		if got != 128+int(syscall.SIGTERM) {
			t.Errorf("exit code: got %d, want 143", got)
		}
	case <-time.After(patience):
		t.Fatal("the job goes on")
	}
}
