package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/flott-dev/flott/conf"
)

// Env is what surrounds a command.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Environ holds the environment as "KEY=value" lines.
	Environ []string
	// Columns is the width of the terminal that Stderr is; 0 when it is none.
	Columns int
	// Signals brings SIGINT and SIGTERM (and SIGHUP). The first ends the command in order, the second at once. nil: none come.
	Signals <-chan os.Signal
	// Exit ends the process, for a second signal.
	Exit func(code int)
	// Version is what `flott version` prints.
	Version Version
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Getenv reads a variable; the last of several settings counts, as in a process.
func (e Env) Getenv(name string) string {
	for _, kv := range slices.Backward(e.Environ) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// Main runs the command that args (without the program's name) ask for and returns the exit code.
func Main(ctx context.Context, env Env, args []string) int {
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Exit == nil {
		env.Exit = os.Exit
	}
	begun := env.Now()
	ctx, stop := interruptible(ctx, env)
	defer stop()
	err := dispatch(ctx, env, begun, stop, args)
	return conclude(ctx, env.Stderr, err)
}

func dispatch(ctx context.Context, env Env, begun time.Time, stop func(), args []string) error {
	if len(args) == 0 {
		usage(env.Stderr)
		return errReported
	}
	name, rest := args[0], args[1:]
	switch name {
	case "-h", "--help", "-help":
		usage(env.Stdout)
		return nil
	case "-v", "--version", "-version":
		name = "version"
	}
	cmd, err := find(name)
	if err != nil {
		return err
	}
	inv, err := cmd.parse(rest)
	if err != nil {
		return err
	}
	inv.Env, inv.begun, inv.stopSignals = env, begun, stop
	if inv.help {
		cmd.help(env.Stdout)
		return nil
	}
	for _, w := range inv.warnings {
		inv.warn(w)
	}
	return cmd.Run(ctx, inv)
}

// invocation is one parsed command line with what surrounds it.
type invocation struct {
	Env
	begun time.Time // of the command
	cmd   *Command
	flags *pflag.FlagSet
	// args are the words that are no options.
	args []string
	// settings are configuration given by options, in the order of the command line: -D and its other spellings.
	settings []conf.Setting
	warnings []string
	help     bool
	// stopSignals gives Env.Signals to the command.
	stopSignals func()
}

// on tells whether a switch was given.
func (inv *invocation) on(name string) bool {
	v, err := inv.flags.GetBool(name)
	return err == nil && v
}

// text is the value of an option; empty when it was not given.
func (inv *invocation) text(name string) string {
	v, err := inv.flags.GetString(name)
	if err != nil {
		return ""
	}
	return v
}

func (inv *invocation) warn(text string) { fmt.Fprintln(inv.Stderr, "flott: warning:", text) }

// print writes one line of a result.
func (inv *invocation) print(format string, args ...any) {
	fmt.Fprintf(inv.Stdout, format+"\n", args...)
}
