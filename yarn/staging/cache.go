package staging

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	// binaryPerm: YARN copies the file as its owner and makes the copy executable; nobody else needs it.
	binaryPerm = 0o700
	// refTries bounds how often the directory of references may vanish between its making and its use.
	refTries = 5
)

// Publish makes the job binary available in the cache for app, whose directory Create made. It writes the reference first and then
// looks; an upload happens only when the binary is not there. Repeating it is cheap: the submitter calls Verify right before
// submitApplication and, on ErrGone, Publish again (the Resource differs then).
func (a *Area) Publish(ctx context.Context, app yarnid.ApplicationID, d Digest, src Source, p Progress) (Resource, error) {
	res, err := a.publish(ctx, app, d, src, p)
	if err != nil {
		return Resource{}, fmt.Errorf("publish job binary %s: %w", src.Name, err)
	}
	return res, nil
}

func (a *Area) publish(ctx context.Context, app yarnid.ApplicationID, d Digest, src Source, p Progress) (Resource, error) {
	if err := a.reference(ctx, d, app); err != nil {
		return Resource{}, err
	}
	target := a.path(cacheDir, d.String())
	res, err := a.resource(ctx, target)
	if err == nil && res.Size != src.Size {
		// Only a foreign hand does this: what is published was complete and had this digest.
		err = fmt.Errorf("%s has %d bytes instead of %d: %w", target, res.Size, src.Size, ErrForeign)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return res, err
	}
	if err := a.ensure(ctx, a.path(cacheDir)); err != nil {
		return Resource{}, err
	}
	tmp, got, err := a.uploadTo(ctx, app, src, binaryPerm, p)
	if err != nil {
		return Resource{}, err
	}
	if got == d {
		err = a.fs.Rename(ctx, tmp, target)
	} else {
		err = fmt.Errorf("%s has the digest %s instead of %s: %w", src.Name, got, d, ErrSourceChanged)
	}
	if err != nil {
		derr := a.remove(context.WithoutCancel(ctx), tmp, false)
		if !errors.Is(err, fs.ErrExist) { // somebody else published the same bytes
			return Resource{}, errors.Join(err, derr)
		}
	}
	return a.resource(ctx, target)
}

// Verify checks that the binary is still the file that Publish described; ErrGone when not.
func (a *Area) Verify(ctx context.Context, res Resource) error {
	now, err := a.resource(ctx, res.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && now != res {
		return fmt.Errorf("check %s: %w", res.Path, ErrGone)
	}
	return err
}

func (a *Area) refPath(d Digest, app yarnid.ApplicationID) string {
	return a.path(refsDir, d.String(), app.String())
}

// reference writes the reference of app; a collector may remove its empty directory in between.
func (a *Area) reference(ctx context.Context, d Digest, app yarnid.ApplicationID) error {
	for try := 1; ; try++ {
		if err := a.ensure(ctx, a.path(refsDir, d.String())); err != nil {
			return err
		}
		err := dfs.WriteFile(ctx, a.fs, a.refPath(d, app), nil, filePerm)
		switch {
		case err == nil, errors.Is(err, fs.ErrExist):
			return nil
		case !errors.Is(err, fs.ErrNotExist) || try == refTries:
			return fmt.Errorf("write reference: %w", err)
		}
	}
}

// dropReferences removes every reference of app.
func (a *Area) dropReferences(ctx context.Context, app yarnid.ApplicationID) error {
	dirs, err := a.list(ctx, a.path(refsDir))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if d, ok := digestOf(dir.Name()); ok {
			if err := a.remove(ctx, a.refPath(d, app), false); err != nil {
				return err
			}
		}
	}
	return nil
}

// Collect deletes binaries that are older than MaxAge and that no application refers to, and finishes what an earlier collector left.
// Submitters may run at the same time. It returns how many binaries are gone; what failed does not keep it from the rest.
func (a *Area) Collect(ctx context.Context) (int, error) {
	var errs []error
	collected := 0
	trash, err := a.list(ctx, a.path(trashDir))
	errs = append(errs, err)
	for _, fi := range trash {
		name, _, _ := strings.Cut(fi.Name(), ".")
		if d, ok := digestOf(name); ok {
			errs = append(errs, a.finish(ctx, d, fi.Path, &collected))
		}
	}
	cached, err := a.list(ctx, a.path(cacheDir))
	errs = append(errs, err)
	for _, fi := range cached {
		if d, ok := digestOf(fi.Name()); ok && a.old(fi) {
			errs = append(errs, a.collectOne(ctx, d, fi, &collected))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return collected, fmt.Errorf("collect job binaries: %w", err)
	}
	return collected, nil
}

func (a *Area) collectOne(ctx context.Context, d Digest, fi dfs.FileInfo, collected *int) error {
	used, err := a.referenced(ctx, d)
	if used || err != nil {
		return err
	}
	if err := a.ensure(ctx, a.path(trashDir)); err != nil {
		return err
	}
	trash := a.path(trashDir, d.String()+"."+rand.Text())
	err = a.fs.Rename(ctx, fi.Path, trash)
	if errors.Is(err, fs.ErrNotExist) { // another collector was faster
		return nil
	}
	if err != nil {
		return err
	}
	return a.finish(ctx, d, trash, collected)
}

// finish decides about a binary in the trash: whoever wrote a reference before this look gets it back, whoever writes one later
// finds the binary absent and publishes it anew.
func (a *Area) finish(ctx context.Context, d Digest, trash string, collected *int) error {
	used, err := a.referenced(ctx, d)
	if err != nil {
		return err // it stays in the trash; the next collector decides
	}
	if used {
		err := a.fs.Rename(ctx, trash, a.path(cacheDir, d.String()))
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist): // given back, by us or by another collector
			return nil
		case !errors.Is(err, fs.ErrExist):
			return err
		}
		// Published anew in between: the copy in the trash is of no use.
	}
	if err := a.remove(ctx, trash, false); err != nil {
		return err
	}
	if !used {
		*collected++
		a.cfg.Log.Info("collected unused job binary", "digest", d.String())
		err := a.remove(ctx, a.path(refsDir, d.String()), false)
		if err != nil && !errors.Is(err, dfs.ErrNotEmpty) {
			return err
		}
	}
	return nil
}

// referenced says whether an application refers to the binary. A reference without an application directory counts until it is
// MaxAge old (its submitter may be between two steps), then it is removed.
func (a *Area) referenced(ctx context.Context, d Digest) (bool, error) {
	refs, err := a.list(ctx, a.path(refsDir, d.String()))
	if err != nil {
		return false, err
	}
	used := false
	for _, ref := range refs {
		if a.old(ref) {
			there, err := dfs.Exists(ctx, a.fs, a.path(path.Base(ref.Path)))
			if err != nil {
				return false, err
			}
			if !there {
				if err := a.remove(ctx, ref.Path, false); err != nil {
					return false, err
				}
				continue
			}
		}
		used = true
	}
	return used, nil
}
