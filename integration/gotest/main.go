package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// options are what the command line says.
type options struct {
	run      string        // go test -run
	tags     string        // go test -tags
	limit    time.Duration // of everything
	fuzzTime time.Duration
	count    int
	shuffle  bool
	patterns []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, errTests) {
		fmt.Fprintln(os.Stderr, "gotest:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// errTests says that the report has told already what failed.
var errTests = errors.New("tests failed")

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("want a command: test, unit, hadoop, race, nightly or fuzz")
	}
	var o options
	flags := flag.NewFlagSet("gotest "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.run, "run", "", "only tests that match, as in go test")
	flags.DurationVar(&o.limit, "limit", 20*time.Minute, "end after this time")
	flags.DurationVar(&o.fuzzTime, "fuzztime", 5*time.Second, "time per fuzz test")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	o.patterns = flags.Args()
	if len(o.patterns) == 0 {
		o.patterns = []string{"./..."}
	}
	var halves []func(context.Context, options, *report) error
	switch args[0] {
	case "test":
		halves = append(halves, unit, onHadoop)
	case "unit":
		halves = append(halves, unit)
	case "hadoop":
		halves = append(halves, onHadoop)
	case "race":
		o.tags, o.count, o.shuffle = "invariants", 3, true
		halves = append(halves, unit)
	case "nightly":
		o.tags = "nightly"
		o.limit = max(o.limit, 6*time.Hour)
		halves = append(halves, unit, onHadoop)
	case "fuzz":
		halves = append(halves, fuzz)
	default:
		return fmt.Errorf("unknown command %q: want test, unit, hadoop, race, nightly or fuzz", args[0])
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done within %v", o.limit))
	defer cancel()
	r := newReport(out)
	for _, half := range halves {
		if err := half(ctx, o, r); err != nil {
			r.problem(err)
			break
		}
	}
	return r.finish()
}

// unit runs what needs no Hadoop.
func unit(ctx context.Context, o options, r *report) error {
	plain, _, err := packages(ctx, o)
	if err != nil || len(plain) == 0 {
		return err
	}
	if err := ensureCompiler(ctx, r); err != nil {
		return err
	}
	args := []string{"-race"}
	if o.count > 0 {
		args = append(args, fmt.Sprintf("-count=%d", o.count))
	}
	if o.shuffle {
		args = append(args, "-shuffle=on")
	}
	return goTest(ctx, o, r, nil, append(args, "-timeout=4m"), plain)
}

// ensureCompiler looks for the C compiler that the race detector needs.
func ensureCompiler(ctx context.Context, r *report) error {
	out, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return fmt.Errorf("find the C compiler: %w", err)
	}
	if words := strings.Fields(string(out)); len(words) > 0 {
		if _, err := exec.LookPath(words[0]); err == nil {
			return nil
		}
	}
	return hadoop.Install(ctx, r.line, "the race detector needs a C compiler", "gcc", "libc6-dev")
}

// onHadoop runs the rest on one cluster, a package after the other. Results are never taken from the cache: it does not
// know the cluster.
func onHadoop(ctx context.Context, o options, r *report) (err error) {
	_, real, err := packages(ctx, o)
	if err != nil || len(real) == 0 {
		return err
	}
	var env []string
	if dir := os.Getenv(hadoop.StateEnv); dir != "" {
		r.line("using the cluster in " + dir)
	} else {
		if dir, err = filepath.Abs(filepath.Join(".hadoop", "gotest")); err != nil {
			return err
		}
		c, err := hadoop.Start(ctx, hadoop.Options{StateDir: dir, AutoPorts: true, Progress: r.line})
		if err != nil {
			return fmt.Errorf("real Hadoop cannot start, the tests that need it did not run: %w", err)
		}
		defer func() { err = errors.Join(err, c.Stop()) }()
		env = c.Env()
	}
	return goTest(ctx, o, r, env, []string{"-count=1", "-p=1", "-timeout=" + o.limit.String()}, real)
}

// goTest runs go test and reports its events. A failing test is no error here: the report knows it.
func goTest(ctx context.Context, o options, r *report, env, args, packages []string) error {
	line := append([]string{"test", "-json", "-vet=off"}, args...)
	if o.run != "" {
		line = append(line, "-run="+o.run)
	}
	if o.tags != "" {
		line = append(line, "-tags="+o.tags)
	}
	cmd := exec.CommandContext(ctx, "go", append(line, packages...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	// An interrupt lets go test end its tests, and these their processes.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	before := r.failed
	readErr := r.read(stdout)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("run go test: %w", context.Cause(ctx))
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && r.failed > before {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("run go %s: %w", strings.Join(line, " "), err)
	}
	return errors.Join(readErr, err)
}
