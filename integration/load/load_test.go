package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is also the program of processes that hold workers.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == workersCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestRun starts twenty workers in each of the two shapes of the job, and in processes of their own, watches them for a moment and cancels.
func TestRun(t *testing.T) {
	for _, c := range []struct {
		name      string
		exchange  bool
		processes int
	}{{"one vertex", false, 0}, {"exchange", true, 0}, {"two processes", false, 2}} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("not done in time"))
			defer cancel()
			cfg := config{workers: 20, slots: 4, perNode: 10, processes: c.processes, exchange: c.exchange, steady: 100 * time.Millisecond, memory: "1024m", dir: t.TempDir()}
			var err error
			if cfg.binary, err = buildJob(ctx, cfg); err != nil {
				t.Fatal(err)
			}
			r, err := run(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Workers != 20 || r.Slots != 80 || r.Tasks != cfg.tasks() || r.Nodes != 2 || r.Processes != c.processes {
				t.Errorf("got %d workers, %d slots, %d tasks, %d nodes and %d processes", r.Workers, r.Slots, r.Tasks, r.Nodes, r.Processes)
			}
			last := 0.0
			for _, at := range []float64{r.Granted, r.Started, r.Joined, r.JobJoined} {
				if at <= last {
					t.Errorf("the phases are not in order: %+v", r)
				}
				last = at
			}
			if r.Running <= 0 || r.CPU <= 0 || r.PeakRSS < 10<<20 || r.Steady < 0.1 || r.Canceled <= 0 {
				t.Errorf("something was not measured: %+v", r)
			}
		})
	}
}

func TestProcesses(t *testing.T) {
	for _, c := range []struct {
		workers int
		most    uint64
		want    int
	}{
		{1000, 20_000, 0},
		{6000, 19_400, 0}, // 200, 3 for each worker, 2 for each of 600 nodes
		{6000, 19_399, 1},
		{10_000, 32_200, 0},
		{10_000, 20_000, 2},
		{10_000, 12_200, 3},
	} {
		if got, err := processes(c.workers, 10, c.most); got != c.want || err != nil {
			t.Errorf("%d workers, %d open files: got %d processes, %v, want %d", c.workers, c.most, got, err, c.want)
		}
	}
	if n, err := processes(10_000, 10, 12_199); err == nil {
		t.Errorf("an ApplicationMaster that cannot have its connections was accepted, with %d processes", n)
	}
	if n, err := allowFiles(20, 10); n != 0 || err != nil {
		t.Errorf("20 workers: got %d processes, %v", n, err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-workers", "0"}, {"-slots", "-1"}, {"-processes", "-1"}, {"more"}} {
		if err := command(t.Context(), args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

// TestProfiles keeps the job's additional file compiling, and the product without it.
func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	p, err := newProfiles(filepath.Join(dir, "profiles"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := buildJob(t.Context(), config{dir: dir, profiles: p}); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(p.option(), "containerized.master.env.LOAD_PROFILE=127.0.0.1:") {
		t.Errorf("option %q", p.option())
	}
}
