package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/staging"
	"github.com/flott-dev/flott/yarn/ugi"
	"github.com/flott-dev/flott/yarn/yarnid"
)

var testApp = yarnid.ApplicationID{ClusterTimestamp: 1_700_000_000_000, ID: 1}

// fakeYARN is a yarnPort that remembers which application lives.
type fakeYARN struct {
	most      rmclient.Resource
	nodes     []rmclient.Node
	queues    []string
	submit    error // of Submit
	taken     bool  // the application exists although Submit failed
	kill      error
	alive     bool
	submitted *rmclient.Submission
	killed    int
	asked     []string
}

func newFakeYARN() *fakeYARN {
	return &fakeYARN{most: rmclient.Resource{MemoryMB: 8192, VCores: 4}, queues: []string{"root", "default", "small"}, nodes: []rmclient.Node{
		{Capacity: rmclient.Resource{MemoryMB: 8192, VCores: 8}},
	}}
}

func (y *fakeYARN) NewApplication(context.Context) (rmclient.NewApplication, error) {
	return rmclient.NewApplication{ID: testApp, MaxResource: y.most}, nil
}

func (y *fakeYARN) Nodes(context.Context, ...rmclient.NodeState) ([]rmclient.Node, error) {
	return y.nodes, nil
}

func (y *fakeYARN) Queue(_ context.Context, name string) (rmclient.Queue, error) {
	y.asked = append(y.asked, name)
	if !slices.Contains(y.queues, name) {
		return rmclient.Queue{}, rmclient.ErrNoQueue
	}
	return rmclient.Queue{Name: name, Children: []rmclient.Queue{{Name: "default"}, {Name: "small"}}}, nil
}

func (y *fakeYARN) Submit(ctx context.Context, s *rmclient.Submission) (rmclient.Report, error) {
	y.submitted = s
	if y.submit != nil {
		y.alive = y.taken
		return rmclient.Report{}, y.submit
	}
	if err := context.Cause(ctx); err != nil {
		y.alive = true // the answer was lost
		return rmclient.Report{}, err
	}
	y.alive = true
	return rmclient.Report{ID: s.ID, State: rmclient.StateAccepted}, nil
}

func (y *fakeYARN) Kill(ctx context.Context, _ yarnid.ApplicationID, _ string) error {
	y.killed++
	if err := errors.Join(y.kill, context.Cause(ctx)); err != nil {
		return err
	}
	if !y.alive {
		return fmt.Errorf("kill: %w", ipc.ErrApplicationNotFound)
	}
	y.alive = false
	return nil
}

// bench is a deployment on a staging area in memory.
type bench struct {
	*deployment
	yarn  *fakeYARN
	mem   *dfs.Mem
	fault func(dfs.Call) error
	out   *console
}

func newBench(t *testing.T, options ...conf.Setting) *bench {
	t.Helper()
	b := &bench{yarn: newFakeYARN(), out: newConsole()}
	b.mem = dfs.NewMem(dfs.MemConfig{User: "alice", Fault: func(c dfs.Call) error {
		if b.fault != nil {
			return b.fault(c)
		}
		return nil
	}})
	area, err := staging.New(staging.Config{FS: b.mem, Dir: "/user/alice", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := (&conf.Config{}).With(conf.OriginDynamic, options...)
	if err != nil {
		t.Fatal(err)
	}
	env := b.out.env()
	env.Now = time.Now
	b.deployment = &deployment{
		job: &job{
			invocation: &invocation{Env: env, begun: time.Now()},
			settings: &settings{conf: c, user: ugi.New("alice", nil),
				hadoop: hadoopconf.New(map[string]string{"yarn.nodemanager.vmem-check-enabled": "false"})},
			binary: program(t, "job"), dir: t.TempDir(), args: []string{"good", "--x"}, parallelism: 3,
		},
		yarn: b.yarn, files: area, rmName: "rm:8032",
	}
	return b
}

// quick prepares without running a program.
func (b *bench) quick(t *testing.T) {
	t.Helper()
	b.binary = filepath.Join(t.TempDir(), "job")
	if err := os.WriteFile(b.binary, []byte("a binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.source, err = staging.FileSource(b.binary); err != nil {
		t.Fatal(err)
	}
	if b.digest, err = staging.Hash(t.Context(), b.source); err != nil {
		t.Fatal(err)
	}
	b.app, b.planData = testApp, []byte("{}")
	b.conf, _, err = b.conf.With(conf.OriginDynamic, conf.YarnApplicationName.Setting("a name"))
	if err != nil {
		t.Fatal(err)
	}
}

// left lists what is in the staging area but the cached binary.
func (b *bench) left(t *testing.T) []string {
	t.Helper()
	b.fault = nil
	var out []string
	err := dfs.Walk(t.Context(), b.mem, "/user/alice/.flott", dfs.WalkOptions{}, func(fi dfs.FileInfo) error {
		if strings.Contains(fi.Path, testApp.String()) {
			out = append(out, fi.Path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

func TestDeployment(t *testing.T) {
	b := newBench(t, conf.YarnApplicationQueue.Setting("small"), conf.YarnTags.Setting([]string{"a", "b"}), conf.YarnApplicationPriority.Setting(3),
		conf.Setting{Key: "containerized.master.env.TZ", Value: "UTC"}, conf.YarnApplicationNodeLabel.Setting("gpu"), conf.NumberOfTaskSlots.Setting(2))
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := sizes{master: rmclient.Resource{MemoryMB: 1024, VCores: 1}, worker: rmclient.Resource{MemoryMB: 1728, VCores: 2}, workers: 2}
	if diff := cmp.Diff(want, b.sizes, cmp.AllowUnexported(sizes{})); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	if _, err := b.submit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := b.yarn.submitted
	got := fmt.Sprint(s.ID, s.Name, s.Type, s.Queue, s.Tags, s.Priority, s.NodeLabel, s.MaxAttempts, s.KeepContainers, s.Resource.MemoryMB)
	if want := fmt.Sprint(testApp, "fixture", "flott", "small", []string{"a", "b"}, int32(3), "gpu", int32(1), false, int64(1024)); got != want {
		t.Errorf("submission: got %s, want %s", got, want)
	}
	env := map[string]string{}
	for _, e := range s.Launch.GetEnvironment() {
		env[e.GetKey()] = e.GetValue()
	}
	for key, want := range map[string]string{"FLOTT_ROLE": "appmaster", "FLOTT_LAUNCH": "./launch", "HADOOP_USER_NAME": "alice", "TZ": "UTC"} {
		if env[key] != want {
			t.Errorf("environment %s: got %q, want %q", key, env[key], want)
		}
	}
	contains(t, "command", s.Launch.GetCommand()[0], "./job YarnApplicationClusterEntryPoint", "jobmanager.out", "jobmanager.err")

	data, err := dfs.ReadFile(t.Context(), b.mem, "/user/alice/.flott/"+testApp.String()+"/launch", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	file, err := launchfile.Decode(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	p, err := file.JobPlan()
	if err != nil || p.Name != "fixture" || p.Operators[0].Parallelism != 3 {
		t.Errorf("plan: got %+v, %v", p, err)
	}
	st, err := b.mem.Stat(t.Context(), "/user/alice/.flott/"+testApp.String()+"/launch")
	if err != nil || st.Perm != 0o600 {
		t.Errorf("launch file: got %+v, %v, want permission 0600", st, err)
	}
	if file.Application != testApp.String() || file.ResourceManager != "rm:8032" || file.User != "alice" || fmt.Sprint(file.Args) != "[good --x]" || file.Parallelism != 3 ||
		file.StagingDir != "mem:///user/alice" || !strings.HasPrefix(file.Binary.URI, "mem:///user/alice/.flott/cache/") || file.Binary.Size != b.source.Size {
		t.Errorf("launch file: got %+v", file)
	}
	if c, err := file.Config(); err != nil || conf.YarnApplicationQueue.Get(c) != "small" {
		t.Errorf("configuration in it: got %v, %v", c, err)
	}
}

func TestNothingIsSubmittedThatCannotRun(t *testing.T) {
	for name, tc := range map[string]struct {
		settings []conf.Setting
		args     []string
		change   func(*bench)
		want     string
	}{
		"builder refuses":  {args: []string{"refuse"}, want: "cannot build its plan: input is missing\nusage: job --input <path>"},
		"builder panics":   {args: []string{"panic"}, want: "assignment to entry in nil map"},
		"no plan":          {args: []string{"silent"}, want: "ended without a plan"},
		"worker too large": {settings: []conf.Setting{{Key: "taskmanager.memory.process.size", Value: "9g"}}, want: "a worker asks for 9216 MiB (taskmanager.memory.process.size), and the largest container of this YARN has 8192 MiB"},
		"AM too large":     {settings: []conf.Setting{{Key: "jobmanager.memory.process.size", Value: "9g"}}, want: "the ApplicationMaster asks for 9216 MiB"},
		"too many vcores":  {settings: []conf.Setting{{Key: "yarn.containers.vcores", Value: "5"}}, want: "a worker asks for 5 vcores (yarn.containers.vcores), and the largest container of this YARN has 4"},
		"vcores by slots":  {settings: []conf.Setting{{Key: "taskmanager.numberOfTaskSlots", Value: "5"}}, want: "asks for 5 vcores"},
		"memory not to be": {settings: []conf.Setting{{Key: "taskmanager.memory.process.size", Value: "200m"}}, want: "taskmanager.memory.process.size"},
		"queue unknown":    {settings: []conf.Setting{conf.YarnApplicationQueue.Setting("nowhere")}, want: "queue nowhere does not exist (there are default, small)"},
		"its parent too":   {settings: []conf.Setting{conf.YarnApplicationQueue.Setting("root.users.x")}, want: "queue root.users.x does not exist"},
		"vmem check": {change: func(b *bench) {
			b.hadoop = hadoopconf.New(map[string]string{"yarn.nodemanager.vmem-pmem-ratio": "1.5"})
		}, want: "yarn.nodemanager.vmem-pmem-ratio 1.5"},
		"no such binary": {change: func(b *bench) { b.binary = "no-such-job" }, want: "no-such-job"},
		"interrupted":    {args: []string{"hang"}, want: "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tc.settings...)
			if tc.args != nil {
				b.args = tc.args
			}
			if tc.change != nil {
				tc.change(b)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tc.want == "interrupted" {
				cancel(errInterrupted)
			}
			err := b.prepare(ctx)
			if err == nil {
				t.Fatal("got no error")
			}
			contains(t, "error", err.Error(), tc.want)
			if strings.Contains(err.Error(), testApp.String()) {
				t.Errorf("got %q, which names an application that never was", err)
			}
			if b.yarn.submitted != nil || len(b.left(t)) > 0 {
				t.Errorf("submitted %v, left %v, want nothing", b.yarn.submitted, b.left(t))
			}
		})
	}
}

func TestWarningsBeforeTheSubmission(t *testing.T) {
	node := func(memory, used int64) rmclient.Node {
		return rmclient.Node{Capacity: rmclient.Resource{MemoryMB: memory}, Used: rmclient.Resource{MemoryMB: used}}
	}
	s := sizes{master: rmclient.Resource{MemoryMB: 1024}, worker: rmclient.Resource{MemoryMB: 2048}, workers: 2}
	for name, tc := range map[string]struct {
		nodes []rmclient.Node
		want  string
	}{
		"room":     {[]rmclient.Node{node(4096, 0), node(4096, 0)}, ""},
		"no nodes": {nil, "no NodeManager is running"},
		"small":    {[]rmclient.Node{node(2000, 0), node(2000, 0), node(2000, 0)}, "no running node is large enough for a container of 2048 MiB (the largest has 2000 MiB)"},
		"full":     {[]rmclient.Node{node(4096, 2000), node(4096, 2000)}, "needs 5120 MiB in 3 containers and the cluster has 4192 MiB free"},
	} {
		if got := strings.Join(s.mayWait(tc.nodes), "|"); (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	b := newBench(t, conf.YarnApplicationQueue.Setting("root.new"))
	if err := b.checkQueue(t.Context()); err != nil {
		t.Fatal(err)
	}
	contains(t, "a queue that YARN may create", b.out.err.String(), "queue root.new does not exist; YARN may create it")
}

// TestSubmissionThatFailsAnywhereLeavesNothing fails, or interrupts, at every call to the file system, before and after it took effect.
func TestSubmissionThatFailsAnywhereLeavesNothing(t *testing.T) {
	count := func() int {
		b, n := newBench(t), 0
		b.quick(t)
		b.fault = func(dfs.Call) error { n++; return nil }
		if _, err := b.submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n
	}()
	if count < 20 {
		t.Fatalf("a submission makes %d calls: too few to be true", count)
	}
	for _, kind := range []string{"fail", "interrupt"} {
		for at := 1; at <= count; at++ {
			b, n := newBench(t), 0
			b.quick(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			b.fault = func(dfs.Call) error {
				if n++; n != at {
					return nil
				}
				if kind == "interrupt" {
					cancel(errInterrupted)
					return nil
				}
				return &dfs.Error{Op: "test", Kind: fs.ErrPermission}
			}
			_, err := b.submit(ctx)
			cancel(nil)
			left := b.left(t)
			if err == nil && (!b.yarn.alive || len(left) == 0) {
				t.Errorf("%s at call %d: no error, alive %v, files %v", kind, at, b.yarn.alive, left)
			}
			if err != nil && (b.yarn.alive || len(left) > 0) {
				t.Errorf("%s at call %d: %v; alive %v, left %v, want nothing", kind, at, err, b.yarn.alive, left)
			}
		}
	}
}

func TestSubmissionThatYARNRefuses(t *testing.T) {
	unreachable := errors.New("connection refused")
	for name, tc := range map[string]struct {
		submit, kill error
		taken        bool
		killed       int
		left         bool
		want         string
	}{
		"refused":                  {submit: &ipc.RemoteError{Class: "org.apache.hadoop.yarn.exceptions.YarnException", Message: "no"}, killed: 1, want: "no"},
		"rejected":                 {submit: &rmclient.RejectedError{Report: rmclient.Report{ID: testApp, State: rmclient.StateFailed, Diagnostics: "queue is full"}}, want: "queue is full"},
		"answer lost, taken":       {submit: ipc.ErrTimeout, taken: true, killed: 1, want: ipc.ErrTimeout.Error()},
		"answer lost, not taken":   {submit: ipc.ErrTimeout, killed: 1, want: ipc.ErrTimeout.Error()},
		"YARN gone, may have been": {submit: ipc.ErrTimeout, taken: true, kill: unreachable, killed: 1, left: true, want: "flott kill " + testApp.String()},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.quick(t)
			b.yarn.submit, b.yarn.taken, b.yarn.kill = tc.submit, tc.taken, tc.kill
			_, err := b.submit(t.Context())
			if !errors.Is(err, tc.submit) {
				t.Fatalf("got %v, want %v", err, tc.submit)
			}
			contains(t, "error", err.Error(), tc.want)
			if left := b.left(t); b.yarn.killed != tc.killed || (len(left) > 0) != tc.left || b.yarn.alive != tc.left {
				t.Errorf("killed %d times, left %v, alive %v", b.yarn.killed, left, b.yarn.alive)
			}
		})
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var x tail
	for i := range 5000 {
		fmt.Fprintf(&x, "line %d of the output\n", i)
	}
	if got := x.String(); len(got) > maxSaid || !strings.HasSuffix(got, "line 4999 of the output\n") {
		t.Errorf("got %d bytes that end in %q", len(got), got[len(got)-30:])
	}
	big := strings.Repeat("x", maxSaid) + "end"
	if _, err := x.Write([]byte(big)); err != nil || !strings.HasSuffix(x.String(), "end") || len(x.String()) != maxSaid {
		t.Errorf("one large write: got %d bytes, %v", len(x.String()), err)
	}
}
