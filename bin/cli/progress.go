package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// snapshot is one moment of an application, for a line of progress.
type snapshot struct {
	elapsed         time.Duration // since the command began
	state           string
	running         bool
	waiting         string // a phrase that says for what; empty when for nothing
	workers, wanted int    // wanted 0: not known
	containers      int
	in, out         int64 // records
	perSecond       float64
	silent          bool // YARN does not answer
}

// line writes the moment in one line.
func (v snapshot) line() string {
	parts := []string{v.state}
	if v.waiting != "" {
		parts = append(parts, v.waiting)
	}
	switch {
	case v.wanted > 0 && v.workers > 0 || v.running:
		parts = append(parts, fmt.Sprintf("workers %d/%d", v.workers, max(v.wanted, v.workers)))
	case v.containers > 0:
		parts = append(parts, fmt.Sprintf("containers %d", v.containers))
	}
	if v.running {
		parts = append(parts, "in "+grouped(v.in), "out "+grouped(v.out), grouped(int64(v.perSecond))+" records/s")
	}
	if v.silent {
		parts = append(parts, "YARN does not answer")
	}
	return fmt.Sprintf("%7s  %s", seconds(v.elapsed), strings.Join(parts, "  "))
}

// key changes when something happened that is worth a line of its own.
func (v snapshot) key() string {
	return fmt.Sprintf("%s|%s|%d|%v", v.state, v.waiting, v.workers, v.silent)
}

// How often a job that runs is told of when there is no terminal.
const plainEvery = 10 * time.Second

// display shows progress on standard error: one line that changes on a terminal, now and then a line elsewhere.
type display struct {
	w       io.Writer
	columns int // 0: no terminal
	now     func() time.Time
	drawn   bool
	key     string
	last    time.Time
}

func newDisplay(env Env) *display {
	return &display{w: env.Stderr, columns: env.Columns, now: env.Now}
}

// update shows a moment.
func (d *display) update(v snapshot) {
	if d.columns > 0 {
		d.draw(v.line())
		return
	}
	now := d.now()
	if v.key() == d.key && (!v.running || now.Sub(d.last) < plainEvery) {
		return
	}
	d.key, d.last = v.key(), now
	fmt.Fprintln(d.w, v.line())
}

// say shows what is being done; only a terminal gets to see it.
func (d *display) say(text string) {
	if d.columns > 0 {
		d.draw(text)
	}
}

// Uploads of that many bytes and more are told of.
const largeUpload = 4 << 20

// upload is a staging.Progress.
func (d *display) upload(done, total int64) {
	if total >= largeUpload {
		d.say(fmt.Sprintf("uploading the job binary  %d%% of %d MiB", 100*done/total, total>>20))
	}
}

func (d *display) draw(text string) {
	if utf8.RuneCountInString(text) >= d.columns {
		text = string([]rune(text)[:max(0, d.columns-2)]) + "…"
	}
	fmt.Fprintf(d.w, "\r\x1b[K%s", text)
	d.drawn = true
}

// clear takes the changing line away, so that something else can be printed.
func (d *display) clear() {
	if d.drawn {
		fmt.Fprint(d.w, "\r\x1b[K")
		d.drawn = false
	}
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// seconds writes a duration as people read it: tenths below a minute, then minutes and hours.
func seconds(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm%02ds", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// rate measures throughput over the last seconds.
type rate struct {
	at    []time.Time
	count []int64
}

// rateWindow is longer than the time between two reports of the workers.
const rateWindow = 6 * time.Second

func (r *rate) add(now time.Time, n int64) {
	if k := len(r.count); k > 0 && n < r.count[k-1] {
		r.at, r.count = nil, nil // tasks were restarted
	} else if k > 0 && n == r.count[k-1] && now.Sub(r.at[k-1]) < rateWindow {
		return // nobody has reported since
	}
	r.at, r.count = append(r.at, now), append(r.count, n)
	for len(r.at) > 2 && now.Sub(r.at[1]) >= rateWindow {
		r.at, r.count = r.at[1:], r.count[1:]
	}
}

func (r *rate) perSecond() float64 {
	k := len(r.at)
	if k < 2 || !r.at[k-1].After(r.at[0]) {
		return 0
	}
	return float64(r.count[k-1]-r.count[0]) / r.at[k-1].Sub(r.at[0]).Seconds()
}

// phase is a moment on the way from the command to the end.
type phase int

// Phases in their order.
const (
	phaseSubmitted phase = iota
	phaseMasterUp
	phaseWorkers
	phaseRunning
	phaseFinished
	numPhases
)

var phaseNames = [numPhases]string{"submitted", "AM up", "workers registered", "RUNNING", "finished"}

// timings are when the phases were reached.
type timings struct {
	begun time.Time
	at    [numPhases]time.Time
}

func newTimings(begun time.Time) *timings { return &timings{begun: begun} }

// mark notes a phase that is reached now, the first time it is told.
func (t *timings) mark(p phase, now time.Time) {
	if t.at[p].IsZero() {
		t.at[p] = now
	}
}

// correct replaces what was noted by what somebody knows better.
func (t *timings) correct(p phase, at time.Time) { t.at[p] = at }

// total is the time from the command to the end.
func (t *timings) total() time.Duration { return t.at[phaseFinished].Sub(t.begun) }

// String lists the phases reached, in seconds since the command began.
func (t *timings) String() string {
	parts := []string{"command 0.00s"}
	for p, at := range t.at {
		if !at.IsZero() {
			parts = append(parts, fmt.Sprintf("%s %.2fs", phaseNames[p], at.Sub(t.begun).Seconds()))
		}
	}
	return strings.Join(parts, ", ")
}
