package textsink

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/yarn/dfs"
)

// committer makes the working directory, and turns it into the target or removes it.
type committer struct {
	dir string
	env operator.CoordinatorEnv
	at  layout
	id  string // sink id
	// parents are the directories above the target that this committer made, outermost first.
	parents []string
}

// movesAtOnce is how many parts are moved at a time: each takes two calls.
const movesAtOnce = 16

func newCommitter(dir string, env operator.CoordinatorEnv) *committer {
	return &committer{dir: dir, env: env}
}

var (
	errExists  = errors.New("the output directory exists already; remove it, or choose another")
	errForeign = errors.New("the output directory exists, and another job has written it")
	errLost    = errors.New("is neither where it was written nor where it belongs")
)

func (c *committer) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s text files to %q: %w", what, c.dir, err)
}

// Start implements program.Coordinator: the target must be free, and the working directory is made, which shows that this is allowed.
func (c *committer) Start(ctx context.Context, cc program.CoordinatorContext) error {
	return c.wrap("write", c.start(ctx, cc))
}

func (c *committer) start(ctx context.Context, cc program.CoordinatorContext) error {
	var err error
	if c.at, err = newLayout(ctx, c.env.FS, c.dir, cc.Job); err != nil {
		return err
	}
	if c.id == "" {
		c.id = sinkID(cc.Job, cc.Operator)
	}
	if err := c.free(ctx); err != nil {
		return err
	}
	if err := cc.AddLeftover(ctx, c.at.fsys.URI(c.at.work)); err != nil {
		return err
	}
	if err := c.makeParents(ctx); err != nil {
		return err
	}
	for _, dir := range []string{c.at.work, c.at.tmp()} {
		if err := c.at.fsys.Mkdir(ctx, dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// free checks that nothing is where the target will be, but for one of our own: an earlier attempt of this job has committed, and was cut
// off before that was known. Commit will keep it.
func (c *committer) free(ctx context.Context) error {
	there, err := dfs.Exists(ctx, c.at.fsys, c.at.target)
	if err != nil || !there {
		return err
	}
	ours, err := c.finished(ctx)
	if err == nil && !ours {
		err = errExists
	}
	return err
}

// sinkID names the sink of one job.
func sinkID(job ids.JobID, op ids.OperatorID) string {
	h := sha256.New()
	h.Write([]byte("flott sink"))
	h.Write(job[:])
	h.Write(op[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// finished reports whether the target exists with our sink id. It is no error when it does not exist, or is another's.
func (c *committer) finished(ctx context.Context) (bool, error) {
	return c.marked(ctx, c.at.target)
}

// marked reports whether a directory holds a _SUCCESS of ours.
func (c *committer) marked(ctx context.Context, dir string) (bool, error) {
	const longest = 1 << 10
	p := path.Join(dir, success)
	fi, err := c.at.fsys.Stat(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, dfs.ErrNotDirectory):
		return false, nil
	case err != nil:
		return false, err
	case fi.IsDir || fi.Size > longest:
		return false, nil
	}
	b, err := dfs.ReadFile(ctx, c.at.fsys, p, longest)
	if err != nil {
		return false, err
	}
	return string(b) == c.id+"\n", nil
}

// Commit implements program.Coordinator.
func (c *committer) Commit(ctx context.Context, finals [][]byte) error {
	return c.wrap("commit", c.commit(ctx, finals))
}

func (c *committer) commit(ctx context.Context, finals [][]byte) error {
	parts := make(map[string]part, len(finals)) // by name in the target
	for i, b := range finals {
		m, err := decode(b)
		if err != nil {
			return fmt.Errorf("read what subtask %d has left: %w", i, err)
		}
		if len(m.Parts) > 1 {
			return fmt.Errorf("read what subtask %d has left: %w: %d parts", i, operator.ErrCorrupt, len(m.Parts))
		}
		for _, p := range m.Parts {
			parts[partName(i)] = p
		}
	}
	done, err := c.finished(ctx)
	if err != nil {
		return err
	}
	if !done {
		if err := c.publish(ctx, parts); err != nil {
			return err
		}
	}
	if err := c.remove(ctx); err != nil {
		// The output is whole; what stays behind is entered as a leftover.
		c.env.Log.Warn("working directory of a sink stays behind", "path", c.at.fsys.URI(c.at.work), "error", err)
	}
	return nil
}

// publish moves the parts to out, marks it and renames it. Each step may have been done by an attempt before.
func (c *committer) publish(ctx context.Context, parts map[string]part) error {
	if err := c.at.fsys.Mkdir(ctx, c.at.out(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := c.moveAll(ctx, parts); err != nil {
		return err
	}
	if err := c.mark(ctx); err != nil {
		return err
	}
	err := c.at.fsys.Rename(ctx, c.at.out(), c.at.target)
	if err == nil {
		return nil
	}
	done, derr := c.finished(ctx) // the answer may have been lost
	switch {
	case derr != nil:
		return errors.Join(err, derr)
	case done:
		return nil
	case errors.Is(err, fs.ErrExist):
		return errForeign
	}
	return err
}

// moveAll brings every part to its place, several at once; the first error ends it.
func (c *committer) moveAll(ctx context.Context, parts map[string]part) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(movesAtOnce)
	for name, p := range parts {
		g.Go(func() error {
			return c.move(ctx, path.Join(c.at.tmp(), p.Path), path.Join(c.at.out(), name), p.Length)
		})
	}
	return g.Wait()
}

// move brings one part to its place.
func (c *committer) move(ctx context.Context, from, to string, length int64) error {
	err := c.at.fsys.Rename(ctx, from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return c.check(ctx, to, length)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Someone else's file is where the part belongs, or the answer of a rename has been lost.
	if gone, serr := c.absent(ctx, from); serr != nil || !gone {
		return errors.Join(err, serr)
	}
	return c.check(ctx, to, length)
}

func (c *committer) absent(ctx context.Context, p string) (bool, error) {
	there, err := dfs.Exists(ctx, c.at.fsys, p)
	return !there, err
}

// check finds a committed part, with its length.
func (c *committer) check(ctx context.Context, p string, length int64) error {
	fi, err := c.at.fsys.Stat(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("part %s %w", c.at.fsys.URI(p), errLost)
	}
	if err != nil {
		return err
	}
	if fi.IsDir || fi.Size != length {
		return fmt.Errorf("part %s has %d bytes instead of %d: %w", c.at.fsys.URI(p), fi.Size, length, dfs.ErrLength)
	}
	return nil
}

// mark puts _SUCCESS into out, complete from the first moment on.
func (c *committer) mark(ctx context.Context) error {
	if done, err := c.marked(ctx, c.at.out()); err != nil || done {
		return err
	}
	beside := path.Join(c.at.work, success+"."+rand.Text()) // goes with the working directory when something cuts this off
	if err := dfs.WriteFile(ctx, c.at.fsys, beside, []byte(c.id+"\n"), 0o644); err != nil {
		return err
	}
	err := c.at.fsys.Rename(ctx, beside, path.Join(c.at.out(), success))
	if err == nil {
		return nil
	}
	done, derr := c.marked(ctx, c.at.out())
	if derr == nil && done {
		return nil
	}
	return errors.Join(err, derr)
}

// remove deletes the working directory.
func (c *committer) remove(ctx context.Context) error {
	err := c.at.fsys.Delete(ctx, c.at.work, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Discard implements program.Coordinator.
func (c *committer) Discard(ctx context.Context) error {
	if c.at.fsys == nil {
		return nil // never started
	}
	err := c.remove(ctx)
	if err == nil {
		err = c.removeParents(ctx)
	}
	return c.wrap("discard", err)
}

// HandleEvent implements program.Coordinator; writers send nothing.
func (c *committer) HandleEvent(context.Context, int, ids.ExecutionAttemptID, []byte) error {
	return nil
}

// SubtaskReset implements program.Coordinator: what the former execution wrote is in nobody's final state.
func (c *committer) SubtaskReset(context.Context, int) error { return nil }

// Snapshot implements program.Coordinator: the sink id.
func (c *committer) Snapshot(context.Context, uint64) ([]byte, error) { return []byte(c.id), nil }

// Restore implements program.Coordinator.
func (c *committer) Restore(_ context.Context, state []byte) error {
	if len(state) == 0 || len(state) > 64 {
		return c.wrap("restore", fmt.Errorf("%w: sink id of %d bytes", operator.ErrCorrupt, len(state)))
	}
	c.id = string(state)
	return nil
}

// Close implements program.Coordinator.
func (c *committer) Close() error { return nil }

var _ program.Coordinator = (*committer)(nil)
