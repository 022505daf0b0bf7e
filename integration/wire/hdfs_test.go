package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/dfs/dfstest"
	"github.com/flott-dev/flott/yarn/ipc"
)

// files opens the shared cluster's file systems as a user.
func files(t *testing.T, user string) *dfs.FileSystems {
	t.Helper()
	rpc := ipc.New(ipc.Config{})
	r, err := dfs.NewResolver(dfs.ResolverConfig{Hadoop: hadoopConf(t, user), User: user, RPC: rpc})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), rpc.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// scratch makes a directory of the user's own, which goes with the test.
func scratch(t *testing.T, r dfs.Resolver) (dfs.FS, string) {
	t.Helper()
	f, dir, err := r.For(t.Context(), fmt.Sprintf("/tmp/wire-%d-%d", os.Getpid(), time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Mkdir(t.Context(), dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Delete(context.WithoutCancel(t.Context()), dir, true); err != nil {
			t.Error(err)
		}
	})
	return f, dir
}

// TestHDFSConformance runs the contract that local disk, memory and the fake HDFS fulfil.
func TestHDFSConformance(t *testing.T) {
	f, dir := scratch(t, files(t, "alice"))
	dfstest.Run(t, f, dir)
}

// TestHDFSPermissions is what a user may not do with another user's files; every refusal is fs.ErrPermission.
func TestHDFSPermissions(t *testing.T) {
	owner, dir := scratch(t, files(t, "alice"))
	if err := errors.Join(
		dfs.WriteFile(t.Context(), owner, path.Join(dir, "secret"), []byte("x"), 0o600),
		owner.Mkdir(t.Context(), path.Join(dir, "closed"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	f, home, err := files(t, "mallory").For(t.Context(), "/tmp")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"open a file": func() error {
			r, err := f.Open(ctx, path.Join(dir, "secret"), 0)
			if err == nil {
				_, err = r.Read(make([]byte, 1))
				r.Close()
			}
			return err
		},
		"create a file": func() error {
			_, err := f.Create(ctx, path.Join(dir, "new"), dfs.CreateOptions{})
			return err
		},
		"make a directory":             func() error { return f.Mkdir(ctx, path.Join(dir, "d"), 0o700) },
		"make directories":             func() error { return f.MkdirAll(ctx, path.Join(dir, "d", "e"), 0o700) },
		"move a file away":             func() error { return f.Rename(ctx, path.Join(dir, "secret"), path.Join(home, "stolen")) },
		"delete a file":                func() error { return f.Delete(ctx, path.Join(dir, "secret"), false) },
		"delete the directory":         func() error { return f.Delete(ctx, dir, true) },
		"change permissions":           func() error { return f.SetPermission(ctx, path.Join(dir, "secret"), 0o777) },
		"list a closed directory":      func() error { _, err := f.List(ctx, path.Join(dir, "closed")); return err },
		"look into a closed directory": func() error { _, err := f.Stat(ctx, path.Join(dir, "closed", "x")); return err },
	} {
		if err := do(); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s of another user: got %v, want %v", name, err, fs.ErrPermission)
		}
	}
	if got, err := dfs.ReadFile(ctx, owner, path.Join(dir, "secret"), 10); err != nil || string(got) != "x" {
		t.Errorf("the file after that: got %q, %v", got, err)
	}
}
