package hadoop_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
)

// ownerEnv makes this test binary start a cluster in the directory it names, and wait to be killed.
const ownerEnv = "FLOTT_TEST_OWNER_STATE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerEnv); dir != "" {
		_, err := hadoop.Start(context.Background(), hadoop.Options{StateDir: dir, AutoPorts: true, NodeManagers: 1,
			Progress: func(line string) { fmt.Println(line) }})
		fmt.Println("start:", err)
		select {}
	}
	os.Exit(m.Run())
}

func TestRealCluster(t *testing.T) {
	c := hadooptest.Own(t, hadoop.Options{NodeManagers: 2, NodeExpiry: 2 * time.Second, Queues: []hadoop.Queue{{Name: "default", Capacity: 100}}})
	ctx := t.Context()

	fs := c.HDFSAs("alice")
	if err := fs.Put(ctx, "/user/alice/a file", []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := fs.Get(ctx, "/user/alice/a file"); err != nil || string(got) != "hello\n" {
		t.Errorf("read back: got %q, %v, want hello", got, err)
	}
	if err := fs.Put(ctx, "/user/root-only", nil); err == nil {
		t.Error("alice wrote into /user: want permissions to refuse that")
	}
	entries, err := fs.Walk(ctx, "/user")
	if err != nil {
		t.Fatal(err)
	}
	owns := func(e hadoop.FileInfo) bool { return e.Path == "/user/alice" && e.Owner == "alice" }
	if !slices.ContainsFunc(entries, owns) {
		t.Errorf("/user/alice is not there or not hers: %+v", entries)
	}

	// A NodeManager that is killed is lost after the expiry, and comes back.
	if err := c.Kill("nm2"); err != nil {
		t.Fatal(err)
	}
	await(t, 20*time.Second, "nm2 LOST", func() bool { return nodeState(t, c, "nm2") == "LOST" })
	if err := c.StartDaemon(ctx, "nm2"); err != nil {
		t.Fatal(err)
	}
	if got := nodeState(t, c, "nm2"); got != "RUNNING" {
		t.Errorf("nm2 after its start: got %s, want RUNNING", got)
	}
	if err := c.StartDaemon(ctx, "nm2"); err == nil {
		t.Error("a second start of nm2: got no error")
	}

	if err := c.AwaitNoLeftovers(ctx, "application_1_0001", time.Second); err != nil {
		t.Errorf("an application that never was: %v", err)
	}
	leftFileIsReported(t, c)
	orphan := leftProcessIsReported(t, c)

	if _, err := hadoop.Start(ctx, hadoop.Options{StateDir: c.StateDir()}); err == nil {
		t.Error("a second cluster in the same state directory: got no error")
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := orphan.Wait(); err == nil {
		t.Error("the container without a NodeManager: want it killed by Stop")
	}
	nothingLeft(t, c.StateDir())
}

// leftProcessIsReported starts what a killed NodeManager leaves: a container's process in a session of its own.
func leftProcessIsReported(t *testing.T, c *hadoop.Cluster) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "300")
	cmd.Env = []string{"LOCAL_DIRS=" + c.StateDir() + "/data/nm1/usercache", "CONTAINER_ID=container_e05_1_0003_01_000002"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	left, err := c.Leftovers(t.Context(), "application_1_0003")
	if err != nil || len(left) != 1 || !strings.Contains(left[0], "sleep 300") {
		t.Errorf("leftovers: got %q, %v, want the process", left, err)
	}
	return cmd
}

func leftFileIsReported(t *testing.T, c *hadoop.Cluster) {
	t.Helper()
	const app = "application_1_0002"
	for _, name := range []string{"/user/alice/.flott/" + app + "/owner", "/user/alice/.flott/refs/abc/" + app} {
		if err := c.HDFSAs("alice").Put(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	left, err := c.Leftovers(t.Context(), app)
	if err != nil || len(left) != 2 {
		t.Errorf("leftovers: got %q, %v, want the directory and the reference", left, err)
	}
	if err := c.AwaitNoLeftovers(t.Context(), app, 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), app) {
		t.Errorf("await no leftovers: got %v, want an error that lists them", err)
	}
}

// A cluster ends with the process that owns it, even when that is killed while it starts.
func TestRealClusterEndsWithItsOwner(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Killed as soon as the DataNode has written a line: all daemons are on their way up.
	lines := bufio.NewScanner(out)
	var said []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines.Scan() {
			said = append(said, lines.Text())
		}
	}()
	await(t, 60*time.Second, "the DataNode's log", func() bool {
		info, err := os.Stat(filepath.Join(dir, "logs", "dn.log"))
		return err == nil && info.Size() > 0
	})
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := cmd.Wait(); err == nil {
		t.Errorf("owner: want it killed, it said %q", said)
	}
	await(t, 20*time.Second, "the end of the cluster", func() bool {
		_, err := hadoop.Open(dir)
		return errors.Is(err, hadoop.ErrNoCluster)
	})
	nothingLeft(t, dir)
}

// nothingLeft checks that no process has the directory on its command line or in its environment, and that the hosts
// file does not name it.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if filepath.Base(p) == fmt.Sprint(os.Getpid()) {
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(filepath.Join(p, name))
			if err == nil && strings.Contains(string(data), dir) {
				t.Errorf("%s/%s still names the cluster: %.200q", p, name, data)
			}
		}
	}
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(hosts), dir) {
		t.Errorf("the hosts file still names the cluster:\n%s", hosts)
	}
}

func nodeState(t *testing.T, c *hadoop.Cluster, daemon string) string {
	t.Helper()
	nodes, err := c.RM().Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, n := range c.Nodes() {
		if n.Daemon == daemon {
			id = n.ID()
		}
	}
	// A node that came back is listed twice for a moment; what runs counts.
	state := "unknown"
	for _, n := range nodes {
		if n.ID == id && state != "RUNNING" {
			state = n.State
		}
	}
	return state
}

func await(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("%s did not happen within %v", what, limit)
		case <-tick.C:
		}
	}
}
