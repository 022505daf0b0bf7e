package textfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/taskrunner/operator/operatortest"
	"github.com/flott-dev/flott/yarn/dfs"
)

// bench is a job with one source over a file system in memory.
type bench struct {
	t     *testing.T
	fsys  *dfs.Mem
	files dfs.Resolver

	longest int // line, when it is set
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, fsys: dfs.NewMem(dfs.MemConfig{})}
	var err error
	if b.files, err = dfs.NewResolver(dfs.ResolverConfig{DefaultFS: "mem:///", User: "u", Mem: b.fsys}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) put(p string, data []byte) {
	b.t.Helper()
	if err := b.fsys.MkdirAll(b.t.Context(), path.Dir(p), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := dfs.WriteFile(b.t.Context(), b.fsys, p, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func zipped(t *testing.T, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// job connects an enumerator with the readers of several subtasks, without a task.
type job struct {
	*bench
	enum    *enumerator
	readers []*reader
	outs    []*operatortest.Output[string]
	toEnum  []func() error
	inbox   [][][]byte // by subtask
}

// start makes enumerator and readers; size is the length of chunks.
func (b *bench) start(s Source, parallelism, size int) (*job, error) {
	j := &job{bench: b, enum: newEnumerator(s, operator.CoordinatorEnv{FS: b.files, Log: slog.New(slog.DiscardHandler)}), inbox: make([][][]byte, parallelism)}
	err := j.enum.Start(b.t.Context(), program.CoordinatorContext{Parallelism: parallelism, Send: func(subtask int, _ ids.ExecutionAttemptID, b []byte) {
		j.inbox[subtask] = append(j.inbox[subtask], b)
	}})
	for i := range parallelism {
		j.outs = append(j.outs, &operatortest.Output[string]{})
		j.readers = append(j.readers, nil)
		j.open(i, size, nil)
	}
	return j, err
}

// open makes the reader of a subtask.
func (j *job) open(i, size int, state []byte) {
	j.t.Helper()
	r := newReader(j.outs[i])
	r.size = size
	if j.longest > 0 {
		r.longest = j.longest
	}
	if state != nil {
		if err := r.Restore(state); err != nil {
			j.t.Fatal(err)
		}
	}
	c := operatortest.Context(j.t)
	c.FS, c.Subtask, c.Parallelism = j.files, i, len(j.readers)
	c.Send = func(b []byte) {
		j.toEnum = append(j.toEnum, func() error { return j.enum.HandleEvent(j.t.Context(), i, ids.ExecutionAttemptID{}, b) })
	}
	if err := r.Open(j.t.Context(), c); err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			j.t.Error(err)
		}
	})
	j.readers[i] = r
}

// mail delivers what has been sent.
func (j *job) mail() error {
	for len(j.toEnum) > 0 {
		f := j.toEnum[0]
		j.toEnum = j.toEnum[1:]
		if err := f(); err != nil {
			return err
		}
	}
	for i := range j.inbox {
		for _, b := range j.inbox[i] {
			if err := j.readers[i].HandleEvent(b); err != nil {
				return err
			}
		}
		j.inbox[i] = nil
	}
	return nil
}

// step polls a reader once, waiting for its fetcher if it has to.
func (j *job) step(i int) (ended bool, err error) {
	if err := j.mail(); err != nil {
		return false, err
	}
	p, err := j.readers[i].Poll()
	if err != nil {
		return false, err
	}
	if p.Status == operator.Wait && len(j.toEnum) == 0 {
		<-p.Ready
	}
	return p.Status == operator.End, nil
}

// run polls every reader to its end and returns all lines, sorted.
func (j *job) run() ([]string, error) {
	done := make([]bool, len(j.readers))
	for left := len(done); left > 0; {
		for i := range done {
			if done[i] {
				continue
			}
			ended, err := j.step(i)
			if err != nil {
				return nil, err
			}
			if ended {
				done[i] = true
				left--
			}
		}
	}
	return j.lines(), nil
}

func (j *job) lines() []string {
	var all []string
	for _, o := range j.outs {
		all = append(all, o.Values...)
	}
	slices.Sort(all)
	return all
}

// scanned is what bufio makes of a text.
func scanned(text string) []string {
	s := bufio.NewScanner(strings.NewReader(text))
	s.Buffer(nil, maxLine)
	var out []string
	for s.Scan() {
		out = append(out, s.Text())
	}
	slices.Sort(out)
	return out
}

func read(t *testing.T, b *bench, s Source, parallelism, size int) []string {
	t.Helper()
	j, err := b.start(s, parallelism, size)
	if err != nil {
		t.Fatal(err)
	}
	got, err := j.run()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// texts are what lines and their ends may look like.
var texts = map[string]string{
	"empty":           "",
	"one end":         "\n",
	"ends only":       "\n\n\n\n\n",
	"no final end":    "a\nbb\nccc",
	"carriage return": "a\r\n\r\nb\r\rc\r\n\r",
	"final end":       "a\nbb\nccc\n",
	"first line long": strings.Repeat("x", 50) + "\na\nb\n",
	"last line long":  "a\nb\n" + strings.Repeat("x", 50),
	"no UTF-8":        "\xff\xfe\n\x00\n\xc3\n\xe2\x82\xac\n",
	"long in between": "a\n" + strings.Repeat("x", 70) + "\n\n" + strings.Repeat("y", 33) + "\nb",
}

// TestSplitsAnywhere: wherever a text is cut, and whatever the size of chunks, its lines are those of bufio.
func TestSplitsAnywhere(t *testing.T) {
	for name, text := range texts {
		want := scanned(text)
		for size := 1; size <= len(text)+1; size++ {
			for _, chunk := range []int{1, 2, 7, 64, chunkSize} {
				b := newBench(t)
				b.put("/in", []byte(text))
				if got := read(t, b, Source{Paths: []string{"/in"}, SplitSize: int64(size)}, 1+size%3, chunk); !slices.Equal(got, want) {
					t.Fatalf("%s, splits of %d bytes, chunks of %d: got %q, want %q", name, size, chunk, got, want)
				}
			}
		}
	}
}

func TestSplitsOfRandomText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		text := make([]byte, r.IntN(2000))
		for i := range text {
			text[i] = "ab\n\r\xff"[r.IntN(5)]
		}
		b := newBench(t)
		b.put("/in", text)
		size, chunk := 1+r.IntN(300), 1+r.IntN(300)
		if got, want := read(t, b, Source{Paths: []string{"/in"}, SplitSize: int64(size)}, 1+r.IntN(4), chunk), scanned(string(text)); !slices.Equal(got, want) {
			t.Fatalf("splits of %d bytes, chunks of %d: %q gives %q, want %q", size, chunk, text, got, want)
		}
	}
}

func TestLongLines(t *testing.T) {
	mb := strings.Repeat("m", 1<<20)
	text := mb + "\n" + mb + "x\n\n" + mb + mb
	b := newBench(t)
	b.put("/in", []byte(text))
	for _, split := range []int64{0, 1 << 19, 1<<20 + 1, 700_001} {
		if got, want := read(t, b, Source{Paths: []string{"/in"}, SplitSize: split}, 2, chunkSize), scanned(text); !slices.Equal(got, want) {
			t.Errorf("splits of %d bytes: %d lines, want %d", split, len(got), len(want))
		}
	}
}

func TestLineLimit(t *testing.T) {
	const longest = 3 * chunkSize
	lines := func(name string, data []byte) ([]string, error) {
		b := newBench(t)
		b.longest = longest
		b.put(name, data)
		j, err := b.start(Source{Paths: []string{name}}, 1, chunkSize)
		if err != nil {
			t.Fatal(err)
		}
		return j.run()
	}
	for _, end := range []string{"\n", "\ny", ""} {
		got, err := lines("/fits", append(bytes.Repeat([]byte("x"), longest), end...))
		if err != nil || len(got) != max(len(end), 1) || len(got[0]) != longest {
			t.Errorf("a line of %d bytes before %q: %d lines, %v", longest, end, len(got), err)
		}
	}
	for _, end := range []string{"\n", ""} {
		_, err := lines("/long", append(append([]byte("first\n"), bytes.Repeat([]byte("x"), longest+1)...), end...))
		if !errors.Is(err, errLineTooLong) || !strings.Contains(err.Error(), "/long") || !strings.Contains(err.Error(), "byte 6 ") {
			t.Errorf("got %v, want the file and where the line begins", err)
		}
	}
}

func TestGzip(t *testing.T) {
	b := newBench(t)
	b.put("/in/one.gz", zipped(t, "a\nb\n"))
	b.put("/in/members.GZ", zipped(t, "c\nhal", "f\n", "", "d"))
	b.put("/in/empty.gz", zipped(t, ""))
	b.put("/in/nothing.gz", nil)
	b.put("/in/plain", []byte("e\n"))
	if got, want := read(t, b, Source{Paths: []string{"/in"}, SplitSize: 3}, 2, 5), []string{"a", "b", "c", "d", "e", "half"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	whole := zipped(t, strings.Repeat("line\n", 1000))
	for name, data := range map[string][]byte{"cut.gz": whole[:len(whole)-9], "no.gz": []byte("plain text\n")} {
		b.put("/bad/"+name, data)
		j, err := b.start(Source{Paths: []string{"/bad/" + name}}, 1, chunkSize)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.run(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}

// names lists the paths that the source would read.
func names(t *testing.T, b *bench, paths ...string) ([]string, error) {
	t.Helper()
	all, err := list(t.Context(), b.files, paths)
	var out []string
	for _, f := range all {
		out = append(out, f.info.Path)
	}
	return out, err
}

func TestList(t *testing.T) {
	b := newBench(t)
	for _, p := range []string{"/d/a.txt", "/d/b.log", "/d/sub/c.txt", "/d/_SUCCESS", "/d/.hidden", "/d/_tmp/x.txt", "/d/sub/.x/y.txt", "/user/u/rel.txt", "/_under/z.txt"} {
		b.put(p, []byte("x"))
	}
	for _, tc := range []struct{ paths, want string }{
		{"/d", "/d/a.txt /d/b.log /d/sub/c.txt"},
		{"/d/a.txt", "/d/a.txt"},
		{"mem:///d/a.txt", "/d/a.txt"},
		{"rel.txt", "/user/u/rel.txt"},
		{"/d/*", "/d/a.txt /d/b.log /d/sub/c.txt"},
		{"/d/*.txt", "/d/a.txt"},
		{"/d/{b,a}.*", "/d/a.txt /d/b.log"},
		{"/d/*/*.txt", "/d/_tmp/x.txt /d/sub/c.txt"},
		{"/_under", "/_under/z.txt"},
		{"/d/_SUCCESS", "/d/_SUCCESS"},
		{"/d/b.log /d /d/a.txt", "/d/b.log /d/a.txt /d/sub/c.txt"},
	} {
		got, err := names(t, b, strings.Fields(tc.paths)...)
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.paths, got, err, tc.want)
		}
	}
	for p, want := range map[string]string{
		"/d/nope": `"/d/nope": mem:///d/nope: there is no such file or directory`, "/d/*.csv": "no file matches", "/d/_S*": "no file matches",
		"/d/[": "malformed", "bad://x/y": "bad",
	} {
		if _, err := names(t, b, p); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: got %v, want %q", p, err, want)
		}
	}
	if _, err := names(t, b, "/d/nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestCut(t *testing.T) {
	const mb = 1 << 20
	f := func(name string, size, block int64) file {
		return file{dfs.NewMem(dfs.MemConfig{}), dfs.FileInfo{Path: "/" + name, Size: size, BlockSize: block, ModTimeMillis: 5}}
	}
	for _, tc := range []struct {
		name        string
		files       []file
		parallelism int
		want        string // offset+length in MB
	}{
		{"small", []file{f("a", 3*mb, 128*mb)}, 4, "0+3"},
		{"blocks", []file{f("a", 300*mb, 64*mb)}, 1, "0+16 16+16 32+16 48+16 64+16 80+16 96+16 112+16 128+16 144+16 160+16 176+16 " +
			"192+16 208+16 224+16 240+16 256+15 271+15 286+15"},
		{"fewer blocks than subtasks", []file{f("a", 60*mb, 128*mb)}, 2, "0+8 8+8 15+8 23+8 30+8 38+8 45+8 53+8"},
		{"no blocks", []file{f("a", 20*mb, 4096)}, 1, "0+7 7+7 14+7"},
		{"gzip", []file{f("a.gz", 300*mb, 128*mb)}, 4, "0+300"},
		{"empty", []file{f("a", 0, 128*mb)}, 4, ""},
	} {
		var got []string
		seen := make(map[splitID]bool)
		var next int64
		for _, s := range cut(tc.files, tc.parallelism, 0) {
			got = append(got, fmt.Sprintf("%d+%d", (s.Offset+mb-1)/mb, (s.Length+mb-1)/mb))
			if s.Offset != next || s.Length <= 0 || seen[s.ID] {
				t.Errorf("%s: split at %d of %d bytes, want one at %d with an id of its own", tc.name, s.Offset, s.Length, next)
			}
			next = s.end()
			seen[s.ID] = true
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, strings.Join(got, " "), tc.want)
		}
	}
}

// TestManyFiles: each is read once, by some subtask.
func TestManyFiles(t *testing.T) {
	b := newBench(t)
	var want []string
	for i := range 2000 {
		b.put(fmt.Sprintf("/in/%d/%d", i%7, i), fmt.Appendf(nil, "line %d\n", i))
		want = append(want, fmt.Sprintf("line %d", i))
	}
	slices.Sort(want)
	for _, p := range []int{1, 3} {
		if got := read(t, b, Source{Paths: []string{"/in"}}, p, chunkSize); !slices.Equal(got, want) {
			t.Errorf("parallelism %d: %d lines, want %d", p, len(got), len(want))
		}
	}
}

// TestSnapshotAnywhere: a reader that is restored from a snapshot between any two polls reads the rest.
func TestSnapshotAnywhere(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "%d %s\n", i, strings.Repeat("x", i))
	}
	want := scanned(text.String())
	for _, name := range []string{"/in", "/in.gz"} {
		for cut := range 60 {
			b := newBench(t)
			data := []byte(text.String())
			if strings.HasSuffix(name, ".gz") {
				data = zipped(t, text.String())
			}
			b.put(name, data)
			j, err := b.start(Source{Paths: []string{name}, SplitSize: 100}, 1, 30)
			if err != nil {
				t.Fatal(err)
			}
			for range cut {
				if ended, err := j.step(0); err != nil {
					t.Fatal(err)
				} else if ended {
					break
				}
			}
			state, err := j.readers[0].Snapshot(1)
			if err != nil {
				t.Fatal(err)
			}
			if err := j.readers[0].Close(); err != nil {
				t.Fatal(err)
			}
			if err := j.enum.SubtaskReset(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			j.toEnum, j.inbox[0] = nil, nil // of the former life
			j.open(0, 30, state)
			got, err := j.run()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s, snapshot after %d polls: got %q", name, cut, got)
			}
		}
	}
}

func TestConforms(t *testing.T) {
	b := newBench(t)
	b.put("/in", []byte("a\nb\nc\n"))
	var toReader [][]byte
	var current *reader
	operatortest.ConformSource(t, operatortest.SourceCase[string]{Factory: Source{Paths: []string{"/in"}}, Want: []string{"a", "b", "c"},
		Context: func(c *operator.Context) {
			c.FS = b.files
			toReader, current = nil, nil
			e := newEnumerator(Source{Paths: []string{"/in"}}, operator.CoordinatorEnv{FS: b.files, Log: c.Log})
			if err := e.Start(context.Background(), program.CoordinatorContext{Parallelism: 1, Send: func(_ int, _ ids.ExecutionAttemptID, p []byte) {
				toReader = append(toReader, p)
				if current != nil {
					current.fetch.notify() // a task is woken by mail
				}
			}}); err != nil {
				t.Fatal(err)
			}
			c.Send = func(p []byte) {
				if err := e.HandleEvent(context.Background(), 0, ids.ExecutionAttemptID{}, p); err != nil {
					t.Error(err)
				}
			}
		},
		Events: func(t *testing.T, op operator.Operator) {
			current = op.(*reader)
			for _, p := range toReader {
				if err := op.(*reader).HandleEvent(p); err != nil {
					t.Fatal(err)
				}
			}
			toReader = nil
		}})
}
