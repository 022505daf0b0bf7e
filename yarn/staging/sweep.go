package staging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// State of an application, as its YARN RM reports it.
type State int

// States.
const (
	Active   State = iota // not terminal, or nobody can tell
	Terminal              // FINISHED, FAILED or KILLED
	Unknown               // the RM does not know it
)

// String names the state.
func (s State) String() string {
	return [...]string{"active", "terminal", "unknown"}[s]
}

// Sweep removes what dead applications left, as far as that is certain: only those whose owner is rm, the RM that state asks; those
// that it reports as terminal; those that it does not know once they are older than MaxAge. It returns the applications swept; what
// failed for one does not keep it from the others.
func (a *Area) Sweep(ctx context.Context, rm string, state func(context.Context, yarnid.ApplicationID) (State, error), r dfs.Resolver) ([]yarnid.ApplicationID, error) {
	apps, err := a.Applications(ctx)
	if err != nil {
		return nil, fmt.Errorf("sweep staging area: %w", err)
	}
	var swept []yarnid.ApplicationID
	var errs []error
	for _, app := range apps {
		dead, err := a.dead(ctx, app, rm, state)
		if err == nil && dead {
			if err = a.SweepApplication(ctx, app, r); err == nil {
				swept = append(swept, app)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep staging of %s: %w", app, err))
		}
	}
	return swept, errors.Join(errs...)
}

func (a *Area) dead(ctx context.Context, app yarnid.ApplicationID, rm string, state func(context.Context, yarnid.ApplicationID) (State, error)) (bool, error) {
	dir, err := a.fs.Stat(ctx, a.ApplicationDir(app))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	owner, err := a.Owner(ctx, app)
	if errors.Is(err, fs.ErrNotExist) {
		// Its maker died before the first file, or is just at it. With anything else in it, it is none of our making.
		l, err := a.list(ctx, dir.Path)
		for _, fi := range l {
			if !strings.HasPrefix(fi.Name(), ownerFile+".") {
				return false, err
			}
		}
		return err == nil && a.old(dir), err
	}
	if err != nil || owner != rm {
		return false, err
	}
	s, err := state(ctx, app)
	if err != nil {
		return false, err
	}
	switch s {
	case Terminal:
		return true, nil
	case Unknown:
		fi, err := a.fs.Stat(ctx, path.Join(dir.Path, ownerFile))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil && a.old(fi), err
	default:
		return false, nil
	}
}

// SweepApplication removes what an application left that is known to have ended: the leftovers of a job without a completed checkpoint
// or savepoint, the references, the directory. With one, everything goes but what Cleanup needs.
func (a *Area) SweepApplication(ctx context.Context, app yarnid.ApplicationID, r dfs.Resolver) error {
	keep, err := dfs.Exists(ctx, a.fs, path.Join(a.ApplicationDir(app), checkpointFile))
	if err != nil {
		return err
	}
	if !keep {
		return a.Cleanup(ctx, app, r)
	}
	if err := a.dropReferences(ctx, app); err != nil {
		return err
	}
	l, err := a.list(ctx, a.ApplicationDir(app))
	if err != nil {
		return err
	}
	for _, fi := range l {
		switch fi.Name() {
		case ownerFile, leftoversDir, checkpointFile:
		default:
			if err := a.remove(ctx, fi.Path, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// Cleanup removes everything of an application that has ended, also the leftovers that a checkpoint may name: `flott cleanup`, and
// a job whose end is stored.
func (a *Area) Cleanup(ctx context.Context, app yarnid.ApplicationID, r dfs.Resolver) error {
	if err := a.deleteLeftovers(ctx, app, r); err != nil {
		return fmt.Errorf("remove leftovers of %s: %w", app, err)
	}
	return a.Clean(ctx, app)
}
