package dfs

import (
	"errors"
	"io/fs"
	"strings"
)

// Sentinels beside fs.ErrNotExist, fs.ErrExist, fs.ErrPermission and fs.ErrInvalid; ask with errors.Is.
var (
	// ErrNotEmpty: a directory with entries was to be deleted without recursion.
	ErrNotEmpty = errors.New("directory is not empty")
	// ErrNotDirectory: a directory was expected, also as a parent.
	ErrNotDirectory = errors.New("not a directory")
	// ErrIsDirectory: a file was expected.
	ErrIsDirectory = errors.New("is a directory")
	// ErrSafeMode: the NameNode takes no changes yet; it passes by itself after a restart.
	ErrSafeMode = errors.New("name node is in safe mode")
	// ErrQuota: a name or space quota is exceeded.
	ErrQuota = errors.New("quota exceeded")
	// ErrUnsupported: the file cannot be handled here (erasure coding, encryption zone).
	ErrUnsupported = errors.New("not supported")
	// ErrLength: the length of a finished file is not what was written.
	ErrLength = errors.New("length differs from what was written")
	// ErrClosed: the reader or Writer was already ended.
	ErrClosed = fs.ErrClosed
)

// Error is the error of every FS. errors.Is finds Kind as well as what Err wraps.
type Error struct {
	// Op is the operation in lower case: stat, list, open, read, create, write, close, rename, mkdir, delete, set permission, resolve.
	Op string
	// Path is the object, To the target of a rename.
	Path, To string
	// User on whose behalf it was tried; empty on the local file system.
	User string
	// Kind is the sentinel, nil when none fits.
	Kind error
	// Err is the cause; for HDFS it carries the Java class and message.
	Err error
}

// Error prints operation, object, user and cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + " " + e.Path)
	if e.To != "" {
		b.WriteString(" to " + e.To)
	}
	if e.User != "" {
		b.WriteString(" as user " + e.User)
	}
	switch {
	case e.Err != nil:
		b.WriteString(": " + e.Err.Error())
	case e.Kind != nil:
		b.WriteString(": " + e.Kind.Error())
	}
	return b.String()
}

// Unwrap yields the sentinel and the cause.
func (e *Error) Unwrap() []error {
	var out []error
	if e.Kind != nil {
		out = append(out, e.Kind)
	}
	if e.Err != nil {
		out = append(out, e.Err)
	}
	return out
}

// kindOf returns the sentinel inside an error, nil when there is none.
func kindOf(err error) error {
	for _, k := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, ErrNotEmpty, ErrNotDirectory,
		ErrIsDirectory, ErrSafeMode, ErrQuota, ErrUnsupported, ErrLength, ErrTooMany} {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}
