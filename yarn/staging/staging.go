package staging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	// Base is the directory below <staging> that everything lies in.
	Base = ".flott"
	// MaxAge protects what nobody is known to need any more: 7 days.
	MaxAge = 7 * 24 * time.Hour

	dirPerm  = 0o700
	filePerm = 0o600

	cacheDir, refsDir, trashDir             = "cache", "refs", "trash"
	ownerFile, leftoversDir, checkpointFile = "owner", "leftovers", "checkpointed"

	maxSmallFile = 64 << 10
)

var (
	// ErrForeign: the staging area or a cached binary belongs to another user and is not to be trusted.
	ErrForeign = errors.New("owned by another user")
	// ErrGone: a binary is no longer what the submitter saw; publish again.
	ErrGone = errors.New("binary in the cache is gone or was replaced")
	// ErrSourceChanged: a local file changed while it was uploaded.
	ErrSourceChanged = errors.New("file changed while it was being uploaded")
)

// Config makes an Area.
type Config struct {
	// FS holds the staging area; Dir is <staging> in it (usually the user's home directory).
	FS  dfs.FS
	Dir string
	// User must own what is found there. "" where the file system does not tell owners by name.
	User string
	// MaxAge as the constant, which is its default.
	MaxAge time.Duration
	// Now is the clock, default time.Now.
	Now func() time.Time
	// Log gets what was collected and swept; nil discards.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxAge <= 0 {
		c.MaxAge = MaxAge
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.FS == nil {
		return errors.New("staging: no file system")
	}
	if !strings.HasPrefix(c.Dir, "/") {
		return fmt.Errorf("staging: directory %q is not absolute", c.Dir)
	}
	return nil
}

// Area is the staging area of one user.
type Area struct {
	cfg  Config
	fs   dfs.FS
	root string
}

// New returns an Area without touching the file system.
func New(cfg Config) (*Area, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Area{cfg: cfg, fs: cfg.FS, root: path.Join(cfg.Dir, Base)}, nil
}

func (a *Area) path(elem ...string) string { return path.Join(a.root, path.Join(elem...)) }

// ApplicationDir is where the files of an application lie.
func (a *Area) ApplicationDir(app yarnid.ApplicationID) string { return a.path(app.String()) }

// URI of a path in the area's file system.
func (a *Area) URI(p string) string { return a.fs.URI(p) }

// Create makes the directory of an application and says, before anything else is in it, which YARN RM it belongs to: rm is the text
// by which Sweep will be asked. Repeating it with the same rm is no error.
func (a *Area) Create(ctx context.Context, app yarnid.ApplicationID, rm string) error {
	if rm == "" || strings.ContainsAny(rm, "\n\r") {
		return fmt.Errorf("create staging directory of %s: bad owner %q", app, rm)
	}
	if err := a.ensure(ctx, a.root); err != nil {
		return err
	}
	dir := a.ApplicationDir(app)
	if err := a.fs.Mkdir(ctx, dir, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create staging directory of %s: %w", app, err)
	}
	err := dfs.CreateOnce(ctx, a.fs, path.Join(dir, ownerFile), []byte(rm+"\n"), filePerm)
	if errors.Is(err, fs.ErrExist) {
		var got string
		if got, err = a.Owner(ctx, app); err == nil && got != rm {
			err = fmt.Errorf("it belongs to the YARN ResourceManager %s", got)
		}
	}
	if err != nil {
		return fmt.Errorf("create staging directory of %s: %w", app, err)
	}
	return nil
}

// Owner is the YARN RM that Create was given; fs.ErrNotExist when there is none.
func (a *Area) Owner(ctx context.Context, app yarnid.ApplicationID) (string, error) {
	b, err := dfs.ReadFile(ctx, a.fs, path.Join(a.ApplicationDir(app), ownerFile), maxSmallFile)
	if err != nil {
		return "", err
	}
	s, whole := strings.CutSuffix(string(b), "\n")
	if !whole {
		return "", fmt.Errorf("owner of %s is incomplete: %w", app, fs.ErrNotExist)
	}
	return s, nil
}

// Applications lists those that have a directory, oldest first.
func (a *Area) Applications(ctx context.Context) ([]yarnid.ApplicationID, error) {
	l, err := a.list(ctx, a.root)
	if err != nil {
		return nil, err
	}
	var out []yarnid.ApplicationID
	for _, fi := range l {
		if app, ok := applicationOf(fi.Name()); ok && fi.IsDir {
			out = append(out, app)
		}
	}
	return out, nil
}

// applicationOf accepts only the very name that Create gives.
func applicationOf(name string) (yarnid.ApplicationID, bool) {
	app, err := yarnid.ParseApplicationID(name)
	return app, err == nil && app.String() == name
}

// Clean removes the application's references and its directory; afterwards nothing of it is left but its leftovers, if it did not
// remove them itself. An application that is not there is no error.
func (a *Area) Clean(ctx context.Context, app yarnid.ApplicationID) error {
	// The references first: they are found by the directory's name, but the directory is what a later sweep looks for.
	if err := a.dropReferences(ctx, app); err != nil {
		return fmt.Errorf("clean staging of %s: %w", app, err)
	}
	if err := a.remove(ctx, a.ApplicationDir(app), true); err != nil {
		return fmt.Errorf("clean staging of %s: %w", app, err)
	}
	return nil
}

// ensure makes a directory of the area and checks whose it is.
func (a *Area) ensure(ctx context.Context, dir string) error {
	fi, err := a.fs.Stat(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = a.fs.MkdirAll(ctx, dir, dirPerm); err == nil {
			fi, err = a.fs.Stat(ctx, dir)
		}
	}
	if err != nil {
		return fmt.Errorf("make staging area: %w", err)
	}
	return a.ours(fi)
}

// ours refuses what another user could change under our hands.
func (a *Area) ours(fi dfs.FileInfo) error {
	if a.cfg.User != "" && fi.Owner != a.cfg.User {
		return fmt.Errorf("%s belongs to %s, not to %s: %w", fi.Path, fi.Owner, a.cfg.User, ErrForeign)
	}
	return nil
}

// list is empty for an absent directory.
func (a *Area) list(ctx context.Context, dir string) ([]dfs.FileInfo, error) {
	l, err := a.fs.List(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return l, err
}

// remove deletes; absent is success.
func (a *Area) remove(ctx context.Context, p string, recursive bool) error {
	err := a.fs.Delete(ctx, p, recursive)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// old says whether nothing touched the file for MaxAge.
func (a *Area) old(fi dfs.FileInfo) bool { return a.cfg.Now().Sub(fi.ModTime()) > a.cfg.MaxAge }
