package textsink

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/yarn/dfs"
)

// Sink is the node of the sink: the factory of the writer, and of the committer.
type Sink[T any] struct {
	// Dir is the target, with or without scheme.
	Dir string
	// Format appends a record to a line, without the end of line.
	Format func(line []byte, v T) []byte
}

// NewCoordinator implements operator.CoordinatorFactory.
func (s Sink[T]) NewCoordinator(env operator.CoordinatorEnv) program.Coordinator {
	return newCommitter(s.Dir, env)
}

// New implements operator.Factory.
func (s Sink[T]) New(next any) (operator.Operator, error) {
	return operator.Terminal(func() (operator.Operator, error) {
		return &writer[T]{dir: s.Dir, format: s.Format}, nil
	}).New(next)
}

// CheckDir says what is wrong with a target as it is given, as far as that shows without looking.
func CheckDir(dir string) error {
	if strings.TrimSpace(dir) == "" {
		return errors.New("no output directory is given")
	}
	if dfs.HasMeta(dir) && !strings.Contains(dir, `\`) {
		return fmt.Errorf("output directory %q holds a wildcard", dir)
	}
	return nil
}

// layout is where everything lies.
type layout struct {
	fsys   dfs.FS
	target string
	work   string
}

// newLayout resolves a target for a job.
func newLayout(ctx context.Context, r dfs.Resolver, dir string, job ids.JobID) (layout, error) {
	fsys, p, err := r.For(ctx, dir)
	if err != nil {
		return layout{}, err
	}
	if p == "/" {
		return layout{}, errors.New("the root directory cannot be written as a whole")
	}
	return layout{fsys: fsys, target: p, work: path.Join(path.Dir(p), fmt.Sprintf(".flott-%s-%s", job, path.Base(p)))}, nil
}

func (l layout) tmp() string { return path.Join(l.work, "tmp") }
func (l layout) out() string { return path.Join(l.work, "out") }

// partName is the name of a subtask's file in the target.
func partName(subtask int) string { return fmt.Sprintf("part-%05d", subtask) }

// written is the name of the file in the directory of its execution.
const written = "part"

// success is the file that says that the target is whole; it holds the sink id.
const success = "_SUCCESS"

// committable is what a subtask leaves in its final state: the file it has written. Its fields are encoded in their order.
type committable struct {
	Version uint8
	// Parts is empty when there were no records.
	Parts []part
}

// part is one finished file, by its place below the working directory's tmp.
type part struct {
	Path   string
	Length int64
}

const committableVersion = 1

func encode(c committable) ([]byte, error) { return operator.MustCodec[committable]().Append(nil, &c) }

func decode(b []byte) (committable, error) {
	var c committable
	rest, err := operator.MustCodec[committable]().Decode(append([]byte(nil), b...), &c)
	if err != nil {
		return c, err
	}
	if len(rest) > 0 || c.Version != committableVersion {
		return c, fmt.Errorf("%w: version %d, %d bytes too many", operator.ErrCorrupt, c.Version, len(rest))
	}
	for _, p := range c.Parts {
		if p.Path != path.Clean(p.Path) || path.IsAbs(p.Path) || strings.HasPrefix(p.Path, "..") {
			return c, fmt.Errorf("%w: part %q", operator.ErrCorrupt, p.Path)
		}
	}
	return c, nil
}
