package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/bench/procs"
	"github.com/flott-dev/flott/rpc/restapi"
)

// Names of metrics that bars name.
const (
	commandRunning  = "command → RUNNING"
	askedRegistered = "containers asked → registered"
	ownShare        = "our own share"
	masterIdle      = "AM RSS"
	workerIdle      = "worker RSS, idle (the larger)"
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
	all, err := procs.Of(a.id)
	if err != nil {
		return t, err
	}
	for _, p := range all {
		switch {
		case len(p.Args) < 2: // a shell
		case p.Args[1] == "YarnApplicationClusterEntryPoint":
			t.amProcess = p.Started
		case p.Args[1] == "YarnTaskExecutorRunner" && p.Started.After(t.worker):
			t.worker = p.Started
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
	phase(commandRunning, t.command, t.running)
	own := phase("· command → submitted", t.command, t.submitted)
	phase("· submitted → AM process", t.submitted, t.amProcess)
	own += phase("· AM process → containers asked", t.amProcess, t.asking)
	wait := phase("· containers asked → received, start sent", t.asking, t.containers)
	phase("· start sent → worker process (the last)", t.containers, t.worker)
	own += phase("· worker process → registered (the last)", t.worker, t.registered)
	own += phase("· registered → RUNNING", t.registered, t.running)
	own += max(0, wait-heartbeat)
	row.Add(ownShare, measure.Seconds, measure.Lower, own.Seconds())
	row.Add(askedRegistered, measure.Seconds, measure.Lower, t.registered.Sub(t.asking).Seconds())
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
	case over(app):
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
