package scenario

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// The functions here each make one row of docs/endings.md happen.

// ended is the outcome of a command that has ended.
func (k *command) ended() outcome {
	k.t.Helper()
	k.wait(hardLimit)
	return outcome{code: k.code, app: k.submitted(), line: k.said()}
}

// attached runs the job that ends by itself in the way that its name says.
func attached(kind string) func(*testing.T, *client) outcome {
	return func(_ *testing.T, c *client) outcome { return c.job(c.bin.endings, kind).ended() }
}

// refused submits a good job with a bad option.
func refused(option string) func(*testing.T, *client) outcome {
	return func(_ *testing.T, c *client) outcome { return c.job(option, c.bin.endings, "finish").ended() }
}

func cancelled(t *testing.T, c *client) outcome {
	k := c.job(c.bin.endings, "forever")
	app, _ := k.awaitRunning(c.cluster)
	c.mustRun(t, "cancel", app)
	return k.ended()
}

func killed(t *testing.T, c *client) outcome {
	k := c.job(c.bin.endings, "write", c.staging+"/out")
	app, _ := k.awaitRunning(c.cluster)
	c.mustRun(t, "kill", app)
	return k.ended()
}

func interrupted(t *testing.T, c *client) outcome {
	k := c.job(c.bin.endings, "write", c.staging+"/out")
	k.awaitRunning(c.cluster)
	k.interrupt()
	return k.ended()
}

// interruptedEarly stops the command as soon as it has said the id.
func interruptedEarly(_ *testing.T, c *client) outcome {
	k := c.job(c.bin.endings, "write", c.staging+"/out")
	k.app()
	k.interrupt()
	return k.ended()
}

// detachedFinishes leaves all tidying to the AM: no other command comes.
func detachedFinishes(_ *testing.T, c *client) outcome {
	return c.job("-d", c.bin.endings, "finish").ended()
}

func detached(t *testing.T, c *client) outcome {
	k := c.job("-d", c.bin.endings, "forever")
	got := k.ended()
	k.awaitRunning(c.cluster)
	c.mustRun(t, "cancel", got.app)
	return got
}

// detachedLeftovers takes the AM away, so that nobody is there to clean up; the default staging directory is the one that every command of
// the user looks into.
func detachedLeftovers(t *testing.T, c *client) outcome {
	dir := c.staging
	c.staging = ""
	k := c.job("-d", c.bin.endings, "write", dir+"/out")
	got := k.ended()
	k.awaitRunning(c.cluster)
	c.killMaster(t, got.app)
	awaitEnd(t, c.cluster, got.app)
	if left, err := c.cluster.LeftFiles(t.Context(), got.app); err != nil || len(left) == 0 {
		t.Errorf("staging files before the next command: got %v, %v, want some", left, err)
	}
	c.mustRun(t, "list")
	c.staging = dir
	return got
}

func inputMissing(_ *testing.T, c *client) outcome {
	return c.job(c.bin.endings, "read", c.staging+"/no-such-input", c.staging+"/out").ended()
}

func outputExists(t *testing.T, c *client) outcome {
	c.put(t, c.staging+"/in", "one line\n")
	c.mkdir(t, c.staging+"/out", "755")
	return c.job(c.bin.endings, "read", c.staging+"/in", c.staging+"/out").ended()
}

func mayNotRead(t *testing.T, c *client) outcome {
	c.env = append(c.env, "HADOOP_USER_NAME=alice")
	c.mkdir(t, c.staging+"/private", "700")
	c.put(t, c.staging+"/private/in", "one line\n")
	return c.job(c.bin.endings, "read", c.staging+"/private/in", c.staging+"/out").ended()
}

func mayNotWrite(t *testing.T, c *client) outcome {
	c.env = append(c.env, "HADOOP_USER_NAME=alice")
	c.mkdir(t, c.staging+"/private", "755")
	c.put(t, c.staging+"/in", "one line\n")
	return c.job(c.bin.endings, "read", c.staging+"/in", c.staging+"/private/out").ended()
}

func workerKilled(t *testing.T, c *client) outcome {
	k := c.job("-p", "2", c.bin.endings, "write", c.staging+"/out")
	app, _ := k.awaitRunning(c.cluster)
	kill9(t, c.oneOf(t, app, workerWord, 2))
	return k.ended()
}

// workerHangs stops a worker's process, which then neither beats nor closes its connections.
func workerHangs(t *testing.T, c *client) outcome {
	k := c.job(c.bin.endings, "write", c.staging+"/out")
	app, _ := k.awaitRunning(c.cluster)
	p := c.oneOf(t, app, workerWord, 1)
	if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return k.ended()
}

func masterKilled(t *testing.T, c *client) outcome {
	k := c.job("-p", "2", c.bin.endings, "write", c.staging+"/out")
	app, _ := k.awaitRunning(c.cluster)
	c.killMaster(t, app)
	return k.ended()
}

// apart sizes AM and worker so that no node has room for both.
var apart = []string{"-Djobmanager.memory.process.size=4200m", "-Dtaskmanager.memory.process.size=4200m"}

func nodeManagerKilled(t *testing.T, c *client) outcome { return nodeKilled(t, c, workerWord) }

func masterNodeKilled(t *testing.T, c *client) outcome { return nodeKilled(t, c, masterWord) }

// nodeKilled kills the NodeManager of the AM or of the only worker.
func nodeKilled(t *testing.T, c *client, word string) outcome {
	t.Helper()
	c.memory = apart
	k := c.job(c.bin.endings, "write", c.staging+"/out")
	app, _ := k.awaitRunning(c.cluster)
	if w, m := c.oneOf(t, app, workerWord, 1), c.oneOf(t, app, masterWord, 1); w.node == m.node {
		t.Fatalf("AM and worker are both on %s", w.node)
	}
	p := c.oneOf(t, app, word, 1)
	nodes := c.cluster.Nodes()
	i := slices.IndexFunc(nodes, func(n hadoop.Node) bool { return n.ID() == p.node })
	if i < 0 {
		t.Fatalf("%s is on %s, which is none of %v", word, p.node, nodes)
	}
	if err := c.cluster.Kill(nodes[i].Daemon); err != nil {
		t.Fatal(err)
	}
	return k.ended()
}

func resourceManagerDown(t *testing.T, c *client) outcome {
	if err := c.cluster.Kill("rm"); err != nil {
		t.Fatal(err)
	}
	k := c.job(c.bin.endings, "finish")
	got := k.ended()
	if k.took > 15*time.Second {
		t.Errorf("answer after %v, want at most 15 s", k.took)
	}
	breakable(t)
	return got
}

func tooSmallForVmem(_ *testing.T, c *client) outcome {
	c.memory = smallMemory
	return c.job(c.bin.endings, "finish").ended()
}

// twoAtOnce gives both the same binary, which the cache does not have.
func twoAtOnce(t *testing.T, c *client) outcome {
	first, second := c.job(c.bin.endings, "finish"), c.job(c.bin.endings, "finish")
	got := second.ended()
	if got.code != 0 || awaitEnd(t, c.cluster, got.app).FinalStatus != "SUCCEEDED" {
		t.Errorf("second of two: got %+v, want one that finishes", got)
	}
	nothingLeft(t, c.cluster, got.app)
	if a := first.ended(); a.app == got.app {
		t.Errorf("both are %s", a.app)
	}
	return first.ended()
}

func malformedYAML(t *testing.T, c *client) outcome {
	c.configure(t, "config.yaml", "parallelism.default: 1\ntaskmanager: [unclosed\n")
	return c.job(c.bin.endings, "finish").ended()
}

func malformedLegacy(t *testing.T, c *client) outcome {
	c.configure(t, "flink-conf.yaml", "parallelism.default: 1\nno pair here\n")
	k := c.job(c.bin.endings, "finish")
	got := k.ended()
	for line := range strings.Lines(k.err.String()) {
		if strings.Contains(line, "warning") && got.line == "" {
			got.line = strings.TrimSpace(line)
		}
	}
	return got
}

// mustRun runs a flott command that has to do what it was asked.
func (c *client) mustRun(t *testing.T, args ...string) *command {
	t.Helper()
	k := c.run(args...)
	if k.code != 0 {
		t.Errorf("flott %s: got exit code %d, want 0: %s", strings.Join(args, " "), k.code, k.said())
	}
	return k
}

// oneOf returns one of the application's n processes of a role.
func (c *client) oneOf(t *testing.T, app, word string, n int) process {
	t.Helper()
	found := processesOf(t, app, word)
	if len(found) != n {
		t.Fatalf("processes %s of %s: got %v, want %d", word, app, found, n)
	}
	return found[0]
}

func (c *client) killMaster(t *testing.T, app string) {
	t.Helper()
	kill9(t, c.oneOf(t, app, masterWord, 1))
}

func (c *client) put(t *testing.T, name, text string) {
	t.Helper()
	if err := c.cluster.HDFS().Put(t.Context(), name, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (c *client) mkdir(t *testing.T, name, mode string) {
	t.Helper()
	if err := c.cluster.HDFS().Mkdirs(t.Context(), name, mode); err != nil {
		t.Fatal(err)
	}
}

// configure writes a file of the client's configuration directory.
func (c *client) configure(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.conf, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// badBinary submits what is no job binary for this cluster.
func badBinary(make func(*testing.T, built) string) func(*testing.T, *client) outcome {
	return func(t *testing.T, c *client) outcome { return c.job(make(t, c.bin), "finish").ended() }
}

// emptyMain is the smallest program, for builds of other kinds.
const emptyMain = "package main\n\nfunc main() {}\n"

func dynamicBinary(t *testing.T, _ built) string {
	return compile(t, nil, "-buildmode=pie", filepath.Join(source(t), "main.go"))
}

func foreignBinary(t *testing.T, _ built) string {
	return compile(t, nil, filepath.Join(source(t), "main.go"))
}

func macBinary(t *testing.T, _ built) string {
	return compile(t, []string{"GOOS=darwin", "GOARCH=arm64"}, filepath.Join(source(t), "main.go"))
}

// armBinary is a job binary whose header says arm64: to compile flott for it takes a minute.
func armBinary(t *testing.T, b built) string {
	data, err := os.ReadFile(b.endings)
	if err != nil {
		t.Fatal(err)
	}
	const machineOffset = 18 // e_machine in the ELF header
	binary.LittleEndian.PutUint16(data[machineOffset:], uint16(elf.EM_AARCH64))
	name := filepath.Join(t.TempDir(), "job")
	if err := os.WriteFile(name, data, 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(emptyMain), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// compile builds a program without cgo and returns the path of the binary.
func compile(t *testing.T, env []string, args ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "job")
	if err := goBuild(env, name, args...); err != nil {
		t.Fatal(fmt.Errorf("build a binary of another kind: %w", err))
	}
	return name
}
