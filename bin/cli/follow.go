package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	quickLook  = 100 * time.Millisecond // between looks while something is about to happen
	steadyLook = 500 * time.Millisecond // between looks at a job that runs
	quickFor   = 15 * time.Second       // from the beginning
	yarnLook   = 200 * time.Millisecond // between questions to YARN while nobody else tells
	yarnSteady = time.Second            // while the ApplicationMaster answers
	restAnswer = 3 * time.Second        // patience with one answer of the ApplicationMaster
	// lostPatience is how long YARN may be silent before the command gives up.
	lostPatience = 10 * time.Minute
	// stopPatience is how long an application may take to end by itself before it is killed.
	stopPatience = 10 * time.Second
	killPatience = 20 * time.Second
)

// follower watches one application: by YARN's report, and by what its ApplicationMaster tells.
type follower struct {
	*session
	app  yarnid.ApplicationID
	job  ids.JobID
	show *display

	times         *timings
	workersWanted int // 0: not known

	client   *amClient
	report   rmclient.Report
	details  *restapi.Job // last one seen
	workers  int
	seen     bool // the ApplicationMaster answered the last question
	reported time.Time
	silent   time.Time // since when YARN does not answer; zero while it does
	rate     rate
}

func newFollower(s *session, show *display, app yarnid.ApplicationID) *follower {
	return &follower{session: s, app: app, job: ids.JobIDForApplication(app.String()), show: show, times: newTimings(s.begun)}
}

// follow looks until the application has ended or until says that it is enough (nil never does). The last report is returned.
func (f *follower) follow(ctx context.Context, until func(rmclient.Report) bool) (rmclient.Report, error) {
	defer func() { f.client.close() }()
	for {
		if err := f.askYARN(ctx); err != nil {
			return f.report, err
		}
		if f.report.State == rmclient.StateRunning {
			f.times.mark(phaseMasterUp, f.Now())
		}
		if f.report.State.Terminal() || until != nil && until(f.report) {
			return f.report, nil
		}
		f.askMaster(ctx)
		f.show.update(f.snapshot())
		if err := pause(ctx, f.interval()); err != nil {
			return f.report, err
		}
	}
}

func (f *follower) interval() time.Duration {
	if f.seen && f.Now().Sub(f.begun) > quickFor && f.details != nil && f.details.State == "RUNNING" {
		return steadyLook
	}
	return quickLook
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// askYARN renews the report when it is due. A YARN RM that is away for a while does not end the watch: the job goes on without it.
func (f *follower) askYARN(ctx context.Context) error {
	due := yarnLook
	if f.seen {
		due = yarnSteady
		if f.details != nil && f.details.EndTime > 0 {
			due = quickLook
		}
	}
	now := f.Now()
	if now.Sub(f.reported) < due {
		return nil
	}
	r, err := f.rm.Report(ctx, f.app)
	f.reported = f.Now()
	switch {
	case err == nil:
		f.report, f.silent = r, time.Time{}
		return nil
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case errors.Is(err, ipc.ErrApplicationNotFound):
		return fmt.Errorf("YARN lost the application: %w", err)
	case f.silent.IsZero():
		f.silent = now
	case now.Sub(f.silent) > lostPatience:
		return err
	}
	return nil
}

// askMaster renews what the ApplicationMaster tells.
func (f *follower) askMaster(ctx context.Context) {
	f.seen = false
	am := newAMClient(f.report, restAnswer)
	if am == nil {
		return
	}
	if f.client == nil || f.client.base != am.base {
		f.client.close()
		f.client = am
	}
	job, err := f.client.job(ctx, f.job)
	if err != nil {
		return
	}
	f.seen, f.details = true, &job
	if o, err := f.client.overview(ctx); err == nil {
		f.workers = o.TaskManagers
	}
	now := f.Now()
	if f.workersWanted > 0 && f.workers >= f.workersWanted {
		f.times.mark(phaseWorkers, now)
	}
	f.noteMoments(&job, now)
	in, _ := records(&job)
	f.rate.add(now, in)
}

// noteMoments takes over the moments that the ApplicationMaster knows exactly, by this machine's clock.
func (f *follower) noteMoments(job *restapi.Job, now time.Time) {
	skew := now.Sub(time.UnixMilli(job.Now))
	at := func(phase phase, millis int64) {
		if millis > 0 && job.Now > 0 {
			f.times.correct(phase, time.UnixMilli(millis).Add(skew))
		}
	}
	if x := job.Flott; x != nil {
		at(phaseWorkers, x.Phases.Placed)
		at(phaseRunning, x.Phases.Running)
	}
	at(phaseFinished, job.EndTime)
}

// snapshot is what is known now, for people.
func (f *follower) snapshot() snapshot {
	v := snapshot{
		elapsed: f.Now().Sub(f.begun), state: "submitted", workers: f.workers, wanted: f.workersWanted, containers: int(f.report.Containers),
		silent: !f.silent.IsZero(),
	}
	switch {
	case f.report.State == rmclient.StateAccepted:
		v.state = "accepted"
		v.waiting = "waiting for YARN to start the ApplicationMaster"
		if v.elapsed > 3*time.Second {
			v.waiting = cmp.Or(activation(f.report.Diagnostics), v.waiting)
		}
	case f.report.State == rmclient.StateRunning:
		v.state = "ApplicationMaster is up"
	}
	if f.report.State != rmclient.StateRunning || f.details == nil {
		return v
	}
	v.state, v.running = f.details.State, f.details.State == "RUNNING"
	if x := f.details.Flott; x != nil {
		v.waiting = x.WaitingFor
		if x.Ending != "" {
			v.state += ", " + x.Ending
		} else if v.running && x.Phases.Running == 0 {
			v.state, v.running = "starting", false
		}
	}
	v.in, v.out = records(f.details)
	v.perSecond = f.rate.perSecond()
	return v
}

// activation is YARN's reason why an ApplicationMaster does not start yet, without its dates and details.
func activation(diagnostics string) string {
	text := firstLine(diagnostics)
	if strings.HasPrefix(text, "[") {
		if i := strings.IndexByte(text, ']'); i > 0 {
			text = strings.TrimSpace(text[i+1:])
		}
	}
	text, _, _ = strings.Cut(text, "Details :")
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return "waiting for YARN to start the ApplicationMaster: " + text
}

// stopApplication ends an application in order, and by force when that takes too long; then its files go.
func (f *follower) stopApplication(ctx context.Context) error {
	fmt.Fprintf(f.Stderr, "Stopping %s (Ctrl-C again leaves it alone)\n", f.app)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	r := f.report
	if am := newAMClient(r, restAnswer); am != nil {
		if err := am.shutDown(ending); err == nil {
			r, _ = f.follow(ending, nil) // what did not end in time is killed below
			f.show.clear()
		}
		am.close()
	}
	if err := f.kill(ctx, r, "stopped by Ctrl-C"); err != nil {
		return err
	}
	if err := f.tidy(ctx, f.app); err != nil {
		f.warn(err.Error())
	}
	return fmt.Errorf("interrupted; %s was stopped", f.app)
}

// kill ends the application by YARN unless it has ended.
func (f *follower) kill(ctx context.Context, r rmclient.Report, why string) error {
	if r.State.Terminal() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killPatience)
	defer cancel()
	return f.rm.Kill(ctx, f.app, why)
}

// conclude removes the application's files and prints how it ended. The error is what makes the command fail.
func (f *follower) conclude(ctx context.Context, r rmclient.Report) error {
	f.times.mark(phaseFinished, f.Now())
	if err := f.tidy(ctx, f.app); err != nil {
		f.warn(err.Error())
	}
	end := endOf(r)
	line := fmt.Sprintf("Job %s %s after %s", f.job, end.word, seconds(f.times.total()))
	if f.details != nil {
		in, out := records(f.details)
		line += fmt.Sprintf(", records in %s out %s", grouped(in), grouped(out))
	}
	f.print("%s", line)
	f.print("YARN final status %s (%s)", r.Final, r.State)
	f.print("Phases: %s", f.times)
	if end.ok {
		return nil
	}
	f.print("Logs: flott logs %s", f.app)
	return end.error(f.app, r)
}

// end is how an application ended, in our words.
type end struct {
	word string // finished, failed, was cancelled, was killed
	ok   bool
}

func endOf(r rmclient.Report) end {
	switch {
	case r.State == rmclient.StateKilled:
		return end{word: "was killed"}
	case r.State == rmclient.StateFinished && r.Final == rmclient.FinalSucceeded:
		return end{word: "finished", ok: true}
	case r.State == rmclient.StateFinished && r.Final == rmclient.FinalKilled:
		return end{word: "was cancelled"}
	}
	return end{word: "failed"}
}

// error is the cause, as the first line of YARN's diagnostics has it.
func (e end) error(app yarnid.ApplicationID, r rmclient.Report) error {
	text := strings.TrimSpace(r.Diagnostics)
	if text == "" {
		return fmt.Errorf("%s %s", app, e.word)
	}
	const most = 30 // lines: YARN repeats the end of standard error in it
	if lines := strings.Split(text, "\n"); len(lines) > most {
		text = strings.Join(lines[:most], "\n") + "\n…"
	}
	return fmt.Errorf("%s %s: %s", app, e.word, text)
}
