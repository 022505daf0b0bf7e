// Command load runs an application with many workers on a fake YARN and says what its ApplicationMaster took.
//
//	load [-workers n] [-slots n] [-exchange] [-steady 10s] [-processes n] [-json] [-profile DIR]
//
// One process, this one, is the YARN RM, all NodeManagers and all workers, on the real protocols: yarn/yarntest speaks Hadoop's, the workers
// are real TaskExecutors with their own server and connections each, but for a stub where tasks would run. Workers that need more open files
// than one process may have are in processes of their own (`load workers`), as few as can be. The ApplicationMaster is a process of its own
// always, the job binary integration/jobs/wide, submitted by `flott run`. The YARN RM gives containers at once: no NodeManager heartbeat is
// waited for, so that the times are the ApplicationMaster's (and the harness's, which has the same processors).
//
// The run goes from the submission over every task RUNNING and a while of heartbeats to the cancellation, and fails if anything is left.
// -profile builds the job with one more file, which serves net/http/pprof, and keeps the AM's profiles; the product has no such path.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := command
	if len(os.Args) == 2 && os.Args[1] == workersCommand {
		run = func(context.Context, []string) error { return serveWorkers(os.Stdin, os.Stdout) }
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	cfg := config{settle: 2 * time.Second}
	var limit time.Duration
	var asJSON bool
	var options, profile string
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.IntVar(&cfg.workers, "workers", 100, "how many workers")
	f.IntVar(&cfg.slots, "slots", 4, "of each worker; a job has at most 32,768 subtasks in a vertex")
	f.IntVar(&cfg.perNode, "per-node", 10, "workers on each node")
	f.BoolVar(&cfg.exchange, "exchange", false, "a second vertex, every subtask of the first connected with every one of it")
	f.IntVar(&cfg.processes, "processes", 0, "of workers; 0: workers are in this process, or in as few as the limit of open files allows")
	f.DurationVar(&cfg.steady, "steady", 10*time.Second, "how long heartbeats are watched")
	f.StringVar(&cfg.memory, "memory", "1024m", "jobmanager.memory.process.size")
	f.StringVar(&options, "D", "", "further options, key=value, with commas between them")
	f.StringVar(&cfg.binary, "job", "", "job binary; built if empty")
	f.StringVar(&profile, "profile", "", "directory for CPU and heap profiles of the AM")
	f.DurationVar(&limit, "limit", 5*time.Minute, "of the whole run")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	if err := f.Parse(args); err != nil {
		return err
	}
	if cfg.workers < 1 || cfg.slots < 1 || cfg.perNode < 1 || cfg.processes < 0 || f.NArg() > 0 {
		return errors.New("workers, slots and workers on a node have to be positive, and nothing follows the options")
	}
	if options != "" {
		cfg.options = strings.Split(options, ",")
	}
	var err error
	if profile != "" {
		if cfg.profiles, err = newProfiles(profile); err != nil {
			return err
		}
		cfg.options = append(cfg.options, cfg.profiles.option())
	}
	if cfg.dir, err = os.MkdirTemp("", "flott-load-"); err != nil {
		return err
	}
	defer os.RemoveAll(cfg.dir)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
	defer cancel()
	if cfg.binary == "" {
		if cfg.binary, err = buildJob(ctx, cfg); err != nil {
			return err
		}
	}
	r, err := run(ctx, cfg)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return r.print()
}

// buildJob builds the job program as a user does, for profiles with one more file.
func buildJob(ctx context.Context, cfg config) (string, error) {
	const pkg = "github.com/flott-dev/flott/integration/jobs/wide"
	binary := filepath.Join(cfg.dir, "wide")
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", binary}
	if cfg.profiles != nil {
		overlay, err := profiled(ctx, cfg.dir, pkg)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the job: %w: %s", err, out)
	}
	return binary, nil
}

func (r result) print() error {
	const mib = 1 << 20
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(what, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{what}, args...)...)
	}
	row("workers, slots, tasks, nodes", "%d, %d, %d, %d", r.Workers, r.Slots, r.Tasks, r.Nodes)
	row("processes of workers beside this one", "%d", r.Processes)
	row("submission → AM registered", "%.2f s", r.Registered)
	row("→ containers granted", "%.2f s", r.Granted)
	row("→ containers started", "%.2f s", r.Started)
	row("→ workers registered", "%.2f s", r.Joined)
	row("→ workers at the JobMaster", "%.2f s", r.JobJoined)
	row("→ slots present", "%.2f s", r.Placed)
	row("→ tasks deployed", "%.2f s", r.Deployed)
	row("→ every task RUNNING", "%.2f s", r.Running)
	row("AM CPU until then", "%.2f s (harness: %.2f s)", r.CPU, r.OwnCPU)
	row("AM RSS, peak and then", "%.1f MiB, %.1f MiB (harness: %.0f MiB)", float64(r.PeakRSS)/mib, float64(r.SteadyRSS)/mib, float64(r.OwnRSS)/mib)
	row("AM CPU with heartbeats only", "%.1f %% of a core over %.0f s", 100*r.SteadyCPU, r.Steady)
	row("cancel → nothing left", "%.2f s (AM CPU %.2f s)", r.Canceled, r.EndCPU)
	row("streams that came too late", "%d", r.Late)
	return w.Flush()
}
