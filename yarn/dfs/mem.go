package dfs

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"
	"time"
)

// Call is one operation on a Mem, as its Fault hook sees it.
type Call struct {
	// Op as in Error.Op, and "abort".
	Op string
	// Path is the object, To the target of a rename.
	Path, To string
	// After is false before the operation (an error means that nothing happens) and true after it succeeded (an error means
	// that it happened and the answer was lost).
	After bool
}

// MemConfig makes a Mem. The zero value works.
type MemConfig struct {
	// Name is the authority of the file system's URIs: mem://<Name>/….
	Name string
	// User owns what is created; default "mem".
	User string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Fault is called around every operation, on the caller's goroutine and without a lock, so that it may use the same
	// file system (that is how tests force interleavings). An error from it becomes the operation's.
	Fault func(Call) error
}

// Mem is a file system in memory with the semantics of HDFS, for tests. It checks no permissions.
type Mem struct {
	cfg MemConfig

	mu    sync.Mutex
	nodes map[string]*memNode
	ids   uint64
}

type memNode struct {
	info FileInfo
	data []byte
}

// NewMem returns an empty file system with a root directory.
func NewMem(cfg MemConfig) *Mem {
	if cfg.User == "" {
		cfg.User = "mem"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Mem{cfg: cfg, nodes: map[string]*memNode{}}
	m.nodes["/"] = m.newNode("/", true, 0o755)
	return m
}

func (m *Mem) newNode(p string, dir bool, perm fs.FileMode) *memNode {
	m.ids++
	return &memNode{info: FileInfo{Path: p, IsDir: dir, Perm: perm & (fs.ModePerm | fs.ModeSticky), Owner: m.cfg.User, Group: m.cfg.User,
		ModTimeMillis: m.cfg.Now().UnixMilli(), FileID: m.ids}}
}

// do runs one operation between its two fault points; paths are cleaned in place.
func (m *Mem) do(ctx context.Context, op string, p, to *string, f func() error) error {
	for _, x := range []*string{p, to} {
		if x == nil {
			continue
		}
		c, err := cleanPath(op, *x)
		if err != nil {
			return err
		}
		*x = c
	}
	c := Call{Op: op, Path: *p}
	if to != nil {
		c.To = *to
	}
	err := ctx.Err()
	if err == nil && m.cfg.Fault != nil {
		err = m.cfg.Fault(c)
	}
	if err == nil {
		m.mu.Lock()
		err = f()
		m.mu.Unlock()
	}
	if err == nil && m.cfg.Fault != nil {
		c.After = true
		err = m.cfg.Fault(c)
	}
	if err != nil {
		return &Error{Op: op, Path: c.Path, To: c.To, User: m.cfg.User, Kind: kindOf(err), Err: err}
	}
	return nil
}

// parentOf checks that the parent of p is a directory and returns it.
func (m *Mem) parentOf(p string) (*memNode, error) {
	n, ok := m.nodes[path.Dir(p)]
	if !ok {
		return nil, fmt.Errorf("parent: %w", fs.ErrNotExist)
	}
	if !n.info.IsDir {
		return nil, fmt.Errorf("parent: %w", ErrNotDirectory)
	}
	return n, nil
}

func (m *Mem) add(p string, dir bool, perm fs.FileMode) (*memNode, error) {
	if _, ok := m.nodes[p]; ok {
		return nil, fs.ErrExist
	}
	parent, err := m.parentOf(p)
	if err != nil {
		return nil, err
	}
	n := m.newNode(p, dir, perm)
	m.nodes[p] = n
	parent.info.ModTimeMillis = n.info.ModTimeMillis
	return n, nil
}

// Stat implements FS.
func (m *Mem) Stat(ctx context.Context, p string) (info FileInfo, err error) {
	err = m.do(ctx, "stat", &p, nil, func() error {
		n, ok := m.nodes[p]
		if !ok {
			return fs.ErrNotExist
		}
		info = n.info
		return nil
	})
	return info, err
}

// List implements FS.
func (m *Mem) List(ctx context.Context, dir string) (out []FileInfo, err error) {
	err = m.do(ctx, "list", &dir, nil, func() error {
		n, ok := m.nodes[dir]
		if !ok {
			return fs.ErrNotExist
		}
		if !n.info.IsDir {
			return ErrNotDirectory
		}
		for p, n := range m.nodes {
			if p != "/" && path.Dir(p) == dir {
				out = append(out, n.info)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Path < out[j].Path })
	return out, nil
}

// Open implements FS. The reader sees the bytes that were there when it was opened.
func (m *Mem) Open(ctx context.Context, p string, offset int64) (io.ReadCloser, error) {
	var data []byte
	err := m.do(ctx, "open", &p, nil, func() error {
		n, ok := m.nodes[p]
		switch {
		case !ok:
			return fs.ErrNotExist
		case n.info.IsDir:
			return ErrIsDirectory
		case offset < 0 || offset > int64(len(n.data)):
			return fmt.Errorf("offset %d of %d bytes: %w", offset, len(n.data), fs.ErrInvalid)
		}
		data = n.data[offset:len(n.data):len(n.data)]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memReader{m: m, ctx: ctx, path: p, data: data}, nil
}

type memReader struct {
	m      *Mem
	ctx    context.Context
	path   string
	data   []byte
	closed bool
}

func (r *memReader) Read(b []byte) (int, error) {
	var n int
	err := r.m.do(r.ctx, "read", &r.path, nil, func() error {
		if r.closed {
			return ErrClosed
		}
		n = copy(b, r.data)
		r.data = r.data[n:]
		return nil
	})
	if err == nil && n == 0 && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

func (r *memReader) Close() error { r.closed = true; return nil }

// Create implements FS.
func (m *Mem) Create(ctx context.Context, p string, o CreateOptions) (Writer, error) {
	var n *memNode
	err := m.do(ctx, "create", &p, nil, func() (err error) {
		n, err = m.add(p, false, o.perm())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &memWriter{m: m, ctx: ctx, path: p, node: n}, nil
}

type memWriter struct {
	m            *Mem
	ctx          context.Context
	path         string
	node         *memNode
	ended, clean bool
}

func (w *memWriter) Write(b []byte) (int, error) {
	err := w.m.do(w.ctx, "write", &w.path, nil, func() error {
		if w.ended {
			return ErrClosed
		}
		w.node.data = append(w.node.data, b...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (w *memWriter) Close() error {
	if w.ended {
		return &Error{Op: "close", Path: w.path, Err: ErrClosed}
	}
	w.ended = true
	err := w.m.do(w.ctx, "close", &w.path, nil, func() error {
		if w.m.nodes[w.path] != w.node {
			return fs.ErrNotExist
		}
		w.node.info.Size = int64(len(w.node.data))
		w.node.info.ModTimeMillis = w.m.cfg.Now().UnixMilli()
		return nil
	})
	w.clean = err == nil
	return err
}

func (w *memWriter) Abort() error {
	if w.clean {
		return nil
	}
	w.ended, w.clean = true, true
	return w.m.do(context.Background(), "abort", &w.path, nil, func() error {
		if w.m.nodes[w.path] == w.node {
			delete(w.m.nodes, w.path)
		}
		return nil
	})
}

// Rename implements FS.
func (m *Mem) Rename(ctx context.Context, from, to string) error {
	return m.do(ctx, "rename", &from, &to, func() error {
		n, ok := m.nodes[from]
		if !ok {
			return fs.ErrNotExist
		}
		if _, ok := m.nodes[to]; ok {
			return fs.ErrExist
		}
		parent, err := m.parentOf(to)
		if err != nil {
			return err
		}
		if below(to, from) {
			return fmt.Errorf("target lies below the source: %w", fs.ErrInvalid)
		}
		moved := map[string]*memNode{to: n}
		for p, c := range m.nodes {
			if below(p, from) {
				moved[to+p[len(from):]] = c
			}
		}
		for p, c := range moved {
			delete(m.nodes, c.info.Path)
			c.info.Path = p
			m.nodes[p] = c
		}
		parent.info.ModTimeMillis = m.cfg.Now().UnixMilli()
		return nil
	})
}

// Mkdir implements FS.
func (m *Mem) Mkdir(ctx context.Context, p string, perm fs.FileMode) error {
	return m.do(ctx, "mkdir", &p, nil, func() error {
		_, err := m.add(p, true, perm)
		return err
	})
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(ctx context.Context, p string, perm fs.FileMode) error {
	return m.do(ctx, "mkdir", &p, nil, func() error {
		for i := 1; i <= len(p); i++ {
			if i < len(p) && p[i] != '/' {
				continue
			}
			if n, ok := m.nodes[p[:i]]; ok {
				if !n.info.IsDir {
					return ErrNotDirectory
				}
				continue
			}
			mode := perm
			if i < len(p) {
				mode |= 0o300
			}
			if _, err := m.add(p[:i], true, mode); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete implements FS.
func (m *Mem) Delete(ctx context.Context, p string, recursive bool) error {
	return m.do(ctx, "delete", &p, nil, func() error {
		if p == "/" {
			return fmt.Errorf("the root directory: %w", fs.ErrInvalid)
		}
		if _, ok := m.nodes[p]; !ok {
			return fs.ErrNotExist
		}
		var gone []string
		for c := range m.nodes {
			if below(c, p) {
				gone = append(gone, c)
			}
		}
		if len(gone) > 0 && !recursive {
			return ErrNotEmpty
		}
		for _, c := range append(gone, p) {
			delete(m.nodes, c)
		}
		return nil
	})
}

// SetPermission implements FS.
func (m *Mem) SetPermission(ctx context.Context, p string, perm fs.FileMode) error {
	return m.do(ctx, "set permission", &p, nil, func() error {
		n, ok := m.nodes[p]
		if !ok {
			return fs.ErrNotExist
		}
		n.info.Perm = perm & (fs.ModePerm | fs.ModeSticky)
		return nil
	})
}

// URI implements FS.
func (m *Mem) URI(p string) string { return "mem://" + m.cfg.Name + path.Clean(p) }

// below says whether p lies under dir.
func below(p, dir string) bool {
	return strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") && p != dir
}
