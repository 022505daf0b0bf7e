package measure

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Table prints a report for people: one line for each metric, with the row's command and the load in front of its runs.
func Table(w io.Writer, r *Report) error {
	fmt.Fprintln(w, title(r))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nwhat\tmetric\truns\tmedian (min/max)\tload\tcommand")
	for i := range r.Rows {
		row := &r.Rows[i]
		name, load, command := row.Name, loads(row.Load), row.Command
		for _, m := range row.Metrics {
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", name, m.Name, len(m.Samples), summary(m.Unit, m.Samples), load, command)
			name, load, command = "", "", ""
		}
		if row.Failed != "" {
			fmt.Fprintf(t, "%s\tFAILED: %s\t\t\t%s\t%s\n", name, row.Failed, load, command)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	first := true
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Note != "" {
			if first {
				fmt.Fprintln(w)
				first = false
			}
			fmt.Fprintf(w, "%s: %s\n", row.Name, row.Note)
		}
	}
	return nil
}

func title(r *Report) string {
	commit := r.Commit
	if len(commit) > 12 {
		commit = commit[:12]
	}
	if r.Modified {
		commit += " (modified)"
	}
	m := r.Machine
	return fmt.Sprintf("%s, commit %s, %s, %s, %d cores, %s, %s/%s", r.Date.Format("2006-01-02 15:04 MST"), commit, r.Go, m.CPU, m.Cores,
		format(Bytes, float64(m.MemoryBytes)), m.OS, m.Arch)
}

// summary is median (min/max).
func summary(u Unit, s []float64) string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return format(u, s[0])
	}
	return fmt.Sprintf("%s (%s/%s)", format(u, Median(s)), format(u, slices.Min(s)), format(u, slices.Max(s)))
}

func loads(s []float64) string {
	if len(s) == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f–%.1f", slices.Min(s), slices.Max(s))
}

// format prints a value with three digits that count and its unit.
func format(u Unit, v float64) string {
	switch u {
	case Seconds:
		for _, s := range []struct {
			above, times float64
			name         string
		}{{1, 1, "s"}, {1e-3, 1e3, "ms"}, {1e-6, 1e6, "µs"}} {
			if math.Abs(v) >= s.above {
				return digits(v*s.times) + " " + s.name
			}
		}
		return digits(v*1e9) + " ns"
	case Bytes:
		return binary(v) + "B"
	case BytesPerSecond:
		return scaled(v) + "B/s"
	case PerSecond:
		return scaled(v) + "/s"
	case Percent:
		return digits(v) + " %"
	}
	if v == math.Trunc(v) { // a count has no fraction; other things without a unit are ratios
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return digits(v)
}

// scaled is a value with a decimal prefix, and binary one with a binary prefix.
func scaled(v float64) string {
	return prefixed(v, 1000, []string{"", "k", "M", "G", "T"})
}

func binary(v float64) string {
	return prefixed(v, 1024, []string{"", "Ki", "Mi", "Gi", "Ti"})
}

func prefixed(v, base float64, prefixes []string) string {
	i := 0
	for math.Abs(v) >= base && i < len(prefixes)-1 {
		v /= base
		i++
	}
	return digits(v) + " " + prefixes[i]
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95 || a == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
