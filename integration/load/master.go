package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc/restapi"
)

// master is the ApplicationMaster's process, and its REST server.
type master struct {
	pid int
	url string
	job string
}

// findMaster looks for the process of a container, once it runs the job binary: a shell starts it.
func findMaster(container string) (int, bool) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		env, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(env, []byte("CONTAINER_ID="+container+"\x00")) {
			continue
		}
		dir := filepath.Dir(name)
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err != nil || filepath.Base(exe) == "bash" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			return pid, true
		}
	}
	return 0, false
}

// ticksPerSecond is USER_HZ, which Linux shows to programs on every architecture.
const ticksPerSecond = 100

// cpuOf is the time that a process has had on processors, user and system.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of a process: %w", err)
	}
	_, rest, _ := strings.Cut(string(b), ") ") // after the name, which may have blanks
	fields := strings.Fields(rest)
	const userTime, systemTime = 11, 12
	if len(fields) <= systemTime {
		return 0, fmt.Errorf("read the CPU time of process %d: %q", pid, b)
	}
	user, err1 := strconv.ParseInt(fields[userTime], 10, 64)
	system, err2 := strconv.ParseInt(fields[systemTime], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %q", pid, b)
	}
	return time.Duration(user+system) * (time.Second / ticksPerSecond), nil
}

// memoryOf reads a size from /proc/<pid>/status, in bytes: VmRSS is the present one, VmHWM the largest so far.
func memoryOf(pid int, field string) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10
		}
	}
	return 0
}

// overview is the one job of the application.
func (m *master) overview(ctx context.Context) (restapi.JobOverview, error) {
	var jobs restapi.JobsOverview
	if err := m.get(ctx, "jobs/overview", &jobs); err != nil {
		return restapi.JobOverview{}, err
	}
	if len(jobs.Jobs) != 1 {
		return restapi.JobOverview{}, fmt.Errorf("the ApplicationMaster has %d jobs, not one", len(jobs.Jobs))
	}
	m.job = jobs.Jobs[0].ID
	return jobs.Jobs[0], nil
}

// phases are the moments that the AM itself noted.
func (m *master) phases(ctx context.Context) (restapi.Phases, error) {
	var job restapi.Job
	if err := m.get(ctx, "jobs/"+m.job, &job); err != nil {
		return restapi.Phases{}, err
	}
	return job.Flott.Phases, nil
}

func (m *master) get(ctx context.Context, path string, into any) error {
	body, err := m.call(ctx, http.MethodGet, path, http.StatusOK)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func (m *master) cancel(ctx context.Context) error {
	_, err := m.call(ctx, http.MethodPatch, "jobs/"+m.job+"?mode=cancel", http.StatusAccepted)
	return err
}

func (m *master) call(ctx context.Context, method, path string, want int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.url+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(body))
	}
	return body, err
}
