package dfs

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/flott-dev/flott/yarn/ipc"
)

// classKinds says what a Java exception of the NameNode means.
var classKinds = map[string]error{
	"java.io.FileNotFoundException":                                       fs.ErrNotExist,
	"org.apache.hadoop.fs.FileAlreadyExistsException":                     fs.ErrExist,
	"org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException":        fs.ErrExist,
	"org.apache.hadoop.security.AccessControlException":                   fs.ErrPermission,
	"org.apache.hadoop.security.authorize.AuthorizationException":         fs.ErrPermission,
	"org.apache.hadoop.fs.ParentNotDirectoryException":                    ErrNotDirectory,
	"org.apache.hadoop.fs.PathIsNotDirectoryException":                    ErrNotDirectory,
	"org.apache.hadoop.fs.PathIsNotEmptyDirectoryException":               ErrNotEmpty,
	"org.apache.hadoop.hdfs.server.namenode.SafeModeException":            ErrSafeMode,
	"org.apache.hadoop.hdfs.protocol.NSQuotaExceededException":            ErrQuota,
	"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException":            ErrQuota,
	"org.apache.hadoop.hdfs.protocol.QuotaByStorageTypeExceededException": ErrQuota,
	"org.apache.hadoop.hdfs.protocol.UnresolvedPathException":             ErrUnsupported,
	"org.apache.hadoop.fs.InvalidPathException":                           fs.ErrInvalid,
	"org.apache.hadoop.HadoopIllegalArgumentException":                    fs.ErrInvalid,
}

// fail makes the error of an operation; nil stays nil.
func (h *HDFS) fail(op, p, to string, err error) error {
	if err == nil {
		return nil
	}
	var done *Error
	if errors.As(err, &done) {
		return err
	}
	kind := remoteKind(err)
	if kind == ErrNotEmpty || kind == ErrNotDirectory {
		err = asOnly{err}
	}
	return &Error{Op: op, Path: p, To: to, User: h.cfg.User, Kind: kind, Err: err}
}

// asOnly lets errors.As through, but not errors.Is: Java makes "not empty" and "not a directory" kinds of "exists" and "permission",
// which callers must not take them for.
type asOnly struct{ err error }

func (e asOnly) Error() string      { return e.err.Error() }
func (e asOnly) As(target any) bool { return errors.As(e.err, target) }

func remoteKind(err error) error {
	var r *ipc.RemoteError
	if !errors.As(err, &r) {
		return kindOf(err)
	}
	kind := classKinds[r.Class]
	// The NameNode has no class of its own for these.
	switch {
	case kind == fs.ErrNotExist && strings.HasPrefix(r.Message, "Path is not a file"):
		kind = ErrIsDirectory
	case kind == fs.ErrPermission && strings.Contains(r.Message, " (is not a directory)"):
		kind = ErrNotDirectory
	}
	return kind
}
