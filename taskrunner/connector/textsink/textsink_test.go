package textsink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
	"github.com/flott-dev/flott/yarn/dfs"
)

// bench is a job with one sink over a file system in memory.
type bench struct {
	t         *testing.T
	fsys      *dfs.Mem
	files     dfs.Resolver
	fault     func(dfs.Call) error
	leftovers []string
	job       ids.JobID
	sink      Sink[string]
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, job: ids.JobID{7}, sink: Sink[string]{Dir: "mem:///user/u/out", Format: func(line []byte, v string) []byte { return append(line, v...) }}}
	b.fsys = dfs.NewMem(dfs.MemConfig{Fault: func(c dfs.Call) error {
		if b.fault != nil {
			return b.fault(c)
		}
		return nil
	}})
	var err error
	if b.files, err = dfs.NewResolver(dfs.ResolverConfig{DefaultFS: "mem:///", User: "u", Mem: b.fsys}); err != nil {
		t.Fatal(err)
	}
	return b
}

// committer makes the coordinator of a new AM attempt.
func (b *bench) committer() *committer {
	return b.sink.NewCoordinator(operator.CoordinatorEnv{FS: b.files, Log: slog.New(slog.DiscardHandler)}).(*committer)
}

func (b *bench) start(c *committer) error {
	return c.Start(b.t.Context(), program.CoordinatorContext{Job: b.job, Operator: ids.OperatorID{1}, Parallelism: 3, AddLeftover: func(_ context.Context, uri string) error {
		if strings.HasPrefix(uri, "mem://") {
			if there, err := dfs.Exists(b.t.Context(), b.fsys, uri[len("mem://"):]); err != nil || there {
				return fmt.Errorf("the leftover exists before it was entered: %v, %v", there, err)
			}
		}
		b.leftovers = append(b.leftovers, uri)
		return nil
	}})
}

func (b *bench) attempt(subtask int) ids.ExecutionAttemptID {
	return ids.ExecutionAttemptID{Job: b.job, Vertex: ids.VertexID{2}, Subtask: uint32(subtask), Epoch: 1}
}

func (b *bench) open(subtask int) (*writer[string], error) {
	op, err := b.sink.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	c := operatortest.Context(b.t)
	c.Job, c.Attempt, c.Subtask, c.Parallelism, c.FS = b.job, b.attempt(subtask), subtask, 3, b.files
	return op.(*writer[string]), op.Open(b.t.Context(), c)
}

// write runs one subtask to its end.
func (b *bench) write(subtask int, records ...string) ([]byte, error) {
	w, err := b.open(subtask)
	if err == nil {
		for _, r := range records {
			if err = w.Collect(r, operator.NoTime); err != nil {
				break
			}
		}
	}
	var final []byte
	if err == nil {
		if err = w.Control(operator.Event{Kind: operator.EndOfData}); err == nil {
			final, err = w.Final()
		}
	}
	return final, errors.Join(err, w.Close())
}

// finals runs three subtasks, the second without records.
func (b *bench) finals() [][]byte {
	var out [][]byte
	for i, records := range [][]string{{"a", "b"}, nil, {strings.Repeat("x", 3*bufferSize), "\xff\xfe"}} {
		f, err := b.write(i, records...)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

// tree is every file below /, with its length.
func (b *bench) tree() map[string]int64 {
	fault := b.fault
	b.fault = nil
	defer func() { b.fault = fault }()
	out := make(map[string]int64)
	err := dfs.Walk(b.t.Context(), b.fsys, "/", dfs.WalkOptions{}, func(fi dfs.FileInfo) error {
		if !fi.IsDir {
			out[fi.Path] = fi.Size
		}
		if strings.Contains(fi.Path, ".flott-") {
			out[fi.Path] = fi.Size
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

var committed = map[string]int64{"/user/u/out/_SUCCESS": 33, "/user/u/out/part-00000": 4, "/user/u/out/part-00002": 3*bufferSize + 4}

func (b *bench) check(what string, want map[string]int64) {
	b.t.Helper()
	if got := b.tree(); !maps.Equal(got, want) {
		b.t.Errorf("%s: files %v, want %v", what, got, want)
	}
}

func TestCommit(t *testing.T) {
	b := newBench(t)
	c := b.committer()
	if err := b.start(c); err != nil {
		t.Fatal(err)
	}
	if want := []string{"mem:///user/u/.flott-" + b.job.String() + "-out"}; !slices.Equal(b.leftovers, want) {
		t.Errorf("leftovers %v, want %v", b.leftovers, want)
	}
	finals := b.finals()
	if there, err := dfs.Exists(t.Context(), b.fsys, "/user/u/out"); err != nil || there {
		t.Errorf("the target exists before the commit: %v, %v", there, err)
	}
	for i := range 2 {
		if err := c.Commit(t.Context(), finals); err != nil {
			t.Fatal(err)
		}
		b.check(fmt.Sprintf("commit %d", i+1), committed)
	}
	got, err := dfs.ReadFile(t.Context(), b.fsys, "/user/u/out/part-00000", 100)
	if err != nil || string(got) != "a\nb\n" {
		t.Errorf("part 0 holds %q, %v", got, err)
	}
}

func TestNoRecordsAtAll(t *testing.T) {
	b := newBench(t)
	c := b.committer()
	if err := b.start(c); err != nil {
		t.Fatal(err)
	}
	var finals [][]byte
	for i := range 3 {
		f, err := b.write(i)
		if err != nil {
			t.Fatal(err)
		}
		finals = append(finals, f)
	}
	if err := c.Commit(t.Context(), finals); err != nil {
		t.Fatal(err)
	}
	b.check("commit", map[string]int64{"/user/u/out/_SUCCESS": 33})
}

var errCrash = errors.New("crash")

// crashAt makes call n (from 0) on the file system fail, before or after it had its effect, and all that follow unless it is to be once.
func (b *bench) crashAt(n int, after, once bool) (hit *bool) {
	hit = new(bool)
	at := 0
	var mu sync.Mutex // parts are moved several at once
	b.fault = func(c dfs.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if *hit && once {
			return nil
		}
		if *hit {
			return errCrash
		}
		if c.After != after {
			return nil
		}
		if at++; at <= n {
			return nil
		}
		*hit = true
		return errCrash
	}
	return hit
}

// TestCommitCutOffAnywhere: whatever call the commit is cut off at, done again by the same or by a later attempt it gives the same result.
func TestCommitCutOffAnywhere(t *testing.T) {
	for mode := range 8 {
		after, fresh, once := mode&1 != 0, mode&2 != 0, mode&4 != 0
		t.Run(fmt.Sprintf("after=%v,fresh=%v,once=%v", after, fresh, once), func(t *testing.T) {
			for n := 0; ; n++ {
				b := newBench(t)
				c := b.committer()
				if err := b.start(c); err != nil {
					t.Fatal(err)
				}
				finals := b.finals()
				hit := b.crashAt(n, after, once)
				err := c.Commit(t.Context(), finals)
				b.fault = nil
				if !*hit {
					if n < 8 {
						t.Fatalf("the commit made only %d calls", n)
					}
					break
				}
				what := fmt.Sprintf("call %d (%v)", n, err)
				if fresh {
					c = b.committer()
					b.leftovers = nil
					if err := c.Start(t.Context(), program.CoordinatorContext{Job: b.job, Operator: ids.OperatorID{1}, Parallelism: 3,
						AddLeftover: func(context.Context, string) error { return nil }}); err != nil {
						t.Fatalf("%s: start again: %v", what, err)
					}
				}
				if err := c.Commit(t.Context(), finals); err != nil {
					t.Errorf("%s: commit again: %v", what, err)
				}
				b.check(what, committed)
			}
		})
	}
}

// TestDiscard removes everything, wherever the job ended, also when it is cut off and repeated.
func TestDiscard(t *testing.T) {
	for n := 0; ; n++ {
		b := newBench(t)
		c := b.committer()
		if err := c.Discard(t.Context()); err != nil {
			t.Fatalf("discard what was never started: %v", err)
		}
		hit := b.crashAt(n, n%2 == 1, false)
		if b.start(c) == nil {
			for i := range 3 {
				b.write(i, "x") //nolint:errcheck // may be cut off
			}
		}
		cut := c.Discard(t.Context())
		b.fault = nil
		if err := c.Discard(t.Context()); err != nil {
			t.Errorf("call %d (%v): discard again: %v", n, cut, err)
		}
		b.check(fmt.Sprintf("call %d", n), map[string]int64{})
		if left, err := b.fsys.List(t.Context(), "/"); err != nil || len(left) > 0 {
			t.Errorf("call %d: directories that the job made stay: %v, %v", n, left, err)
		}
		if !*hit {
			break
		}
	}
}

// TestDiscardKeepsParentsOfOthers: of the directories above the target, a job without output removes those that it made and nobody else
// uses; one with output keeps them.
func TestDiscardKeepsParentsOfOthers(t *testing.T) {
	for _, test := range []struct{ name, before, meanwhile, want string }{
		{"all were there", "/a/b/c", "", "/a /a/b /a/b/c"},
		{"some were there", "/a", "", "/a"},
		{"none were there", "", "", ""},
		{"another job uses one", "", "/a/b/other", "/a /a/b /a/b/other"},
	} {
		b := newBench(t)
		b.sink.Dir = "mem:///a/b/c/out"
		mkdir := func(p string) {
			t.Helper()
			if p == "" {
				return
			}
			if err := b.fsys.MkdirAll(t.Context(), p, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		mkdir(test.before)
		c := b.committer()
		if err := b.start(c); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		mkdir(test.meanwhile)
		if err := c.Discard(t.Context()); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var got []string
		if err := dfs.Walk(t.Context(), b.fsys, "/", dfs.WalkOptions{}, func(fi dfs.FileInfo) error {
			if fi.Path != "/" {
				got = append(got, fi.Path)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q is left, want %q", test.name, got, test.want)
		}
	}
}

func TestStartRefuses(t *testing.T) {
	b := newBench(t)
	put := func(p, text string) {
		t.Helper()
		if err := b.fsys.MkdirAll(t.Context(), path.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := dfs.WriteFile(t.Context(), b.fsys, p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("/user/u/full/x", "x")
	put("/user/u/other/_SUCCESS", "another sink\n")
	put("/user/u/file", "x")
	for dir, want := range map[string]string{
		"full": "exists already", "other": "exists already", "/user/u/file": "exists already", "/": "root directory", "nowhere://x/y": "nowhere",
		"file/below": "directory",
	} {
		b.sink.Dir = dir
		err := b.start(b.committer())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("start into %q: %v, want an error with the directory and %q", dir, err, want)
		}
	}
	b.sink.Dir = "denied"
	b.fault = func(c dfs.Call) error {
		if c.Op == "mkdir" && strings.Contains(c.Path, "denied") && !c.After {
			return fs.ErrPermission
		}
		return nil
	}
	if err := b.start(b.committer()); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "denied") {
		t.Errorf("got %v, want no permission", err)
	}
}

// TestCommitFindsWhatIsWrong: parts that vanished or changed, and a target that came meanwhile, are failures.
func TestCommitFindsWhatIsWrong(t *testing.T) {
	work := func(b *bench) string { return "/user/u/.flott-" + b.job.String() + "-out" }
	for name, tc := range map[string]struct {
		spoil func(b *bench) error
		want  string
	}{
		"part lost": {func(b *bench) error {
			return b.fsys.Delete(b.t.Context(), path.Join(work(b), "tmp", b.attempt(0).String()), true)
		}, "neither where it was written"},
		"part of another length": {func(b *bench) error {
			p := path.Join(work(b), "tmp", b.attempt(0).String(), written)
			return errors.Join(b.fsys.Delete(b.t.Context(), p, false), dfs.WriteFile(b.t.Context(), b.fsys, p, []byte("a"), 0))
		}, "instead of"},
		"target came":            {func(b *bench) error { return b.fsys.Mkdir(b.t.Context(), "/user/u/out", 0o755) }, "another job has written it"},
		"working directory lost": {func(b *bench) error { return b.fsys.Delete(b.t.Context(), work(b), true) }, "not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c := b.committer()
			if err := b.start(c); err != nil {
				t.Fatal(err)
			}
			finals := b.finals()
			if err := tc.spoil(b); err != nil {
				t.Fatal(err)
			}
			if err := c.Commit(t.Context(), finals); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestZombie: a task that outlives its job cannot bring the directory back.
func TestZombie(t *testing.T) {
	b := newBench(t)
	c := b.committer()
	if err := b.start(c); err != nil {
		t.Fatal(err)
	}
	w, err := b.open(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Collect("late", operator.NoTime), w.Control(operator.Event{Kind: operator.EndOfData})); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that the directory is gone", err)
	}
	if _, err := w.Final(); err == nil {
		t.Error("a file that could not be written is in the final state")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	b.check("zombie", map[string]int64{})
}

// TestSinkIDSurvivesARestore under another job id.
func TestSinkIDSurvivesARestore(t *testing.T) {
	b := newBench(t)
	c := b.committer()
	if err := b.start(c); err != nil {
		t.Fatal(err)
	}
	state, err := c.Snapshot(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(t.Context(), b.finals()); err != nil {
		t.Fatal(err)
	}
	b.job = ids.JobID{8}
	if err := b.start(b.committer()); !errors.Is(err, errExists) {
		t.Errorf("another job: got %v, want a refusal", err)
	}
	again := b.committer()
	if err := again.Restore(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if err := b.start(again); err != nil {
		t.Errorf("a restored job: %v", err)
	}
}

func TestFormatMustAppend(t *testing.T) {
	b := newBench(t)
	b.sink.Format = func([]byte, string) []byte { return nil }
	if err := b.start(b.committer()); err != nil {
		t.Fatal(err)
	}
	b.write(0, "x") //nolint:errcheck // an empty line is what such a function writes first
	w, err := b.open(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Collect("x", operator.NoTime), w.Collect("y", operator.NoTime)); err == nil || !strings.Contains(err.Error(), "append") {
		t.Errorf("got %v, want what the function has to do", err)
	}
}

func TestWriterConforms(t *testing.T) {
	b := newBench(t)
	n := 0
	operatortest.Conform(t, operatortest.Case[string, string]{Factory: b.sink, Records: []string{"a", "b", "c"}, Sink: true,
		Context: func(c *operator.Context) {
			n++
			c.FS, c.Job = b.files, ids.JobID{byte(n)}
			b.job = c.Job
			if err := b.start(b.committer()); err != nil {
				t.Fatal(err)
			}
		}})
}

func FuzzDecode(f *testing.F) {
	good, err := encode(committable{Version: committableVersion, Parts: []part{{"a/part", 3}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err != nil {
			return
		}
		for _, p := range c.Parts {
			if path.IsAbs(p.Path) || strings.Contains("/"+p.Path+"/", "/../") {
				t.Errorf("part %q leads outside", p.Path)
			}
		}
	})
}

func TestCheckDir(t *testing.T) {
	for dir, ok := range map[string]bool{"": false, " ": false, "out": true, "hdfs://nn/out": true, "out/*": false, "a{b,c}": false} {
		if err := CheckDir(dir); (err == nil) != ok {
			t.Errorf("%q: %v", dir, err)
		}
	}
}
