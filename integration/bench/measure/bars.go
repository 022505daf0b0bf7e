package measure

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bar is what a metric of a row is held against: the same metric of another row, run by run, or a fixed value.
type Bar struct {
	Name   string `json:"name"`
	Ours   string `json:"ours"`             // a row
	Theirs string `json:"theirs,omitempty"` // the other row; empty: the bar is a value of the metric
	Metric string `json:"metric"`
	// Bound is what the ratio of ours to theirs, or our value, has to reach (a metric where higher is better) or must not exceed. 0: it is
	// only printed.
	Bound float64 `json:"bound,omitempty"`
}

// Judgement is a bar and what was measured.
type Judgement struct {
	Bar
	Unit   Unit   `json:"unit"`
	Better Better `json:"better"`
	// Medians of the rows; TheirMedian is 0 without another row.
	OurMedian   float64 `json:"our_median"`
	TheirMedian float64 `json:"their_median,omitempty"`
	// Ratios are ours through theirs, run by run, or our values.
	Ratios []float64 `json:"ratios"`
	Met    bool      `json:"met"`
}

// Judge holds what a report has against bars. A bar whose rows were not measured, both in this report, gives nothing.
func (r *Report) Judge(bars []Bar) []Judgement {
	var all []Judgement
	for _, b := range bars {
		row, _ := r.Row(b.Ours)
		ours, ok := row.Metric(b.Metric)
		if !ok {
			continue
		}
		j := Judgement{Bar: b, Unit: ours.Unit, Better: ours.Better, OurMedian: Median(ours.Samples), Ratios: ours.Samples}
		if b.Theirs != "" {
			row, _ := r.Row(b.Theirs)
			theirs, ok := row.Metric(b.Metric)
			if !ok {
				continue
			}
			j.TheirMedian, j.Ratios = Median(theirs.Samples), nil
			for i := range min(len(ours.Samples), len(theirs.Samples)) {
				j.Ratios = append(j.Ratios, ours.Samples[i]/theirs.Samples[i])
			}
		}
		is := Median(j.Ratios)
		j.Met = b.Bound == 0 || j.Better == Higher && is >= b.Bound || j.Better == Lower && is <= b.Bound
		all = append(all, j)
	}
	return all
}

// Markdown prints judgements as a table for a page, below a line that says where and when, and how busy the machine was.
func Markdown(w io.Writer, r *Report, all []Judgement, ours, theirs string) error {
	var load []float64
	for _, row := range r.Rows {
		load = append(load, row.Load...)
	}
	fmt.Fprintf(w, "%s; load average in front of the runs %s.\n\n", title(r), loads(load))
	fmt.Fprintf(w, "| | %s | %s | %s : %s (min–max) | bar | met |\n|---|---|---|---|---|---|\n", ours, theirs, ours, theirs)
	for _, j := range all {
		if _, err := fmt.Fprintln(w, j.line()); err != nil {
			return err
		}
	}
	return nil
}

func (j Judgement) line() string {
	their, ratio, bar := "", "", ""
	met := "no"
	if j.Met {
		met = "yes"
	}
	show := func(v float64) string { return format(j.Unit, v) }
	if j.Theirs != "" {
		their = format(j.Unit, j.TheirMedian)
		show = times
		low, high := times(slices.Min(j.Ratios)), times(slices.Max(j.Ratios))
		ratio = fmt.Sprintf("**%s** (%s–%s)", times(Median(j.Ratios)), low, high)
	}
	switch {
	case j.Bound == 0:
		met = ""
	case j.Better == Higher:
		bar = "≥ " + show(j.Bound)
	default:
		bar = "≤ " + show(j.Bound)
	}
	return "| " + strings.Join([]string{j.Name, format(j.Unit, j.OurMedian), their, ratio, bar, met}, " | ") + " |"
}

// times is a ratio for people: 4.2×, or 1/37 for what is below 1.
func times(v float64) string {
	const whole = 0.995 // prints as 1.00
	if v > 0 && v < whole {
		return "1/" + digits(1/v)
	}
	return digits(v) + "×"
}
