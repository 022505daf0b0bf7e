package dfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/yarn/ipc"
)

const clientProtocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"

// ResolverConfig makes a Resolver.
type ResolverConfig struct {
	// Hadoop is the site configuration: fs.defaultFS, nameservices, DataNode options. nil: only local files (and Mem).
	Hadoop *hadoopconf.Config
	// DefaultFS overrides fs.defaultFS, for example "file:///" or "mem:///".
	DefaultFS string
	// User on whose behalf HDFS is used.
	User string
	// RPC makes the metadata calls; the caller closes it after the Resolver. nil: no HDFS.
	RPC *ipc.Client
	// Patience is how long a metadata call looks for an active NameNode; default 15 s.
	Patience time.Duration
	// Mem answers mem:// when it is set.
	Mem *Mem
	// Log gets what is not worth an error; nil discards.
	Log *slog.Logger
}

// FileSystems is the Resolver of a process: one FS per authority, made on first use, closed together.
type FileSystems struct {
	cfg   ResolverConfig
	local *Local

	mu     sync.Mutex
	hdfs   map[string]*HDFS
	closed bool
}

// NewResolver makes a Resolver without connecting to anything.
func NewResolver(cfg ResolverConfig) (*FileSystems, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.DefaultFS == "" {
		u, err := cfg.Hadoop.DefaultFS()
		if err != nil {
			return nil, fmt.Errorf("read the default file system: %w", err)
		}
		cfg.DefaultFS = u.String()
	}
	r := &FileSystems{cfg: cfg, local: NewLocal(), hdfs: map[string]*HDFS{}}
	switch scheme, _, _ := splitURI(cfg.DefaultFS); scheme {
	case "hdfs", "file", "mem":
		return r, nil
	default:
		return nil, &Error{Op: "resolve", Path: cfg.DefaultFS, Kind: ErrUnsupported,
			Err: errors.New("the default file system is neither hdfs, file nor mem")}
	}
}

// splitURI separates scheme, authority and path; nothing is unescaped, as in Hadoop's Path. A text without scheme is all path.
func splitURI(uri string) (scheme, authority, p string) {
	i := strings.IndexByte(uri, ':')
	if i <= 0 || strings.ContainsAny(uri[:i], "/*?[{") || i+1 == len(uri) || uri[i+1] != '/' {
		return "", "", uri
	}
	scheme, p = strings.ToLower(uri[:i]), uri[i+1:]
	if strings.HasPrefix(p, "//") {
		authority, p = p[2:], ""
		if j := strings.IndexByte(authority, '/'); j >= 0 {
			authority, p = authority[:j], authority[j:]
		}
	}
	return scheme, authority, p
}

// For implements Resolver.
func (r *FileSystems) For(_ context.Context, uri string) (FS, string, error) {
	if uri == "" {
		return nil, "", &Error{Op: "resolve", Path: uri, Kind: fs.ErrInvalid, Err: errors.New("the path is empty")}
	}
	scheme, authority, p := splitURI(uri)
	defScheme, defAuthority, _ := splitURI(r.cfg.DefaultFS)
	if scheme == "" {
		scheme, authority = defScheme, defAuthority
	}
	if scheme == "hdfs" && authority == "" && defScheme == "hdfs" {
		authority = defAuthority
	}
	fsys, home, err := r.open(scheme, authority)
	if err != nil {
		return nil, "", &Error{Op: "resolve", Path: uri, Kind: kindOf(err), Err: err}
	}
	switch {
	case p == "":
		p = "/"
	case !strings.HasPrefix(p, "/"):
		p = path.Join(home, p)
	}
	return fsys, path.Clean(p), nil
}

// open returns the file system and where relative paths begin in it.
func (r *FileSystems) open(scheme, authority string) (FS, string, error) {
	home := "/user/" + r.cfg.User
	switch {
	case scheme == "file":
		if authority != "" && authority != "localhost" {
			return nil, "", fmt.Errorf("a file URI names the host %q: %w", authority, fs.ErrInvalid)
		}
		wd, err := os.Getwd()
		return r.local, filepath.ToSlash(wd), err
	case scheme == "mem" && r.cfg.Mem != nil:
		return r.cfg.Mem, home, nil
	case scheme == "hdfs" && authority == "":
		return nil, "", fmt.Errorf("no HDFS is configured: fs.defaultFS is %s", r.cfg.DefaultFS)
	case scheme == "hdfs":
		h, err := r.hdfsFor(authority)
		if err != nil {
			return nil, "", err
		}
		return h, home, nil
	}
	return nil, "", fmt.Errorf("file system %q: %w", scheme, ErrUnsupported)
}

func (r *FileSystems) hdfsFor(authority string) (*HDFS, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if h, ok := r.hdfs[authority]; ok {
		return h, nil
	}
	h, err := r.newHDFS(authority)
	if err == nil {
		r.hdfs[authority] = h
	}
	return h, err
}

func (r *FileSystems) newHDFS(authority string) (*HDFS, error) {
	if r.cfg.RPC == nil {
		return nil, fmt.Errorf("hdfs without an RPC client: %w", ErrUnsupported)
	}
	nns, err := r.cfg.Hadoop.NameNodes(authority)
	if err != nil {
		return nil, fmt.Errorf("find the name nodes of %s: %w", authority, err)
	}
	addrs := make([]string, len(nns))
	for i, n := range nns {
		addrs[i] = n.Address
	}
	byName, err := r.cfg.Hadoop.Bool("dfs.client.use.datanode.hostname", false)
	if err != nil {
		return nil, err
	}
	fo, err := ipc.NewFailover(r.cfg.RPC, ipc.FailoverConfig{Name: "NameNode of hdfs://" + authority, Addrs: addrs,
		Patience: r.cfg.Patience, Log: r.cfg.Log})
	if err != nil {
		return nil, err
	}
	// Tokens for NameNodes will come in here and in nameNodeConn.Write.
	calls := failoverCaller{fo, ipc.Peer{Protocol: clientProtocol, User: r.cfg.User}}
	return NewHDFS(HDFSConfig{Authority: authority, NameNodes: addrs, User: r.cfg.User, Calls: calls, UseDataNodeHostname: byName,
		DataTransferProtection: protection(r.cfg.Hadoop), Log: r.cfg.Log})
}

// protection is the strongest level that the configuration lists; the byte client knows only one.
func protection(c *hadoopconf.Config) string {
	if on, err := c.Bool("dfs.encrypt.data.transfer", false); err == nil && on {
		return "privacy"
	}
	best := ""
	for _, v := range c.List("dfs.data.transfer.protection") { // their alphabetical order is that of their strength
		best = max(best, strings.ToLower(v))
	}
	return best
}

// Close closes every HDFS that was used.
func (r *FileSystems) Close() error {
	r.mu.Lock()
	all := r.hdfs
	r.hdfs, r.closed = nil, true
	r.mu.Unlock()
	var err error
	for _, h := range all {
		err = errors.Join(err, h.Close())
	}
	return err
}
