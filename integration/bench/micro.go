package main

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/integration/bench/measure"
)

// micro runs the benchmarks beside the code, with allocations: a row for each.
func (s *session) micro(ctx context.Context) []measure.Row {
	const command = "go test -run ^$ -bench . -benchmem"
	failed := func(err error) []measure.Row {
		return []measure.Row{{Name: "micro-benchmarks", Command: command, Failed: err.Error()}}
	}
	packages, err := benchmarked(s.root)
	if err != nil {
		return failed(err)
	}
	before := load()
	args := []string{"test", "-run", "^$", "-bench", ".", "-benchmem", "-benchtime", "200ms", "-p", "1", "-count", fmt.Sprint(s.runs)}
	out, err := output(ctx, s.root, "go", append(args, packages...)...)
	if err != nil {
		return failed(err)
	}
	var rows []measure.Row
	for _, l := range parseBenchmarks(out) {
		name := l.pkg + " " + l.name
		i := slices.IndexFunc(rows, func(r measure.Row) bool { return r.Name == name })
		if i < 0 {
			i = len(rows)
			rows = append(rows, measure.Row{Name: name, Command: command + " ./" + l.pkg, Load: []float64{before}})
		}
		l.add(&rows[i])
	}
	return rows
}

var benchmarkFunc = regexp.MustCompile(`(?m)^func Benchmark\w*\(\w+ \*testing\.B\)`)

// benchmarked returns the packages with benchmarks, as ./paths.
func benchmarked(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "dist" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if pkg := "./" + rel; benchmarkFunc.Match(text) && !slices.Contains(found, pkg) {
			found = append(found, pkg)
		}
		return err
	})
	return found, err
}

// benchmarkLine is one line of go test's output.
type benchmarkLine struct {
	pkg, name string
	values    []benchmarkValue
}

type benchmarkValue struct {
	amount float64
	unit   string
}

// parseBenchmarks reads what go test -bench printed.
func parseBenchmarks(out string) []benchmarkLine {
	const module = "github.com/flott-dev/flott/"
	var lines []benchmarkLine
	pkg := ""
	for scan := bufio.NewScanner(strings.NewReader(out)); scan.Scan(); {
		f := strings.Fields(scan.Text())
		if len(f) == 2 && f[0] == "pkg:" {
			pkg = strings.TrimPrefix(f[1], module)
		}
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		if _, err := strconv.ParseInt(f[1], 10, 64); err != nil {
			continue
		}
		// The number of processors at the end of the name is the machine's.
		l := benchmarkLine{pkg: pkg, name: regexp.MustCompile(`-\d+$`).ReplaceAllString(strings.TrimPrefix(f[0], "Benchmark"), "")}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				l.values = append(l.values, benchmarkValue{v, f[i+1]})
			}
		}
		lines = append(lines, l)
	}
	return lines
}

// add puts what one run of a benchmark gave into its row.
func (l benchmarkLine) add(row *measure.Row) {
	for _, v := range l.values {
		switch v.unit {
		case "ns/op":
			row.Add("time/op", measure.Seconds, measure.Lower, v.amount/1e9)
		case "B/op":
			row.Add("bytes/op", measure.Bytes, measure.Lower, v.amount)
		case "allocs/op":
			row.Add("allocations/op", measure.Count, measure.Lower, v.amount)
		case "MB/s":
			row.Add("throughput", measure.BytesPerSecond, measure.Higher, v.amount*1e6)
		}
	}
}
