package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressLines(t *testing.T) {
	for want, v := range map[string]snapshot{
		"   0.2s  submitted": {elapsed: 200 * time.Millisecond, state: "submitted"},
		"   4.0s  accepted  waiting for YARN to start the ApplicationMaster  containers 1": {elapsed: 4 * time.Second, state: "accepted",
			waiting: "waiting for YARN to start the ApplicationMaster", containers: 1, wanted: 2},
		"   5.5s  starting  waiting for 1 container  workers 1/2": {elapsed: 5500 * time.Millisecond, state: "starting",
			waiting: "waiting for 1 container", workers: 1, wanted: 2, containers: 2},
		"  1m05s  RUNNING  workers 2/2  in 1,234,567  out 89  2,048 records/s": {elapsed: 65 * time.Second, state: "RUNNING", running: true,
			workers: 2, wanted: 2, in: 1234567, out: 89, perSecond: 2048.7},
		"1h00m07s  RUNNING  workers 0/0  in 0  out 0  0 records/s  YARN does not answer": {elapsed: time.Hour + 7*time.Second, state: "RUNNING", running: true, silent: true},
	} {
		if got := v.line(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDisplayOnATerminal(t *testing.T) {
	var b bytes.Buffer
	d := &display{w: &b, columns: 20, now: time.Now}
	d.say("building")
	d.update(snapshot{state: "a state that is much too long for it"})
	d.upload(1<<20, 2<<20) // small: not told
	d.upload(8<<20, 16<<20)
	d.clear()
	d.clear()
	const erase = "\r\x1b[K"
	want := erase + "building" + erase + "   0.0s  a state t…" + erase + "uploading the job …" + erase
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDisplayElsewhere(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(1000, 0)
	d := &display{w: &b, now: func() time.Time { return now }}
	at := func(after time.Duration, v snapshot) {
		now = now.Add(after)
		v.elapsed = now.Sub(time.Unix(1000, 0))
		d.update(v)
	}
	d.say("building")
	at(0, snapshot{state: "accepted"})
	at(time.Second, snapshot{state: "accepted"})                           // the same
	at(time.Minute, snapshot{state: "accepted"})                           // still the same
	at(time.Second, snapshot{state: "RUNNING", running: true, workers: 1}) // new
	at(9*time.Second, snapshot{state: "RUNNING", running: true, workers: 1, in: 5})
	at(time.Second, snapshot{state: "RUNNING", running: true, workers: 1, in: 6}) // 10 s after the last
	at(time.Second, snapshot{state: "RUNNING", running: true, workers: 2, in: 7}) // another worker
	d.clear()
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.Fields(line)[0])
	}
	if want := "0.0s 1m02s 1m12s 1m13s"; strings.Join(got, " ") != want {
		t.Errorf("lines at: got %v, want %s", got, want)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567", 100000: "100,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	var r rate
	at := func(second int, n int64) float64 {
		r.add(time.Unix(int64(second), 0), n)
		return r.perSecond()
	}
	for _, tc := range []struct {
		second int
		n      int64
		want   float64
	}{{0, 0, 0}, {1, 100, 100}, {2, 100, 100}, {6, 600, 100}, {10, 1000, 100}, {20, 3000, 200}, {21, 10, 0}, {23, 50, 20}, {24, 50, 20}, {30, 50, 0}} {
		if got := at(tc.second, tc.n); got != tc.want {
			t.Errorf("second %d: got %g, want %g", tc.second, got, tc.want)
		}
	}
	if len(r.at) > 3 {
		t.Errorf("remembers %d points, want few", len(r.at))
	}
}

func TestTimings(t *testing.T) {
	begun := time.Unix(100, 0)
	after := func(ms int) time.Time { return begun.Add(time.Duration(ms) * time.Millisecond) }
	x := newTimings(begun)
	x.mark(phaseSubmitted, after(600))
	x.mark(phaseMasterUp, after(1900))
	x.mark(phaseMasterUp, after(2500))
	x.mark(phaseRunning, after(4000))
	x.correct(phaseRunning, after(3050))
	if got, want := x.String(), "command 0.00s, submitted 0.60s, AM up 1.90s, RUNNING 3.05s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	x.mark(phaseFinished, after(5000))
	if got := x.total(); got != 5*time.Second {
		t.Errorf("total: got %v", got)
	}
}

func TestActivation(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"[Sat Nov 21 13:08:59 +0000 2026] Application is added to the scheduler and is not yet activated. Queue's AM resource limit exceeded.  Details : AM Partition = <DEFAULT_PARTITION>; \n": "waiting for YARN to start the ApplicationMaster: Application is added to the scheduler and is not yet activated. Queue's AM resource limit exceeded.",
		"AM container is launched, waiting for AM container to Register with RM": "waiting for YARN to start the ApplicationMaster: AM container is launched, waiting for AM container to Register with RM",
	} {
		if got := activation(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
