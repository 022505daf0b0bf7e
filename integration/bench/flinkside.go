package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/bench/procs"
	"github.com/flott-dev/flott/integration/flink"
)

// Lines of Flink's JobManager log that end a phase.
const (
	flinkAsking     = "Requesting new TaskExecutor container"
	flinkRegistered = "Registering TaskManager with ResourceID"
)

// flinkSide is Flink on one cluster.
type flinkSide struct {
	y        *yarn
	client   *flink.Client
	sessions map[int]*flinkSession // by slots of a TaskManager
}

// flinkSession is a session of Flink whose TaskManagers stay.
type flinkSession struct {
	side *flinkSide
	id   string
	rest flink.REST
}

// keep makes a session hold its TaskManagers between jobs: an hour, in milliseconds.
const keep = "resourcemanager.taskmanager-timeout=3600000"

// flinkOn sets Flink up, once.
func (s *session) flinkOn(ctx context.Context, y *yarn) (*flinkSide, error) {
	if y.flink != nil {
		return y.flink, nil
	}
	if s.flink == nil {
		home, _ := y.cluster.Java()
		d, err := flink.Ensure(ctx, home, func(line string) { say("%s", line) })
		if err != nil {
			return nil, err
		}
		s.flink = d
	}
	dir, err := os.MkdirTemp(s.temp, "flink-")
	if err != nil {
		return nil, err
	}
	client, err := s.flink.New(y.cluster, dir, nil)
	if err != nil {
		return nil, err
	}
	y.flink = &flinkSide{y: y, client: client, sessions: make(map[int]*flinkSession)}
	return y.flink, nil
}

// command runs one of Flink's commands to its end.
func (f *flinkSide) command(ctx context.Context, c flink.Command) (usage, error) {
	return measureProgram(ctx, program{path: c.Path, args: c.Args, env: c.Env})
}

// submitted takes the application from what a command printed, also from one that failed.
func (f *flinkSide) submitted(u usage, err error) (string, error) {
	id, idErr := flink.ApplicationOf(u.stdout)
	if idErr == nil {
		f.y.live[id] = true
	}
	return id, errors.Join(err, idErr)
}

// address is the JobManager's REST interface, as soon as YARN runs the application.
func (f *flinkSide) address(ctx context.Context, id string) (flink.REST, error) {
	for {
		app, err := f.y.cluster.RM().App(ctx, id)
		switch {
		case err != nil:
			return flink.REST{}, err
		case over(app):
			return flink.REST{}, fmt.Errorf("application %s is %s: %s", id, app.State, app.Diagnostics)
		case app.State == "RUNNING":
			return flink.REST{URL: "http://" + app.AMRPCAddress}, nil
		}
		if err := pause(ctx, pollYARN); err != nil {
			return flink.REST{}, fmt.Errorf("wait for application %s to run: %w", id, err)
		}
	}
}

// session returns the session whose TaskManagers have so many slots. A new one runs a job that does not count: its TaskManagers start, and
// the JVMs compile what all jobs use.
func (f *flinkSide) session(ctx context.Context, slots int) (*flinkSession, error) {
	if s := f.sessions[slots]; s != nil {
		return s, nil
	}
	say("starting a Flink session, %d slots each TaskManager", slots)
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	id, err := f.submitted(f.command(ctx, f.client.Session(keep, fmt.Sprintf("taskmanager.numberOfTaskSlots=%d", slots))))
	if err != nil {
		return nil, err
	}
	s := &flinkSession{side: f, id: id}
	if s.rest, err = f.address(ctx, id); err != nil {
		return nil, err
	}
	if _, err := s.job(ctx, "KeyedSum", 2, nil, "--records", "5000000"); err != nil {
		return nil, fmt.Errorf("warm Flink up: %w", err)
	}
	f.sessions[slots] = s
	return s, nil
}

// endSessions ends all sessions, so that nothing of Flink runs.
func (f *flinkSide) endSessions() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	var errs []error
	for slots, s := range f.sessions {
		delete(f.sessions, slots)
		if err := s.rest.EndSession(ctx); err != nil {
			errs = append(errs, err, f.y.kill(ctx, s.id))
			continue
		}
		errs = append(errs, f.y.ended(ctx, s.id))
	}
	return errors.Join(errs...)
}

// job runs a job in the session and measures all its processes: those of the session from the submission to the end, and the client.
func (s *flinkSession) job(ctx context.Context, class string, parallelism int, settings []string, args ...string) (jobRun, error) {
	var r jobRun
	w := procs.New(s.id)
	w.Sample()
	w.Reset()
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		for {
			w.Sample()
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	}()
	settings = append([]string{"pipeline.object-reuse=true"}, settings...)
	var err error
	r.client, err = s.side.command(ctx, s.side.client.InSession(s.id, class, parallelism, settings, args))
	if err == nil {
		r.moments, err = s.finished(ctx, r.client.stdout)
	}
	close(over)
	<-watched
	r.procs = w.Usage()
	return r, err
}

// pollFlink is how often a session is asked whether its job has ended. The job's times do not depend on it: they come from Flink.
const pollFlink = 100 * time.Millisecond

func (s *flinkSession) finished(ctx context.Context, printed []byte) (moments, error) {
	id, err := flink.JobOf(printed)
	if err != nil {
		return moments{}, err
	}
	for {
		state, err := s.rest.State(ctx, id)
		if err != nil {
			return moments{}, err
		}
		switch state {
		case "FINISHED":
			return s.moments(ctx, id)
		case "FAILED", "CANCELED":
			return moments{}, fmt.Errorf("flink's job %s is %s: %.600s", id, state, s.rest.Cause(ctx, id))
		}
		if err := pause(ctx, pollFlink); err != nil {
			return moments{}, err
		}
	}
}

// moments are those of a job that has finished.
func (s *flinkSession) moments(ctx context.Context, job string) (moments, error) {
	m, err := s.rest.Moments(ctx, job)
	if err == nil && (m.First.IsZero() || m.Ended.IsZero()) {
		err = fmt.Errorf("flink does not say when the tasks of job %s were RUNNING and FINISHED", job)
	}
	return moments{first: m.First, all: m.All, ended: m.Ended}, err
}

// flinkStart starts one application, cold, as flott's startRow does.
func (s *session) flinkStart(ctx context.Context, row *measure.Row, heartbeat time.Duration) error {
	y, err := s.yarn(ctx, heartbeat)
	if err != nil {
		return err
	}
	f, err := s.flinkOn(ctx, y)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	begun := time.Now()
	id, err := f.submitted(f.command(ctx, f.client.Application("KeyedSum", 2, nil, []string{"--rate", "1"})))
	if err == nil {
		if err = f.startTimes(ctx, id, begun, row); err == nil {
			err = (&application{y: y, id: id}).memory(ctx, row)
		}
	}
	if id == "" {
		return err
	}
	return errors.Join(err, f.discard(ctx, id))
}

// startTimes waits until all tasks are RUNNING, and puts the phases into a row.
func (f *flinkSide) startTimes(ctx context.Context, id string, begun time.Time, row *measure.Row) error {
	running, err := f.running(ctx, id)
	if err != nil {
		return err
	}
	app, err := f.y.cluster.RM().App(ctx, id)
	if err != nil {
		return err
	}
	log, err := (&application{y: f.y, id: id}).masterLog()
	if err != nil {
		return err
	}
	defer log.Close()
	first, last := logTimes(log, flinkAsking, flinkRegistered)
	asked, registered := first[flinkAsking], last[flinkRegistered]
	if asked.IsZero() || registered.IsZero() {
		return fmt.Errorf("application %s: its log does not say when containers were asked for and TaskManagers registered", id)
	}
	row.Add(commandRunning, measure.Seconds, measure.Lower, running.Sub(begun).Seconds())
	row.Add("· command → submitted", measure.Seconds, measure.Lower, time.UnixMilli(app.StartedTime).Sub(begun).Seconds())
	row.Add(askedRegistered, measure.Seconds, measure.Lower, registered.Sub(asked).Seconds())
	return nil
}

// running waits until every task of the application's job is RUNNING, and returns when that was.
func (f *flinkSide) running(ctx context.Context, id string) (time.Time, error) {
	rest, err := f.address(ctx, id)
	if err != nil {
		return time.Time{}, err
	}
	for {
		// The JobManager may not answer yet, and not know its job yet.
		if jobs, err := rest.Jobs(ctx); err == nil && len(jobs) == 1 {
			m, err := rest.Moments(ctx, jobs[0])
			switch {
			case err == nil && !m.All.IsZero():
				return m.All, nil
			case m.State == "FAILED":
				return time.Time{}, fmt.Errorf("flink's job failed: %.600s", rest.Cause(ctx, jobs[0]))
			}
		}
		if err := pause(ctx, pollFlink); err != nil {
			return time.Time{}, fmt.Errorf("wait for the tasks of %s to be RUNNING: %w", id, err)
		}
	}
}

// discard kills an application and removes what it has uploaded. It works also when the context has ended.
func (f *flinkSide) discard(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer cancel()
	if err := f.y.kill(ctx, id); err != nil {
		return err
	}
	return f.y.cluster.HDFS().Delete(ctx, "/user/"+f.y.user+"/.flink/"+id)
}
