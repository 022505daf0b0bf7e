package dfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/yarn/ipc"
)

func memWith(t *testing.T, files ...string) *Mem {
	t.Helper()
	m := NewMem(MemConfig{})
	for _, f := range files {
		if err := m.MkdirAll(t.Context(), filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(t.Context(), m, f, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestGlob(t *testing.T) {
	m := memWith(t, "/in/a.txt", "/in/b.txt", "/in/c.log", "/in/_SUCCESS", "/in/sub/d.txt", "/in/sub/e.gz", "/in2/a.txt", "/in/x*y", "/in/[z]")
	for _, c := range []struct{ pattern, want string }{
		{"/in/*.txt", "/in/a.txt /in/b.txt"},
		{"/in/?.txt", "/in/a.txt /in/b.txt"},
		{"/in/[a-b].txt", "/in/a.txt /in/b.txt"},
		{"/in/[^a].txt", "/in/b.txt"},
		{"/in/[!a].txt", "/in/b.txt"},
		{"/in*/a.txt", "/in/a.txt /in2/a.txt"},
		{"/in/*/*.txt", "/in/sub/d.txt"},
		{"/{in,in2}/a.txt", "/in/a.txt /in2/a.txt"},
		{"/in/{a,b,c}.{txt,log}", "/in/a.txt /in/b.txt /in/c.log"},
		{"/in/{a.txt,sub/{d,e}.*}", "/in/a.txt /in/sub/d.txt /in/sub/e.gz"},
		{"/in/{a,a,a}.txt", "/in/a.txt"},
		{"/in/a.txt", "/in/a.txt"},
		{"/in", "/in"},
		{"/", "/"},
		{"/*", "/in /in2"},
		{`/in/x\*y`, "/in/x*y"},
		{`/in/\[z\]`, "/in/[z]"},
		{"/in/a.txt/*", ""},
		{"/no/*", ""},
		{"/no", ""},
		{"/in/*.csv", ""},
	} {
		got, err := Glob(t.Context(), m, c.pattern, 0)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		var s []string
		for _, fi := range got {
			s = append(s, fi.Path)
		}
		if strings.Join(s, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.pattern, s, c.want)
		}
	}
	for _, bad := range []string{"in/*", "/in/[a", "/in/{a", "/in/" + strings.Repeat("{a,b}", 11)} {
		if _, err := Glob(t.Context(), m, bad, 0); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: got %v, want fs.ErrInvalid", bad, err)
		}
	}
	if _, err := Glob(t.Context(), m, "/in/*", 3); !errors.Is(err, ErrTooMany) {
		t.Errorf("bound: got %v, want ErrTooMany", err)
	}
	for p, want := range map[string]bool{"/a/b": false, "/a*": true, "/a?": true, "/[a]": true, "/{a,b}": true, `/a\*`: true} {
		if got := HasMeta(p); got != want {
			t.Errorf("HasMeta(%s): got %v, want %v", p, got, want)
		}
	}
}

func TestGlobAndWalkReportErrors(t *testing.T) {
	m := NewMem(MemConfig{Fault: func(c Call) error {
		if c.Op == "list" && c.Path == "/secret" {
			return fs.ErrPermission
		}
		return nil
	}})
	if err := m.MkdirAll(t.Context(), "/secret/d", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Glob(t.Context(), m, "/*/*", 0); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Glob: got %v, want fs.ErrPermission", err)
	}
	if err := Walk(t.Context(), m, "/", WalkOptions{}, func(FileInfo) error { return nil }); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Walk: got %v, want fs.ErrPermission", err)
	}
}

func TestWalk(t *testing.T) {
	m := memWith(t, "/a/1", "/a/b/2", "/a/b/c/3", "/a/z", "/other")
	walk := func(o WalkOptions, skip string) (string, error) {
		var s []string
		err := Walk(t.Context(), m, "/a", o, func(fi FileInfo) error {
			s = append(s, fi.Path)
			if fi.Path == skip {
				return fs.SkipDir
			}
			return nil
		})
		return strings.Join(s, " "), err
	}
	for _, c := range []struct {
		o    WalkOptions
		skip string
		want string
		err  error
	}{
		{WalkOptions{}, "", "/a /a/1 /a/b /a/b/2 /a/b/c /a/b/c/3 /a/z", nil},
		{WalkOptions{}, "/a/b", "/a /a/1 /a/b /a/z", nil},
		{WalkOptions{MaxEntries: 7}, "", "/a /a/1 /a/b /a/b/2 /a/b/c /a/b/c/3 /a/z", nil},
		{WalkOptions{MaxEntries: 6}, "", "/a /a/1 /a/b /a/b/2 /a/b/c /a/b/c/3", ErrTooMany},
		{WalkOptions{MaxDepth: 2}, "", "/a /a/1 /a/b /a/b/2 /a/b/c", ErrTooMany},
	} {
		got, err := walk(c.o, c.skip)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%+v, skip %q: got %s, %v, want %s, %v", c.o, c.skip, got, err, c.want, c.err)
		}
	}
	if err := Walk(t.Context(), m, "/no", WalkOptions{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent root: got %v, want fs.ErrNotExist", err)
	}
}

func TestResolver(t *testing.T) {
	rpc := ipc.New(ipc.Config{})
	defer rpc.Close()
	conf := hadoopconf.New(map[string]string{
		"fs.defaultFS": "hdfs://prod", "dfs.nameservices": "prod", "dfs.ha.namenodes.prod": "nn1,nn2",
		"dfs.namenode.rpc-address.prod.nn1": "h1:8020", "dfs.namenode.rpc-address.prod.nn2": "h2:9000",
		"dfs.client.use.datanode.hostname": "true", "dfs.data.transfer.protection": "authentication,privacy",
	})
	r, err := NewResolver(ResolverConfig{Hadoop: conf, User: "alice", RPC: rpc})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ uri, want string }{
		{"/x/y", "hdfs://prod/x/y"},
		{"x/../y", "hdfs://prod/user/alice/y"},
		{"hdfs:///x", "hdfs://prod/x"},
		{"hdfs:/x", "hdfs://prod/x"},
		{"hdfs://prod", "hdfs://prod/"},
		{"HDFS://other:9000/x", "hdfs://other:9000/x"},
		{"file:///tmp/a b%20c", "file:///tmp/a b%20c"},
		{"file:/tmp/x", "file:///tmp/x"},
		{"/a/b:c", "hdfs://prod/a/b:c"},
		{"a:b", "hdfs://prod/user/alice/a:b"},
		{"/in/*.{a,b}?", "hdfs://prod/in/*.{a,b}?"},
	} {
		fsys, p, err := r.For(t.Context(), c.uri)
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		if got := fsys.URI(p); got != c.want {
			t.Errorf("%s: got %s, want %s", c.uri, got, c.want)
		}
	}
	a, _, _ := r.For(t.Context(), "/x")
	b, _, _ := r.For(t.Context(), "hdfs://prod/y")
	if a != b {
		t.Error("the same name service gave two file systems")
	}
	cfg := a.(*HDFS).cfg
	if fmt.Sprint(cfg.NameNodes) != "[h1:8020 h2:9000]" || !cfg.UseDataNodeHostname || cfg.DataTransferProtection != "privacy" {
		t.Errorf("got %+v", cfg)
	}
	for uri, want := range map[string]error{"": fs.ErrInvalid, "s3://b/x": ErrUnsupported, "file://host/x": fs.ErrInvalid, "mem:///x": ErrUnsupported, "viewfs:///x": ErrUnsupported} {
		if _, _, err := r.For(t.Context(), uri); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", uri, err, want)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := r.For(t.Context(), "/x"); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}

	// Without Hadoop: local files, and whatever was given.
	m := NewMem(MemConfig{Name: "m"})
	r, err = NewResolver(ResolverConfig{Mem: m, User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]string{"x": "file://" + wd + "/x", "/x": "file:///x", "mem://m/x": "mem://m/x", "mem:///x": "mem://m/x"} {
		fsys, p, err := r.For(t.Context(), uri)
		if err != nil || fsys.URI(p) != want {
			t.Errorf("%s: got %v %s, %v, want %s", uri, fsys, p, err, want)
		}
	}
	for _, uri := range []string{"hdfs:///x", "hdfs://nn:8020/x"} {
		if _, _, err := r.For(t.Context(), uri); err == nil {
			t.Errorf("%s: got no error", uri)
		}
	}
	if _, err := NewResolver(ResolverConfig{DefaultFS: "s3://b"}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("default file system s3: got %v, want ErrUnsupported", err)
	}
}

func TestHDFSConfigIsChecked(t *testing.T) {
	full := HDFSConfig{Authority: "a", NameNodes: []string{"a:1"}, User: "u", Calls: failoverCaller{}}
	if err := full.Validate(); err != nil {
		t.Error(err)
	}
	for i, f := range []func(*HDFSConfig){func(c *HDFSConfig) { c.Authority = "" }, func(c *HDFSConfig) { c.NameNodes = nil },
		func(c *HDFSConfig) { c.User = "" }, func(c *HDFSConfig) { c.Calls = nil }} {
		c := full
		f(&c)
		if _, err := NewHDFS(c); err == nil {
			t.Errorf("case %d: got no error", i)
		}
	}
}

// The way without renameat2 must not overwrite either.
func TestRenameByLink(t *testing.T) {
	l, dir := NewLocal(), t.TempDir()
	p := func(s string) string { return filepath.Join(dir, s) }
	for _, f := range []string{"a", "b", "d/f"} {
		if err := l.MkdirAll(t.Context(), filepath.Dir(p(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := WriteFile(t.Context(), l, p(f), []byte(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Mkdir(t.Context(), p("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		want     error
	}{
		{"a", "b", fs.ErrExist}, {"a", "empty", fs.ErrExist}, {"d", "empty", fs.ErrExist}, {"d", "b", fs.ErrExist}, {"no", "x", fs.ErrNotExist},
		{"a", "no/x", fs.ErrNotExist}, {"d", "no/x", fs.ErrNotExist}, {"a", "a2", nil}, {"d", "d2", nil},
	} {
		if err := renameByLink(p(c.from), p(c.to)); !errors.Is(err, c.want) {
			t.Errorf("%s to %s: got %v, want %v", c.from, c.to, err, c.want)
		}
	}
	for f, want := range map[string]string{"a2": "a", "b": "b", "d2/f": "d/f"} {
		if got, err := ReadFile(t.Context(), l, p(f), 10); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", f, got, err, want)
		}
	}
}

func TestLocalDetails(t *testing.T) {
	l, dir := NewLocal(), t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Open(t.Context(), fifo, 0); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("pipe: got %v, want fs.ErrInvalid", err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	if got, err := l.List(t.Context(), dir); err != nil || len(got) != 2 {
		t.Errorf("List: got %v, %v, want two entries", got, err)
	}
	// Another file that took the name is not removed, nor taken for ours.
	p := filepath.Join(dir, "f")
	w, err := l.Create(t.Context(), p, CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(t.Context(), l, p, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Close: got %v, want fs.ErrNotExist", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if got, err := ReadFile(t.Context(), l, p, 10); err != nil || string(got) != "other" {
		t.Errorf("got %q, %v, want the other file", got, err)
	}
	_, err = l.Stat(t.Context(), "/nonexistent/x")
	if got, want := err.Error(), "stat /nonexistent/x: no such file or directory"; got != want {
		t.Errorf("text: got %q, want %q", got, want)
	}
}

func TestCreateOnce(t *testing.T) {
	for _, lost := range []bool{false, true} {
		fail := lost
		m := NewMem(MemConfig{Fault: func(c Call) error {
			if c.Op == "rename" && c.After && fail {
				fail = false
				return errors.New("the answer was lost")
			}
			return nil
		}})
		if err := CreateOnce(t.Context(), m, "/f", []byte("one"), 0o600); err != nil {
			t.Errorf("lost %v: %v", lost, err)
		}
		if err := CreateOnce(t.Context(), m, "/f", []byte("two"), 0o600); !errors.Is(err, fs.ErrExist) {
			t.Errorf("second: got %v, want fs.ErrExist", err)
		}
		if l, err := m.List(t.Context(), "/"); err != nil || len(l) != 1 {
			t.Errorf("got %v, %v, want one file", l, err)
		}
		if got, err := ReadFile(t.Context(), m, "/f", 10); err != nil || string(got) != "one" {
			t.Errorf("got %q, %v, want one", got, err)
		}
	}
}

func TestMemFaults(t *testing.T) {
	boom := errors.New("boom")
	for _, after := range []bool{false, true} {
		on := false
		m := NewMem(MemConfig{Fault: func(c Call) error {
			if on && c.Op == "mkdir" && c.After == after {
				return boom
			}
			return nil
		}})
		on = true
		if err := m.Mkdir(t.Context(), "/d", 0o755); !errors.Is(err, boom) {
			t.Errorf("got %v, want the injected error", err)
		}
		if there, _ := Exists(context.Background(), m, "/d"); there != after {
			t.Errorf("after %v: directory there: got %v", after, there)
		}
	}
}
