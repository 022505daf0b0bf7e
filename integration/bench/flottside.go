package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/bench/procs"
)

// jobRun is what one run of a job on YARN took, on either side.
type jobRun struct {
	moments
	client usage
	procs  procs.Usage
}

// moments are those of a job's tasks: the first and the last one RUNNING, the last one FINISHED.
type moments struct{ first, all, ended time.Time }

// seconds is how long the job worked: from its first task RUNNING to its last one FINISHED.
func (r jobRun) seconds() float64 { return r.ended.Sub(r.first).Seconds() }

// add puts a run into a row.
func (r jobRun) add(row *measure.Row) {
	row.Add("seconds", measure.Seconds, measure.Lower, r.seconds())
	row.Add(cpuAll, measure.Seconds, measure.Lower, (r.client.cpu + r.procs.CPU()).Seconds())
	row.Add(cpuServers, measure.Seconds, measure.Lower, r.procs.CPU().Seconds())
	row.Add("AM RSS, peak", measure.Bytes, measure.Lower, float64(r.procs.MasterPeak))
	row.Add(workerPeak, measure.Bytes, measure.Lower, float64(r.procs.WorkerPeak))
}

// Names of metrics that bars name.
const (
	cpuAll     = "CPU seconds"
	cpuServers = "CPU seconds without the client"
	workerPeak = "worker RSS, peak (the largest)"
)

const (
	// sampling is how often processes are looked at.
	sampling = 50 * time.Millisecond
	// endLimit is how long they may live on when the command has ended.
	endLimit = 15 * time.Second
)

// runJob runs a job attached, in an application of its own, and measures all processes of it.
func (y *yarn) runJob(ctx context.Context, binary string, settings []string, args ...string) (jobRun, error) {
	line := []string{"run", "-t", "yarn-application"}
	for _, s := range settings {
		line = append(line, "-D"+s)
	}
	p := program{path: y.flott, args: append(append(line, binary), args...), env: y.env}
	id := &idFinder{found: make(chan string, 1)}
	p.tee = id
	var r jobRun
	over, watched := make(chan struct{}), make(chan error, 1)
	go func() { watched <- y.watch(id.found, over, &r) }()
	var err error
	r.client, err = measureProgram(ctx, p)
	close(over)
	return r, errors.Join(err, <-watched)
}

// watch follows an application as soon as its id is known, until its processes have ended after over.
func (y *yarn) watch(found <-chan string, over <-chan struct{}, r *jobRun) error {
	var app string
	select {
	case app = <-found:
	case <-over:
		return errors.New("flott run told no application id")
	}
	y.live[app] = true
	w, logs := procs.New(app), make(map[string]*os.File)
	defer func() {
		for _, f := range logs {
			f.Close()
		}
	}()
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	var ended time.Time
	for {
		alive := w.Sample()
		if err := y.openLogs(app, logs); err != nil {
			return err
		}
		if !ended.IsZero() && alive == 0 {
			break
		}
		if !ended.IsZero() && time.Since(ended) > endLimit {
			return fmt.Errorf("%d processes of %s still run", alive, app)
		}
		if ended.IsZero() {
			select {
			case <-over:
				ended = time.Now()
			default:
			}
		}
		<-tick.C
	}
	delete(y.live, app)
	r.procs = w.Usage()
	var err error
	r.moments, err = momentsOf(logs)
	if err != nil {
		return fmt.Errorf("application %s: %w", app, err)
	}
	return nil
}

// openLogs opens the logs of an application's workers. They stay readable when YARN has collected and removed them.
func (y *yarn) openLogs(app string, logs map[string]*os.File) error {
	for _, d := range y.cluster.Daemons() {
		found, err := filepath.Glob(filepath.Join(y.cluster.ContainerLogDir(d), app, "*", "taskmanager.log"))
		if err != nil {
			return err
		}
		for _, name := range found {
			if logs[name] == nil {
				if f, err := os.Open(name); err == nil {
					logs[name] = f
				}
			}
		}
	}
	return nil
}

// momentsOf reads the workers' logs.
func momentsOf[R io.Reader](logs map[string]R) (moments, error) {
	var m moments
	for _, f := range logs {
		for scan := bufio.NewScanner(f); scan.Scan(); {
			at, text, ok := logLine(scan.Text())
			if !ok || !strings.Contains(text, " task state ") {
				continue
			}
			switch {
			case strings.Contains(text, "state=RUNNING"):
				if m.first.IsZero() || at.Before(m.first) {
					m.first = at
				}
				if at.After(m.all) {
					m.all = at
				}
			case strings.Contains(text, "state=FINISHED") && at.After(m.ended):
				m.ended = at
			}
		}
	}
	if m.first.IsZero() || m.ended.IsZero() {
		return m, errors.New("the logs of its workers do not say when its tasks were RUNNING and FINISHED")
	}
	return m, nil
}

// idFinder looks for the application's id in what a program prints.
type idFinder struct {
	mu    sync.Mutex
	text  []byte
	done  bool
	found chan string // takes one
}

var anyApplication = regexp.MustCompile(`(application_\d+_\d+)[^\d]`)

// Write takes a piece of the output.
func (f *idFinder) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return len(b), nil
	}
	f.text = append(f.text, b...)
	if m := anyApplication.FindSubmatch(f.text); m != nil {
		f.done = true
		f.found <- string(m[1])
	}
	return len(b), nil
}
