package measure_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/integration/bench/measure"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := measure.Median(c.in); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.in, got, c.want)
		}
	}
	if got := measure.Median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v, want NaN", got)
	}
}

// TestMannWhitney holds the test against values of the usual tables, and against counting by hand.
func TestMannWhitney(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"apart, 3 and 3", []float64{1, 2, 3}, []float64{4, 5, 6}, 2.0 / 20},
		{"apart, 4 and 4", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2.0 / 70},
		{"apart, 5 and 5", []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{"apart the other way", []float64{6, 7, 8, 9, 10}, []float64{1, 2, 3, 4, 5}, 2.0 / 252},
		{"one crossing: U = 1", []float64{1, 2, 3, 4, 6}, []float64{5, 7, 8, 9, 10}, 4.0 / 252},
		{"all equal", []float64{1, 1, 1, 1}, []float64{1, 1, 1, 1}, 1},
		// 2 and 2 of the values 1, 2, 2, 3: rank sums 3.5, 3.5, 5, 5, 6.5, 6.5 are equally probable; 3.5 is as far as it gets.
		{"a tie", []float64{1, 2}, []float64{2, 3}, 4.0 / 6},
		{"nothing", nil, []float64{1}, 1},
	} {
		if got := measure.MannWhitney(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
	}
	var low, high, mixed []float64
	for i := range 15 {
		low, high = append(low, float64(i)), append(high, float64(100+i))
		mixed = append(mixed, float64(i)+0.5)
	}
	if p := measure.MannWhitney(low, high); p > 1e-4 {
		t.Errorf("15 and 15 apart: p = %v, want next to nothing", p)
	}
	if p := measure.MannWhitney(low, mixed); p < 0.5 {
		t.Errorf("15 and 15 mixed: p = %v, want much", p)
	}
}

func report(rows ...measure.Row) *measure.Report {
	return &measure.Report{Date: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Commit: "0123456789abcdef", Go: "go1.26",
		Machine: measure.Machine{OS: "linux 6", Arch: "amd64", CPU: "some", Cores: 2, MemoryBytes: 8 << 30}, Rows: rows}
}

func row(name, metric string, b measure.Better, samples ...float64) measure.Row {
	r := measure.Row{Name: name, Command: "run " + name, Load: []float64{0.5}}
	for _, s := range samples {
		r.Add(metric, measure.Seconds, b, s)
	}
	return r
}

func TestCompare(t *testing.T) {
	old := report(
		row("faster", "s", measure.Lower, 2, 2.1, 2.2, 2.05),
		row("slower", "s", measure.Lower, 2, 2.1, 2.2, 2.05),
		row("more is better", "r", measure.Higher, 2, 2.1, 2.2, 2.05),
		row("noisy", "s", measure.Lower, 2, 3, 2.5, 2.2),
		row("a hair", "s", measure.Lower, 2, 2.001, 2.002, 2.003),
		row("few", "s", measure.Lower, 2, 2, 2.1),
		row("constant", "s", measure.Lower, 7),
		row("gone", "s", measure.Lower, 7),
	)
	now := report(
		row("faster", "s", measure.Lower, 1, 1.1, 1.2, 1.05),
		row("slower", "s", measure.Lower, 3, 3.1, 3.2, 3.05),
		row("more is better", "r", measure.Higher, 3, 3.1, 3.2, 3.05),
		row("noisy", "s", measure.Lower, 2.1, 3.5, 2.6, 2.9),
		row("a hair", "s", measure.Lower, 2.004, 2.005, 2.006, 2.007),
		row("few", "s", measure.Lower, 9, 9, 9),
		row("constant", "s", measure.Lower, 7),
		row("new", "s", measure.Lower, 7),
	)
	got := map[string]measure.Verdict{}
	for _, c := range measure.Compare(old, now) {
		got[c.Row] = c.Verdict
	}
	want := map[string]measure.Verdict{"faster": measure.Improved, "slower": measure.Worsened, "more is better": measure.Improved,
		"noisy": measure.Same, "a hair": measure.Same, "few": measure.TooFew, "constant": measure.Same, "new": measure.New, "gone": measure.Gone}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("verdicts (-want +got):\n%s", d)
	}
	var b strings.Builder
	if err := measure.PrintComparison(&b, old, now); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"-48.2 % better", "+48.2 % worse", measure.Rule, "2 better, 1 worse, 3 within the noise, 1 with too few runs to tell, 1 only in the new, 1 only in the old"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("the comparison does not say %q:\n%s", text, b.String())
		}
	}
}

func TestCompareWithItself(t *testing.T) {
	r := report(row("a", "s", measure.Lower, 1, 2, 3, 4, 5))
	var b strings.Builder
	if err := measure.PrintComparison(&b, r, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "nothing moved") || strings.Contains(b.String(), "machines differ") {
		t.Errorf("comparison of a report with itself:\n%s", b.String())
	}
}

func TestReadWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "r.json")
	r := report(row("a", "s", measure.Lower, 1, 2))
	r.Rows[0].Failed = "the third run failed"
	if err := r.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := measure.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got); d != "" {
		t.Errorf("read (-written +read):\n%s", d)
	}
	if err := os.WriteFile(path, []byte(`{"version": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := measure.Read(path); err == nil || !strings.Contains(err.Error(), "version 99") {
		t.Errorf("reading version 99: %v", err)
	}
}

func TestTable(t *testing.T) {
	r := row("keyed sum", "CPU", measure.Lower, 1.5, 2.5, 3.5)
	r.Add("records/s", measure.PerSecond, measure.Higher, 12_345_678)
	r.Add("RSS", measure.Bytes, measure.Lower, 45<<20)
	r.Add("p99", measure.Seconds, measure.Lower, 0.00042)
	r.Add("distance", measure.Percent, measure.Lower, -3.25)
	r.Add("times", measure.Count, measure.Lower, 7.19964)
	r.Add("allocations", measure.Count, measure.Lower, 3)
	r.Load, r.Note = []float64{0.25, 1.5}, "read this"
	failed := row("other", "s", measure.Lower)
	failed.Failed = "no such job"
	var b strings.Builder
	if err := measure.Table(&b, report(r, failed)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"commit 0123456789ab, go1.26", "2.50 s (1.50 s/3.50 s)", "12.3 M/s", "45.0 MiB", "420 µs", "-3.25 %", " 7.20 ", " 3 ", "0.2–1.5",
		"run keyed sum", "keyed sum: read this", "FAILED: no such job"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("the table does not say %q:\n%s", text, b.String())
		}
	}
}

func TestJudge(t *testing.T) {
	ours := row("a: ours", "rate", measure.Higher, 10, 12, 11)
	ours.Add("CPU", measure.Seconds, measure.Lower, 1)
	theirs := row("a: theirs", "rate", measure.Higher, 2, 3)
	theirs.Add("CPU", measure.Seconds, measure.Lower, 4)
	r := report(ours, theirs)
	got := r.Judge([]measure.Bar{
		{Name: "rate", Ours: "a: ours", Theirs: "a: theirs", Metric: "rate", Bound: 4},
		{Name: "high rate", Ours: "a: ours", Theirs: "a: theirs", Metric: "rate", Bound: 5},
		{Name: "CPU", Ours: "a: ours", Theirs: "a: theirs", Metric: "CPU", Bound: 1.0 / 3},
		{Name: "little CPU", Ours: "a: ours", Theirs: "a: theirs", Metric: "CPU", Bound: 1.0 / 8},
		{Name: "absolute", Ours: "a: ours", Metric: "CPU", Bound: 2},
		{Name: "only printed", Ours: "a: ours", Theirs: "a: theirs", Metric: "CPU"},
		{Name: "not measured", Ours: "a: ours", Theirs: "b", Metric: "rate", Bound: 1},
		{Name: "not measured either", Ours: "a: ours", Metric: "RSS", Bound: 1},
	})
	met := map[string]bool{}
	for _, j := range got {
		met[j.Name] = j.Met
	}
	want := map[string]bool{"rate": true, "high rate": false, "CPU": true, "little CPU": false, "absolute": true, "only printed": true}
	if d := cmp.Diff(want, met); d != "" {
		t.Errorf("met (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]float64{5, 4}, got[0].Ratios); d != "" {
		t.Errorf("ratios (-want +got):\n%s", d)
	}
	var b strings.Builder
	if err := measure.Markdown(&b, r, got, "we", "they"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| | we | they | we : they (min–max) | bar | met |",
		"| rate | 11.0 s | 2.50 s | **4.50×** (4.00×–5.00×) | ≥ 4.00× | yes |",
		"| little CPU | 1.00 s | 4.00 s | **1/4.00** (1/4.00–1/4.00) | ≤ 1/8.00 | no |",
		"| absolute | 1.00 s |  |  | ≤ 2.00 s | yes |",
		"| only printed | 1.00 s | 4.00 s | **1/4.00** (1/4.00–1/4.00) |  |  |",
		"load average in front of the runs 0.5–0.5.",
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("the table does not have the line %q:\n%s", line, b.String())
		}
	}
}
