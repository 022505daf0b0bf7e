package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flott-dev/flott/flow/flowtest"
)

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"--input a --output b":           "[a] b",
		"-input a --input=b* --output o": "[a b*] o",
		"":                               "--input is missing",
		"--input a":                      "--output is missing",
		"--output b":                     "--input is missing",
		"--input":                        "flag needs an argument: -input",
		"--inptu a --output b":           "flag provided but not defined: -inptu",
		"--input= --output b":            `invalid value "" for flag -input: it is empty`,
		"--input a --output b c d":       "unexpected argument c d",
		"--help":                         "counts the words",
	} {
		o, err := parse(strings.Fields(args))
		got := fmt.Sprintf("%v %s", o.inputs, o.output)
		if err != nil {
			if got = err.Error(); strings.Contains(got, "\n") {
				t.Errorf("%q: %q is more than a sentence", args, got)
			}
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", args, got, want)
		}
	}
}

// words counts as the shell would: tr -s ' \t\n\v\f\r' '\n' | sort | uniq -c.
func words(counts map[string]int64, text string) {
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) }) {
		counts[w]++
	}
}

// TestInputs runs the job over every kind of file at once.
func TestInputs(t *testing.T) {
	dir := t.TempDir()
	want := make(map[string]int64)
	put := func(name, text string, data []byte) {
		t.Helper()
		p := filepath.Join(dir, "in", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
		words(want, text)
	}
	plain := func(name, text string) { put(name, text, []byte(text)) }
	plain("empty", "")
	plain("no-final-end", "to be or\nnot to be")
	plain("windows", "to be\r\nor not\r\n\r\n")
	plain("long", strings.Repeat("long ", 1<<18)+"\n"+strings.Repeat("x", 1<<20)+"\nend")
	plain("bytes", "\xff\xfe caf\xc3\xa9 \xc3\n\x00 \x00\x00\n")
	for i := range 300 {
		plain(fmt.Sprintf("small/%d", i), fmt.Sprintf("file %d has words\n", i))
	}
	zipped := "zipped words\nto be"
	var b bytes.Buffer
	for _, part := range []string{zipped[:9], zipped[9:]} {
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	put("members.gz", zipped, b.Bytes())
	put("_ignored", "", []byte("ignored"))

	out := filepath.Join(dir, "out")
	if err := flowtest.Job(t, build, "--input", filepath.Join(dir, "in"), "--output", out); err != nil {
		t.Fatal(err)
	}
	if got := result(t, out); !maps.Equal(got, want) {
		t.Errorf("got %d words, want %d", len(got), len(want))
		for w, n := range want {
			if got[w] != n {
				t.Fatalf("%.40q: got %d, want %d", w, got[w], n)
			}
		}
	}
}

// result reads the lines of all parts.
func result(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(dir, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int64)
	for _, p := range parts {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			w, n, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			count, err := strconv.ParseInt(n, 10, 64)
			if _, twice := counts[w]; !ok || err != nil || twice {
				t.Fatalf("line %.60q: %v, word seen before: %v", line, err, twice)
			}
			counts[w] = count
		}
	}
	return counts
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.WriteFile(in, []byte("a b"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--input", in}, "--output is missing\nusage: wordcount"},
		{[]string{"--input", filepath.Join(dir, "nope"), "--output", filepath.Join(dir, "out")}, "nope: there is no such file or directory"},
		{[]string{"--input", filepath.Join(dir, "*.csv"), "--output", filepath.Join(dir, "out")}, "no file matches"},
		{[]string{"--input", in, "--output", dir}, "the output directory exists already"},
	} {
		if err := flowtest.Job(t, build, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %q", tc.args, err, tc.want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestBuildIsDeterministic(t *testing.T) {
	flowtest.Deterministic(t, build, "--input", "a", "--output", "b")
}
