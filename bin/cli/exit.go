package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1   // failed, cancelled, killed or refused
	exitInterrupted = 130 // Ctrl-C
)

var (
	// errInterrupted is the cause of a context that Ctrl-C ended.
	errInterrupted = errors.New("interrupted")
	// errReported fails the command without another word.
	errReported = errors.New("reported")
)

// codeError ends the command with a code and no word: a process that ran in the foreground has spoken already.
type codeError int

func (e codeError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// conclude prints what a command's error says and returns the exit code.
func conclude(ctx context.Context, stderr io.Writer, err error) int {
	var code codeError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case !errors.Is(err, errReported):
		fmt.Fprintln(stderr, "flott:", err)
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return exitInterrupted
	}
	return exitFailed
}

// interruptible returns a context that the first signal ends. After the second the process is gone. The function returned takes the
// signals away from it again.
func interruptible(ctx context.Context, env Env) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for first := true; ; first = false {
			select {
			case _, ok := <-env.Signals:
				if !ok {
					return
				}
				if !first {
					env.Exit(exitInterrupted)
				}
				cancel(errInterrupted)
			case <-done:
				return
			}
		}
	}()
	stopped := false
	return ctx, func() {
		if !stopped {
			stopped = true
			close(done)
			<-ended
		}
	}
}
