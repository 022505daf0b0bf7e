package procs

import (
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestStartOf(t *testing.T) {
	stat := "19760 (a (b) c) S 1 19758 19758 0 -1 4194560 5000 0 12 0 10 5 0 0 20 0 9 0 566123 1311907840 6413 rest"
	now := time.Date(2026, 11, 21, 13, 10, 0, 0, time.UTC)
	got, err := StartOf(stat, "5671.23 10000.00\n", now)
	if want := now.Add(-10 * time.Second); err != nil || !got.Equal(want) {
		t.Errorf("started at %v (%v), want %v", got, err, want)
	}
	for _, bad := range [][2]string{{"1 (x) S 1", "5.0 1"}, {stat, "x"}} {
		if _, err := StartOf(bad[0], bad[1], now); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	// Our own process has been started within the last hours, not in the future.
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	if at, err := StartOf(string(self), string(uptime), time.Now()); err != nil || time.Since(at) < -50*time.Millisecond || time.Since(at) > time.Hour {
		t.Errorf("this process was started at %v (%v)", at, err)
	}
}

func TestCPUOf(t *testing.T) {
	const stat = "19760 (a (b) c) S 1 19758 19758 0 -1 4194560 5000 0 12 0 150 25 0 0 20 0 9 0 566123 1311907840 6413 rest"
	if got, want := cpuOf(stat), 1750*time.Millisecond; got != want {
		t.Errorf("CPU time %v, want %v", got, want)
	}
	if got := cpuOf("1 (x) S 1"); got != 0 {
		t.Errorf("CPU time %v of a short line, want none", got)
	}
}

// TestWatch runs shells that claim to be containers: a master and a worker of the application, and a worker of another one. Each works when
// it has got a line, and ends with its input.
func TestWatch(t *testing.T) {
	const app = "application_77_0001"
	var lines []io.WriteCloser
	for _, c := range []string{"container_77_0001_01_000001", "container_e3_77_0001_01_000002", "container_77_0002_01_000002"} {
		cmd := exec.Command("/bin/sh", "-c", "read line; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read line")
		cmd.Env = []string{"CONTAINER_ID=" + c}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			in.Close()
			_ = cmd.Wait() // its second read has failed
		})
		lines = append(lines, in)
	}
	w := New(app)
	if n := w.Sample(); n != 2 {
		t.Errorf("%d processes, want the application's two", n)
	}
	if u := w.Usage(); u.MasterPeak == 0 || u.WorkerPeak == 0 {
		t.Errorf("at the beginning: %+v, want both sizes", u)
	}
	w.Reset()
	if u := w.Usage(); u != (Usage{}) {
		t.Errorf("after Reset: %+v, want nothing", u)
	}
	all, err := Of(app)
	if err != nil || len(all) != 2 || all[0].Args[0] != "/bin/sh" || time.Since(all[0].Started) > time.Minute {
		t.Errorf("processes %+v (%v), want two shells", all, err)
	}
	if master, worker, err := Resident(app); err != nil || master == 0 || worker == 0 {
		t.Errorf("sizes %d and %d (%v), want both", master, worker, err)
	}
	for _, in := range lines[1:] {
		if _, err := io.WriteString(in, "go\n"); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); w.Usage().Workers == 0; w.Sample() {
		if time.Now().After(deadline) {
			t.Fatal("the worker's CPU time is not seen")
		}
	}
	if u := w.Usage(); u.Master != 0 {
		t.Errorf("the master has used %v, want nothing", u.Master)
	}
}
