package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// command is a program to run. It has a process group of its own, so that a terminal's Ctrl-C comes from here, once; when the context ends, so
// does the group.
type command struct {
	name   string
	args   []string
	env    []string // beside this process's own
	stdin  io.Reader
	stdout io.Writer // nil: kept, and the result of output
	stderr io.Writer // nil: kept, and part of the error
}

// output runs the command and returns what it printed; its error has the end of what it complained about.
func (c command) output(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, c.name, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin = c.stdin
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = c.stdout, c.stderr
	if c.stdout == nil {
		cmd.Stdout = &out
	}
	if c.stderr == nil {
		cmd.Stderr = &complaint
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil && err != nil {
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what did not listen; mostly nothing
		}
		err = context.Cause(ctx)
	}
	if err != nil {
		return out.String(), &commandError{line: c.name + " " + strings.Join(c.args, " "), said: lastLines(complaint.String(), 10), cause: err}
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// commandError is how a command ended that did not succeed.
type commandError struct {
	line, said string
	cause      error
}

func (e *commandError) Error() string {
	text := fmt.Sprintf("%.200s: %v", e.line, e.cause)
	if e.said != "" {
		text += ": " + e.said
	}
	return text
}

func (e *commandError) Unwrap() error { return e.cause }

// said returns what the command printed as its complaint, in one line.
func said(err error) string {
	var e *commandError
	if errors.As(err, &e) && e.said != "" {
		return strings.ReplaceAll(e.said, "\n", "; ")
	}
	return err.Error()
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// docker is docker's client. host is the daemon it asks, empty: the one that the client finds itself.
type docker struct{ host string }

func (d docker) env() []string {
	if d.host == "" {
		return nil
	}
	return []string{"DOCKER_HOST=" + d.host}
}

func (d docker) command(args ...string) command {
	return command{name: "docker", args: args, env: d.env()}
}

func (d docker) run(ctx context.Context, args ...string) (string, error) {
	return d.command(args...).output(ctx)
}

// version is the daemon's; an error when none answers.
func (d docker) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return d.run(ctx, "version", "--format", "{{.Server.Version}}")
}

// ids runs a command that lists ids.
func (d docker) ids(ctx context.Context, args ...string) ([]string, error) {
	out, err := d.run(ctx, args...)
	return strings.Fields(out), err
}
