package hadoop

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// WebHDFS is a small client of the NameNode's REST interface, for tests that look at HDFS from outside. Files go
// through memory.
type WebHDFS struct {
	URL  string // the NameNode's web address
	User string // who asks
}

// HDFS returns a client that acts as HDFS's superuser.
func (c *Cluster) HDFS() *WebHDFS { return c.HDFSAs(superuser()) }

// HDFSAs returns a client that acts as another user.
func (c *Cluster) HDFSAs(user string) *WebHDFS { return &WebHDFS{URL: c.NameNodeWebURL(), User: user} }

// FileInfo is an entry of HDFS. Path is absolute; Type is FILE or DIRECTORY.
type FileInfo struct {
	Path, Type, Owner, Group, Permission string
	Length                               int64
}

func (w *WebHDFS) url(op, name string, params ...string) string {
	q := url.Values{"op": {op}, "user.name": {w.User}}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return w.URL + "/webhdfs/v1" + (&url.URL{Path: path.Clean("/" + name)}).EscapedPath() + "?" + q.Encode()
}

// Mkdirs makes a directory and its parents, and sets the permission (octal) of the last one.
func (w *WebHDFS) Mkdirs(ctx context.Context, name, mode string) error {
	if err := call(ctx, http.MethodPut, w.url("MKDIRS", name), nil, nil); err != nil {
		return err
	}
	return call(ctx, http.MethodPut, w.url("SETPERMISSION", name, "permission", mode), nil, nil)
}

// SetOwner makes user the owner.
func (w *WebHDFS) SetOwner(ctx context.Context, name, user string) error {
	return call(ctx, http.MethodPut, w.url("SETOWNER", name, "owner", user, "group", user), nil, nil)
}

// Put writes a file and replaces what was there.
func (w *WebHDFS) Put(ctx context.Context, name string, data []byte) error {
	var answer struct{ Location string }
	create := w.url("CREATE", name, "overwrite", "true", "noredirect", "true")
	if err := call(ctx, http.MethodPut, create, nil, &answer); err != nil {
		return err
	}
	if data == nil {
		data = []byte{}
	}
	_, err := send(ctx, http.MethodPut, answer.Location, "application/octet-stream", data)
	return err
}

// Get reads a file of at most 32 MiB; what is longer is cut.
func (w *WebHDFS) Get(ctx context.Context, name string) ([]byte, error) {
	return send(ctx, http.MethodGet, w.url("OPEN", name), "", nil)
}

// Delete removes a file or a directory with all below; one that is absent is no error.
func (w *WebHDFS) Delete(ctx context.Context, name string) error {
	return call(ctx, http.MethodDelete, w.url("DELETE", name, "recursive", "true"), nil, nil)
}

// List returns the entries of a directory; none when it is absent.
func (w *WebHDFS) List(ctx context.Context, name string) ([]FileInfo, error) {
	var answer struct {
		FileStatuses struct {
			FileStatus []struct {
				FileInfo
				PathSuffix string
			}
		}
	}
	err := getJSON(ctx, w.url("LISTSTATUS", name), &answer)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []FileInfo
	for _, s := range answer.FileStatuses.FileStatus {
		s.FileInfo.Path = path.Join("/", name, s.PathSuffix)
		all = append(all, s.FileInfo)
	}
	return all, nil
}

// Walk returns all entries below a directory, each directory before what is in it.
func (w *WebHDFS) Walk(ctx context.Context, name string) ([]FileInfo, error) {
	entries, err := w.List(ctx, name)
	if err != nil {
		return nil, err
	}
	var all []FileInfo
	for _, e := range entries {
		all = append(all, e)
		// A file lists itself, as an entry without a name.
		if e.Type == "DIRECTORY" && strings.TrimSuffix(e.Path, "/") != strings.TrimSuffix(path.Clean("/"+name), "/") {
			below, err := w.Walk(ctx, e.Path)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		}
	}
	return all, nil
}

// bytesReader keeps an absent body absent, so that no Content-Type is wanted for it.
func bytesReader(data []byte) io.Reader {
	if data == nil {
		return nil
	}
	return bytes.NewReader(data)
}
