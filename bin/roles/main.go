package roles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/program"
)

// Exit codes of a process. YARN shows those of containers; 0, 1 and 130 are also what a local run ends with.
const (
	exitOK          = 0
	exitFailed      = 1   // the job or the process failed
	exitInit        = 31  // the process could not be set up (Flink: YarnTaskExecutorRunner's INIT_ERROR_EXIT_CODE)
	exitInterrupted = 130 // Ctrl-C
)

// Main runs the role that the environment names and ends the process.
func Main(prog program.Program) { os.Exit(run(prog)) }

// environment is what a process learned from its surroundings, read once and removed from the environment where it is ours.
type environment struct {
	role, launch, planOut, master, epoch string
	localTCP                             bool
}

func takeEnvironment() environment {
	take := func(name string) string {
		v := os.Getenv(name)
		os.Unsetenv(name)
		return v
	}
	return environment{
		role:     take(launchfile.RoleVariable),
		launch:   take(launchfile.Variable),
		planOut:  take(launchfile.PlanOutVariable),
		master:   take(launchfile.MasterVariable),
		epoch:    take(launchfile.EpochVariable),
		localTCP: take(launchfile.LocalTCP) == "1",
	}
}

var roleTable = map[string]func(ctx context.Context, env environment, prog program.Program) error{
	"":          runLocal,
	"plan":      runPlan,
	"appmaster": runAppMaster,
	"worker":    runWorker,
}

func run(prog program.Program) int {
	env := takeEnvironment()
	role, ok := roleTable[env.role]
	if !ok {
		fmt.Fprintf(os.Stderr, "%s=%s is not a role of a job binary\n", launchfile.RoleVariable, env.role)
		return exitFailed
	}
	ctx, stop := interruptible()
	defer stop()
	err := role(ctx, env, prog)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return exitCode(ctx, err)
}

// codeError ends the process with a code of its own.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func exitCode(ctx context.Context, err error) int {
	var coded *codeError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitInterrupted
	}
	return exitFailed
}

var errInterrupted = errors.New("interrupted")

// interruptible returns a context that ends with the first SIGINT or SIGTERM. The second ends the process at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-signals:
				if !first {
					os.Exit(exitInterrupted)
				}
				cancel(errInterrupted)
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
