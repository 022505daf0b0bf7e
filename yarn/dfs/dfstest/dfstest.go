package dfstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
)

// Run checks fsys in the existing, empty directory dir.
func Run(t *testing.T, fsys dfs.FS, dir string) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := &env{T: t, fs: fsys, dir: path.Join(dir, path.Base(t.Name()))}
			e.ok(fsys.Mkdir(e.Context(), e.dir, 0o755))
			c.run(e)
		})
	}
}

var cases = []struct {
	name string
	run  func(*env)
}{
	{"WriteThenRead", writeThenRead},
	{"EmptyFile", emptyFile},
	{"ReadFromOffset", readFromOffset},
	{"CreateNeverOverwrites", createNeverOverwrites},
	{"CreateMakesNoParents", createMakesNoParents},
	{"CreateRaceHasOneWinner", createRace},
	{"AbortRemoves", abortRemoves},
	{"AbortAfterCloseKeeps", abortAfterClose},
	{"CloseTwiceFails", closeTwice},
	{"WriterOfDeletedFileFails", writerOfDeletedFile},
	{"CancelEndsTheWriter", cancelEndsWriter},
	{"CancelEndsTheReader", cancelEndsReader},
	{"StatSaysWhatIsThere", statSays},
	{"AbsentIsErrNotExist", absentIsNotExist},
	{"List", list},
	{"RenameFile", renameFile},
	{"RenameDirectory", renameDirectory},
	{"RenameNeverOverwrites", renameNeverOverwrites},
	{"RenameRaceHasOneWinner", renameRace},
	{"RenameBelowItself", renameBelowItself},
	{"Mkdir", mkdir},
	{"MkdirAll", mkdirAll},
	{"FileAsDirectory", fileAsDirectory},
	{"DirectoryAsFile", directoryAsFile},
	{"Delete", deletes},
	{"SetPermission", setPermission},
	{"OddNames", oddNames},
	{"RelativePathRefused", relativePath},
	{"Locations", locations},
	{"WalkAndGlob", walkAndGlob},
}

// env is one case: its directory and short forms.
type env struct {
	*testing.T
	fs  dfs.FS
	dir string
}

func (e *env) p(elem ...string) string { return path.Join(append([]string{e.dir}, elem...)...) }

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("got error %v, want none", err)
	}
}

func (e *env) is(err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Fatalf("got error %v, want %v", err, want)
	}
}

func (e *env) write(p, data string) {
	e.Helper()
	e.ok(dfs.WriteFile(e.Context(), e.fs, p, []byte(data), 0o644))
}

func (e *env) wantFile(p, want string) {
	e.Helper()
	got, err := dfs.ReadFile(e.Context(), e.fs, p, 64<<20)
	e.ok(err)
	if string(got) != want {
		e.Fatalf("%s: got %d bytes %.40q, want %d bytes %.40q", p, len(got), got, len(want), want)
	}
}

func (e *env) wantAbsent(p string) {
	e.Helper()
	_, err := e.fs.Stat(e.Context(), p)
	e.is(err, fs.ErrNotExist)
}

func (e *env) create(p string) dfs.Writer {
	e.Helper()
	w, err := e.fs.Create(e.Context(), p, dfs.CreateOptions{})
	e.ok(err)
	return w
}

func writeThenRead(e *env) {
	data := make([]byte, 3<<20+17)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(data)
	w, err := e.fs.Create(e.Context(), e.p("f"), dfs.CreateOptions{Perm: 0o640, ExpectedSize: int64(len(data))})
	e.ok(err)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 100_003)
		got, err := w.Write(rest[:n])
		e.ok(err)
		if got != n {
			e.Fatalf("Write: got %d, want %d", got, n)
		}
		rest = rest[n:]
	}
	e.ok(w.Close())
	got, err := dfs.ReadFile(e.Context(), e.fs, e.p("f"), 8<<20)
	e.ok(err)
	if !bytes.Equal(got, data) {
		e.Fatalf("got %d bytes that differ from the %d written", len(got), len(data))
	}
	if _, err := dfs.ReadFile(e.Context(), e.fs, e.p("f"), 100); err == nil {
		e.Fatal("ReadFile beyond its limit: got no error")
	}
}

func emptyFile(e *env) {
	w := e.create(e.p("f"))
	e.ok(w.Close())
	e.wantFile(e.p("f"), "")
	fi, err := e.fs.Stat(e.Context(), e.p("f"))
	e.ok(err)
	if fi.Size != 0 || fi.IsDir {
		e.Fatalf("got %+v, want an empty file", fi)
	}
}

func readFromOffset(e *env) {
	e.write(e.p("f"), "0123456789")
	for _, c := range []struct {
		off  int64
		want string
	}{{0, "0123456789"}, {3, "3456789"}, {9, "9"}, {10, ""}} {
		r, err := e.fs.Open(e.Context(), e.p("f"), c.off)
		e.ok(err)
		got, err := io.ReadAll(r)
		e.ok(err)
		e.ok(r.Close())
		if string(got) != c.want {
			e.Fatalf("from %d: got %q, want %q", c.off, got, c.want)
		}
	}
	for _, off := range []int64{-1, 11} {
		_, err := e.fs.Open(e.Context(), e.p("f"), off)
		e.is(err, fs.ErrInvalid)
	}
}

func createNeverOverwrites(e *env) {
	e.write(e.p("f"), "first")
	e.ok(e.fs.Mkdir(e.Context(), e.p("d"), 0o755))
	for _, p := range []string{"f", "d"} {
		_, err := e.fs.Create(e.Context(), e.p(p), dfs.CreateOptions{})
		e.is(err, fs.ErrExist)
	}
	e.wantFile(e.p("f"), "first")
}

func createMakesNoParents(e *env) {
	_, err := e.fs.Create(e.Context(), e.p("no", "f"), dfs.CreateOptions{})
	e.is(err, fs.ErrNotExist)
	e.wantAbsent(e.p("no"))
}

// race runs f n times at once and wants exactly one nil, the others lost.
func (e *env) race(n int, lost error, f func(i int) error) {
	e.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, lost) {
			e.Fatalf("a loser got %v, want %v", err, lost)
		}
	}
	if won != 1 {
		e.Fatalf("got %d winners, want 1", won)
	}
}

func createRace(e *env) {
	e.race(6, fs.ErrExist, func(i int) error {
		w, err := e.fs.Create(e.Context(), e.p("f"), dfs.CreateOptions{})
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte{byte('0' + i)}); err != nil {
			return err
		}
		return w.Close()
	})
}

func abortRemoves(e *env) {
	w := e.create(e.p("f"))
	_, err := w.Write([]byte("half"))
	e.ok(err)
	e.ok(w.Abort())
	e.ok(w.Abort())
	e.wantAbsent(e.p("f"))
	if err := w.Close(); err == nil {
		e.Fatal("Close after Abort: got no error")
	}
	e.write(e.p("f"), "again")
	e.wantFile(e.p("f"), "again")
}

func abortAfterClose(e *env) {
	w := e.create(e.p("f"))
	_, err := w.Write([]byte("whole"))
	e.ok(err)
	e.ok(w.Close())
	e.ok(w.Abort())
	e.wantFile(e.p("f"), "whole")
}

func closeTwice(e *env) {
	w := e.create(e.p("f"))
	e.ok(w.Close())
	if err := w.Close(); err == nil {
		e.Fatal("second Close: got no error")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		e.Fatal("Write after Close: got no error")
	}
	e.wantFile(e.p("f"), "")
}

// A zombie whose directory was swept must notice at the latest when it closes, and must not bring the directory back.
func writerOfDeletedFile(e *env) {
	e.ok(e.fs.Mkdir(e.Context(), e.p("d"), 0o755))
	w := e.create(e.p("d", "f"))
	_, werr := w.Write([]byte("x"))
	e.ok(e.fs.Delete(e.Context(), e.p("d"), true))
	cerr := w.Close()
	if werr == nil && cerr == nil {
		e.Fatal("Close of a deleted file: got no error")
	}
	e.ok(w.Abort())
	e.wantAbsent(e.p("d"))
}

func cancelEndsWriter(e *env) {
	ctx, cancel := context.WithCancel(e.Context())
	w, err := e.fs.Create(ctx, e.p("f"), dfs.CreateOptions{})
	e.ok(err)
	_, err = w.Write(make([]byte, 100_000))
	e.ok(err)
	cancel()
	if _, err := w.Write(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		e.Fatalf("Write: got %v, want context.Canceled", err)
	}
	e.is(w.Close(), context.Canceled)
	e.ok(w.Abort())
	e.wantAbsent(e.p("f"))
}

func cancelEndsReader(e *env) {
	e.write(e.p("f"), "0123456789")
	ctx, cancel := context.WithCancel(e.Context())
	r, err := e.fs.Open(ctx, e.p("f"), 0)
	e.ok(err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, 2))
	e.ok(err)
	cancel()
	_, err = io.ReadAll(r)
	e.is(err, context.Canceled)
	_, err = e.fs.Stat(ctx, e.p("f"))
	e.is(err, context.Canceled)
}

func statSays(e *env) {
	before := time.Now().Add(-time.Minute)
	e.write(e.p("f"), "12345")
	fi, err := e.fs.Stat(e.Context(), e.p(".", "x", "..", "f"))
	e.ok(err)
	if fi.Path != e.p("f") || fi.Name() != "f" || fi.Size != 5 || fi.IsDir || fi.Perm != 0o644 || fi.Owner == "" {
		e.Fatalf("got %+v, want f of 5 bytes with 0644 and an owner", fi)
	}
	if fi.ModTime().Before(before) || fi.ModTime().After(time.Now().Add(time.Minute)) {
		e.Fatalf("got modification time %v, want about now", fi.ModTime())
	}
	again, err := e.fs.Stat(e.Context(), e.p("f"))
	e.ok(err)
	if again != fi {
		e.Fatalf("second Stat: got %+v, want %+v", again, fi)
	}
	fi, err = e.fs.Stat(e.Context(), e.dir)
	e.ok(err)
	if !fi.IsDir || fi.Size != 0 {
		e.Fatalf("got %+v, want a directory", fi)
	}
	fi, err = e.fs.Stat(e.Context(), "/")
	e.ok(err)
	if !fi.IsDir || fi.Path != "/" {
		e.Fatalf("got %+v, want the root directory", fi)
	}
}

func absentIsNotExist(e *env) {
	ctx, no := e.Context(), e.p("no")
	_, err := e.fs.Stat(ctx, no)
	e.is(err, fs.ErrNotExist)
	_, err = e.fs.List(ctx, no)
	e.is(err, fs.ErrNotExist)
	_, err = e.fs.Open(ctx, no, 0)
	e.is(err, fs.ErrNotExist)
	e.is(e.fs.Delete(ctx, no, false), fs.ErrNotExist)
	e.is(e.fs.Delete(ctx, no, true), fs.ErrNotExist)
	e.is(e.fs.Rename(ctx, no, e.p("to")), fs.ErrNotExist)
	e.is(e.fs.SetPermission(ctx, no, 0o700), fs.ErrNotExist)
	e.is(e.fs.Mkdir(ctx, e.p("no", "d"), 0o700), fs.ErrNotExist)
	there, err := dfs.Exists(ctx, e.fs, no)
	e.ok(err)
	if there {
		e.Fatal("Exists: got true, want false")
	}
}

func list(e *env) {
	got, err := e.fs.List(e.Context(), e.dir)
	e.ok(err)
	if len(got) != 0 {
		e.Fatalf("empty directory: got %v", got)
	}
	e.write(e.p("b"), "22")
	e.ok(e.fs.Mkdir(e.Context(), e.p("a"), 0o755))
	e.write(e.p("a", "below"), "")
	e.write(e.p("c"), "333")
	got, err = e.fs.List(e.Context(), e.dir)
	e.ok(err)
	var s string
	for _, fi := range got {
		s += fmt.Sprint(fi.Path, " ", fi.IsDir, " ", fi.Size, ";")
	}
	if want := fmt.Sprint(e.p("a"), " true 0;", e.p("b"), " false 2;", e.p("c"), " false 3;"); s != want {
		e.Fatalf("got %s, want %s", s, want)
	}
}

func renameFile(e *env) {
	e.write(e.p("a"), "x")
	e.ok(e.fs.Rename(e.Context(), e.p("a"), e.p("b")))
	e.wantAbsent(e.p("a"))
	e.wantFile(e.p("b"), "x")
	e.is(e.fs.Rename(e.Context(), e.p("b"), e.p("no", "b")), fs.ErrNotExist)
	e.wantFile(e.p("b"), "x")
}

func renameDirectory(e *env) {
	e.ok(e.fs.MkdirAll(e.Context(), e.p("a", "sub"), 0o755))
	e.write(e.p("a", "sub", "f"), "x")
	e.write(e.p("ab"), "not below a")
	e.ok(e.fs.Rename(e.Context(), e.p("a"), e.p("b")))
	e.wantAbsent(e.p("a"))
	e.wantFile(e.p("b", "sub", "f"), "x")
	e.wantFile(e.p("ab"), "not below a")
}

func renameNeverOverwrites(e *env) {
	e.write(e.p("f"), "f")
	e.write(e.p("g"), "g")
	e.ok(e.fs.Mkdir(e.Context(), e.p("d"), 0o755))
	e.ok(e.fs.Mkdir(e.Context(), e.p("empty"), 0o755))
	for _, c := range [][2]string{{"f", "g"}, {"f", "empty"}, {"d", "empty"}, {"d", "g"}, {"f", "f"}} {
		if err := e.fs.Rename(e.Context(), e.p(c[0]), e.p(c[1])); !errors.Is(err, fs.ErrExist) {
			e.Fatalf("%s to %s: got %v, want fs.ErrExist", c[0], c[1], err)
		}
	}
	e.wantFile(e.p("f"), "f")
	e.wantFile(e.p("g"), "g")
	e.wantAbsent(e.p("empty", "f"))
}

func renameRace(e *env) {
	for i := range 6 {
		e.write(e.p(fmt.Sprint("f", i)), "x")
	}
	e.race(6, fs.ErrExist, func(i int) error { return e.fs.Rename(e.Context(), e.p(fmt.Sprint("f", i)), e.p("target")) })
	e.wantFile(e.p("target"), "x")
}

func renameBelowItself(e *env) {
	e.ok(e.fs.Mkdir(e.Context(), e.p("d"), 0o755))
	if err := e.fs.Rename(e.Context(), e.p("d"), e.p("d", "x")); err == nil {
		e.Fatal("got no error")
	}
	e.wantAbsent(e.p("d", "x"))
}

func mkdir(e *env) {
	e.ok(e.fs.Mkdir(e.Context(), e.p("d"), 0o777))
	fi, err := e.fs.Stat(e.Context(), e.p("d"))
	e.ok(err)
	if !fi.IsDir || fi.Perm != 0o777 {
		e.Fatalf("got %+v, want a directory with 0777", fi)
	}
	e.is(e.fs.Mkdir(e.Context(), e.p("d"), 0o700), fs.ErrExist)
	e.write(e.p("f"), "")
	e.is(e.fs.Mkdir(e.Context(), e.p("f"), 0o700), fs.ErrExist)
}

func mkdirAll(e *env) {
	e.ok(e.fs.MkdirAll(e.Context(), e.p("a", "b", "c"), 0o700))
	fi, err := e.fs.Stat(e.Context(), e.p("a", "b", "c"))
	e.ok(err)
	if !fi.IsDir || fi.Perm != 0o700 {
		e.Fatalf("got %+v, want a directory with 0700", fi)
	}
	e.ok(e.fs.MkdirAll(e.Context(), e.p("a", "b", "c"), 0o755))
	if fi, err = e.fs.Stat(e.Context(), e.p("a", "b", "c")); err != nil || fi.Perm != 0o700 {
		e.Fatalf("got %+v, %v, want 0700 kept", fi, err)
	}
	e.write(e.p("f"), "")
	for _, p := range []string{"f", "f/d"} {
		if err := e.fs.MkdirAll(e.Context(), e.p(p), 0o700); !errors.Is(err, dfs.ErrNotDirectory) {
			e.Fatalf("%s: got %v, want dfs.ErrNotDirectory", p, err)
		}
	}
	e.ok(e.fs.MkdirAll(e.Context(), "/", 0o755))
}

func fileAsDirectory(e *env) {
	e.write(e.p("f"), "x")
	_, err := e.fs.List(e.Context(), e.p("f"))
	e.is(err, dfs.ErrNotDirectory)
	_, err = e.fs.Create(e.Context(), e.p("f", "g"), dfs.CreateOptions{})
	e.is(err, dfs.ErrNotDirectory)
	e.is(e.fs.Mkdir(e.Context(), e.p("f", "g"), 0o700), dfs.ErrNotDirectory)
}

func directoryAsFile(e *env) {
	_, err := e.fs.Open(e.Context(), e.dir, 0)
	e.is(err, dfs.ErrIsDirectory)
}

func deletes(e *env) {
	e.ok(e.fs.MkdirAll(e.Context(), e.p("d", "sub"), 0o755))
	e.write(e.p("d", "sub", "f"), "x")
	e.write(e.p("dx"), "x")
	err := e.fs.Delete(e.Context(), e.p("d"), false)
	e.is(err, dfs.ErrNotEmpty)
	if errors.Is(err, fs.ErrExist) {
		e.Fatalf("got %v, which is fs.ErrExist too", err)
	}
	e.ok(e.fs.Delete(e.Context(), e.p("d", "sub", "f"), false))
	e.ok(e.fs.Delete(e.Context(), e.p("d", "sub"), false))
	e.write(e.p("d", "f"), "x")
	e.ok(e.fs.Delete(e.Context(), e.p("d"), true))
	e.wantAbsent(e.p("d"))
	e.wantFile(e.p("dx"), "x")
	if err := e.fs.Delete(e.Context(), "/", true); err == nil {
		e.Fatal("the root directory was deleted")
	}
}

func setPermission(e *env) {
	e.write(e.p("f"), "x")
	for _, perm := range []fs.FileMode{0o600, 0o777, 0o640} {
		e.ok(e.fs.SetPermission(e.Context(), e.p("f"), perm))
		fi, err := e.fs.Stat(e.Context(), e.p("f"))
		e.ok(err)
		if fi.Perm != perm {
			e.Fatalf("got %v, want %v", fi.Perm, perm)
		}
	}
}

func oddNames(e *env) {
	for _, name := range []string{"a b", "ümlaut", "日本", "a%20b", "a*b", "=", "#?", "x.tmp"} {
		e.write(e.p(name), name)
		e.wantFile(e.p(name), name)
		got, err := dfs.ReadFile(e.Context(), e.fs, e.p(name), 100)
		e.ok(err)
		if string(got) != name {
			e.Fatalf("got %q, want %q", got, name)
		}
	}
	l, err := e.fs.List(e.Context(), e.dir)
	e.ok(err)
	if len(l) != 8 {
		e.Fatalf("got %d entries, want 8", len(l))
	}
}

func relativePath(e *env) {
	for _, p := range []string{"", "x", "./x", "../x"} {
		_, err := e.fs.Stat(e.Context(), p)
		e.is(err, fs.ErrInvalid)
	}
}

func locations(e *env) {
	e.write(e.p("f"), "0123456789")
	locs, err := dfs.BlockLocations(e.Context(), e.fs, e.p("f"), 0, 10)
	e.ok(err)
	if len(locs) != 1 || locs[0].Offset != 0 || locs[0].Length != 10 {
		e.Fatalf("got %+v, want one block of 10 bytes", locs)
	}
}

func walkAndGlob(e *env) {
	ctx := e.Context()
	e.ok(e.fs.MkdirAll(ctx, e.p("2024", "01"), 0o755))
	e.ok(e.fs.MkdirAll(ctx, e.p("2025", "02"), 0o755))
	e.write(e.p("2024", "01", "a.txt"), "a")
	e.write(e.p("2025", "02", "b.txt"), "b")
	var walked []string
	e.ok(dfs.Walk(ctx, e.fs, e.dir, dfs.WalkOptions{}, func(fi dfs.FileInfo) error {
		if !fi.IsDir {
			walked = append(walked, fi.Path)
		}
		return nil
	}))
	got, err := dfs.Glob(ctx, e.fs, e.p("20*", "{01,02}", "[ab].txt"), 0)
	e.ok(err)
	want := []string{e.p("2024", "01", "a.txt"), e.p("2025", "02", "b.txt")}
	if fmt.Sprint(walked) != fmt.Sprint(want) {
		e.Fatalf("Walk: got %v, want %v", walked, want)
	}
	if len(got) != 2 || got[0].Path != want[0] || got[1].Path != want[1] {
		e.Fatalf("Glob: got %v, want %v", got, want)
	}
}
