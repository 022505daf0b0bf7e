package measure

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

const (
	// significance is how improbable a difference has to be by chance.
	significance = 0.05
	// smallest is the least relative difference of the medians that is worth a line.
	smallest = 0.01
	// fewest is how many samples each side needs: with fewer, no difference is improbable enough.
	fewest = 4
)

// Rule says when Compare calls a metric moved.
const Rule = "moved: the Mann-Whitney test (exact, two-sided) gives p ≤ 0.05, and the medians differ by 1 % or more; it needs 4 runs on each side"

// Verdict is what became of a metric.
type Verdict string

// The verdicts.
const (
	Improved Verdict = "better"
	Worsened Verdict = "worse"
	Same     Verdict = "same"
	TooFew   Verdict = "too few runs"
	Gone     Verdict = "gone"
	New      Verdict = "new"
)

// Change is one metric in two reports.
type Change struct {
	Row, Metric string
	Unit        Unit
	Verdict     Verdict
	Old, New    []float64
	// Ratio is the new median through the old one, P the probability of such a difference by chance.
	Ratio, P float64
}

// Compare compares all metrics of two reports, in the order of the new one; what it has no more follows.
func Compare(old, now *Report) []Change {
	var all []Change
	for _, row := range now.Rows {
		before, _ := old.Row(row.Name)
		for _, m := range row.Metrics {
			was, _ := before.Metric(m.Name)
			all = append(all, compare(row.Name, was, m))
		}
	}
	for _, row := range old.Rows {
		after, _ := now.Row(row.Name)
		for _, m := range row.Metrics {
			if _, ok := after.Metric(m.Name); !ok {
				all = append(all, Change{Row: row.Name, Metric: m.Name, Unit: m.Unit, Verdict: Gone, Old: m.Samples})
			}
		}
	}
	return all
}

func compare(row string, was, is Metric) Change {
	c := Change{Row: row, Metric: is.Name, Unit: is.Unit, Old: was.Samples, New: is.Samples, P: 1}
	if len(was.Samples) == 0 {
		c.Verdict = New
		return c
	}
	before, after := Median(was.Samples), Median(is.Samples)
	c.Ratio = after / before
	c.P = MannWhitney(was.Samples, is.Samples)
	switch {
	case min(len(was.Samples), len(is.Samples)) < fewest:
		c.Verdict = TooFew
		if allEqual(was.Samples, is.Samples) {
			c.Verdict = Same
		}
	case c.P > significance || math.Abs(after-before) < smallest*math.Abs(before):
		c.Verdict = Same
	case (after > before) == (is.Better == Higher):
		c.Verdict = Improved
	default:
		c.Verdict = Worsened
	}
	return c
}

// allEqual reports whether all samples are one value, as sizes of files are.
func allEqual(a, b []float64) bool {
	for _, s := range [][]float64{a, b} {
		for _, v := range s {
			if v != a[0] {
				return false
			}
		}
	}
	return true
}

// PrintComparison prints what moved, and in one line each how many metrics did not and how many cannot be told.
func PrintComparison(w io.Writer, old, now *Report) error {
	fmt.Fprintf(w, "old: %s\nnew: %s\n", title(old), title(now))
	if old.Machine != now.Machine {
		fmt.Fprintln(w, "the machines differ: what moved may be the machine")
	}
	fmt.Fprintln(w, Rule)
	counts := make(map[Verdict]int)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nwhat\tmetric\told median (min/max)\tnew median (min/max)\tchange\tp")
	for _, c := range Compare(old, now) {
		counts[c.Verdict]++
		if c.Verdict == Improved || c.Verdict == Worsened {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%+.1f %% %s\t%.3f\n", c.Row, c.Metric, summary(c.Unit, c.Old), summary(c.Unit, c.New),
				(c.Ratio-1)*100, c.Verdict, c.P)
		}
	}
	if counts[Improved]+counts[Worsened] == 0 {
		fmt.Fprintln(t, "nothing moved")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d better, %d worse, %d within the noise, %d with too few runs to tell, %d only in the new, %d only in the old\n",
		counts[Improved], counts[Worsened], counts[Same], counts[TooFew], counts[New], counts[Gone])
	return err
}
