package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// slow tests get a line of their own, so that a long run shows that it moves.
const slow = 2 * time.Second

// quiet is how long go test may say nothing until a line tells what it is at.
const quiet = 20 * time.Second

// event is one line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string
	Elapsed                                                float64
}

// report counts tests and prints a line per package, and all output of what failed. Subtests count like tests.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	problems                []error
	began                   time.Time
	packages                map[string]*packageReport
	builds                  map[string]*strings.Builder // output of a build, by its import path
}

type packageReport struct {
	passed, failed, skipped int
	own                     strings.Builder             // output outside of tests
	running                 map[string]*strings.Builder // output of tests that have not ended
}

func newReport(out io.Writer) *report {
	return &report{out: out, began: time.Now(), packages: map[string]*packageReport{}, builds: map[string]*strings.Builder{}}
}

func (r *report) line(text string) { fmt.Fprintln(r.out, text) }

func (r *report) problem(err error) { r.problems = append(r.problems, err) }

// read takes the events of one go test run. A line that is no event is printed; when none comes for a while, it says
// what still runs.
func (r *report) read(in io.Reader) error {
	lines, ended := make(chan []byte), make(chan error, 1)
	go func() {
		defer close(lines)
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			lines <- bytes.Clone(scanner.Bytes())
		}
		ended <- scanner.Err()
	}()
	silence := time.NewTicker(quiet)
	defer silence.Stop()
	for {
		select {
		case <-silence.C:
			r.stillRunning()
		case l, ok := <-lines:
			if !ok {
				if err := <-ended; err != nil {
					return fmt.Errorf("read go test's events: %w", err)
				}
				return nil
			}
			var e event
			if err := json.Unmarshal(l, &e); err != nil || e.Action == "" {
				r.line(string(l))
				continue
			}
			r.event(e)
			silence.Reset(quiet)
		}
	}
}

func (r *report) stillRunning() {
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		tests := slices.Sorted(maps.Keys(r.packages[name].running))
		r.line(fmt.Sprintf("       still running: %s %s", short(name), strings.Join(tests, " ")))
	}
}

func (r *report) event(e event) {
	if strings.HasPrefix(e.Action, "build-") {
		if r.builds[e.ImportPath] == nil {
			r.builds[e.ImportPath] = &strings.Builder{}
		}
		r.builds[e.ImportPath].WriteString(e.Output)
		return
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &packageReport{running: map[string]*strings.Builder{}}
		r.packages[e.Package] = p
	}
	if e.Test == "" {
		r.packageEvent(p, e)
		return
	}
	if p.running[e.Test] == nil {
		p.running[e.Test] = &strings.Builder{}
	}
	took := time.Duration(e.Elapsed * float64(time.Second))
	switch e.Action {
	case "output":
		p.running[e.Test].WriteString(e.Output)
		return
	case "pass":
		p.passed++
		if took >= slow {
			r.line(fmt.Sprintf("       %s (%.1fs)", e.Test, took.Seconds()))
		}
	case "fail":
		p.failed++
		r.line(fmt.Sprintf("FAIL   %s %s (%.1fs)\n%s", short(e.Package), e.Test, took.Seconds(), p.running[e.Test]))
	case "skip":
		p.skipped++
		r.line(fmt.Sprintf("SKIP   %s %s\n%s", short(e.Package), e.Test, p.running[e.Test]))
	default:
		return
	}
	delete(p.running, e.Test)
}

func (r *report) packageEvent(p *packageReport, e event) {
	word := "ok  "
	switch e.Action {
	case "output":
		p.own.WriteString(e.Output)
		return
	case "fail":
		word = "FAIL"
		// What never ended was cut off by a panic, an exit or the time limit.
		for _, name := range slices.Sorted(maps.Keys(p.running)) {
			p.failed++
			r.line(fmt.Sprintf("FAIL   %s %s did not end\n%s", short(e.Package), name, p.running[name]))
		}
		if p.failed == 0 {
			p.failed++
			if b := r.builds[e.FailedBuild]; b != nil {
				p.own.WriteString(b.String())
			}
		}
		r.line(strings.TrimRight(p.own.String(), "\n"))
	case "pass", "skip": // skip: no test files
	default:
		return
	}
	r.passed, r.failed, r.skipped = r.passed+p.passed, r.failed+p.failed, r.skipped+p.skipped
	r.line(fmt.Sprintf("%s   %s: %d tests, %.1fs", word, short(e.Package), p.passed+p.failed+p.skipped, e.Elapsed))
	delete(r.packages, e.Package)
}

// finish prints the problems and the last line, and returns errTests unless all is well. A skipped test is a failure
// of the run: what cannot run here has to say so by failing.
func (r *report) finish() error {
	for _, name := range slices.Sorted(maps.Keys(r.packages)) {
		r.failed++
		r.line("FAIL   " + short(name) + " did not end")
	}
	for _, err := range r.problems {
		r.failed++
		r.line("FAIL   " + err.Error())
	}
	r.line(fmt.Sprintf("\n%.0f s", time.Since(r.began).Seconds()))
	r.line(fmt.Sprintf("%d passed, %d failed, %d skipped", r.passed, r.failed, r.skipped))
	if r.failed+r.skipped > 0 || r.passed == 0 {
		return errTests
	}
	return nil
}

func short(importPath string) string { return strings.TrimPrefix(importPath, module+"/") }
