package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
)

// configure makes a Hadoop configuration whose files are local and whose YARN RM has this address.
func configure(t *testing.T, rm string) {
	t.Helper()
	dir := t.TempDir()
	for name, property := range map[string][2]string{"core-site.xml": {"fs.defaultFS", "file:///"}, "yarn-site.xml": {"yarn.resourcemanager.address", rm}} {
		text := "<configuration><property><name>" + property[0] + "</name><value>" + property[1] + "</value></property></configuration>"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HADOOP_CONF_DIR", dir)
}

func TestPutAndGet(t *testing.T) {
	configure(t, "127.0.0.1:1")
	dir := t.TempDir()
	local, remote, back := filepath.Join(dir, "local"), filepath.Join(dir, "remote"), filepath.Join(dir, "back")
	data := bytes.Repeat([]byte("flott"), 50_000)
	if err := os.WriteFile(local, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"put", local, remote}, {"get", remote, back}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err != nil {
			t.Fatal(err)
		}
		var got took
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Bytes != int64(len(data)) || got.Seconds <= 0 {
			t.Errorf("%s: got %s, %v", args[0], out.Bytes(), err)
		}
	}
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v, want the %d that were put", len(got), err, len(data))
	}
}

func TestIPC(t *testing.T) {
	var calls atomic.Int64
	s, err := ipctest.New(ipctest.Config{Simple: true, Handle: func(_ context.Context, _ ipctest.Caller, _, method string, _ []byte) (proto.Message, error) {
		if method == "getClusterMetrics" {
			calls.Add(1)
		}
		return &yarnpb.GetClusterMetricsResponseProto{}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	configure(t, s.Addr())
	var out bytes.Buffer
	if err := run(t.Context(), []string{"ipc", "8", "100"}, &out); err != nil {
		t.Fatal(err)
	}
	var got took
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Calls != 100 || calls.Load() != 200 {
		t.Errorf("got %s, %v after %d calls, want 100 behind as many", out.Bytes(), err, calls.Load())
	}
	if _, total := s.Connections(); total != 1 {
		t.Errorf("connections: got %d, want 1", total)
	}
}

func TestUsage(t *testing.T) {
	configure(t, "127.0.0.1:1")
	for _, args := range [][]string{nil, {"put", "x"}, {"ipc", "a", "b"}, {"other", "a", "b"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}
