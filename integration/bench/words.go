package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/flott-dev/flott/integration/bench/gen"
	"github.com/flott-dev/flott/integration/bench/measure"
)

const (
	textBytes = 256 << 20
	textSeed  = 1
)

// generate writes a text to a file that appears when it is whole.
func generate(path string, c gen.Config) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".text-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = gen.Write(f, c)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// text returns a file of generated text, which is kept for later runs.
func (s *session) text(n int64) (string, error) {
	path := filepath.Join(s.dir, fmt.Sprintf("words-%d-%d.txt", textSeed, n))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	return path, generate(path, gen.Config{Seed: textSeed, Bytes: n})
}

// wordGroup is WordCount over generated text.
func wordGroup(n int64) group {
	g := group{}
	for _, c := range []struct {
		name, p, combine string
		tcp              bool
	}{
		{name: "WordCount, p1, combining", p: "1", combine: "true"},
		{name: "WordCount, p2, combining", p: "2", combine: "true"},
		{name: "WordCount, p2, every word exchanged", p: "2", combine: "false"},
		{name: "WordCount, p2, every word exchanged, two workers over TCP", p: "2", combine: "false", tcp: true},
	} {
		j := localJob{pkg: wordPackage, tcp: c.tcp, conf: map[string]string{"parallelism.default": c.p, "pipeline.combine": c.combine}}
		shown := j
		shown.args = []string{"--input", fmt.Sprintf("words-%d-%d.txt", textSeed, n), "--output", "…"}
		g.cases = append(g.cases, benchCase{name: c.name, command: shown.String(),
			run: func(ctx context.Context, s *session, row *measure.Row) error { return countWords(ctx, s, row, j, n) }})
	}
	g.cases[0].note = "text of a file in the page cache, 50,000 distinct words by Zipf's law; each run's output is compared with a count by bench itself"
	return g
}

func countWords(ctx context.Context, s *session, row *measure.Row, j localJob, n int64) error {
	input, err := s.text(n)
	if err != nil {
		return err
	}
	want, size, err := s.expected(input)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.temp, "words-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "out")
	j.args = []string{"--input", input, "--output", out}
	u, err := j.measure(ctx, s)
	if err != nil {
		return err
	}
	parts, err := filepath.Glob(filepath.Join(out, "part-*"))
	if err != nil {
		return err
	}
	var lines [][]byte
	for _, p := range parts {
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		lines = append(lines, bytes.Split(bytes.TrimSuffix(b, []byte{'\n'}), []byte{'\n'})...)
	}
	slices.SortFunc(lines, bytes.Compare)
	if got := bytes.Join(lines, []byte{'\n'}); !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %d lines in %d files differ from the count by bench", errOutput, len(lines), len(parts))
	}
	row.Add("input", measure.BytesPerSecond, measure.Higher, float64(size)/u.wall.Seconds())
	u.add(row)
	return nil
}

// expected counts the words of a file in the plainest way, once; the lines are kept in a file beside it.
func (s *session) expected(input string) (lines []byte, size int64, err error) {
	info, err := os.Stat(input)
	if err != nil {
		return nil, 0, err
	}
	kept := input + ".counts"
	if b, err := os.ReadFile(kept); err == nil {
		return b, info.Size(), nil
	}
	f, err := os.Open(input)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	counts := make(map[string]*int)
	words := bufio.NewScanner(f)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		c := counts[string(words.Bytes())]
		if c == nil {
			c = new(int)
			counts[words.Text()] = c
		}
		*c++
	}
	if err := words.Err(); err != nil {
		return nil, 0, err
	}
	var all [][]byte
	for w, c := range counts {
		all = append(all, strconv.AppendInt([]byte(w+"\t"), int64(*c), 10))
	}
	slices.SortFunc(all, bytes.Compare)
	lines = bytes.Join(all, []byte{'\n'})
	return lines, info.Size(), os.WriteFile(kept, lines, 0o644)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
