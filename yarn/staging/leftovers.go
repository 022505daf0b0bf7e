package staging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	// leftoverPrefix begins the name of every directory that may be listed: nothing else is ever deleted by a list in a file.
	leftoverPrefix = ".flott-"
	maxLeftovers   = 10_000
)

// AddLeftover records a sink directory (a URI) before it is created, so that it can be removed when nobody is left to do so. The
// last element of its path must begin with ".flott-". A URI that is recorded already is not recorded again. Two attempts of an
// ApplicationMaster may record at the same time.
func (a *Area) AddLeftover(ctx context.Context, app yarnid.ApplicationID, uri string) error {
	if err := checkLeftover(uri); err != nil {
		return fmt.Errorf("record leftover %s of %s: %w", uri, app, err)
	}
	dir := path.Join(a.ApplicationDir(app), leftoversDir)
	if err := a.fs.Mkdir(ctx, dir, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("record leftover %s of %s: %w", uri, app, err)
	}
	for {
		known, next, err := a.leftovers(ctx, app)
		if err == nil && next > maxLeftovers {
			err = fmt.Errorf("more than %d are recorded", maxLeftovers)
		}
		if err != nil {
			return fmt.Errorf("record leftover %s of %s: %w", uri, app, err)
		}
		for _, k := range known {
			if k == uri {
				return nil
			}
		}
		err = dfs.CreateOnce(ctx, a.fs, path.Join(dir, fmt.Sprintf("%06d", next)), []byte(uri+"\n"), filePerm)
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrExist) { // else somebody took the number; look again
			return fmt.Errorf("record leftover %s of %s: %w", uri, app, err)
		}
	}
}

func checkLeftover(uri string) error {
	if strings.ContainsAny(uri, "\n\r") || !strings.Contains(uri, ":/") {
		return fmt.Errorf("not a full URI: %w", fs.ErrInvalid)
	}
	if base := path.Base(path.Clean(uri)); !strings.HasPrefix(base, leftoverPrefix) || base == leftoverPrefix {
		return fmt.Errorf("its name does not begin with %s: %w", leftoverPrefix, fs.ErrInvalid)
	}
	return nil
}

// Leftovers lists what was recorded, in order.
func (a *Area) Leftovers(ctx context.Context, app yarnid.ApplicationID) ([]string, error) {
	l, _, err := a.leftovers(ctx, app)
	return l, err
}

func (a *Area) leftovers(ctx context.Context, app yarnid.ApplicationID) (uris []string, next int, err error) {
	l, err := a.list(ctx, path.Join(a.ApplicationDir(app), leftoversDir))
	if err != nil {
		return nil, 0, err
	}
	next = 1
	for _, fi := range l {
		n, err := strconv.Atoi(fi.Name())
		if err != nil || n <= 0 { // a temporary file
			continue
		}
		next = max(next, n+1)
		b, err := dfs.ReadFile(ctx, a.fs, fi.Path, maxSmallFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		if uri, whole := strings.CutSuffix(string(b), "\n"); whole && checkLeftover(uri) == nil {
			uris = append(uris, uri)
		}
	}
	return uris, next, nil
}

// MarkCheckpointed says, before the first checkpoint or savepoint counts as completed, that one may name parts in the leftovers:
// from then on no sweep deletes them.
func (a *Area) MarkCheckpointed(ctx context.Context, app yarnid.ApplicationID) error {
	err := dfs.CreateOnce(ctx, a.fs, path.Join(a.ApplicationDir(app), checkpointFile), nil, filePerm)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("mark %s as checkpointed: %w", app, err)
	}
	return nil
}

// deleteLeftovers removes the recorded directories.
func (a *Area) deleteLeftovers(ctx context.Context, app yarnid.ApplicationID, r dfs.Resolver) error {
	uris, err := a.Leftovers(ctx, app)
	if err != nil {
		return err
	}
	for _, uri := range uris {
		fsys, p, err := r.For(ctx, uri)
		if err != nil {
			return err
		}
		if err := fsys.Delete(ctx, p, true); err != nil && !errors.Is(err, fs.ErrNotExist) && !neverMade(ctx, fsys, p, err) {
			return err
		}
		a.cfg.Log.Info("removed leftover", "application", app.String(), "uri", uri)
	}
	return nil
}

// neverMade tells whether a directory that may not be deleted is not there either. It is recorded before it is made, so a user who may not
// write to its parent leaves a record without a directory; one whose parent he may not even look into he cannot have made.
func neverMade(ctx context.Context, fsys dfs.FS, p string, deleting error) bool {
	if !errors.Is(deleting, fs.ErrPermission) {
		return false
	}
	_, err := fsys.Stat(ctx, p)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}
