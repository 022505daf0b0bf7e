package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/flott-dev/flott/bin/cli/jobbinary"
	"github.com/flott-dev/flott/rpc/launchfile"
)

// runLocal runs the job binary on this machine in its role without a name, and ends as it ends.
func (j *job) runLocal(ctx context.Context) error {
	j.binary = j.invocation.args[0]
	if jobbinary.IsSource(j.binary) {
		built, err := jobbinary.Build(ctx, j.binary, j.dir, jobbinary.Target{Environ: j.Environ})
		if err != nil {
			return err
		}
		j.binary = built
	}
	if _, err := jobbinary.InspectLocal(j.binary); err != nil {
		return err
	}
	path, err := j.writeLaunch(launchfile.File{})
	if err != nil {
		return err
	}
	if context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	j.stopSignals()
	abs, err := filepath.Abs(j.binary) // exec looks up a bare name in PATH
	if err != nil {
		return fmt.Errorf("find %s: %w", j.binary, err)
	}
	cmd := exec.Command(abs, j.args...)
	cmd.Args[0] = j.binary
	cmd.Stdin, cmd.Stdout, cmd.Stderr = j.Stdin, j.Stdout, j.Stderr
	cmd.Env = append(j.Environ[:len(j.Environ):len(j.Environ)], launchfile.Variable+"="+path)
	return j.passThrough(cmd)
}

// writeLaunch completes a launch file with what all roles need and writes it for this user only.
func (j *job) writeLaunch(f launchfile.File) (string, error) {
	data, err := j.launch(f)
	if err != nil {
		return "", err
	}
	path := filepath.Join(j.dir, launchfile.Name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write launch file: %w", err)
	}
	return path, nil
}

func (j *job) launch(f launchfile.File) ([]byte, error) {
	var err error
	if f.Configuration, err = j.conf.Encode(); err != nil {
		return nil, err
	}
	if f.Hadoop, err = j.hadoop.Encode(); err != nil {
		return nil, err
	}
	f.Args, f.Parallelism, f.User, f.Submitted = j.args, j.parallelism, j.user.Name, j.begun.UTC()
	if f.Args == nil {
		f.Args = []string{}
	}
	return f.Encode()
}

// passThrough runs a process in the foreground: signals that only reach us go on to it, its exit code becomes ours.
func (j *job) passThrough(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return exitOf(err)
		case sig := <-j.Signals:
			// A terminal sends Ctrl-C to the whole foreground group; a second one would end the job at once.
			if sig != os.Interrupt || !foreground() {
				_ = cmd.Process.Signal(sig) // the process may just have ended
			}
		}
	}
}

// exitOf is the shell's way to count: a process that a signal ended has 128 + its number.
func exitOf(err error) error {
	var e *exec.ExitError
	if !errors.As(err, &e) {
		return err
	}
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return codeError(128 + int(status.Signal()))
	}
	return codeError(e.ExitCode())
}

// foreground tells whether this process belongs to the foreground of a terminal.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
