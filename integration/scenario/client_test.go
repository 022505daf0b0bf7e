package scenario

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// smallMemory makes processes that leave room for many on a small machine. YARN's check of virtual memory would refuse them.
var smallMemory = []string{
	"-Djobmanager.memory.process.size=640m", "-Djobmanager.memory.jvm-metaspace.size=64m", "-Djobmanager.memory.jvm-overhead.min=64m",
	"-Dtaskmanager.memory.process.size=640m", "-Dtaskmanager.memory.jvm-metaspace.size=64m", "-Dtaskmanager.memory.jvm-overhead.min=64m",
	"-Dtaskmanager.memory.framework.heap.size=64m", "-Dtaskmanager.memory.framework.off-heap.size=64m", "-Dtaskmanager.memory.managed.size=32m",
}

// hardLimit is when a command that should have ended long ago is killed.
const hardLimit = 3 * time.Minute

// client runs flott as a user of a cluster does.
type client struct {
	t       *testing.T
	cluster *hadoop.Cluster
	bin     built
	conf    string   // FLINK_CONF_DIR
	env     []string // beyond what every process has
	memory  []string // options of run
	staging string   // yarn.staging-directory, "" for the default
}

func newClient(t *testing.T, c *hadoop.Cluster) *client {
	t.Helper()
	return &client{t: t, cluster: c, bin: programs(t), conf: t.TempDir(), memory: smallMemory}
}

// command is a flott command that runs or has run.
type command struct {
	t             *testing.T
	cmd           *exec.Cmd
	out, err, all *output
	began         time.Time
	done          chan struct{}
	code          int
	took          time.Duration
}

// environ is this process's environment without what would lead flott elsewhere.
func (c *client) environ() []string {
	var env []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "FLINK_") && !strings.HasPrefix(name, "FLOTT_") && !strings.HasPrefix(name, "HADOOP_") && !strings.HasPrefix(name, "YARN_") {
			env = append(env, e)
		}
	}
	env = append(env, "FLINK_CONF_DIR="+c.conf)
	if c.cluster != nil {
		env = append(env, "HADOOP_CONF_DIR="+c.cluster.ConfDir())
	}
	return append(env, c.env...)
}

// start begins `flott args`.
func (c *client) start(args ...string) *command { return c.startProgram(c.bin.flott, args...) }

func (c *client) startProgram(program string, args ...string) *command {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), hardLimit)
	k := &command{t: c.t, cmd: exec.CommandContext(ctx, program, args...), began: time.Now(), done: make(chan struct{})}
	k.out, k.err, k.all = newOutput(), newOutput(), newOutput()
	k.cmd.Env, k.cmd.Stdout, k.cmd.Stderr = c.environ(), io.MultiWriter(k.out, k.all), io.MultiWriter(k.err, k.all)
	k.cmd.Dir = c.conf
	if err := k.cmd.Start(); err != nil {
		cancel()
		c.t.Fatal(err)
	}
	go func() {
		defer cancel()
		_ = k.cmd.Wait()
		k.code, k.took = k.cmd.ProcessState.ExitCode(), time.Since(k.began)
		close(k.done)
	}()
	c.t.Cleanup(func() {
		k.signal(os.Kill)
		<-k.done
		if c.t.Failed() {
			c.t.Logf("%s %s: exit %d after %v\n--- stdout\n%s--- stderr\n%s", filepath.Base(program), strings.Join(args, " "), k.code, k.took.Round(time.Millisecond), k.out, k.err)
		}
	})
	return k
}

// run is start and wait.
func (c *client) run(args ...string) *command {
	c.t.Helper()
	return c.start(args...).wait(hardLimit)
}

// job begins `flott run -t yarn-application` with these words: options, the program, its arguments.
func (c *client) job(words ...string) *command {
	c.t.Helper()
	options := []string{"run", "-t", "yarn-application", "-Dtaskmanager.registration.timeout=20s"}
	if c.staging != "" {
		options = append(options, "-Dyarn.staging-directory="+c.staging)
	}
	return c.start(slices.Concat(options, c.memory, words)...)
}

// wait waits for the command's end.
func (k *command) wait(limit time.Duration) *command {
	k.t.Helper()
	select {
	case <-k.done:
	case <-time.After(limit):
		k.t.Fatalf("%s does not end within %v", strings.Join(k.cmd.Args, " "), limit)
	}
	return k
}

// signal signals the process while it runs.
func (k *command) signal(s os.Signal) {
	select {
	case <-k.done:
	default:
		_ = k.cmd.Process.Signal(s)
	}
}

func (k *command) interrupt() { k.signal(syscall.SIGINT) }

var applicationID = regexp.MustCompile(`application_\d+_\d+`)

// app waits until the command has said the id of its application.
func (k *command) app() string {
	k.t.Helper()
	k.all.await(k, applicationID)
	return k.submitted()
}

// submitted is the application that the command named, "" when it named none.
func (k *command) submitted() string { return applicationID.FindString(k.all.String()) }

// said is the first line by which the command tells what went wrong: its errors come after its progress.
func (k *command) said() string {
	for line := range strings.Lines(k.err.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "flott: "); ok && !strings.HasPrefix(text, "warning: ") {
			return text
		}
	}
	return ""
}

// output collects what a process prints and lets others wait for it.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	grown chan struct{} // closed when something was added
}

func newOutput() *output { return &output{grown: make(chan struct{})} }

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.buf.Write(p)
}

// String is all so far.
func (o *output) String() string {
	text, _ := o.now()
	return text
}

func (o *output) now() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.grown
}

// await waits until the output matches, and fails the test when the command ends first.
func (o *output) await(k *command, want *regexp.Regexp) {
	k.t.Helper()
	over := time.After(hardLimit)
	for ended := false; ; {
		text, grown := o.now()
		if want.MatchString(text) {
			return
		}
		if ended {
			k.t.Fatalf("the command ended and never said %q", want)
		}
		select {
		case <-grown:
		case <-k.done:
			ended = true
		case <-over:
			k.t.Fatalf("the command does not say %q", want)
		}
	}
}
