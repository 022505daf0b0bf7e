package staging

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	uploadTries = 3
	copyBuffer  = 256 << 10
)

// Resource is a file in the staging area as YARN wants to know it: YARN refuses to localise it when size or time differ by one.
type Resource struct {
	// URI with scheme and authority, Path without.
	URI, Path string
	// Size in bytes.
	Size int64
	// ModTimeMillis as the file system reports it.
	ModTimeMillis int64
}

// Progress is told the bytes done so far and in all; it is called on the uploading goroutine, and starts again from zero when an
// upload is repeated.
type Progress func(done, total int64)

// Source is something that can be uploaded, more than once if need be.
type Source struct {
	// Name for messages.
	Name string
	// Size in bytes; what Open yields must have exactly this length.
	Size int64
	Open func() (io.ReadCloser, error)
}

// FileSource is a local file.
func FileSource(name string) (Source, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return Source{}, err
	}
	if !fi.Mode().IsRegular() {
		return Source{}, fmt.Errorf("%s is not a regular file", name)
	}
	return Source{Name: name, Size: fi.Size(), Open: func() (io.ReadCloser, error) { return os.Open(name) }}, nil
}

// BytesSource is data in memory.
func BytesSource(name string, data []byte) Source {
	return Source{Name: name, Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// Digest is the SHA-256 of a job binary, its name in the cache.
type Digest [sha256.Size]byte

// String prints 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

func digestOf(name string) (Digest, bool) {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != sha256.Size {
		return Digest{}, false
	}
	d := Digest(b)
	return d, d.String() == name
}

// Hash reads a source once.
func Hash(ctx context.Context, src Source) (Digest, error) {
	h := sha256.New()
	if err := copySource(ctx, h, src, nil); err != nil {
		return Digest{}, err
	}
	return Digest(h.Sum(nil)), nil
}

// Upload puts a file into the application's directory. name has no slash and is new there.
func (a *Area) Upload(ctx context.Context, app yarnid.ApplicationID, name string, src Source, p Progress) (Resource, error) {
	if name == "" || strings.ContainsRune(name, '/') {
		return Resource{}, fmt.Errorf("upload %s: bad name %q", src.Name, name)
	}
	target := path.Join(a.ApplicationDir(app), name)
	tmp, _, err := a.uploadTo(ctx, app, src, filePerm, p)
	if err == nil {
		if err = a.fs.Rename(ctx, tmp, target); err != nil {
			err = errors.Join(err, a.remove(context.WithoutCancel(ctx), tmp, false))
		}
	}
	if err != nil {
		return Resource{}, fmt.Errorf("upload %s: %w", src.Name, err)
	}
	return a.resource(ctx, target)
}

// resource asks the file system for the exact values.
func (a *Area) resource(ctx context.Context, p string) (Resource, error) {
	fi, err := a.fs.Stat(ctx, p)
	if err != nil {
		return Resource{}, err
	}
	if err := a.ours(fi); err != nil {
		return Resource{}, err
	}
	return Resource{URI: a.fs.URI(p), Path: p, Size: fi.Size, ModTimeMillis: fi.ModTimeMillis}, nil
}

// uploadTo writes src to a new temporary file in the application's directory, so that whatever ends this process, cleaning the
// application removes the remains. A failed try is repeated under another name: HDFS cannot go on with a file.
func (a *Area) uploadTo(ctx context.Context, app yarnid.ApplicationID, src Source, perm fs.FileMode, p Progress) (string, Digest, error) {
	for try := 1; ; try++ {
		tmp := path.Join(a.ApplicationDir(app), "upload-"+rand.Text()+".tmp")
		d, err := a.uploadOnce(ctx, tmp, src, perm, p)
		if err == nil {
			return tmp, d, nil
		}
		if try == uploadTries || ctx.Err() != nil || final(err) {
			return "", d, err
		}
		a.cfg.Log.Warn("repeating upload", "source", src.Name, "try", try, "error", err)
	}
}

// final errors do not go away by trying again.
func final(err error) bool {
	for _, e := range []error{fs.ErrPermission, fs.ErrNotExist, fs.ErrInvalid, dfs.ErrQuota, dfs.ErrSafeMode, dfs.ErrUnsupported, ErrSourceChanged} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (a *Area) uploadOnce(ctx context.Context, tmp string, src Source, perm fs.FileMode, p Progress) (Digest, error) {
	w, err := a.fs.Create(ctx, tmp, dfs.CreateOptions{Perm: perm, ExpectedSize: src.Size})
	if err != nil {
		return Digest{}, err
	}
	h := sha256.New()
	if err = copySource(ctx, io.MultiWriter(w, h), src, p); err == nil {
		err = w.Close()
	}
	if err != nil {
		return Digest{}, errors.Join(err, w.Abort())
	}
	return Digest(h.Sum(nil)), nil
}

// copySource copies exactly src.Size bytes.
func copySource(ctx context.Context, w io.Writer, src Source, p Progress) error {
	r, err := src.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, copyBuffer)
	var done int64
	if p != nil {
		p(0, src.Size)
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, rerr := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if done += int64(n); done > src.Size {
				return fmt.Errorf("%s is longer than %d bytes: %w", src.Name, src.Size, ErrSourceChanged)
			}
			if p != nil {
				p(done, src.Size)
			}
		}
		switch {
		case rerr == io.EOF && done < src.Size:
			return fmt.Errorf("%s ended after %d of %d bytes: %w", src.Name, done, src.Size, ErrSourceChanged)
		case rerr == io.EOF:
			return nil
		case rerr != nil:
			return fmt.Errorf("read %s: %w", src.Name, rerr)
		}
	}
}
