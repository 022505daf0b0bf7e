package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/bin/cli"
	"github.com/flott-dev/flott/rpc/restapi"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// appLimit bounds what a test waits for of an application.
const appLimit = time.Minute

// The size of the containers, and how many fit on a node of so much.
const (
	containerMB  = 640
	roomForTwo   = 2 * containerMB
	workerMemory = "-Dtaskmanager.memory.process.size=640m"
)

// small makes processes that leave room for many on a small machine.
var small = []string{
	"-Djobmanager.memory.process.size=640m", "-Djobmanager.memory.jvm-metaspace.size=64m", "-Djobmanager.memory.jvm-overhead.min=64m",
	workerMemory, "-Dtaskmanager.memory.jvm-metaspace.size=64m", "-Dtaskmanager.memory.jvm-overhead.min=64m",
	"-Dtaskmanager.memory.framework.heap.size=64m", "-Dtaskmanager.memory.framework.off-heap.size=64m", "-Dtaskmanager.memory.managed.size=32m",
}

// site is a fake YARN whose containers are real processes, with staging on the local disk.
type site struct {
	*yarntest.Cluster
	t         *testing.T
	dir       string
	allocates *allocates
}

func newSite(t *testing.T, cfg yarntest.Config) *site {
	t.Helper()
	dir := t.TempDir()
	cfg.Launcher = &yarntest.Exec{Dir: filepath.Join(dir, "nodes")}
	cluster, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &site{Cluster: cluster, t: t, dir: dir, allocates: &allocates{}}
	s.allocates.watch(cluster)
	conf := func(name string, properties ...string) {
		text := "<configuration>"
		for i := 0; i < len(properties); i += 2 {
			text += "<property><name>" + properties[i] + "</name><value>" + properties[i+1] + "</value></property>"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"</configuration>"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf("core-site.xml", "fs.defaultFS", "file:///")
	conf("yarn-site.xml", "yarn.resourcemanager.address", s.ClientAddr(), "yarn.resourcemanager.scheduler.address", s.SchedulerAddr(),
		"yarn.nodemanager.vmem-check-enabled", "false")
	return s
}

func (s *site) staging() string { return "file://" + filepath.Join(s.dir, "staging") }

// flott runs a command line of flott in this process and returns what it prints.
func (s *site) flott(words ...string) (said string, code int) {
	s.t.Helper()
	var out bytes.Buffer
	code = cli.Main(s.t.Context(), cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Exit: func(int) {},
		Environ: []string{"HADOOP_CONF_DIR=" + s.dir, "FLINK_CONF_DIR=" + s.t.TempDir(), "HADOOP_USER_NAME=alice", "PATH=" + os.Getenv("PATH")},
	}, words)
	return out.String(), code
}

var applicationID = regexp.MustCompile(`application_\d+_\d+`)

// run submits the job with `flott run -d` and returns the application, which YARN runs or which has ended already.
func (s *site) run(options []string, args ...string) *application {
	s.t.Helper()
	binary, err := jobBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	said, code := s.flott(slices.Concat([]string{"run", "-d", "-t", "yarn-application", "-Dyarn.staging-directory=" + s.staging(),
		"-Dtaskmanager.registration.timeout=10s"}, small, options, []string{binary}, args)...)
	id, err := yarnid.ParseApplicationID(applicationID.FindString(said))
	if err != nil {
		s.t.Fatalf("flott run: exit code %d, no application\n%s", code, said)
	}
	a := &application{site: s, t: s.t, id: id}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("flott run: exit code %d\n%s\n%s", code, said, a.logs())
		}
	})
	return a
}

// application is a submitted application.
type application struct {
	*site
	t  *testing.T
	id yarnid.ApplicationID
}

func (a *application) eventually(what string, cond func() bool) {
	a.t.Helper()
	tick, over := time.NewTicker(20*time.Millisecond), time.After(appLimit)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-over:
			a.t.Fatalf("%s: not within %v: %s", a.id, appLimit, what)
		}
	}
}

// app is what YARN knows.
func (a *application) app() yarntest.Application {
	app, _ := a.Application(a.id)
	return app
}

// ended waits until YARN shows the application's end, and checks it.
func (a *application) ended(state yarnpb.YarnApplicationStateProto, final yarnpb.FinalApplicationStatusProto, firstLine string) {
	a.t.Helper()
	var app yarntest.Application
	a.eventually("the end", func() bool {
		app = a.app()
		switch app.State {
		case yarnpb.YarnApplicationStateProto_FINISHED, yarnpb.YarnApplicationStateProto_FAILED, yarnpb.YarnApplicationStateProto_KILLED:
			return true
		}
		return false
	})
	first, _, _ := strings.Cut(app.Diagnostics, "\n")
	if app.State != state || app.Final != final || !regexp.MustCompile("^(?:"+firstLine+")$").MatchString(first) {
		a.t.Errorf("%s: got %s, %s and %q, want %s, %s and %q", a.id, app.State, app.Final, first, state, final, firstLine)
	}
}

// nothingLeft waits until neither container nor process of the application is there.
func (a *application) nothingLeft() {
	a.t.Helper()
	a.eventually("no container and no process left", func() bool {
		return len(a.Containers(a.id)) == 0 && len(a.processes()) == 0
	})
}

// noStaging checks that the application's directory is gone, as it is when the AM ended by itself.
func (a *application) noStaging() {
	a.t.Helper()
	left, err := filepath.Glob(filepath.Join(a.dir, "staging", ".flott", a.id.String()))
	if err != nil || len(left) > 0 {
		a.t.Errorf("staging directory: got %v, %v, want it gone", left, err)
	}
}

// process is one of the application's, by the container in its environment.
type process struct {
	pid       int
	container string
}

// processes finds all processes of the application's containers.
func (a *application) processes() []process {
	a.t.Helper()
	digits := strings.TrimPrefix(a.id.String(), "application_")
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		a.t.Fatal(err)
	}
	var found []process
	for _, name := range environs {
		env, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(env, []byte("LOCAL_DIRS="+a.dir+"/")) { // two fakes begun in the same millisecond give the same ids
			continue
		}
		for v := range strings.SplitSeq(string(env), "\x00") {
			id, ok := strings.CutPrefix(v, "CONTAINER_ID=")
			if !ok || !strings.Contains(id, digits) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				a.t.Fatal(err)
			}
			found = append(found, process{pid, id})
		}
	}
	return found
}

// kill9 ends all processes of a container as a machine's owner would.
func (a *application) kill9(id yarnid.ContainerID) {
	a.t.Helper()
	killed := 0
	for _, p := range a.processes() {
		if p.container == id.String() && syscall.Kill(p.pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		a.t.Fatalf("container %s has no process", id)
	}
}

// master and workers are the containers that run.
func (a *application) master() yarntest.Container {
	a.t.Helper()
	for _, c := range a.Containers(a.id) {
		if c.IsAM {
			return c
		}
	}
	a.t.Fatalf("%s has no AM", a.id)
	return yarntest.Container{}
}

func (a *application) workers() []yarntest.Container {
	return slices.DeleteFunc(a.Containers(a.id), func(c yarntest.Container) bool { return c.IsAM })
}

// remote is a worker that does not share its node with the AM.
func (a *application) remote() yarntest.Container {
	a.t.Helper()
	am := a.master()
	for _, w := range a.workers() {
		if w.Node != am.Node {
			return w
		}
	}
	a.t.Fatalf("every worker of %s is on the AM's node: %+v", a.id, a.Containers(a.id))
	return yarntest.Container{}
}

// job reads the job from the AM's REST server; false while there is none.
func (a *application) job() (restapi.Job, bool) {
	a.t.Helper()
	var list struct{ Jobs []struct{ JID string } }
	if !a.get("jobs/overview", &list) || len(list.Jobs) == 0 {
		return restapi.Job{}, false
	}
	var job restapi.Job
	return job, a.get("jobs/"+list.Jobs[0].JID, &job)
}

func (a *application) get(path string, into any) bool {
	a.t.Helper()
	url := a.app().TrackingURL
	if url == "" {
		return false
	}
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, url+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && json.Unmarshal(body, into) == nil
}

// running waits until all tasks run.
func (a *application) running() {
	a.t.Helper()
	a.eventually("all tasks run", func() bool {
		job, ok := a.job()
		if !ok || len(job.Vertices) == 0 {
			return false
		}
		for _, v := range job.Vertices {
			if v.Status != "RUNNING" {
				return false
			}
		}
		return true
	})
}

// cancel cancels the job as the CLI and the web page do.
func (a *application) cancel() {
	a.t.Helper()
	job, ok := a.job()
	if !ok {
		a.t.Fatalf("%s shows no job", a.id)
	}
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPatch, a.app().TrackingURL+"jobs/"+job.ID+"?mode=cancel", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		a.t.Errorf("cancel: got status %s", resp.Status)
	}
}

// logs returns what the application's processes wrote, for a failed test.
func (a *application) logs() string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(a.dir, "nodes", "logs", a.id.String(), "*", "*"))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		fmt.Fprintf(&b, "--- %s\n%s", strings.TrimPrefix(f, a.dir), text)
	}
	return b.String()
}

// allocates watches the calls of ApplicationMasters: what was asked for, what was given, released and started.
type allocates struct {
	mu       sync.Mutex
	term     int // counts registrations: response ids begin anew with each
	seen     map[string]string
	asks     []int32 // the counts of asks in the order sent; a call sent again counts once
	resent   int
	given    map[string]int // containers, and how many answers had them
	released map[string]bool
	started  map[string]int
	asked    func(*yarnpb.AllocateRequestProto)        // may change a call, once per call
	answered func(*yarnpb.AllocateResponseProto) error // may change an answer, or lose it
}

func (l *allocates) watch(c *yarntest.Cluster) {
	l.seen, l.given, l.released, l.started = map[string]string{}, map[string]int{}, map[string]bool{}, map[string]int{}
	c.Before("registerApplicationMaster", func(context.Context, yarntest.Call) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.term++
		return nil
	})
	c.Before("allocate", func(_ context.Context, call yarntest.Call) error {
		return l.before(call.Request.(*yarnpb.AllocateRequestProto))
	})
	c.After("allocate", func(_ context.Context, call yarntest.Call) error {
		return l.after(call.Response.(*yarnpb.AllocateResponseProto))
	})
	c.Before("startContainers", func(_ context.Context, call yarntest.Call) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, r := range call.Request.(*yarnpb.StartContainersRequestProto).GetStartContainerRequest() {
			tok := token.FromProto(r.GetContainerToken())
			id, err := tok.Decode()
			if err != nil {
				return err
			}
			l.started[id.Container.String()]++
		}
		return nil
	})
}

// before notes a call. The same response id again is the same call again, whose answer was lost: it has to say the same.
func (l *allocates) before(req *yarnpb.AllocateRequestProto) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	number := fmt.Sprintf("%d/%d", l.term, req.GetResponseId())
	said := fmt.Sprint(req.GetAsk(), req.GetRelease())
	if was, again := l.seen[number]; again {
		l.resent++
		if was != said {
			return fmt.Errorf("allocate %s says %s, and said %s the first time", number, said, was)
		}
	} else {
		for _, ask := range req.GetAsk() {
			if ask.GetResourceName() == "*" {
				l.asks = append(l.asks, ask.GetNumContainers())
			}
		}
	}
	l.seen[number] = said
	for _, id := range req.GetRelease() {
		l.released[yarnid.FromContainer(id).String()] = true
	}
	if l.asked != nil {
		l.asked(req)
	}
	return nil
}

func (l *allocates) after(resp *yarnpb.AllocateResponseProto) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.answered != nil {
		err = l.answered(resp)
	}
	for _, c := range resp.GetAllocatedContainers() {
		l.given[yarnid.FromContainer(c.GetId()).String()]++
	}
	return err
}

// with runs f while no call is being noted.
func (l *allocates) with(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// kill kills the application with `flott kill`.
func (a *application) kill() {
	a.t.Helper()
	if said, code := a.flott("kill", "-Dyarn.staging-directory="+a.staging(), a.id.String()); code != 0 {
		a.t.Errorf("flott kill: exit code %d\n%s", code, said)
	}
}
