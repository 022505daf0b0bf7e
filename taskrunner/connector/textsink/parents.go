package textsink

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/flott-dev/flott/yarn/dfs"
)

// makeParents makes the missing directories above the target and notes which of them it made: these go again when the job leaves no
// output. It looks from
// below, so that a parent that exists costs one call.
func (c *committer) makeParents(ctx context.Context) error {
	var missing []string
	for dir := path.Dir(c.at.target); dir != "/"; dir = path.Dir(dir) {
		there, err := dfs.Exists(ctx, c.at.fsys, dir)
		if err != nil {
			return err
		}
		if there {
			break
		}
		missing = append(missing, dir)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		c.parents = append(c.parents, missing[i]) // first: the answer may get lost
		err := c.at.fsys.Mkdir(ctx, missing[i], 0o755)
		if errors.Is(err, fs.ErrExist) { // another job has been faster
			c.parents = c.parents[:len(c.parents)-1]
		} else if err != nil {
			return err
		}
	}
	return nil
}

// removeParents removes the directories that makeParents made, the lowest first, up to the first in which someone has put something.
func (c *committer) removeParents(ctx context.Context) error {
	for n := len(c.parents); n > 0; n = len(c.parents) {
		err := c.at.fsys.Delete(ctx, c.parents[n-1], false)
		if errors.Is(err, dfs.ErrNotEmpty) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.parents = c.parents[:n-1]
	}
	return nil
}
