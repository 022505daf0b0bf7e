package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
)

// program is a process to be measured.
type program struct {
	path string
	args []string
	env  []string  // added to a bare environment
	tee  io.Writer // gets what it prints as well, from two goroutines; may be nil
}

// usage is what a process took.
type usage struct {
	wall, cpu time.Duration
	peak      int64 // resident bytes
	stdout    []byte
}

// pollMemory is how often the peak of the resident memory is read. It only grows, so that no more is lost than the growth in the last such
// time of a process. (The kernel's own figure at the end counts what our process had when it forked.)
const pollMemory = 20 * time.Millisecond

// measureProgram runs a program to its end. The environment has only what every program needs, and p.env.
func measureProgram(ctx context.Context, p program) (usage, error) {
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, p.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if p.tee != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, p.tee), io.MultiWriter(&stderr, p.tee)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, fmt.Errorf("start %s: %w", filepath.Base(p.path), err)
	}
	stop, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watchMemory(cmd.Process.Pid, stop) }()
	err := cmd.Wait()
	u := usage{wall: time.Since(begun), stdout: stdout.Bytes()}
	close(stop)
	u.peak = <-peak
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if err != nil {
		return u, fmt.Errorf("%s %s: %w: %s", filepath.Base(p.path), strings.Join(p.args, " "), err, tail(stderr.Bytes()))
	}
	return u, nil
}

func tail(b []byte) string {
	const most = 1000
	return string(bytes.TrimSpace(b[max(0, len(b)-most):]))
}

func watchMemory(pid int, stop <-chan struct{}) int64 {
	tick := time.NewTicker(pollMemory)
	defer tick.Stop()
	peak := int64(0)
	for {
		peak = max(peak, memoryOf(pid, "VmHWM"))
		select {
		case <-stop:
			return peak
		case <-tick.C:
		}
	}
}

// memoryOf reads a size from /proc/<pid>/status, in bytes; 0 when the process has ended.
func memoryOf(pid int, field string) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return statusSize(string(b), field)
}

func statusSize(status, field string) int64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// add puts what a process took into a row.
func (u usage) add(row *measure.Row) {
	row.Add("seconds", measure.Seconds, measure.Lower, u.wall.Seconds())
	row.Add("CPU seconds", measure.Seconds, measure.Lower, u.cpu.Seconds())
	row.Add("peak RSS", measure.Bytes, measure.Lower, float64(u.peak))
}

// output runs a command in a directory and returns what it printed, without the end of the line.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tail(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}
