package control

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// jobBinary builds the program that the applications of this package run, once.
var jobBinary func() (string, error)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "flott-control-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	jobBinary = sync.OnceValues(func() (string, error) {
		out := filepath.Join(dir, "endings")
		cmd := exec.Command("go", "build", "-trimpath", "-o", out, "./integration/jobs/endings")
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
		if said, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build the job: %w\n%s", err, said)
		}
		return out, nil
	})
	code := m.Run()
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
