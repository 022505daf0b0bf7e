package jobbinary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// IsSource tells whether a path names Go source to build: a directory, or a .go file.
func IsSource(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && (fi.IsDir() || strings.HasSuffix(path, ".go"))
}

// Target is what a build is for.
type Target struct {
	// OS and Arch are Go's names; empty means this machine's.
	OS, Arch string
	// Environ is the environment of the go command, "KEY=value".
	Environ []string
}

// BuildError is a go build that failed. Output is all that the go command said.
type BuildError struct {
	Path   string
	Output string
}

// Error holds the go command's own words.
func (e *BuildError) Error() string {
	return fmt.Sprintf("go build of %s failed:\n%s", e.Path, strings.TrimRight(e.Output, "\n"))
}

// Build builds the main package at path (see IsSource) statically into a new file in dir and returns its name.
func Build(ctx context.Context, path, dir string, t Target) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", path, err)
	}
	name := strings.TrimSuffix(filepath.Base(abs), ".go")
	in, what := abs, "."
	if fi, err := os.Stat(abs); err == nil && !fi.IsDir() {
		in, what = filepath.Dir(abs), filepath.Base(abs)
	}
	out := filepath.Join(dir, name)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, what)
	cmd.Dir = in
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(append([]string{}, t.Environ...), "CGO_ENABLED=0")
	if t.OS != "" {
		cmd.Env = append(cmd.Env, "GOOS="+t.OS)
	}
	if t.Arch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+t.Arch)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return "", fmt.Errorf("build %s: %w", path, cause)
		}
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("build %s: there is no go command in PATH; give a job binary instead of its source", path)
		}
		return "", &BuildError{Path: path, Output: said.String()}
	}
	if fi, err := os.Stat(out); err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 == 0 {
		return "", fmt.Errorf("build %s: it is not a main package", path)
	}
	return out, nil
}
