package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// built is what the tests of this package run: the flott command and job binaries.
type built struct{ dir, flott, wordcount, endings string }

// scene is what the tests of one run of this package share: programs, and a cluster whose daemons may be broken.
type scene struct {
	dir      string
	programs func() (built, error)
	own      func() (*hadoop.Cluster, error)
	stop     []func() error
}

// the is made by TestMain.
var the *scene

func TestMain(m *testing.M) {
	code := 1
	dir, err := os.MkdirTemp("", "flott-scenario-")
	if err == nil {
		the = &scene{dir: dir}
		the.programs = sync.OnceValues(the.build)
		the.own = sync.OnceValues(the.start)
		code = m.Run()
		err = the.close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func (s *scene) close() error {
	var errs []error
	for _, stop := range s.stop {
		errs = append(errs, stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// build compiles once for all tests, statically, as README tells users to.
func (s *scene) build() (built, error) {
	dir := filepath.Join(s.dir, "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return built{}, err
	}
	if err := goBuild(nil, dir+"/", "./bin/flott", "./examples/wordcount", "./integration/jobs/endings"); err != nil {
		return built{}, err
	}
	return built{dir, dir + "/flott", dir + "/wordcount", dir + "/endings"}, nil
}

// goBuild runs go build without cgo in the module's root.
func goBuild(env []string, out string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-o", out}, args...)...)
	cmd.Dir, cmd.Env = moduleRoot, append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, said)
	}
	return nil
}

// moduleRoot is where the tests of this package find the module.
const moduleRoot = "../.."

// start begins the cluster that tests may break: three nodes that get one container per heartbeat, so that containers spread, with YARN's
// checks of memory on.
func (s *scene) start() (*hadoop.Cluster, error) {
	c, err := hadoop.Start(context.Background(), hadoop.Options{
		StateDir: filepath.Join(s.dir, "hadoop"), AutoPorts: true, NodeManagers: 3, OffSwitch: 1, VmemCheck: true, PmemCheck: true,
		RMRecovery: true, Progress: func(line string) { fmt.Println(line) },
	})
	if err != nil {
		return nil, fmt.Errorf("real Hadoop: %w", err)
	}
	s.stop = append(s.stop, c.Stop)
	return c, nil
}

// programs returns the compiled programs.
func programs(t *testing.T) built {
	t.Helper()
	b, err := the.programs()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// breakable returns the cluster whose daemons a test may end, ready, with all its nodes. Tests that use it do not run in parallel.
func breakable(t *testing.T) *hadoop.Cluster {
	t.Helper()
	c, err := the.own()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Daemons() {
		pid, err := c.PID(d)
		if err != nil {
			t.Fatal(err)
		}
		if pid == 0 {
			if err := c.StartDaemon(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	await(t, time.Minute, "all daemons serve", func() bool {
		pending, err := c.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(pending) == 0
	})
	return c
}

// await looks until cond holds.
func await(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	tick, over := time.NewTicker(50*time.Millisecond), time.After(limit)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not within %v: %s", limit, what)
		case <-t.Context().Done():
			t.Fatalf("test over: %s", what)
		}
	}
}

// firstLine is the first line of a text.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(s, "\n"), "\n")
	return strings.TrimRight(line, "\r ")
}
