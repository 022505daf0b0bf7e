package staging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const sinkDir = "/data/.flott-0123-sink"

// deployed is a world with one application that has files, a binary and a sink directory.
func deployed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.ok(deploy(w))
	return w
}

func deploy(w *world) error {
	ctx := w.Context()
	src, d := binary(w.T, "the job")
	if err := w.area.Create(ctx, app1, rm); err != nil {
		return err
	}
	if _, err := w.area.Publish(ctx, app1, d, src, nil); err != nil {
		return err
	}
	if there, err := dfs.Exists(ctx, w.mem, w.area.ApplicationDir(app1)+"/launch"); err != nil {
		return err
	} else if !there {
		if _, err := w.area.Upload(ctx, app1, "launch", BytesSource("launch", []byte("{}")), nil); err != nil {
			return err
		}
	}
	if err := w.area.AddLeftover(ctx, app1, "mem://"+sinkDir); err != nil {
		return err
	}
	return w.mem.MkdirAll(ctx, sinkDir+"/tmp", 0o755)
}

func TestSweepTable(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name         string
		rm           string
		state        State
		stateErr     error
		age          time.Duration
		checkpointed bool
		swept        bool
		tree         string // what is left of the application
		sink         bool   // the sink directory is left
	}{
		{name: "terminal", rm: rm, state: Terminal, swept: true},
		{name: "active", rm: rm, state: Active, age: 30 * day, tree: "all", sink: true},
		{name: "unknown, young", rm: rm, state: Unknown, age: 6 * day, tree: "all", sink: true},
		{name: "unknown, old", rm: rm, state: Unknown, age: 8 * day, swept: true},
		{name: "another owner", rm: "other:8032", state: Terminal, age: 30 * day, tree: "all", sink: true},
		{name: "the RM does not answer", rm: rm, stateErr: errors.New("down"), age: 30 * day, tree: "all", sink: true},
		{name: "terminal with a checkpoint", rm: rm, state: Terminal, checkpointed: true, swept: true,
			tree: "checkpointed leftovers/000001 owner", sink: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := deployed(t)
			if c.checkpointed {
				w.ok(w.area.MarkCheckpointed(t.Context(), app1))
				w.ok(w.area.MarkCheckpointed(t.Context(), app1))
			}
			before := w.tree()
			w.now = w.now.Add(c.age)
			swept, err := w.area.Sweep(t.Context(), c.rm, func(_ context.Context, app yarnid.ApplicationID) (State, error) {
				if app != app1 {
					t.Errorf("asked for %s", app)
				}
				return c.state, c.stateErr
			}, w.dfs)
			if !errors.Is(err, c.stateErr) {
				t.Errorf("got error %v, want %v", err, c.stateErr)
			}
			if got := len(swept) == 1; got != c.swept {
				t.Errorf("swept: got %v", swept)
			}
			_, d := binary(t, "the job")
			want := "cache/" + d.String()
			if c.tree == "all" {
				want = before
			} else if c.tree != "" {
				want = app1.String() + "/" + strings.ReplaceAll(c.tree, " ", " "+app1.String()+"/") + " " + want
			}
			if got := w.tree(); got != want {
				t.Errorf("tree: got %q, want %q", got, want)
			}
			sink, err := dfs.Exists(t.Context(), w.mem, sinkDir)
			w.ok(err)
			if sink != c.sink {
				t.Errorf("sink directory left: got %v, want %v", sink, c.sink)
			}
			if c.checkpointed {
				w.ok(w.area.Cleanup(t.Context(), app1, w.dfs))
				if sink, _ := dfs.Exists(t.Context(), w.mem, sinkDir); sink || strings.Contains(w.tree(), app1.String()) {
					t.Errorf("after Cleanup: sink %v, tree %s", sink, w.tree())
				}
			}
		})
	}
}

func TestSweepOfADirectoryWithoutOwner(t *testing.T) {
	for _, c := range []struct {
		name  string
		file  string
		age   time.Duration
		swept bool
	}{
		{"young", "", time.Hour, false},
		{"old", "", 8 * 24 * time.Hour, true},
		{"old, the owner was being written", "owner.X.tmp", 8 * 24 * time.Hour, true},
		{"old, with something else in it", "precious", 8 * 24 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.ok(w.mem.MkdirAll(t.Context(), w.area.ApplicationDir(app1), 0o700))
			w.ok(w.mem.MkdirAll(t.Context(), w.area.path("application_of_mine"), 0o700))
			if c.file != "" {
				w.ok(dfs.WriteFile(t.Context(), w.mem, w.area.ApplicationDir(app1)+"/"+c.file, nil, 0o600))
			}
			w.now = w.now.Add(c.age)
			swept, err := w.area.Sweep(t.Context(), rm, func(context.Context, yarnid.ApplicationID) (State, error) {
				t.Error("the RM was asked about an application without owner")
				return Active, nil
			}, w.dfs)
			w.ok(err)
			if got := len(swept) == 1; got != c.swept {
				t.Errorf("swept: got %v, want %v", got, c.swept)
			}
			if there, _ := dfs.Exists(t.Context(), w.mem, w.area.path("application_of_mine")); !there {
				t.Error("a directory that is no application's was removed")
			}
		})
	}
}

func TestSweepWithoutAnArea(t *testing.T) {
	w := newWorld(t)
	swept, err := w.area.Sweep(t.Context(), rm, nil, w.dfs)
	w.ok(err)
	if len(swept) != 0 {
		t.Errorf("got %v, want nothing", swept)
	}
	n, err := w.area.Collect(t.Context())
	w.ok(err)
	if n != 0 {
		t.Errorf("got %d, want 0", n)
	}
	w.ok(w.area.Clean(t.Context(), app1))
}

func TestLeftovers(t *testing.T) {
	w := newWorld(t)
	w.ok(w.area.Create(t.Context(), app1, rm))
	for _, uri := range []string{"mem:///a/.flott-1", "mem:///b/.flott-2", "mem:///a/.flott-1"} {
		w.ok(w.area.AddLeftover(t.Context(), app1, uri))
	}
	got, err := w.area.Leftovers(t.Context(), app1)
	w.ok(err)
	if fmt.Sprint(got) != "[mem:///a/.flott-1 mem:///b/.flott-2]" {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "/a/.flott-1", "mem:///a", "mem:///", "mem:///.flott-", "mem:///a/.flott-1/..", "mem:///a/.flott-1\nmem:///b/.flott-2"} {
		if err := w.area.AddLeftover(t.Context(), app1, bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
	// What was not written to its end, or by another hand, is not believed.
	dir := w.area.ApplicationDir(app1) + "/leftovers/"
	for name, data := range map[string]string{"000007": "mem:///c/.flott-3", "000008": "mem:///data\n", "x.tmp": "mem:///d/.flott-4\n"} {
		w.ok(dfs.WriteFile(t.Context(), w.mem, dir+name, []byte(data), 0o600))
	}
	if got, err = w.area.Leftovers(t.Context(), app1); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v, want the two", got, err)
	}
}

// TestLeftoverThatCouldNotBeMade: HDFS answers a delete by who may write to the parent, before it looks whether anything is there.
func TestLeftoverThatCouldNotBeMade(t *testing.T) {
	const leftover = "/others/.flott-1"
	for name, tc := range map[string]struct {
		made, blind bool // it is there; its parent may not even be looked into
		want        error
	}{
		"never made":         {},
		"never made, unseen": {blind: true},
		"there and not ours": {made: true, want: fs.ErrPermission},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ok(w.area.Create(t.Context(), app1, rm))
			w.ok(w.area.AddLeftover(t.Context(), app1, "mem://"+leftover))
			if tc.made {
				w.ok(w.mem.MkdirAll(t.Context(), leftover, 0o755))
			}
			w.hook = func(c dfs.Call) error {
				if c.Path == leftover && !c.After && (c.Op == "delete" || tc.blind) {
					return &dfs.Error{Op: c.Op, Path: c.Path, Kind: fs.ErrPermission}
				}
				return nil
			}
			w.is(w.area.SweepApplication(t.Context(), app1, w.dfs), tc.want)
			if left := w.tree(); (left == "") != (tc.want == nil) {
				t.Errorf("left: got %q", left)
			}
		})
	}
}

func TestLeftoversFromTwoAttemptsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.ok(w.area.Create(t.Context(), app1, rm))
	var wg sync.WaitGroup
	var errs [8]error
	for i := range errs {
		wg.Go(func() { errs[i] = w.area.AddLeftover(t.Context(), app1, fmt.Sprintf("mem:///a/.flott-%d", i)) })
	}
	wg.Wait()
	w.ok(errors.Join(errs[:]...))
	got, err := w.area.Leftovers(t.Context(), app1)
	w.ok(err)
	if len(got) != len(errs) {
		t.Errorf("got %v, want %d", got, len(errs))
	}
}

// Each operation is broken at each of its steps, before and after the step took place, and then simply done again.
func TestEveryStepMayFail(t *testing.T) {
	reference := func(f func(*world) error) string {
		w := newWorld(t)
		w.ok(f(w))
		return w.tree()
	}
	sweep := func(w *world) error {
		_, err := w.area.Sweep(w.Context(), rm, func(context.Context, yarnid.ApplicationID) (State, error) { return Terminal, nil }, w.dfs)
		return err
	}
	for _, c := range []struct {
		name   string
		before func(*world) error
		f      func(*world) error
	}{
		{"deploy", func(*world) error { return nil }, deploy},
		{"clean", deploy, func(w *world) error { return w.area.Clean(w.Context(), app1) }},
		{"sweep", deploy, sweep},
		{"cleanup", deploy, func(w *world) error { return w.area.Cleanup(w.Context(), app1, w.dfs) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := reference(func(w *world) error {
				if err := c.before(w); err != nil {
					return err
				}
				return c.f(w)
			})
			failed := 0
			for k, hit := 0, true; hit; k++ {
				for _, after := range []bool{false, true} {
					w := newWorld(t)
					w.ok(c.before(w))
					n := 0
					hit = false
					w.hook = func(call dfs.Call) error {
						if call.After != after {
							return nil
						}
						if n++; n-1 == k {
							hit = true
							return fmt.Errorf("injected at %s %s", call.Op, call.Path)
						}
						return nil
					}
					err := c.f(w)
					w.hook = nil
					if err != nil {
						failed++
						if !strings.Contains(err.Error(), "injected") {
							t.Errorf("step %d: got %v, want the injected error", k, err)
						}
					}
					if err := c.f(w); err != nil {
						t.Fatalf("step %d (after: %v): again: %v", k, after, err)
					}
					if got := withoutTmp(w.tree()); got != want {
						t.Errorf("step %d (after: %v): tree: got %q, want %q", k, after, got, want)
					}
					// Whatever temporary file was left goes with the application.
					w.ok(w.area.Cleanup(t.Context(), app1, w.dfs))
					if strings.Contains(w.tree(), app1.String()) || strings.Contains(w.tree(), ".tmp") {
						t.Errorf("step %d (after: %v): remains %q", k, after, w.tree())
					}
				}
			}
			if failed < 5 {
				t.Errorf("got %d failures, want more: nothing was injected", failed)
			}
		})
	}
}

func withoutTmp(tree string) string {
	var out []string
	for _, f := range strings.Fields(tree) {
		if !strings.HasSuffix(f, ".tmp") {
			out = append(out, f)
		}
	}
	return strings.Join(out, " ")
}
