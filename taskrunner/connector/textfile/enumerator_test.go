package textfile

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/yarn/dfs"
)

func splitsOn(n int, hosts ...string) []split {
	var out []split
	for i := range n {
		s := split{URI: fmt.Sprintf("mem:///%d", i), Length: 1 << 20, Size: 1 << 20, Hosts: []string{hosts[i%len(hosts)]}}
		s.makeID()
		out = append(out, s)
	}
	return out
}

func uris(splits []split) string {
	var out []string
	for _, s := range splits {
		out = append(out, strings.TrimPrefix(s.URI, "mem:///"))
	}
	return strings.Join(out, " ")
}

// TestLocalFirst: a reader gets splits on its host while there are any, then others; shares shrink towards the end.
func TestLocalFirst(t *testing.T) {
	var p pool
	p.add(splitsOn(12, "a.example.org", "B"))
	for i, tc := range []struct{ host, want string }{
		{"a", "0 2 4"}, {"b", "1 3"}, {"b", "5"}, {"c", "6"}, {"b", "7"}, {"b", "9"}, {"b", "11"}, {"b", "8"}, {"a", "10"}, {"a", ""},
	} {
		if got := uris(p.take(tc.host, 2)); got != tc.want {
			t.Errorf("take %d for %s: got %q, want %q", i, tc.host, got, tc.want)
		}
	}
}

// TestEverySplitOnce for any share of readers.
func TestEverySplitOnce(t *testing.T) {
	var p pool
	all := splitsOn(1000, "a", "b", "c")
	p.add(all)
	p.remove(all[5].ID)
	seen := make(map[splitID]bool)
	for i := 0; ; i++ {
		got := p.take([]string{"a", "x", "c"}[i%3], 3)
		if len(got) == 0 {
			break
		}
		if len(got) > maxAssigned {
			t.Fatalf("%d splits at once", len(got))
		}
		for _, s := range got {
			if seen[s.ID] {
				t.Fatalf("split %s twice", s.URI)
			}
			seen[s.ID] = true
		}
	}
	if len(seen) != 999 || p.cost != 0 || len(p.all()) != 0 {
		t.Errorf("%d splits, cost %d and %d splits left; want 999 and none", len(seen), p.cost, len(p.all()))
	}
}

// talk is an enumerator over many splits and what it has sent.
type talk struct {
	t    *testing.T
	e    *enumerator
	sent []string // "subtask: uris" or "subtask: none"
}

func newTalk(t *testing.T) *talk {
	k := &talk{t: t, e: newEnumerator(Source{}, operator.CoordinatorEnv{Log: slog.New(slog.DiscardHandler)})}
	k.e.pool.add(splitsOn(3, "a"))
	k.e.c = program.CoordinatorContext{Parallelism: 2, Send: func(subtask int, _ ids.ExecutionAttemptID, b []byte) {
		m, err := k.e.messages.decode(b)
		if err != nil {
			t.Fatal(err)
		}
		what := uris(m.Splits)
		if m.Kind == noMore {
			what = "none"
		}
		k.sent = append(k.sent, fmt.Sprintf("%d: %s", subtask, what))
	}}
	return k
}

func (k *talk) say(subtask int, m message) {
	k.t.Helper()
	b, err := k.e.messages.encode(m)
	if err == nil {
		err = k.e.HandleEvent(k.t.Context(), subtask, ids.ExecutionAttemptID{}, b)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) want(sent ...string) {
	k.t.Helper()
	if !slices.Equal(k.sent, sent) {
		k.t.Errorf("sent %q, want %q", k.sent, sent)
	}
	k.sent = nil
}

// TestRestartingSubtask: while a subtask restarts nobody is told that there is no more; what it does not hold comes back.
func TestRestartingSubtask(t *testing.T) {
	k := newTalk(t)
	k.say(0, message{Kind: register})
	k.say(0, message{Kind: request})
	k.say(1, message{Kind: request})
	k.want("0: 0", "1: 1")
	k.say(0, message{Kind: request})
	k.want("0: 2")
	k.say(0, message{Kind: request})
	k.want("0: none")
	if err := k.e.SubtaskReset(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	k.say(1, message{Kind: request})
	k.want()
	k.say(0, message{Kind: register, Held: []splitID{splitsOn(1, "a")[0].ID}})
	k.want("1: 2")
	k.say(0, message{Kind: request})
	k.want("0: none")
}

// TestRestoredEnumerator: it does not list again, and does not give what readers say they hold.
func TestRestoredEnumerator(t *testing.T) {
	k := newTalk(t)
	k.say(0, message{Kind: request})
	k.want("0: 0")
	state, err := k.e.Snapshot(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	r := newTalk(t)
	r.e.pool = pool{}
	if err := r.e.Restore(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if err := r.e.Start(t.Context(), r.e.c); err != nil {
		t.Fatal(err)
	}
	r.say(1, message{Kind: register, Held: []splitID{splitsOn(2, "a")[1].ID}})
	r.say(1, message{Kind: request})
	r.want("1: 2")
	r.say(1, message{Kind: request})
	r.want("1: none")
}

func TestUnknownMessage(t *testing.T) {
	k := newTalk(t)
	b, err := k.e.messages.encode(message{Kind: assign})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range [][]byte{nil, {1}, append(b, 0), b} {
		if err := k.e.HandleEvent(t.Context(), 0, ids.ExecutionAttemptID{}, payload); err == nil {
			t.Errorf("message %v: no error", payload)
		}
	}
}

// TestLocalDisk reads through the file system that local mode uses.
func TestLocalDisk(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "1\n2", "sub/b": "3\n", "_x": "no\n", "e": ""} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := dfs.NewResolver(dfs.ResolverConfig{DefaultFS: "file:///"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, files: files}
	if got, want := read(t, b, Source{Paths: []string{dir}}, 2, chunkSize), []string{"1", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCloseWhileReading ends the fetchers, whatever they are at.
func TestCloseWhileReading(t *testing.T) {
	b := newBench(t)
	b.put("/in", []byte(strings.Repeat("line\n", 10_000)))
	j, err := b.start(Source{Paths: []string{"/in"}}, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	for len(j.outs[0].Values) < 10 {
		if _, err := j.step(0); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.readers[0].Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzMessage(f *testing.F) {
	w := newWire[message]()
	b, err := w.encode(message{Kind: assign, Splits: splitsOn(2, "a")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := w.decode(b)
		if err != nil {
			return
		}
		if _, err := w.encode(m); err != nil {
			t.Error(err)
		}
	})
}
