package corpus

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestCounts(t *testing.T) {
	for in, want := range map[string]Counts{
		"":                            {},
		" \t\n\v\f\r":                 {},
		"a":                           {"a": 1},
		"a a\tb\nb\va\fa\ra\r\nc":     {"a": 5, "b": 2, "c": 1},
		"a\u00a0b \u2028 \x85 \xff\n": {"a\u00a0b": 1, "\u2028": 1, "\x85": 1, "\xff": 1},
		"\x00 a\x00b":                 {"\x00": 1, "a\x00b": 1},
	} {
		got := Counts{}
		if err := got.Add(strings.NewReader(in)); err != nil {
			t.Fatal(err)
		}
		if err := got.Diff(want); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestDiff(t *testing.T) {
	err := Counts{"a": 1, "b": 2}.Diff(Counts{"a": 1, "c": 3})
	if err == nil || !strings.Contains(err.Error(), `"b": got 2, want 0`) || !strings.Contains(err.Error(), `"c": got 0, want 3`) {
		t.Errorf("got %v", err)
	}
}

func TestTop(t *testing.T) {
	got := Counts{"a": 1, "b": 3, "c": 1, "d": 2}.Top(3)
	if fmt.Sprint(got) != "[{b 3} {d 2} {a 1}]" {
		t.Errorf("got %v", got)
	}
}

func TestParse(t *testing.T) {
	c := Counts{}
	if err := c.parse(strings.NewReader("a\t1\n\xff\r\t20\n")); err != nil || c["\xff\r"] != 20 {
		t.Errorf("got %v, %v", c, err)
	}
	for _, bad := range []string{"a\t1", "a\n", "\t1\n", "a\t0\n", "a\tx\n", "a\t1\na\t1\n"} {
		if err := (Counts{}).parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

// TestShell holds the counts against the pipeline that defines them.
func TestShell(t *testing.T) {
	dir := t.TempDir()
	files := Inputs(9<<20, 50)
	if err := Save(dir, files); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gunzip", filepath.Join(dir, Gzip)).CombinedOutput()
	if err != nil {
		t.Fatalf("gunzip: %v\n%s", err, out)
	}
	// Without echo, cat would join a file without a final newline to the one behind it.
	cmd := exec.Command("sh", "-c", `for f in "$1"/*; do cat "$f"; echo; done | tr -s ' \t\n\v\f\r' '\n' | grep -av '^$' | sort | uniq -c`, "sh", dir)
	cmd.Env, cmd.Stderr = append(os.Environ(), "LC_ALL=C"), os.Stderr
	if out, err = cmd.Output(); err != nil {
		t.Fatal(err)
	}
	want := Counts{}
	for line := range bytes.Lines(out) {
		count, word, _ := strings.Cut(strings.TrimLeft(strings.TrimSuffix(string(line), "\n"), " "), " ")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			t.Fatalf("line %.60q: %v", line, err)
		}
		want[word] += n
	}
	got, err := Words(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Diff(want); err != nil {
		t.Error(err)
	}
}
