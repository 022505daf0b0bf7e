package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/integration/bench/measure"
)

func goVersion() string { return runtime.Version() }

// machine describes this machine, as far as /proc tells.
func machine() measure.Machine {
	m := measure.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: "unknown CPU", Cores: runtime.NumCPU()}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.OS += " " + strings.TrimSpace(string(b))
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				m.CPU = strings.TrimSpace(v)
				break
			}
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.MemoryBytes = statusSize(string(b), "MemTotal")
	}
	return m
}

// load is the load average of the last minute, -1 when it is unknown.
func load() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(b), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return v
}

// commit returns the commit of the tree and whether files that git knows differ from it.
func commit(ctx context.Context, root string) (string, bool, error) {
	head, err := output(ctx, root, "git", "rev-parse", "HEAD")
	if err != nil {
		return "", false, err
	}
	changed, err := output(ctx, root, "git", "status", "--porcelain", "--untracked-files=no")
	return head, changed != "", err
}
