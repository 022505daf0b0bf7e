// Package hadooptest gives tests real Hadoop: the cluster that all tests of one invocation share, or one of their own.
//
// It is called by tests, on their goroutine. What always holds: every cluster it starts ends, at the latest when the
// process that needed it has died (see package hadoop). Tests that kill daemons of the shared cluster start them again.
package hadooptest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

const prefix = "test-"

// Shared returns the cluster that FLOTT_HADOOP_STATE names. Without that variable, it is the cluster of this `go test`
// invocation: 2 NodeManagers, started by the first test that asks, ended when `go test` ends.
func Shared(tb testing.TB) *hadoop.Cluster {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Minute)
	defer cancel()
	c, err := shared(ctx, func(line string) { tb.Log(line) })
	if err != nil {
		tb.Fatalf("real Hadoop: %v", err)
	}
	return c
}

// Own starts a cluster for one test, on ports that are free, and ends it with the test. StateDir, AutoPorts and
// Progress of o are set here.
func Own(tb testing.TB, o hadoop.Options) *hadoop.Cluster {
	tb.Helper()
	o.StateDir, o.AutoPorts, o.Progress = tb.TempDir(), true, func(line string) { tb.Log(line) }
	c, err := hadoop.Start(tb.Context(), o)
	if err != nil {
		tb.Fatalf("real Hadoop: %v", err)
	}
	tb.Cleanup(func() {
		if err := c.Stop(); err != nil {
			tb.Errorf("stop Hadoop: %v", err)
		}
	})
	return c
}

func shared(ctx context.Context, progress func(string)) (*hadoop.Cluster, error) {
	if dir := os.Getenv(hadoop.StateEnv); dir != "" {
		c, err := hadoop.Open(dir)
		if err != nil {
			return nil, fmt.Errorf("%s=%s: %w", hadoop.StateEnv, dir, err)
		}
		return c, ready(ctx, c)
	}
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	base := filepath.Join(root, ".hadoop")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", base, err)
	}
	owner := invocation()
	// The packages of one invocation are processes of their own; the lock lets one of them start the cluster.
	lock, err := os.OpenFile(filepath.Join(base, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock shared cluster: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock shared cluster: %w", err)
	}
	if err := prune(base); err != nil {
		return nil, err
	}
	dir := filepath.Join(base, prefix+strconv.Itoa(owner))
	c, err := hadoop.Open(dir)
	if err == nil {
		return c, ready(ctx, c)
	}
	if !errors.Is(err, hadoop.ErrNoCluster) {
		return nil, err
	}
	return hadoop.Start(ctx, hadoop.Options{StateDir: dir, AutoPorts: true, Owner: owner, Progress: progress})
}

// ready waits until the cluster serves: a test before may have restarted a daemon of it.
func ready(ctx context.Context, c *hadoop.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		pending, err := c.Pending(ctx)
		if err != nil {
			return err
		}
		if len(pending) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("shared cluster %s does not serve: %s", c.StateDir(), strings.Join(pending, "; "))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// invocation is the process whose life the shared cluster has: the go command that runs the tests of all packages, or
// this process when something else started it.
func invocation() int {
	parent := os.Getppid()
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(parent), "comm"))
	if err != nil || strings.TrimSpace(string(name)) != "go" {
		return os.Getpid()
	}
	return parent
}

// prune removes what invocations that have ended left: logs.
func prune(base string) error {
	dirs, err := filepath.Glob(filepath.Join(base, prefix+"*"))
	if err != nil {
		return fmt.Errorf("prune %s: %w", base, err)
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), prefix))
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if err := hadoop.StopDir(dir); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("prune %s: %w", base, err)
		}
	}
	return nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find module root: no go.mod above the working directory")
		}
		dir = parent
	}
}
