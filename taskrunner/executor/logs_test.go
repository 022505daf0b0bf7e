package executor

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/zkha/ha"
)

func TestLogs(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "logs")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(dir, 0o700))
	must(os.WriteFile(filepath.Join(dir, "taskmanager.log"), []byte("0123456789"), 0o600))
	must(os.WriteFile(filepath.Join(base, "secret"), []byte("x"), 0o600))
	must(os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	must(os.Symlink(filepath.Join(base, "secret"), filepath.Join(dir, "link")))
	e, err := New(Config{
		Worker: pb.RegisterTaskExecutorRequest_builder{ResourceId: "w", Slots: 1}.Build(), LogDir: dir, Leaders: ha.Fixed{}, Dialer: noDialer{},
		OpenRuntime: func(context.Context, ids.JobID, func(*pb.ToJobMaster)) (Runtime, error) {
			return nil, errors.New("none")
		},
		Fatal: func(error) {},
	})
	must(err)
	defer e.Close()
	list, err := e.ListLogs(t.Context(), &pb.ListLogsRequest{})
	must(err)
	if f := list.GetFiles(); len(f) != 1 || f[0].GetName() != "taskmanager.log" || f[0].GetSize() != 10 || f[0].GetModifiedMillis() == 0 {
		t.Errorf("files %v, want only taskmanager.log of 10 bytes", f)
	}
	for _, c := range []struct {
		offset, limit uint64
		want          string
	}{{0, 0, "0123456789"}, {4, 0, "456789"}, {4, 3, "456"}, {9, 100, "9"}, {10, 0, ""}, {1000, 0, ""}} {
		r, err := e.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: "taskmanager.log", Offset: c.offset, Limit: c.limit}.Build())
		must(err)
		got, err := io.ReadAll(r)
		must(err)
		must(r.Close())
		if string(got) != c.want {
			t.Errorf("from %d, at most %d: got %q, want %q", c.offset, c.limit, got, c.want)
		}
	}
	for _, name := range []string{"", ".", "..", "../secret", "link", "sub", "absent", filepath.Join(base, "secret"), "a\x00b"} {
		if _, err := e.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: name}.Build()); !errors.Is(err, rpc.ErrNotFound) {
			t.Errorf("read %q: got %v, want %v", name, err, rpc.ErrNotFound)
		}
	}
	if _, err := e.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: "taskmanager.log", Offset: 1 << 63}.Build()); rpc.CodeOf(err) != rpc.Invalid {
		t.Errorf("an offset beyond all files: got %v, want code %d", err, rpc.Invalid)
	}
}

func TestNoLogs(t *testing.T) {
	e := &Executor{}
	if _, err := e.ListLogs(t.Context(), nil); !errors.Is(err, rpc.ErrNotFound) {
		t.Errorf("got %v, want %v", err, rpc.ErrNotFound)
	}
}

type noDialer struct{ Dialer }
