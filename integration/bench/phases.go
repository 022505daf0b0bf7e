package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/rpc/restapi"
)

// Lines of the AM's log that end a phase.
const (
	logAsking     = "asking for containers"
	logStarting   = "worker starting"
	logRegistered = "worker registered"
)

// startTimes are the moments of a start, by the clock of this machine, on which everything runs.
type startTimes struct {
	command    time.Time
	submitted  time.Time // the YARN RM has the application
	amProcess  time.Time // the AM's process exists
	asking     time.Time // the AM has asked for containers
	containers time.Time // the last container has come, and its start is under way
	worker     time.Time // the last worker's process exists
	registered time.Time // the last worker is registered
	running    time.Time // every task has been RUNNING
}

// times waits until all tasks are RUNNING and collects the moments.
func (a *application) times(ctx context.Context) (startTimes, error) {
	t := startTimes{command: a.command}
	job, err := a.running(ctx)
	if err != nil {
		return t, err
	}
	t.running = time.UnixMilli(job.Flott.Phases.Running)
	app, err := a.y.cluster.RM().App(ctx, a.id)
	if err != nil {
		return t, err
	}
	t.submitted = time.UnixMilli(app.StartedTime)
	all, err := containersOf(a.id)
	if err != nil {
		return t, err
	}
	for _, c := range all {
		if c.master {
			t.amProcess = c.started
		} else if c.started.After(t.worker) {
			t.worker = c.started
		}
	}
	log, err := a.masterLog()
	if err != nil {
		return t, err
	}
	defer log.Close()
	first, last := logTimes(log, logAsking, logStarting, logRegistered)
	t.asking, t.containers, t.registered = first[logAsking], last[logStarting], last[logRegistered]
	for _, at := range []time.Time{t.amProcess, t.asking, t.containers, t.worker, t.registered} {
		if at.IsZero() {
			return t, fmt.Errorf("application %s: a moment of its start is missing: %+v", a.id, t)
		}
	}
	return t, nil
}

// add puts the phases into a row.
func (t startTimes) add(row *measure.Row, heartbeat time.Duration) {
	phase := func(name string, from, to time.Time) time.Duration {
		d := to.Sub(from)
		row.Add(name, measure.Seconds, measure.Lower, d.Seconds())
		return d
	}
	phase("command → RUNNING", t.command, t.running)
	own := phase("· command → submitted", t.command, t.submitted)
	phase("· submitted → AM process", t.submitted, t.amProcess)
	own += phase("· AM process → containers asked", t.amProcess, t.asking)
	wait := phase("· containers asked → received, start sent", t.asking, t.containers)
	phase("· start sent → worker process (the last)", t.containers, t.worker)
	own += phase("· worker process → registered (the last)", t.worker, t.registered)
	own += phase("· registered → RUNNING", t.registered, t.running)
	own += max(0, wait-heartbeat)
	row.Add("our own share", measure.Seconds, measure.Lower, own.Seconds())
	row.Add("containers asked → registered", measure.Seconds, measure.Lower, t.registered.Sub(t.asking).Seconds())
}

var errNotYet = errors.New("not yet")

// running waits until every task of the application's job is RUNNING.
func (a *application) running(ctx context.Context) (restapi.Job, error) {
	for {
		job, err := a.details(ctx)
		if err == nil && job.Flott.Phases.Running > 0 {
			return job, nil
		}
		if err != nil && !errors.Is(err, errNotYet) {
			return job, err
		}
		if err := pause(ctx, pollYARN); err != nil {
			return job, fmt.Errorf("wait for the tasks of %s to be RUNNING: %w", a.id, err)
		}
	}
}

// details asks the AM for its job.
func (a *application) details(ctx context.Context) (restapi.Job, error) {
	app, err := a.y.cluster.RM().App(ctx, a.id)
	switch {
	case err != nil:
		return restapi.Job{}, err
	case app.State == "FAILED" || app.State == "KILLED" || app.State == "FINISHED":
		return restapi.Job{}, fmt.Errorf("application %s is %s: %s", a.id, app.State, app.Diagnostics)
	case app.State != "RUNNING":
		return restapi.Job{}, errNotYet
	}
	base := "http://" + app.AMRPCAddress
	var list restapi.JobsOverview
	if err := get(ctx, base+"/jobs/overview", &list); err != nil || len(list.Jobs) == 0 {
		return restapi.Job{}, errors.Join(err, errNotYet)
	}
	var job restapi.Job
	if err := get(ctx, base+"/jobs/"+list.Jobs[0].ID, &job); err != nil || job.Flott == nil {
		return job, errors.Join(err, errNotYet)
	}
	return job, nil
}

func get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

// masterLog opens the AM's log on its node.
func (a *application) masterLog() (*os.File, error) {
	for _, d := range a.y.cluster.Daemons() {
		found, err := filepath.Glob(filepath.Join(a.y.cluster.ContainerLogDir(d), a.id, "*", "jobmanager.log"))
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			return os.Open(found[0])
		}
	}
	return nil, fmt.Errorf("application %s has no jobmanager.log on any node", a.id)
}

// containerProcess is our process in a container of YARN.
type containerProcess struct {
	pid     int
	master  bool
	started time.Time
}

// containersOf finds the processes of an application: by the word on their command line and the container in their environment.
func containersOf(app string) ([]containerProcess, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	prefix := "container_" + strings.TrimPrefix(app, "application_") + "_"
	var all []containerProcess
	for _, dir := range dirs {
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		words := strings.Split(string(args), "\x00")
		if len(words) < 2 || words[1] != "YarnApplicationClusterEntryPoint" && words[1] != "YarnTaskExecutorRunner" {
			continue
		}
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if !strings.Contains("\x00"+string(environ), "\x00CONTAINER_ID="+prefix) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // has ended
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		uptime, err := os.ReadFile("/proc/uptime")
		if err != nil {
			return nil, err
		}
		started, err := startOf(string(stat), string(uptime), time.Now())
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		all = append(all, containerProcess{pid: pid, master: words[1] == "YarnApplicationClusterEntryPoint", started: started})
	}
	return all, nil
}

// startOf computes when a process was started from its /proc/<pid>/stat and /proc/uptime, which was read now. Both count hundredths of a
// second since the machine's start.
func startOf(stat, uptime string, now time.Time) (time.Time, error) {
	// The name, in parentheses, may hold anything; the start is the 20th field behind it.
	_, rest, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	fields := strings.Fields(rest)
	up, _, _ := strings.Cut(uptime, " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if len(fields) < 20 || err != nil {
		return time.Time{}, errors.New("/proc has another form than expected")
	}
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the start of the process: %w", err)
	}
	age := time.Duration(seconds*float64(time.Second)) - time.Duration(ticks)*10*time.Millisecond
	return now.Add(-age), nil
}
