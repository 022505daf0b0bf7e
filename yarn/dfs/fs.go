package dfs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// FS is one file system. Paths are absolute, slash-separated and carry no scheme ("/user/alice/in"); they are cleaned first.
// Java: org.apache.hadoop.fs.FileSystem, less what flott does not need, and never overwriting.
type FS interface {
	// Stat describes a file or directory; fs.ErrNotExist when it is absent.
	Stat(ctx context.Context, path string) (FileInfo, error)
	// List describes the entries of a directory, sorted by name; a file yields ErrNotDirectory.
	List(ctx context.Context, dir string) ([]FileInfo, error)
	// Open reads a file from offset (bytes) to its end. The context bounds the whole life of the reader. Reads survive a lost
	// connection by reopening where they stopped, a bounded number of times.
	Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error)
	// Create starts a new file: fs.ErrExist when the path exists, fs.ErrNotExist when its parent does not. The file is visible
	// at once, incomplete until Close. The context bounds the whole life of the Writer.
	Create(ctx context.Context, path string, o CreateOptions) (Writer, error)
	// Rename moves a file or a directory and never overwrites: fs.ErrExist when the target exists (also an empty directory),
	// fs.ErrNotExist when the source or the target's parent does not. It is atomic.
	Rename(ctx context.Context, from, to string) error
	// Mkdir makes one directory: fs.ErrExist when the path exists, fs.ErrNotExist when its parent does not. Its permission is
	// exactly perm (no umask). It is no lock: on HDFS two callers at once may both succeed.
	Mkdir(ctx context.Context, path string, perm fs.FileMode) error
	// MkdirAll makes a directory and its missing parents; an existing directory is success and keeps its permission.
	MkdirAll(ctx context.Context, path string, perm fs.FileMode) error
	// Delete removes a file or a directory: fs.ErrNotExist when absent, ErrNotEmpty for a directory with entries unless recursive.
	Delete(ctx context.Context, path string, recursive bool) error
	// SetPermission sets the permission bits (0777 and the sticky bit) exactly.
	SetPermission(ctx context.Context, path string, perm fs.FileMode) error
	// URI is the path with scheme and authority ("hdfs://nn:8020/x"), such that the Resolver finds it again and YARN localises it.
	URI(path string) string
}

// Writer writes one new file. Exactly one of Close and Abort should end it; each is called at most once with effect.
type Writer interface {
	io.Writer
	// Close ends the file. nil means: durable, and its length was checked. After an error the file is in an unknown
	// state and cannot be finished: call Abort and write it again under a new name.
	Close() error
	// Abort gives up the file and removes it. It does nothing after a Close that returned nil, and it does not depend
	// on the Writer's context. The error says only that the remains may still be there.
	Abort() error
}

// CreateOptions refines Create. The zero value is a file with permission 0644 and the file system's block size and replication.
type CreateOptions struct {
	// Perm is the exact permission (no umask); 0 means 0644.
	Perm fs.FileMode
	// ExpectedSize in bytes, 0 when unknown. HDFS chooses a block size such that the file is one block when that is reasonable.
	ExpectedSize int64
	// Replication of the file; 0 means the server's default.
	Replication int
}

// FileInfo describes a file or a directory.
type FileInfo struct {
	// Path is absolute, without scheme.
	Path string
	// Size in bytes; 0 for directories.
	Size int64
	// ModTimeMillis is the modification time in milliseconds since 1970, as YARN wants it in a LocalResource.
	ModTimeMillis int64
	IsDir         bool
	// Perm holds the permission bits and fs.ModeSticky.
	Perm         fs.FileMode
	Owner, Group string
	// BlockSize in bytes; 0 for directories and where there are no blocks.
	BlockSize int64
	// Replication as recorded; 0 for directories and where there is none.
	Replication int
	// FileID identifies the file itself across renames; 0 where unknown. Java: HdfsFileStatus.getFileId.
	FileID uint64
}

// Name is the last element of the path.
func (i FileInfo) Name() string { return path.Base(i.Path) }

// ModTime is ModTimeMillis as a time.
func (i FileInfo) ModTime() time.Time { return time.UnixMilli(i.ModTimeMillis) }

// BlockLocation says on which hosts a piece of a file lies. Java: org.apache.hadoop.fs.BlockLocation.
type BlockLocation struct {
	// Offset and Length in bytes within the file.
	Offset, Length int64
	// Hosts are host names of the DataNodes, racks their topology paths in the same order. Empty: no locality.
	Hosts, Racks []string
}

// Locator is an FS that knows where the bytes lie.
type Locator interface {
	// BlockLocations of the blocks that overlap [offset, offset+length).
	BlockLocations(ctx context.Context, path string, offset, length int64) ([]BlockLocation, error)
}

// BlockLocations asks the file system for the blocks that overlap [offset, offset+length); one without locality (a local disk)
// answers one block without hosts.
func BlockLocations(ctx context.Context, fsys FS, p string, offset, length int64) ([]BlockLocation, error) {
	if l, ok := fsys.(Locator); ok {
		return l.BlockLocations(ctx, p, offset, length)
	}
	return []BlockLocation{{Offset: offset, Length: length}}, nil
}

// Resolver finds the file system of a URI.
type Resolver interface {
	// For returns the file system and the path within it: hdfs://host:port/…, hdfs://nameservice/…, hdfs:///…, file:///…, mem:///….
	// A bare path lies in the default file system of the configuration; a relative one below the user's home there.
	For(ctx context.Context, uri string) (FS, string, error)
}

// Exists says whether the path is there; an error means that nobody knows.
func Exists(ctx context.Context, fsys FS, p string) (bool, error) {
	_, err := fsys.Stat(ctx, p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ReadFile reads a whole file of at most limit bytes; a longer one is refused before it is read.
func ReadFile(ctx context.Context, fsys FS, p string, limit int64) ([]byte, error) {
	r, err := fsys.Open(ctx, p, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	if n > limit {
		return nil, fmt.Errorf("read %s: longer than %d bytes", p, limit)
	}
	return b.Bytes(), nil
}

// WriteFile creates a file with these bytes; nil means durable. On failure the remains are removed.
func WriteFile(ctx context.Context, fsys FS, p string, data []byte, perm fs.FileMode) error {
	w, err := fsys.Create(ctx, p, CreateOptions{Perm: perm, ExpectedSize: int64(len(data))})
	if err != nil {
		return err
	}
	if _, err = w.Write(data); err == nil {
		err = w.Close()
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	return nil
}

// CreateOnce creates a file that nobody ever sees incomplete: it is written beside its place and renamed there. fs.ErrExist when the
// path exists, whoever made it; nil means durable.
func CreateOnce(ctx context.Context, fsys FS, p string, data []byte, perm fs.FileMode) error {
	tmp := p + "." + rand.Text() + ".tmp"
	if err := WriteFile(ctx, fsys, tmp, data, perm); err != nil {
		return err
	}
	err := fsys.Rename(ctx, tmp, p)
	if err == nil {
		return nil
	}
	derr := fsys.Delete(context.WithoutCancel(ctx), tmp, false)
	if errors.Is(derr, fs.ErrNotExist) { // the rename happened, only its answer was lost
		if got, rerr := ReadFile(ctx, fsys, p, int64(len(data))); rerr == nil && bytes.Equal(got, data) {
			return nil
		}
		derr = nil
	}
	return errors.Join(err, derr)
}

// cleanPath checks that a path is absolute and returns its shortest form.
func cleanPath(op, p string) (string, error) {
	if !strings.HasPrefix(p, "/") {
		return "", &Error{Op: op, Path: p, Kind: fs.ErrInvalid, Err: errors.New("path is not absolute")}
	}
	if strings.ContainsRune(p, 0) {
		return "", &Error{Op: op, Path: p, Kind: fs.ErrInvalid, Err: errors.New("path contains a zero byte")}
	}
	return path.Clean(p), nil
}

func (o CreateOptions) perm() fs.FileMode {
	if o.Perm == 0 {
		return 0o644
	}
	return o.Perm
}
