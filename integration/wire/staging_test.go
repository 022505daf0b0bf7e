package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/staging"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const rmName = "127.0.0.1:8032"

func application(n int) yarnid.ApplicationID {
	return yarnid.ApplicationID{ClusterTimestamp: 1700000000000, ID: int32(n)}
}

// area opens a staging area below dir.
func area(t *testing.T, f dfs.FS, dir, user string, now func() time.Time) *staging.Area {
	t.Helper()
	a, err := staging.New(staging.Config{FS: f, Dir: dir, User: user, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stage puts an application's files into the area as a submission does, with a sink directory that its job left.
func stage(t *testing.T, f dfs.FS, dir string, a *staging.Area, n int) (staging.Resource, string) {
	t.Helper()
	ctx, app := t.Context(), application(n)
	if err := a.Create(ctx, app, rmName); err != nil {
		t.Fatal(err)
	}
	src := staging.BytesSource("job", make([]byte, 5<<20))
	digest, err := staging.Hash(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Publish(ctx, app, digest, src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(ctx, res); err != nil {
		t.Error(err)
	}
	if _, err := a.Upload(ctx, app, "launch", staging.BytesSource("launch file", []byte("{}")), nil); err != nil {
		t.Fatal(err)
	}
	sink := path.Join(dir, fmt.Sprintf(".flott-%d", n))
	if err := errors.Join(a.AddLeftover(ctx, app, f.URI(sink)), f.MkdirAll(ctx, path.Join(sink, "tmp"), 0o755)); err != nil {
		t.Fatal(err)
	}
	return res, sink
}

// TestStaging is the life of a staging area on real HDFS: two applications share a binary, a sweep takes the one that has ended with what
// it left, the binary stays as long as the other refers to it, and goes when it is old.
func TestStaging(t *testing.T) {
	r := files(t, "alice")
	f, dir := scratch(t, r)
	ctx := t.Context()
	a := area(t, f, dir, "alice", time.Now)
	one, sinkOne := stage(t, f, dir, a, 1)
	two, sinkTwo := stage(t, f, dir, a, 2)
	if one != two {
		t.Errorf("the same binary twice: %+v and %+v", one, two)
	}
	if fi, err := f.Stat(ctx, a.ApplicationDir(application(1))); err != nil || fi.Perm.Perm() != 0o700 || fi.Owner != "alice" {
		t.Errorf("directory of an application: got %+v, %v, want 0700 of alice", fi, err)
	}
	ended := func(done ...int) func(context.Context, yarnid.ApplicationID) (staging.State, error) {
		return func(_ context.Context, app yarnid.ApplicationID) (staging.State, error) {
			if slices.Contains(done, int(app.ID)) {
				return staging.Terminal, nil
			}
			return staging.Active, nil
		}
	}
	exist := func(want bool, paths ...string) {
		t.Helper()
		for _, p := range paths {
			if _, err := f.Stat(ctx, p); want != (err == nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: got %v, want it there: %v", p, err, want)
			}
		}
	}
	sweep := func(a *staging.Area, rm string, done []int, want ...yarnid.ApplicationID) {
		t.Helper()
		if got, err := a.Sweep(ctx, rm, ended(done...), r); err != nil || !slices.Equal(got, want) {
			t.Errorf("sweep: got %v, %v, want %v", got, err, want)
		}
	}
	collect := func(a *staging.Area, want int) {
		t.Helper()
		if got, err := a.Collect(ctx); err != nil || got != want {
			t.Errorf("collect: got %d, %v, want %d", got, err, want)
		}
	}
	sweep(a, "other:1", []int{1, 2}) // another YARN RM's applications
	sweep(a, rmName, []int{1}, application(1))
	exist(false, a.ApplicationDir(application(1)), sinkOne)
	exist(true, a.ApplicationDir(application(2)), sinkTwo)

	later := area(t, f, dir, "alice", func() time.Time { return time.Now().Add(8 * 24 * time.Hour) })
	collect(later, 0) // the second application refers to it
	sweep(a, rmName, []int{1, 2}, application(2))
	exist(false, a.ApplicationDir(application(2)), sinkTwo)
	collect(a, 0) // not old enough
	if err := a.Verify(ctx, one); err != nil {
		t.Error(err)
	}
	collect(later, 1)
	if err := a.Verify(ctx, one); !errors.Is(err, staging.ErrGone) {
		t.Errorf("binary after its collection: got %v, want %v", err, staging.ErrGone)
	}
	if err := area(t, f, dir, "bob", time.Now).Create(ctx, application(3), rmName); !errors.Is(err, staging.ErrForeign) {
		t.Errorf("another user's area: got %v, want %v", err, staging.ErrForeign)
	}
}
