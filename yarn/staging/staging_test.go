package staging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

var (
	app1 = yarnid.ApplicationID{ClusterTimestamp: 1_700_000_000_000, ID: 1}
	app2 = yarnid.ApplicationID{ClusterTimestamp: 1_700_000_000_000, ID: 2}
)

const rm = "rm.example:8032"

// world is a staging area in memory with a clock and hooks.
type world struct {
	*testing.T
	now   time.Time
	mem   *dfs.Mem
	area  *Area
	hook  func(dfs.Call) error
	calls []dfs.Call
	dfs   dfs.Resolver
	mu    sync.Mutex
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Unix(1_700_000_000, 0)}
	w.mem = dfs.NewMem(dfs.MemConfig{User: "alice", Now: func() time.Time { return w.now }, Fault: func(c dfs.Call) error {
		if !c.After {
			w.mu.Lock()
			w.calls = append(w.calls, c)
			w.mu.Unlock()
		}
		if w.hook != nil {
			return w.hook(c)
		}
		return nil
	}})
	var err error
	w.area, err = New(Config{FS: w.mem, Dir: "/user/alice", User: "alice", Now: func() time.Time { return w.now }})
	w.ok(err)
	w.dfs, err = dfs.NewResolver(dfs.ResolverConfig{DefaultFS: "mem:///", Mem: w.mem, User: "alice"})
	w.ok(err)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("got error %v, want none", err)
	}
}

func (w *world) is(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Fatalf("got error %v, want %v", err, want)
	}
}

// tree prints everything below /user/alice/.flott, temporary names shortened.
func (w *world) tree() string {
	w.Helper()
	var out []string
	err := dfs.Walk(context.Background(), w.mem, "/user/alice/.flott", dfs.WalkOptions{}, func(fi dfs.FileInfo) error {
		if !fi.IsDir {
			out = append(out, strings.TrimPrefix(fi.Path, "/user/alice/.flott/"))
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Fatal(err)
	}
	return strings.Join(out, " ")
}

func (w *world) count(op string) int {
	n := 0
	for _, c := range w.calls {
		if c.Op == op {
			n++
		}
	}
	return n
}

func binary(t *testing.T, data string) (Source, Digest) {
	t.Helper()
	src := BytesSource("job", []byte(data))
	d, err := Hash(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return src, d
}

func TestCreateWritesTheOwnerFirst(t *testing.T) {
	w := newWorld(t)
	w.ok(w.area.Create(t.Context(), app1, rm))
	w.ok(w.area.Create(t.Context(), app1, rm))
	if got, want := w.tree(), app1.String()+"/owner"; got != want {
		t.Errorf("tree: got %q, want %q", got, want)
	}
	for _, p := range []string{"/user/alice/.flott", w.area.ApplicationDir(app1)} {
		fi, err := w.mem.Stat(t.Context(), p)
		w.ok(err)
		if fi.Perm != 0o700 {
			t.Errorf("%s: got permission %v, want 0700", p, fi.Perm)
		}
	}
	got, err := w.area.Owner(t.Context(), app1)
	w.ok(err)
	if got != rm {
		t.Errorf("owner: got %q, want %q", got, rm)
	}
	if err := w.area.Create(t.Context(), app1, "other:8032"); err == nil || !strings.Contains(err.Error(), rm) {
		t.Errorf("other owner: got %v, want an error that names %s", err, rm)
	}
	for _, bad := range []string{"", "a\nb"} {
		if err := w.area.Create(t.Context(), app2, bad); err == nil {
			t.Errorf("owner %q: got no error", bad)
		}
	}
}

func TestAreaOfAnotherUserIsRefused(t *testing.T) {
	w := newWorld(t)
	mallory := dfs.NewMem(dfs.MemConfig{User: "mallory"})
	w.ok(mallory.MkdirAll(t.Context(), "/user/alice/.flott", 0o777))
	a, err := New(Config{FS: mallory, Dir: "/user/alice", User: "alice"})
	w.ok(err)
	w.is(a.Create(t.Context(), app1, rm), ErrForeign)
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []Config{{}, {FS: dfs.NewLocal()}, {FS: dfs.NewLocal(), Dir: "rel"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v: got no error", c)
		}
	}
}

func TestUploadReportsExactSizeAndTime(t *testing.T) {
	w := newWorld(t)
	w.ok(w.area.Create(t.Context(), app1, rm))
	data := strings.Repeat("x", 600_000)
	var steps []int64
	res, err := w.area.Upload(t.Context(), app1, "launch", BytesSource("launch", []byte(data)), func(done, total int64) {
		if total != 600_000 {
			t.Errorf("total: got %d, want 600000", total)
		}
		steps = append(steps, done)
	})
	w.ok(err)
	fi, err := w.mem.Stat(t.Context(), w.area.ApplicationDir(app1)+"/launch")
	w.ok(err)
	want := Resource{URI: "mem://" + fi.Path, Path: fi.Path, Size: 600_000, ModTimeMillis: fi.ModTimeMillis}
	if res != want {
		t.Errorf("got %+v, want %+v", res, want)
	}
	if fmt.Sprint(steps) != "[0 262144 524288 600000]" {
		t.Errorf("progress: got %v", steps)
	}
	_, err = w.area.Upload(t.Context(), app1, "launch", BytesSource("launch", nil), nil)
	w.is(err, fs.ErrExist)
	if _, err = w.area.Upload(t.Context(), app1, "../x", BytesSource("x", nil), nil); err == nil {
		t.Error("name with a slash: got no error")
	}
	if got, want := w.tree(), app1.String()+"/launch "+app1.String()+"/owner"; got != want {
		t.Errorf("tree: got %q, want %q", got, want)
	}
}

func TestUploadNoticesAChangedSource(t *testing.T) {
	w := newWorld(t)
	w.ok(w.area.Create(t.Context(), app1, rm))
	for _, size := range []int64{2, 4} {
		src := BytesSource("job", []byte("abc"))
		src.Size = size
		_, err := w.area.Upload(t.Context(), app1, "f", src, nil)
		w.is(err, ErrSourceChanged)
	}
	src, d := binary(t, "abc")
	src.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abd")), nil }
	_, err := w.area.Publish(t.Context(), app1, d, src, nil)
	w.is(err, ErrSourceChanged)
	if got, want := w.tree(), app1.String()+"/owner refs/"+d.String()+"/"+app1.String(); got != want {
		t.Errorf("tree: got %q, want %q", got, want)
	}
}

func TestUploadIsRepeatedUnderAnotherName(t *testing.T) {
	w := newWorld(t)
	w.ok(w.area.Create(t.Context(), app1, rm))
	var names []string
	w.hook = func(c dfs.Call) error {
		if c.Op == "close" && !c.After {
			if names = append(names, c.Path); len(names) < 3 {
				return errors.New("data node is gone")
			}
		}
		return nil
	}
	_, err := w.area.Upload(t.Context(), app1, "f", BytesSource("f", []byte("abc")), nil)
	w.ok(err)
	if len(names) != 3 || names[0] == names[1] || names[1] == names[2] {
		t.Errorf("got tries %v, want three names", names)
	}
	if got, want := w.tree(), app1.String()+"/f "+app1.String()+"/owner"; got != want {
		t.Errorf("tree: got %q, want %q", got, want)
	}
	w.hook = func(c dfs.Call) error {
		if c.Op == "create" {
			return fs.ErrPermission
		}
		return nil
	}
	n := w.count("create")
	_, err = w.area.Upload(t.Context(), app1, "g", BytesSource("g", nil), nil)
	w.is(err, fs.ErrPermission)
	if got := w.count("create") - n; got != 1 {
		t.Errorf("after a permission error: got %d tries, want 1", got)
	}
}

func TestBinaryIsUploadedOnce(t *testing.T) {
	w := newWorld(t)
	src, d := binary(t, "the job")
	var res [2]Resource
	for i, app := range []yarnid.ApplicationID{app1, app2} {
		w.ok(w.area.Create(t.Context(), app, rm))
		w.now = w.now.Add(time.Minute)
		w.calls = nil
		var err error
		res[i], err = w.area.Publish(t.Context(), app, d, src, nil)
		w.ok(err)
		w.ok(w.area.Verify(t.Context(), res[i]))
		if renames := w.count("rename"); renames != 1-i {
			t.Errorf("application %d: got %d files published, want %d", i+1, renames, 1-i)
		}
	}
	if res[0] != res[1] || res[0].Size != 7 || path.Base(res[0].Path) != d.String() {
		t.Errorf("got %+v and %+v, want the same file named by its digest", res[0], res[1])
	}
	want := fmt.Sprintf("%[1]v/owner %[2]v/owner cache/%[3]v refs/%[3]v/%[1]v refs/%[3]v/%[2]v", app1, app2, d)
	if got := w.tree(); got != want {
		t.Errorf("tree: got %q, want %q", got, want)
	}
	w.ok(w.area.Clean(t.Context(), app1))
	w.ok(w.area.Clean(t.Context(), app1))
	if got, want := w.tree(), fmt.Sprintf("%[1]v/owner cache/%[2]v refs/%[2]v/%[1]v", app2, d); got != want {
		t.Errorf("after Clean: got %q, want %q", got, want)
	}
	// A binary of the right name and another length was not put there by us.
	w.ok(w.mem.Delete(t.Context(), res[0].Path, false))
	w.is(w.area.Verify(t.Context(), res[0]), ErrGone)
	w.ok(dfs.WriteFile(t.Context(), w.mem, res[0].Path, []byte("evil"), 0o700))
	w.is(w.area.Verify(t.Context(), res[0]), ErrGone)
	_, err := w.area.Publish(t.Context(), app2, d, src, nil)
	w.is(err, ErrForeign)
}

func TestSubmittersAtOncePublishOneBinary(t *testing.T) {
	w := newWorld(t)
	src, d := binary(t, "the job")
	var res [8]Resource
	var errs [8]error
	var wg sync.WaitGroup
	for i := range res {
		app := yarnid.ApplicationID{ClusterTimestamp: 1, ID: int32(i + 1)}
		wg.Go(func() {
			if errs[i] = w.area.Create(t.Context(), app, rm); errs[i] == nil {
				res[i], errs[i] = w.area.Publish(t.Context(), app, d, src, nil)
			}
		})
	}
	wg.Wait()
	w.ok(errors.Join(errs[:]...))
	for i := range res {
		if res[i] != res[0] {
			t.Errorf("submitter %d: got %+v, want %+v", i, res[i], res[0])
		}
	}
	if strings.Contains(w.tree(), ".tmp") {
		t.Errorf("temporary files are left: %s", w.tree())
	}
}

func TestHashAndFileSource(t *testing.T) {
	if _, err := FileSource(t.TempDir()); err == nil {
		t.Error("directory: got no error")
	}
	if _, err := FileSource("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: got %v, want fs.ErrNotExist", err)
	}
	src, err := FileSource("staging_test.go")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Hash(t.Context(), src)
	if err != nil || len(d.String()) != 64 {
		t.Errorf("got %v, %v, want 64 digits", d, err)
	}
	if back, ok := digestOf(d.String()); !ok || back != d {
		t.Errorf("digestOf: got %v, want %v", back, d)
	}
	for _, bad := range []string{"", "zz", strings.ToUpper(d.String()), d.String() + ".tmp"} {
		if _, ok := digestOf(bad); ok {
			t.Errorf("digestOf(%q): got ok", bad)
		}
	}
}
