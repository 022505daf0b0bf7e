package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
)

const (
	loadPackage = "./integration/load"
	widePackage = "./integration/jobs/wide"
)

// loadRun is one row of the load harness.
type loadRun struct {
	workers, slots int
	arguments      []string
}

func (l loadRun) args() []string {
	return append([]string{"-workers", fmt.Sprint(l.workers), "-slots", fmt.Sprint(l.slots)}, l.arguments...)
}

func (l loadRun) name() string {
	name := fmt.Sprintf("load, %s workers, containers granted at once", thousands(l.workers))
	if slices.Contains(l.arguments, "-exchange") {
		name += ", all subtasks connected with all"
	}
	return name
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// loadGroups are the rows of an ApplicationMaster with many workers. The two small ones take turns, because one is compared with the other.
func loadGroups(float64) []group {
	small, large := loadRun{workers: 100, slots: 4}, loadRun{workers: 1000, slots: 4}
	// A vertex has at most 32,768 subtasks: three slots each.
	huge := loadRun{workers: 10_000, slots: 3, arguments: []string{"-memory", "4096m"}}
	base := map[string]float64{}
	row := func(l loadRun, note string, beside map[string]float64) benchCase {
		return benchCase{name: l.name(), command: "load " + strings.Join(l.args(), " "), note: note,
			run: func(ctx context.Context, s *session, row *measure.Row) error { return l.measure(ctx, s, row, beside) }}
	}
	first := row(small, "integration/load: a fake YARN that gives containers at once (no NodeManager heartbeat is waited for), its nodes and all workers, without "+
		"operators, in one process; the ApplicationMaster in its own. From the submission; both processes share the machine", nil)
	compared := row(large, "", base)
	run := first.run
	first.run = func(ctx context.Context, s *session, row *measure.Row) error {
		err := run(ctx, s, row)
		for _, m := range row.Metrics {
			base[m.Name] = m.Samples[len(m.Samples)-1]
		}
		return err
	}
	compared.beside = first.name
	connected := row(loadRun{workers: 1000, slots: 4, arguments: []string{"-exchange"}}, "two vertices of 4,000 subtasks with a keyed exchange between them: every "+
		"worker learns where all others are", nil)
	return []group{{cases: []benchCase{first, compared, connected}}, {cases: []benchCase{row(huge, "3 slots each: a vertex has at most 32,768 subtasks. Workers that need more open "+
		"files than one process may have are in processes of their own: the metric says how many these are", nil)}, most: 1}}
}

// loadResult is what the harness prints with -json, as far as rows show it.
type loadResult struct {
	Processes float64 `json:"worker_processes"`
	Granted   float64 `json:"granted"`
	Started   float64 `json:"started"`
	Joined    float64 `json:"workers_joined"`
	Placed    float64 `json:"slots_placed"`
	Running   float64 `json:"running"`
	CPU       float64 `json:"am_cpu"`
	PeakRSS   float64 `json:"am_peak_rss"`
	SteadyCPU float64 `json:"am_steady_cpu"`
	Canceled  float64 `json:"cancel"`
	OwnCPU    float64 `json:"harness_cpu"`
}

// measure runs the harness once; with beside, it also says how often the figures of that row fit in these.
func (l loadRun) measure(ctx context.Context, s *session, row *measure.Row, beside map[string]float64) error {
	harness, err := s.build(ctx, loadPackage)
	if err != nil {
		return err
	}
	job, err := s.build(ctx, widePackage)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, harness, append(l.args(), "-json", "-job", job)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + s.temp}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("load: %w: %s", err, tail(stderr.Bytes()))
	}
	var r loadResult
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		return fmt.Errorf("read what load printed: %w: %s", err, tail(stdout.Bytes()))
	}
	if r.Processes > 0 {
		row.Add("processes of workers", measure.Count, measure.Lower, r.Processes)
	}
	seconds := func(name string, v float64) { row.Add(name, measure.Seconds, measure.Lower, v) }
	seconds("submission → containers granted", r.Granted)
	seconds("→ containers started", r.Started)
	seconds("→ workers registered", r.Joined)
	seconds("→ slots present", r.Placed)
	seconds("→ every task RUNNING", r.Running)
	seconds("AM CPU until then", r.CPU)
	row.Add("AM peak RSS", measure.Bytes, measure.Lower, r.PeakRSS)
	row.Add("AM CPU with heartbeats only, of a core", measure.Percent, measure.Lower, 100*r.SteadyCPU)
	seconds("cancel → nothing left", r.Canceled)
	seconds("CPU of the harness until RUNNING", r.OwnCPU)
	for _, c := range []struct {
		name string
		v    float64
	}{{"→ every task RUNNING", r.Running}, {"AM CPU until then", r.CPU}, {"AM peak RSS", r.PeakRSS}} {
		if base := beside[c.name]; base > 0 {
			row.Add(c.name+", times that of 100 workers", measure.Count, measure.Lower, c.v/base)
		}
	}
	return nil
}
