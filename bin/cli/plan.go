package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/plan"
)

const (
	// planPatience bounds the job's build function on the submitter.
	planPatience = 2 * time.Minute
	// maxSaid bounds what is kept of a program's output.
	maxSaid = 64 << 10
)

// makePlan runs the job binary in its role plan and reads what it wrote.
func (j *job) makePlan(ctx context.Context) (*plan.Plan, []byte, error) {
	launch, err := j.writeLaunch(launchfile.File{})
	if err != nil {
		return nil, nil, err
	}
	out := filepath.Join(j.dir, "plan")
	running, cancel := context.WithTimeout(ctx, planPatience)
	defer cancel()
	abs, err := filepath.Abs(j.binary)
	if err != nil {
		return nil, nil, fmt.Errorf("find %s: %w", j.binary, err)
	}
	cmd := exec.CommandContext(running, abs, j.args...)
	cmd.Args[0] = j.binary
	cmd.Env = append(j.Environ[:len(j.Environ):len(j.Environ)],
		launchfile.RoleVariable+"=plan", launchfile.Variable+"="+launch, launchfile.PlanOutVariable+"="+out)
	var said tail
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	if err := cmd.Run(); err != nil {
		return nil, nil, j.planError(ctx, running, err, said.String())
	}
	data, err := readLimited(out, plan.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s ended without a plan; does its main function call flow.Main?%s", j.binary, below(said.String()))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the plan of %s: %w", j.binary, err)
	}
	p, err := plan.Unmarshal(data)
	if err != nil {
		return nil, nil, fmt.Errorf("read the plan of %s: %w", j.binary, err)
	}
	return p, data, nil
}

func (j *job) planError(ctx, running context.Context, err error, said string) error {
	var exit *exec.ExitError
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case running.Err() != nil:
		return fmt.Errorf("%s needs more than %s to build its plan%s", j.binary, planPatience, below(said))
	case !errors.As(err, &exit):
		return fmt.Errorf("run %s to get its plan: %w", j.binary, err)
	}
	said = strings.TrimSpace(said)
	if said == "" {
		return fmt.Errorf("%s cannot build its plan: %w", j.binary, err)
	}
	return fmt.Errorf("%s cannot build its plan: %s", j.binary, said)
}

// below puts a program's words under a sentence.
func below(said string) string {
	if said = strings.TrimSpace(said); said == "" {
		return ""
	}
	return "\n" + said
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return data, err
}

// tail keeps the end of what is written to it.
type tail struct{ buf bytes.Buffer }

func (t *tail) Write(b []byte) (int, error) {
	if len(b) >= maxSaid {
		t.buf.Reset()
		t.buf.Write(b[len(b)-maxSaid:])
		return len(b), nil
	}
	if over := t.buf.Len() + len(b) - maxSaid; over > 0 {
		t.buf.Next(over)
	}
	t.buf.Write(b)
	return len(b), nil
}

func (t *tail) String() string { return t.buf.String() }
