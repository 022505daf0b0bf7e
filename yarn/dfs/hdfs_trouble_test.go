package dfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 10 s", what)
		}
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>9)
	}
	return b
}

func put(t *testing.T, h *HDFS, p string, data []byte) {
	t.Helper()
	if err := WriteFile(t.Context(), h, p, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeTo writes data and returns the first error of Write or Close, having aborted.
func writeTo(ctx context.Context, t *testing.T, h *HDFS, p string, data []byte) error {
	t.Helper()
	w, err := h.Create(ctx, p, CreateOptions{})
	if err != nil {
		return err
	}
	for len(data) > 0 && err == nil {
		n := min(len(data), 32<<10)
		_, err = w.Write(data[:n])
		data = data[n:]
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		if cerr := w.Close(); cerr == nil {
			t.Error("a second Close after a failure: got nil")
		}
		if aerr := w.Abort(); aerr != nil {
			t.Errorf("Abort: %v", aerr)
		}
		if _, serr := h.Stat(context.WithoutCancel(ctx), p); !errors.Is(serr, fs.ErrNotExist) {
			t.Errorf("after Abort: got %v, want fs.ErrNotExist", serr)
		}
	}
	return err
}

// Whatever a DataNode does to a writer: an error, soon, nothing left over, and the next file succeeds.
func TestWriterTrouble(t *testing.T) {
	for _, c := range []struct {
		name string
		plan dnPlan
		size int
		want string
	}{
		{"silent before the handshake", dnPlan{mute: true}, 10, "timeout"},
		{"silent after two packets", dnPlan{muteAfter: 3}, 300_000, "timeout"},
		{"silent at the last packet", dnPlan{muteAfter: 2}, 100, "timeout"},
		{"hangs up after two packets", dnPlan{dropAfter: 3}, 300_000, "data node"},
		{"hangs up at the last packet", dnPlan{dropAfter: 2}, 100, "data node"},
		{"refuses the first packet", dnPlan{badAck: 1}, 300_000, "ERROR"},
		{"refuses a packet of a large file", dnPlan{badAck: 2}, 900_000, "ERROR"},
		{"refuses the last packet", dnPlan{badAck: 2}, 100, "ERROR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, nn := fakeCluster(t, func(cfg *HDFSConfig) { cfg.DataTimeout = 100 * time.Millisecond })
			nn.dn.trouble(func(dial int, _ bool) dnPlan {
				if dial == 1 {
					return c.plan
				}
				return dnPlan{}
			})
			err := writeTo(t.Context(), t, h, "/f", pattern(c.size))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if err := writeTo(t.Context(), t, h, "/f", pattern(c.size)); err != nil {
				t.Errorf("the next file: %v", err)
			}
			if n := len(h.bytes.lent); n != 0 {
				t.Errorf("byte clients not given back: got %d, want 0", n)
			}
			eventually(t, "no connection to the data node is left", func() bool { return nn.dn.open() == 0 })
			noWriterIsLeft(t)
		})
	}
}

// A writer notices a broken data connection long before Close.
func TestWriterFailsEarly(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	nn.dn.trouble(func(int, bool) dnPlan { return dnPlan{dropAfter: 2} })
	w, err := h.Create(t.Context(), "/f", CreateOptions{ExpectedSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	piece := pattern(60_000) // leaves something in the byte client's buffer
	eventually(t, "Write fails", func() bool {
		_, err = w.Write(piece)
		return err != nil
	})
	if !strings.Contains(err.Error(), "data node") {
		t.Errorf("got %v, want the data node's address", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	noWriterIsLeft(t)
}

func noWriterIsLeft(t *testing.T) {
	t.Helper()
	eventually(t, "no goroutine of the byte client's writer is left", func() bool {
		buf := make([]byte, 1<<20)
		return !bytes.Contains(buf[:runtime.Stack(buf, true)], []byte("lockWriteStream)"))
	})
}

func TestWriterOfManyBlocks(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	data := pattern(5<<20 + 3)
	if err := writeTo(t.Context(), t, h, "/f", data); err != nil {
		t.Fatal(err)
	}
	if got := nn.count("addBlock"); got != 6 {
		t.Errorf("got %d blocks, want 6", got)
	}
	got, err := ReadFile(t.Context(), h, "/f", 8<<20)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	locs, err := BlockLocations(t.Context(), h, "/f", 0, 6<<20)
	if err != nil || len(locs) != 6 || locs[5].Offset != 5<<20 || locs[5].Length != 3 || locs[0].Hosts[0] != "dn1" || locs[0].Racks[0] != "/rack1" {
		t.Errorf("locations: got %+v, %v", locs, err)
	}
	// With its size known it is one block.
	w, err := h.Create(t.Context(), "/g", CreateOptions{ExpectedSize: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := nn.count("addBlock"); got != 7 {
		t.Errorf("got %d blocks in all, want 7", got)
	}
}

func TestBlockSize(t *testing.T) {
	const def = 128 << 20
	for _, c := range []struct{ expected, want int64 }{
		{0, def}, {1, def}, {def, def}, {def + 1, def + 512}, {def + 512, def + 512}, {maxBlockSize, maxBlockSize}, {maxBlockSize + 1, def},
	} {
		if got := blockSize(c.expected, def); got != c.want {
			t.Errorf("blockSize(%d): got %d, want %d", c.expected, got, c.want)
		}
	}
}

func TestCloseWaitsForReplicas(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	nn.pending = 3
	put(t, h, "/f", []byte("abc"))
	if got := nn.count("complete"); got != 4 {
		t.Errorf("got %d calls of complete, want 4", got)
	}
	h, nn = fakeCluster(t, func(c *HDFSConfig) { c.CloseTimeout = time.Millisecond })
	nn.pending = 1 << 30
	if err := writeTo(t.Context(), t, h, "/f", []byte("abc")); err == nil || !strings.Contains(err.Error(), "did not report") {
		t.Errorf("got %v, want an error about the last block", err)
	}
}

// hangUpOnce loses the connection of the byte client instead of, or after, the first call of a method.
func hangUpOnce(nn *fakeNN, method string, after bool) {
	done := false
	f := func(m string, c ipctest.Caller) error {
		if m != method || done || !isByteClient(c) {
			return nil
		}
		done = true
		return ipctest.ErrHangUp
	}
	nn.set(func() {
		if after {
			nn.after = f
		} else {
			nn.before = f
		}
	})
}

func TestLostAnswers(t *testing.T) {
	for _, c := range []struct {
		name, method string
		after        bool
		ok           bool // the file is written although the answer was lost
	}{
		{"create never arrived", "create", false, false},
		{"create was done", "create", true, false},
		{"addBlock was done", "addBlock", true, false},
		{"complete never arrived", "complete", false, false},
		{"complete was done", "complete", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, nn := fakeCluster(t, nil)
			hangUpOnce(nn, c.method, c.after)
			err := writeTo(t.Context(), t, h, "/f", []byte("abc"))
			if (err == nil) != c.ok {
				t.Fatalf("got error %v, want success %v", err, c.ok)
			}
			if c.ok {
				if got, err := ReadFile(t.Context(), h, "/f", 10); err != nil || string(got) != "abc" {
					t.Errorf("got %q, %v, want abc", got, err)
				}
				return
			}
			if n := nn.count("complete"); c.method == "addBlock" && n != 0 {
				t.Errorf("a file that lacks its bytes was completed %d times", n)
			}
			// Nothing is left, also by a create that nobody heard of, and the name is free.
			put(t, h, "/f", []byte("again"))
		})
	}
}

// A NameNode that hangs up between two calls of an open file costs nothing.
func TestNameNodeHangsUpBetweenCalls(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	w, err := h.Create(t.Context(), "/f", CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nn.srv.HangUp()
	eventually(t, "the connection is seen to be closed", func() bool { return !alive(w.(*hdfsWriter).b.nn.Conn) })
	if _, err = w.Write([]byte("abc")); err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Error(err)
	}
}

func TestLostCreateOfAnotherIsLeftAlone(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	w, err := h.Create(t.Context(), "/f", CreateOptions{}) // the holder of the lease
	if err != nil {
		t.Fatal(err)
	}
	hangUpOnce(nn, "create", false)
	if _, err := h.Create(t.Context(), "/f", CreateOptions{}); err == nil {
		t.Fatal("got no error")
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("the other writer: %v", err)
	}
}

// Whatever a DataNode or the NameNode does to a reader once: it goes on where it was, with the right bytes.
func TestReaderGoesOn(t *testing.T) {
	data := pattern(700_001)
	for _, c := range []struct {
		name   string
		plan   dnPlan
		method string
	}{
		{"silent before the handshake", dnPlan{mute: true}, ""},
		{"hangs up before the first packet", dnPlan{dropAfter: 1}, ""},
		{"hangs up in the middle", dnPlan{dropAfter: 5}, ""},
		{"falls silent in the middle", dnPlan{muteAfter: 5}, ""},
		{"wrong byte in the first packet", dnPlan{badSum: 1}, ""},
		{"wrong byte in the middle", dnPlan{badSum: 5}, ""},
		{"wrong byte in the last packet", dnPlan{badSum: 11}, ""},
		{"getFileInfo is lost", dnPlan{}, "getFileInfo"},
		{"getBlockLocations is lost", dnPlan{}, "getBlockLocations"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, nn := fakeCluster(t, func(cfg *HDFSConfig) { cfg.DataTimeout = 100 * time.Millisecond })
			put(t, h, "/f", data)
			nn.dn.trouble(func(dial int, _ bool) dnPlan {
				if dial == 1 {
					return c.plan
				}
				return dnPlan{}
			})
			if c.method != "" {
				hangUpOnce(nn, c.method, false)
			}
			for _, off := range []int{0, 1000} {
				r, err := h.Open(t.Context(), "/f", int64(off))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, data[off:]) {
					t.Errorf("from %d: got %d bytes, error %v, want %d equal ones", off, len(got), err, len(data)-off)
				}
				r.Close()
			}
			if n := len(h.bytes.lent); n != 0 {
				t.Errorf("byte clients not given back: got %d, want 0", n)
			}
		})
	}
}

// A DataNode that never gets better: an error after a bounded number of tries, and never a wrong byte.
func TestReaderGivesUp(t *testing.T) {
	for _, c := range []struct {
		name string
		plan dnPlan
	}{
		{"always a wrong byte", dnPlan{badSum: 1}},
		{"always hangs up", dnPlan{dropAfter: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, nn := fakeCluster(t, nil)
			data := pattern(100_000)
			put(t, h, "/f", data)
			nn.dn.trouble(func(int, bool) dnPlan { return c.plan })
			r, err := h.Open(t.Context(), "/f", 0)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			if err == nil || !strings.Contains(err.Error(), "try 5") {
				t.Errorf("got error %v, want one after 5 tries", err)
			}
			if !bytes.HasPrefix(data, got) {
				t.Errorf("got %d bytes that are not the file's", len(got))
			}
		})
	}
}

func TestReaderIsRenewed(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	data := pattern(200_000)
	put(t, h, "/f", data)
	nn.dn.trouble(nil)
	rc, err := h.Open(t.Context(), "/f", 0)
	if err != nil {
		t.Fatal(err)
	}
	r := rc.(*hdfsReader)
	defer r.Close()
	half := make([]byte, 100_000)
	if _, err := io.ReadFull(r, half); err != nil {
		t.Fatal(err)
	}
	r.opened = r.opened.Add(-2 * readerMaxAge)
	rest, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(append(half, rest...), data) {
		t.Errorf("got %d more bytes, %v", len(rest), err)
	}
	if nn.dn.dials != 2 {
		t.Errorf("got %d connections, want 2", nn.dn.dials)
	}
}

// A context ends what a mute DataNode or NameNode would hold for ever.
func TestCancelWhileBlocked(t *testing.T) {
	never := func(c *HDFSConfig) { c.DataTimeout, c.RPCTimeout = time.Hour, time.Hour }
	t.Run("read", func(t *testing.T) {
		h, nn := fakeCluster(t, never)
		put(t, h, "/f", pattern(1000))
		nn.dn.trouble(func(int, bool) dnPlan { return dnPlan{mute: true} })
		ctx, cancel := context.WithCancel(t.Context())
		r, err := h.Open(ctx, "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		go func() { eventually(t, "connected", func() bool { return nn.dn.open() == 1 }); cancel() }()
		if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		eventually(t, "no connection is left", func() bool { return nn.dn.open() == 0 })
	})
	t.Run("close", func(t *testing.T) {
		h, nn := fakeCluster(t, never)
		nn.dn.trouble(func(int, bool) dnPlan { return dnPlan{muteAfter: 1} })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { eventually(t, "connected", func() bool { return nn.dn.open() == 1 }); cancel() }()
		if err := writeTo(ctx, t, h, "/f", pattern(1000)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		eventually(t, "no connection is left", func() bool { return nn.dn.open() == 0 })
	})
	t.Run("create", func(t *testing.T) {
		h, nn := fakeCluster(t, never)
		ctx, cancel := context.WithCancel(t.Context())
		nn.set(func() {
			nn.before = func(m string, _ ipctest.Caller) error {
				if m == "create" {
					cancel()
					return ipctest.ErrDrop
				}
				return nil
			}
		})
		if _, err := h.Create(ctx, "/f", CreateOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	t.Run("close of the file system", func(t *testing.T) {
		h, nn := fakeCluster(t, never)
		put(t, h, "/f", pattern(1000))
		nn.dn.trouble(func(int, bool) dnPlan { return dnPlan{mute: true} })
		r, err := h.Open(t.Context(), "/f", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		go func() { eventually(t, "connected", func() bool { return nn.dn.open() == 1 }); h.Close() }()
		if _, err := io.ReadAll(r); !errors.Is(err, errPoolClosed) {
			t.Errorf("got %v, want %v", err, errPoolClosed)
		}
	})
}

func TestSilentNameNode(t *testing.T) {
	h, nn := fakeCluster(t, func(c *HDFSConfig) { c.RPCTimeout = 50 * time.Millisecond })
	nn.set(func() {
		nn.before = func(m string, c ipctest.Caller) error {
			if isByteClient(c) {
				return ipctest.ErrDrop
			}
			return nil
		}
	})
	_, err := h.Create(t.Context(), "/f", CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v, want a timeout", err)
	}
}

func TestUnsupportedFilesAreRefused(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	put(t, h, "/f", []byte("abc"))
	for _, set := range []func(bool){func(b bool) { nn.ec = b }, func(b bool) { nn.crypt = b }} {
		nn.set(func() { set(true) })
		if _, err := h.Open(t.Context(), "/f", 0); !errors.Is(err, ErrUnsupported) {
			t.Errorf("open: got %v, want ErrUnsupported", err)
		}
		if _, err := h.Create(t.Context(), "/g", CreateOptions{}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("create: got %v, want ErrUnsupported", err)
		}
		nn.set(func() { set(false) })
		if _, err := h.Stat(t.Context(), "/g"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the refused file: got %v, want fs.ErrNotExist", err)
		}
	}
}

// The Java class and message survive on both ways to the NameNode.
func TestErrorsKeepTheJavaException(t *testing.T) {
	for class, kind := range classKinds {
		h, nn := fakeCluster(t, nil)
		nn.set(func() {
			nn.before = func(m string, c ipctest.Caller) error {
				if m == "rename2" || m == "create" && isByteClient(c) {
					return &ipc.RemoteError{Class: class, Message: "what Java said", Stack: "\tat some.Class"}
				}
				return nil
			}
		})
		_, cerr := h.Create(t.Context(), "/f", CreateOptions{})
		for op, err := range map[string]error{"create": cerr, "rename": h.Rename(t.Context(), "/a", "/b")} {
			var r *ipc.RemoteError
			if !errors.Is(err, kind) || !errors.As(err, &r) || r.Class != class || r.Message != "what Java said" {
				t.Errorf("%s with %s: got %v (%+v), want %v", op, class, err, r, kind)
			}
			if s := err.Error(); !strings.Contains(s, "as user alice") || !strings.Contains(s, op) || !strings.Contains(s, "what Java said") || strings.Contains(s, "some.Class") {
				t.Errorf("%s: got text %q", op, s)
			}
		}
	}
}

func TestByteClientsAreReused(t *testing.T) {
	h, nn := fakeCluster(t, nil)
	for _, p := range []string{"/a", "/b", "/c"} {
		put(t, h, p, []byte(p))
	}
	if n := nn.count("getServerDefaults"); n > 3+1 {
		t.Errorf("got %d calls of getServerDefaults: the byte client was not reused", n)
	}
	if n := len(h.bytes.idle); n != 1 {
		t.Fatalf("got %d idle clients, want 1", n)
	}
	// The NameNode hangs up on the idle one: the next file does not notice.
	nn.srv.HangUp()
	eventually(t, "the idle client is seen to be dead", func() bool { return !h.bytes.idle[0].usable() })
	put(t, h, "/d", []byte("d"))
	// Old clients are replaced.
	first := h.bytes.idle[0]
	first.born = first.born.Add(-2 * clientMaxAge)
	put(t, h, "/e", []byte("e"))
	if h.bytes.idle[0] == first {
		t.Error("a client older than an hour was used again")
	}
	// Idle ones end by themselves.
	last := h.bytes.idle[0]
	h.bytes.expire(last)
	if len(h.bytes.idle) != 0 || last.ctx.Err() == nil {
		t.Error("an idle client outlived its time")
	}
	h.bytes.expire(last)
	h.Close()
	if _, err := h.Create(t.Context(), "/f", CreateOptions{}); !errors.Is(err, errPoolClosed) {
		t.Errorf("after Close: got %v, want %v", err, errPoolClosed)
	}
}

func TestStandbyNameNode(t *testing.T) {
	standby, err := ipctest.New(ipctest.Config{Simple: true, Handle: func(context.Context, ipctest.Caller, string, string, []byte) (proto.Message, error) {
		return nil, &ipc.RemoteError{Class: "org.apache.hadoop.ipc.StandbyException", Message: "not active"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Close)
	h, _ := fakeCluster(t, func(c *HDFSConfig) { c.NameNodes = append([]string{standby.Addr()}, c.NameNodes...) })
	put(t, h, "/f", []byte("abc"))
	if got, err := ReadFile(t.Context(), h, "/f", 10); err != nil || string(got) != "abc" {
		t.Errorf("got %q, %v", got, err)
	}
}
