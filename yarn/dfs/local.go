package dfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Local is the file system of this machine ("file:///…"). Symbolic links are followed; owners are printed as numbers.
type Local struct{}

// NewLocal returns the local file system.
func NewLocal() *Local { return &Local{} }

func localError(op, p, to string, err error) error {
	if err == nil {
		return nil
	}
	kind := kindOf(err)
	switch {
	case errors.Is(err, syscall.ENOTEMPTY): // errors.Is finds fs.ErrExist in it, which is not what happened
		kind = ErrNotEmpty
	case errors.Is(err, syscall.ENOTDIR):
		kind = ErrNotDirectory
	case errors.Is(err, syscall.EISDIR):
		kind = ErrIsDirectory
	case errors.Is(err, syscall.EDQUOT):
		kind = ErrQuota
	}
	// The errno alone: op and path are ours already.
	var pe *fs.PathError
	var le *os.LinkError
	var se *os.SyscallError
	switch {
	case errors.As(err, &pe):
		err = pe.Err
	case errors.As(err, &le):
		err = le.Err
	case errors.As(err, &se):
		err = se.Err
	}
	if kind == ErrNotEmpty {
		err = nil
	}
	return &Error{Op: op, Path: p, To: to, Kind: kind, Err: err}
}

// begin cleans the path and looks at the context.
func (l *Local) begin(ctx context.Context, op, p string) (string, error) {
	c, err := cleanPath(op, p)
	if err != nil {
		return "", err
	}
	return c, localError(op, c, "", ctx.Err())
}

func localInfo(p string, fi fs.FileInfo) FileInfo {
	out := FileInfo{Path: p, IsDir: fi.IsDir(), ModTimeMillis: fi.ModTime().UnixMilli(), Perm: fi.Mode() & (fs.ModePerm | fs.ModeSticky)}
	if !out.IsDir {
		out.Size = fi.Size()
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		out.Owner, out.Group = strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
		out.FileID = st.Ino
	}
	return out
}

// Stat implements FS.
func (l *Local) Stat(ctx context.Context, p string) (FileInfo, error) {
	p, err := l.begin(ctx, "stat", p)
	if err != nil {
		return FileInfo{}, err
	}
	fi, err := os.Stat(p)
	if err != nil {
		return FileInfo{}, localError("stat", p, "", err)
	}
	return localInfo(p, fi), nil
}

// List implements FS. An entry that vanishes meanwhile is left out.
func (l *Local) List(ctx context.Context, dir string) ([]FileInfo, error) {
	dir, err := l.begin(ctx, "list", dir)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, localError("list", dir, "", err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, localError("list", dir, "", err)
	}
	sort.Strings(names)
	out := make([]FileInfo, 0, len(names))
	for _, n := range names {
		p := filepath.Join(dir, n)
		fi, err := os.Stat(p)
		if err != nil {
			fi, err = os.Lstat(p) // a dangling link is listed as itself
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, localError("list", p, "", err)
		}
		out = append(out, localInfo(p, fi))
	}
	return out, nil
}

// Open implements FS. Only regular files can be read: a pipe could block for ever.
func (l *Local) Open(ctx context.Context, p string, offset int64) (io.ReadCloser, error) {
	p, err := l.begin(ctx, "open", p)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(p)
	switch {
	case err != nil:
	case fi.IsDir():
		err = ErrIsDirectory
	case !fi.Mode().IsRegular():
		err = fmt.Errorf("not a regular file: %w", fs.ErrInvalid)
	case offset < 0 || offset > fi.Size():
		err = fmt.Errorf("offset %d of %d bytes: %w", offset, fi.Size(), fs.ErrInvalid)
	}
	if err != nil {
		return nil, localError("open", p, "", err)
	}
	f, err := os.Open(p)
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, localError("open", p, "", err)
	}
	return &localReader{ctx: ctx, f: f}, nil
}

type localReader struct {
	ctx context.Context
	f   *os.File
}

func (r *localReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, localError("read", r.f.Name(), "", err)
	}
	n, err := r.f.Read(b)
	if err != nil && err != io.EOF {
		err = localError("read", r.f.Name(), "", err)
	}
	return n, err
}

func (r *localReader) Close() error { return r.f.Close() }

// Create implements FS.
func (l *Local) Create(ctx context.Context, p string, o CreateOptions) (Writer, error) {
	p, err := l.begin(ctx, "create", p)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, o.perm())
	if err != nil {
		return nil, localError("create", p, "", err)
	}
	w := &localWriter{ctx: ctx, path: p, f: f}
	if w.mine, err = f.Stat(); err == nil {
		err = f.Chmod(o.perm()) // the umask does not count
	}
	if err != nil {
		return nil, errors.Join(localError("create", p, "", err), w.Abort())
	}
	return w, nil
}

type localWriter struct {
	ctx          context.Context
	path         string
	f            *os.File
	mine         fs.FileInfo // identifies the file, whatever its name
	size         int64
	ended, clean bool
}

func (w *localWriter) Write(b []byte) (int, error) {
	err := w.ctx.Err()
	if err == nil && w.ended {
		err = ErrClosed
	}
	var n int
	if err == nil {
		n, err = w.f.Write(b)
		w.size += int64(n)
	}
	return n, localError("write", w.path, "", err)
}

// Close syncs the file and its directory, then checks that the name still leads to this file with this length.
func (w *localWriter) Close() error {
	if w.ended {
		return localError("close", w.path, "", ErrClosed)
	}
	w.ended = true
	err := w.ctx.Err()
	if err == nil {
		err = w.f.Sync()
	}
	err = errors.Join(err, w.f.Close())
	if err == nil {
		err = syncDir(filepath.Dir(w.path))
	}
	if err == nil {
		var now fs.FileInfo
		now, err = os.Lstat(w.path)
		switch {
		case err != nil:
		case !os.SameFile(w.mine, now):
			err = fmt.Errorf("another file has its name: %w", fs.ErrNotExist)
		case now.Size() != w.size:
			err = fmt.Errorf("%d bytes written, %d there: %w", w.size, now.Size(), ErrLength)
		}
	}
	w.clean = err == nil
	return localError("close", w.path, "", err)
}

// Abort removes the file, unless its name leads to another one by now.
func (w *localWriter) Abort() error {
	if w.clean {
		return nil
	}
	w.clean = true
	if !w.ended {
		w.ended = true
		defer w.f.Close()
	}
	if now, err := os.Lstat(w.path); err == nil && w.mine != nil && !os.SameFile(w.mine, now) {
		return nil
	}
	err := os.Remove(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return localError("abort", w.path, "", err)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some file systems cannot sync a directory and say so; then there is nothing more to be had.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// Rename implements FS by renameat2 with RENAME_NOREPLACE, and where the file system cannot do that by other calls that fail on
// an existing target.
func (l *Local) Rename(ctx context.Context, from, to string) error {
	from, err := l.begin(ctx, "rename", from)
	if err != nil {
		return err
	}
	if to, err = cleanPath("rename", to); err != nil {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS)) && !below(to, from) {
		err = renameByLink(from, to)
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	return localError("rename", from, to, err)
}

// renameByLink: a file is linked under the new name, which fails when that exists; a directory takes the place of an empty one
// that only we could have made.
func renameByLink(from, to string) error {
	fi, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		if err := os.Link(from, to); err != nil {
			return err
		}
		return os.Remove(from)
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	if err := unix.Rename(from, to); err != nil { // os.Rename refuses every existing directory
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// Mkdir implements FS.
func (l *Local) Mkdir(ctx context.Context, p string, perm fs.FileMode) error {
	p, err := l.begin(ctx, "mkdir", p)
	if err != nil {
		return err
	}
	if err = os.Mkdir(p, perm); err == nil {
		err = os.Chmod(p, perm) // the umask does not count
	}
	return localError("mkdir", p, "", err)
}

// MkdirAll implements FS.
func (l *Local) MkdirAll(ctx context.Context, p string, perm fs.FileMode) error {
	p, err := l.begin(ctx, "mkdir", p)
	if err != nil {
		return err
	}
	switch fi, err := os.Stat(p); {
	case err == nil && fi.IsDir():
		return nil
	case err == nil:
		return localError("mkdir", p, "", ErrNotDirectory)
	case !errors.Is(err, fs.ErrNotExist):
		return localError("mkdir", p, "", err)
	}
	if err := l.MkdirAll(ctx, filepath.Dir(p), perm|0o300); err != nil {
		return err
	}
	err = l.Mkdir(ctx, p, perm)
	if errors.Is(err, fs.ErrExist) { // somebody else was faster
		return l.MkdirAll(ctx, p, perm)
	}
	return err
}

// Delete implements FS.
func (l *Local) Delete(ctx context.Context, p string, recursive bool) error {
	p, err := l.begin(ctx, "delete", p)
	if err != nil {
		return err
	}
	switch _, serr := os.Lstat(p); {
	case p == "/":
		err = fmt.Errorf("the root directory: %w", fs.ErrInvalid)
	case serr != nil:
		err = serr
	case recursive:
		err = os.RemoveAll(p)
	default:
		err = os.Remove(p)
	}
	return localError("delete", p, "", err)
}

// SetPermission implements FS.
func (l *Local) SetPermission(ctx context.Context, p string, perm fs.FileMode) error {
	p, err := l.begin(ctx, "set permission", p)
	if err != nil {
		return err
	}
	return localError("set permission", p, "", os.Chmod(p, perm))
}

// URI implements FS.
func (l *Local) URI(p string) string { return "file://" + filepath.Clean(p) }
