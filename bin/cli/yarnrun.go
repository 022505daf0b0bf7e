package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/flott-dev/flott/bin/cli/jobbinary"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// runOnYARN submits the job and, unless detached, follows it to its end.
func (j *job) runOnYARN(ctx context.Context) error {
	show := newDisplay(j.Env)
	defer show.clear()
	if err := j.resolveBinary(ctx, show); err != nil {
		return notSubmitted(interruptedOr(ctx, err))
	}
	s, err := j.connect(j.settings)
	if err != nil {
		return notSubmitted(err)
	}
	defer s.Close()
	area, err := s.area(ctx)
	if err != nil {
		return notSubmitted(err)
	}
	d := &deployment{job: j, yarn: s.rm, files: area, rmName: s.rmName, progress: show.upload}
	show.say("preparing the submission")
	if err := d.prepare(ctx); err != nil {
		show.clear()
		return notSubmitted(interruptedOr(ctx, err))
	}
	r, err := d.submit(ctx)
	s.beginSweep(ctx) // not before, for nobody waits for it
	show.clear()
	if err != nil {
		return notSubmitted(interruptedOr(ctx, err))
	}
	f := newFollower(s, show, d.app)
	f.workersWanted = d.sizes.workers
	f.times.mark(phaseSubmitted, j.Now())
	j.announce(d.app, f.job)
	if j.on("detached") || conf.ExecutionAttached.IsSet(j.conf) && !conf.ExecutionAttached.Get(j.conf) {
		return f.untilRunning(ctx, r)
	}
	return f.untilEnd(ctx)
}

// announce prints the ids early, in the lines that other tools look for.
func (j *job) announce(app yarnid.ApplicationID, id ids.JobID) {
	j.print("Submitted application %s", app)
	j.print("JobID %s", id)
}

// resolveBinary builds source if need be and checks that the nodes can run the result.
func (j *job) resolveBinary(ctx context.Context, show *display) error {
	arch, err := j.arch()
	if err != nil {
		return err
	}
	j.binary = j.invocation.args[0]
	if jobbinary.IsSource(j.binary) {
		show.say("building " + j.binary)
		j.binary, err = jobbinary.Build(ctx, j.binary, j.dir, jobbinary.Target{OS: "linux", Arch: arch, Environ: j.Environ})
		show.clear()
		if err != nil {
			return err
		}
	}
	_, err = jobbinary.Inspect(j.binary, arch)
	return err
}

// interruptedOr prefers the person's wish to what it made fail.
func interruptedOr(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

// untilRunning follows a detached submission until YARN runs its ApplicationMaster.
func (f *follower) untilRunning(ctx context.Context, r rmclient.Report) error {
	r, err := f.follow(ctx, func(r rmclient.Report) bool { return r.State == rmclient.StateRunning })
	f.show.clear()
	if err != nil {
		return f.abandon(ctx, err)
	}
	if r.State.Terminal() {
		return f.conclude(ctx, r)
	}
	f.print("Application %s is running; web page %s", f.app, r.TrackingURL)
	f.print("Follow it with `flott status %s`, stop it with `flott cancel %s`", f.app, f.app)
	f.print("Phases: %s", f.times)
	return nil
}

// untilEnd follows an attached submission to its end; Ctrl-C stops the application.
func (f *follower) untilEnd(ctx context.Context) error {
	r, err := f.follow(ctx, nil)
	f.show.clear()
	if err != nil {
		return f.abandon(ctx, err)
	}
	return f.conclude(ctx, r)
}

// abandon decides what becomes of an application that cannot be followed any more.
func (f *follower) abandon(ctx context.Context, err error) error {
	if !errors.Is(context.Cause(ctx), errInterrupted) {
		return fmt.Errorf("%w; %s may still run: see `flott status %s`, stop it with `flott kill %s`", err, f.app, f.app, f.app)
	}
	return f.stopApplication(ctx)
}
