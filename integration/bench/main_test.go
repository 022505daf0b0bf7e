package main

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/integration/bench/gen"
	"github.com/flott-dev/flott/integration/bench/measure"
)

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-runs", "0"}, {"-scale", "0"}, {"-run", "("}, {"x"}, {"-compare"}, {"-compare", "a"}, {"-compare", "a", "b", "c"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q was accepted as %+v", args, o)
		}
	}
	o, err := parse([]string{"-compare", "old", "new"})
	if err != nil || !o.compare || !slices.Equal(o.arguments, []string{"old", "new"}) {
		t.Errorf("-compare old new: %+v, %v", o, err)
	}
	if o, err := parse(nil); err != nil || o.runs != 5 || o.scale != 1 || !o.run.MatchString("anything") {
		t.Errorf("no arguments: %+v, %v", o, err)
	}
}

// TestRowNames: rows are found again by their names.
func TestRowNames(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range allGroups(1) {
		names := map[string]bool{}
		for _, c := range g.cases {
			if seen[c.name] || c.command == "" {
				t.Errorf("row %q is there twice, or has no command", c.name)
			}
			seen[c.name], names[c.name] = true, true
		}
		for _, c := range g.cases {
			if c.beside != "" && !names[c.beside] {
				t.Errorf("row %q is compared with %q, which is not in its group", c.name, c.beside)
			}
		}
	}
}

func TestChosen(t *testing.T) {
	groups := []group{
		{cases: []benchCase{{name: "plain 1"}, {name: "plain 2"}, {name: "job 1", beside: "plain 1"}, {name: "job 2", beside: "plain 2"}}},
		{cases: []benchCase{{name: "other"}}},
	}
	var got []string
	for _, g := range chosen(groups, regexp.MustCompile("job 2")) {
		for _, c := range g.cases {
			got = append(got, c.name)
		}
	}
	if want := []string{"plain 2", "job 2"}; !slices.Equal(got, want) {
		t.Errorf("chosen %q, want %q", got, want)
	}
}

// TestGroup runs cases that only say what they did.
func TestGroup(t *testing.T) {
	var order []string
	add := func(name, beside string, rate float64, fail int) benchCase {
		n := 0
		return benchCase{name: name, beside: beside, command: name, run: func(_ context.Context, _ *session, row *measure.Row) error {
			order = append(order, name)
			if n++; n == fail {
				return errors.New("no\nluck")
			}
			row.Add(records, measure.PerSecond, measure.Higher, rate)
			return nil
		}}
	}
	s := &session{runs: 3}
	rows := s.group(t.Context(), group{cases: []benchCase{add("a", "", 200, 0), add("b", "a", 50, 0), add("c", "a", 20, 2)}})
	if want := strings.Fields("a b c a b c a b"); !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	m, _ := rows[1].Metric("slower than a")
	if want := []float64{75, 75, 75}; !slices.Equal(m.Samples, want) {
		t.Errorf("b is slower by %v, want %v", m.Samples, want)
	}
	if want := "run 2: no; luck"; rows[2].Failed != want || len(rows[2].Load) != 2 || rows[0].Failed != "" {
		t.Errorf("c ended as %+v, want failed with %q", rows[2], want)
	}
}

func TestStatusSize(t *testing.T) {
	const status = "Name:\tjob\nVmPeak:\t  123456 kB\nVmHWM:\t   25652 kB\nVmRSS:\t 24000 kB\n"
	for field, want := range map[string]int64{"VmHWM": 25652 << 10, "VmRSS": 24000 << 10, "VmSwap": 0} {
		if got := statusSize(status, field); got != want {
			t.Errorf("%s is %d, want %d", field, got, want)
		}
	}
}

func TestMeasureProgram(t *testing.T) {
	u, err := measureProgram(t.Context(), program{path: "/bin/sh", args: []string{"-c", `i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $SAID`}, env: []string{"SAID=this"}})
	if err != nil {
		t.Fatal(err)
	}
	if string(u.stdout) != "this\n" || u.wall <= 0 || u.cpu <= 0 || u.peak < 100<<10 {
		t.Errorf("usage %+v with output %q", u, u.stdout)
	}
	if _, err := measureProgram(t.Context(), program{path: "/bin/sh", args: []string{"-c", "echo why >&2; exit 3"}}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a program that failed: %v", err)
	}
}

func TestLogTimes(t *testing.T) {
	const log = `2026-11-21 13:09:57,710 INFO  asking for containers outstanding=2
2026-11-21 13:09:57,961 INFO  worker starting worker=1
a line of a stack
2026-11-21 13:09:57,962 INFO  worker starting worker=2
2026-11-21 13:09:58,258 INFO  worker registered worker=2
`
	first, last := logTimes(strings.NewReader(log), logAsking, logStarting, "never said")
	at := func(ms int) time.Time { return time.Date(2026, 11, 21, 13, 9, 57, ms*1e6, time.Local) }
	if want := map[string]time.Time{logAsking: at(710), logStarting: at(961)}; !maps.EqualFunc(first, want, time.Time.Equal) {
		t.Errorf("first %v, want %v", first, want)
	}
	if want := map[string]time.Time{logAsking: at(710), logStarting: at(962)}; !maps.EqualFunc(last, want, time.Time.Equal) {
		t.Errorf("last %v, want %v", last, want)
	}
}

func TestPhases(t *testing.T) {
	begin := time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	var row measure.Row
	startTimes{command: at(0), submitted: at(100), amProcess: at(300), asking: at(350), containers: at(650), worker: at(800), registered: at(830),
		running: at(840)}.add(&row, 200*time.Millisecond)
	for name, want := range map[string]float64{"command → RUNNING": 0.84, "containers asked → registered": 0.48,
		"our own share": 0.1 + 0.05 + (0.3 - 0.2) + 0.03 + 0.01} {
		if m, _ := row.Metric(name); len(m.Samples) != 1 || m.Samples[0]-want > 1e-9 || want-m.Samples[0] > 1e-9 {
			t.Errorf("%s is %v, want %v", name, m.Samples, want)
		}
	}
	sum := 0.0
	for _, m := range row.Metrics {
		if strings.HasPrefix(m.Name, "·") {
			sum += m.Samples[0]
		}
	}
	if sum < 0.84-1e-9 || sum > 0.84+1e-9 {
		t.Errorf("the phases add up to %v s, want all of 0.84 s", sum)
	}
}

func TestHeartbeat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "yarn-site.xml")
	for text, want := range map[string]time.Duration{
		"<configuration/>": time.Second,
		"<property><name>yarn.resourcemanager.nodemanagers.heartbeat-interval-ms</name>\n <value>200</value></property>": 200 * time.Millisecond,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := heartbeatOf(path); err != nil || got != want {
			t.Errorf("heartbeat %v (%v), want %v", got, err, want)
		}
	}
}

func TestParseBenchmarks(t *testing.T) {
	const out = `goos: linux
pkg: github.com/flott-dev/flott/taskrunner/task
BenchmarkKeyedSum/tcp/p=2-2         	 3000000	       123.5 ns/op	      40 B/op	       0 allocs/op
BenchmarkKeyedSum/tcp/p=2-2         	 3000000	       120 ns/op	      41 B/op	       0 allocs/op
PASS
pkg: github.com/flott-dev/flott/yarn/ipc
BenchmarkCall-2 	 10	 2000 ns/op	 12.5 MB/s
ok  	github.com/flott-dev/flott/yarn/ipc	1.2s
`
	var rows []measure.Row
	for _, l := range parseBenchmarks(out) {
		r := measure.Row{Name: l.pkg + " " + l.name}
		l.add(&r)
		rows = append(rows, r)
	}
	keyed := func(ns, b float64) measure.Row {
		r := measure.Row{Name: "taskrunner/task KeyedSum/tcp/p=2"}
		r.Add("time/op", measure.Seconds, measure.Lower, ns/1e9)
		r.Add("bytes/op", measure.Bytes, measure.Lower, b)
		r.Add("allocations/op", measure.Count, measure.Lower, 0)
		return r
	}
	call := measure.Row{Name: "yarn/ipc Call"}
	call.Add("time/op", measure.Seconds, measure.Lower, 2e-6)
	call.Add("throughput", measure.BytesPerSecond, measure.Higher, 12.5e6)
	if d := cmp.Diff([]measure.Row{keyed(123.5, 40), keyed(120, 41), call}, rows); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
}

func TestBenchmarked(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"a/x_test.go": "package a\nfunc BenchmarkX(b *testing.B) {}\n", "b/x_test.go": "package b\nfunc TestX() {}\n",
		"dist/y_test.go": "func BenchmarkX(b *testing.B) {}\n", "c/d/x.go": "func BenchmarkX(b *testing.B) {}\n"} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := benchmarked(root); err != nil || !slices.Equal(got, []string{"./a"}) {
		t.Errorf("packages %q (%v), want ./a", got, err)
	}
}

func TestExpected(t *testing.T) {
	s := &session{dir: t.TempDir()}
	path, err := s.text(100_000)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.text(100_000); err != nil || again != path {
		t.Errorf("the text again: %s (%v), want %s", again, err, path)
	}
	var whole bytes.Buffer
	stats, err := gen.Write(&whole, gen.Config{Seed: textSeed, Bytes: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, whole.Bytes()) {
		t.Errorf("the file of %d bytes differs from the generator's %d (%v)", len(b), whole.Len(), err)
	}
	for range 2 { // counted, then kept
		lines, size, err := s.expected(path)
		if err != nil || size != stats.Bytes || !slices.IsSortedFunc(bytes.Split(lines, []byte{'\n'}), bytes.Compare) || !bytes.Contains(lines, []byte{'\t'}) {
			t.Errorf("%d bytes of counts for a text of %d (%v)", len(lines), size, err)
		}
	}
}

func TestMachine(t *testing.T) {
	if m := machine(); m.Cores < 1 || m.MemoryBytes < 1<<20 || m.CPU == "" || m.OS == "" {
		t.Errorf("this machine is %+v", m)
	}
	if l := load(); l < 0 {
		t.Errorf("load %v", l)
	}
}
