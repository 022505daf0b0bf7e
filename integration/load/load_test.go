package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun starts twenty workers in each of the two shapes of the job, watches them for a moment and cancels.
func TestRun(t *testing.T) {
	for _, exchange := range []bool{false, true} {
		name := map[bool]string{false: "one vertex", true: "exchange"}[exchange]
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("not done in time"))
			defer cancel()
			cfg := config{workers: 20, slots: 4, perNode: 10, exchange: exchange, steady: 100 * time.Millisecond, memory: "1024m", dir: t.TempDir()}
			var err error
			if cfg.binary, err = buildJob(ctx, cfg); err != nil {
				t.Fatal(err)
			}
			r, err := run(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Workers != 20 || r.Slots != 80 || r.Tasks != cfg.tasks() || r.Nodes != 2 {
				t.Errorf("got %d workers, %d slots, %d tasks and %d nodes", r.Workers, r.Slots, r.Tasks, r.Nodes)
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

func TestTooManyFiles(t *testing.T) {
	const workers = 1 << 30 // more than the kernel gives to anyone
	fit, err := allowFiles(workers, 10)
	if err == nil || fit < 1 || fit >= workers {
		t.Fatalf("%d workers: got room for %d, %v", workers, fit, err)
	}
	if again, err := allowFiles(fit, 10); err != nil || again != fit {
		t.Errorf("the %d that fit do not: %d, %v", fit, again, err)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-workers", "0"}, {"-slots", "-1"}, {"more"}} {
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
