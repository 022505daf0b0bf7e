package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// config says what is to be run.
type config struct {
	workers, slots int
	perNode        int           // workers on a node
	processes      int           // of workers; 0: this one, or as few as can be
	exchange       bool          // a second vertex, behind an exchange that connects all with all
	settle         time.Duration // what the AM gets to finish what the start left, before its heartbeats are watched
	steady         time.Duration // how long heartbeats are watched
	memory         string        // of the AM's container
	options        []string      // key=value
	binary         string        // of the job
	dir            string        // to work in
	profiles       *profiles     // of the AM; nil: none
}

func (c config) tasks() int {
	if c.exchange {
		return 2 * c.workers * c.slots
	}
	return c.workers * c.slots
}

// result is what a run took. Times are seconds since the YARN RM had the application; sizes are bytes.
type result struct {
	Workers int `json:"workers"`
	Slots   int `json:"slots"`
	Tasks   int `json:"tasks"`
	Nodes   int `json:"nodes"`
	// Processes are those that hold the workers; 0: the workers are in the fake YARN's.
	Processes int `json:"worker_processes"`

	Registered float64 `json:"am_registered"`    // the AM at YARN
	Granted    float64 `json:"granted"`          // the last container
	Started    float64 `json:"started"`          // the last container, as its NodeManager said
	Joined     float64 `json:"workers_joined"`   // the last worker at the ResourceManager
	JobJoined  float64 `json:"workers_in_job"`   // the last worker at the JobMaster
	Placed     float64 `json:"slots_placed"`     // the AM has all slots
	Deployed   float64 `json:"tasks_deployed"`   // the last worker has its tasks
	Running    float64 `json:"running"`          // the AM has every task RUNNING
	CPU        float64 `json:"am_cpu"`           // of the AM until then
	PeakRSS    int64   `json:"am_peak_rss"`      // of the AM until the end of the steady time
	SteadyRSS  int64   `json:"am_steady_rss"`    // at the end of the steady time
	SteadyCPU  float64 `json:"am_steady_cpu"`    // cores of the AM while nothing but heartbeats happens
	Steady     float64 `json:"steady"`           // how long that was
	Canceled   float64 `json:"cancel"`           // from the request to the application's end with no container left
	EndCPU     float64 `json:"am_cpu_end"`       // of the AM from the request to its last seconds
	Late       int64   `json:"late_streams"`     // that came when their registration had been repeated already
	OwnCPU     float64 `json:"harness_cpu"`      // of this process and those of workers until RUNNING
	OwnRSS     int64   `json:"harness_peak_rss"` // of this process and those of workers, each at its own time
}

// tick is how often this process looks at what it is not told of.
const tick = 10 * time.Millisecond

// run submits the job, waits until it runs, watches it for a while and cancels it.
func run(ctx context.Context, cfg config) (r result, err error) {
	least, err := allowFiles(cfg.workers, cfg.perNode)
	if err != nil {
		return r, err
	}
	cfg.processes = max(cfg.processes, least)
	m := newMarks(cfg.workers, cfg.tasks())
	s, err := newSite(ctx, cfg, m)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, s.logs())
		}
		err = errors.Join(err, s.Close())
	}()
	x := &execution{cfg: cfg, site: s, marks: m}
	x.r.Processes = cfg.processes
	x.r.Workers, x.r.Slots, x.r.Tasks, x.r.Nodes = cfg.workers, cfg.workers*cfg.slots, cfg.tasks(), len(s.Nodes())
	for _, step := range []func(context.Context) error{x.submit, x.start, x.watch, x.end} {
		if err := step(ctx); err != nil {
			return x.r, err
		}
	}
	return x.r, nil
}

// execution is one run.
type execution struct {
	cfg   config
	site  *site
	marks *marks
	app   yarnid.ApplicationID
	am    master
	r     result
}

func (x *execution) since(t time.Time) float64 { return t.Sub(x.marks.submitted.at).Seconds() }

func (x *execution) submit(ctx context.Context) (err error) {
	if x.app, err = x.site.submit(ctx, x.cfg); err != nil {
		return err
	}
	if err := x.await(ctx, "attempts register", x.marks.attempt); err != nil {
		return err
	}
	x.r.Registered = x.since(x.marks.attempt.at)
	return x.poll(ctx, "the ApplicationMaster's process is found", func() bool {
		app, _ := x.site.Application(x.app)
		if !app.Registered {
			return false
		}
		x.am.url = app.TrackingURL
		for _, c := range x.site.Containers(x.app) {
			if c.IsAM {
				var ok bool
				x.am.pid, ok = findMaster(c.ID.String())
				return ok
			}
		}
		return false
	})
}

// start waits until the AM has every task RUNNING.
func (x *execution) start(ctx context.Context) error {
	profile := x.cfg.profiles.begin(ctx, "start", profiledStart)
	if err := x.awaitWorkers(ctx); err != nil {
		return err
	}
	if err := x.awaitTasks(ctx); err != nil {
		return err
	}
	return profile()
}

func (x *execution) awaitWorkers(ctx context.Context) error {
	for _, w := range []struct {
		what string
		mark *mark
		at   *float64
	}{
		{"containers are granted", x.marks.granted, &x.r.Granted},
		{"containers are started", x.marks.started, &x.r.Started},
		{"workers are registered", x.marks.registered, &x.r.Joined},
		{"workers serve the job", x.marks.joined, &x.r.JobJoined},
		{"tasks are deployed", x.marks.running, &x.r.Deployed},
	} {
		if err := x.await(ctx, w.what, w.mark); err != nil {
			return err
		}
		*w.at = x.since(w.mark.at)
	}
	return nil
}

func (x *execution) await(ctx context.Context, what string, m *mark) error {
	var alive <-chan time.Time
	for {
		alive = time.After(time.Second)
		select {
		case <-m.done:
			return nil
		case err := <-x.marks.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait until all %s: %d of %d: %w", what, m.have.Load(), m.want, context.Cause(ctx))
		case <-alive:
			if err := x.alive(); err != nil {
				return fmt.Errorf("wait until all %s: %d of %d: %w", what, m.have.Load(), m.want, err)
			}
		}
	}
}

// alive says why the application is not running any more.
func (x *execution) alive() error {
	app, _ := x.site.Application(x.app)
	switch app.State {
	case yarnpb.YarnApplicationStateProto_FINISHED, yarnpb.YarnApplicationStateProto_FAILED, yarnpb.YarnApplicationStateProto_KILLED:
		return fmt.Errorf("the application is %s: %s", app.State, app.Diagnostics)
	}
	return nil
}

func (x *execution) poll(ctx context.Context, what string, cond func() bool) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for !cond() {
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		}
		if err := x.alive(); err != nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
	}
	return nil
}

// awaitTasks asks the AM only when all workers have said that their tasks run: asking costs it something.
func (x *execution) awaitTasks(ctx context.Context) error {
	if err := x.poll(ctx, "all tasks are RUNNING", func() bool {
		job, err := x.am.overview(ctx)
		return err == nil && job.Tasks.Running == x.r.Tasks
	}); err != nil {
		return err
	}
	cpu, err := cpuOf(x.am.pid)
	if err != nil {
		return err
	}
	phases, err := x.am.phases(ctx)
	if err != nil {
		return err
	}
	x.r.CPU = cpu.Seconds()
	for _, pid := range x.site.pids() {
		own, err := cpuOf(pid)
		if err != nil {
			return err
		}
		x.r.OwnCPU += own.Seconds()
	}
	x.r.Placed, x.r.Running = x.since(time.UnixMilli(phases.Placed)), x.since(time.UnixMilli(phases.Running))
	x.r.Late = x.marks.refused.Load()
	return nil
}

func (x *execution) watch(ctx context.Context) error {
	if err := x.pause(ctx, x.cfg.settle); err != nil {
		return err
	}
	before, err := cpuOf(x.am.pid)
	if err != nil {
		return err
	}
	begun, profile := time.Now(), x.cfg.profiles.begin(ctx, "steady", x.cfg.steady)
	if err := x.pause(ctx, x.cfg.steady); err != nil {
		return err
	}
	after, err := cpuOf(x.am.pid)
	if err != nil {
		return err
	}
	x.r.Steady = time.Since(begun).Seconds()
	x.r.SteadyCPU = (after - before).Seconds() / x.r.Steady
	x.r.PeakRSS, x.r.SteadyRSS = memoryOf(x.am.pid, "VmHWM"), memoryOf(x.am.pid, "VmRSS")
	for _, pid := range x.site.pids() {
		x.r.OwnRSS += memoryOf(pid, "VmHWM")
	}
	if err := profile(); err != nil {
		return err
	}
	job, err := x.am.overview(ctx)
	if err == nil && job.Tasks.Running != x.r.Tasks {
		err = fmt.Errorf("%d of %d tasks run after %v of heartbeats", job.Tasks.Running, x.r.Tasks, x.cfg.steady)
	}
	return err
}

func (x *execution) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return x.alive()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end cancels the job and waits until nothing is left of the application.
func (x *execution) end(ctx context.Context) error {
	before, err := cpuOf(x.am.pid)
	if err != nil {
		return err
	}
	begun, last := time.Now(), before
	if err := x.am.cancel(ctx); err != nil {
		return err
	}
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		app, _ := x.site.Application(x.app)
		if app.State == yarnpb.YarnApplicationStateProto_FINISHED && len(x.site.Containers(x.app)) == 0 {
			if app.Final != yarnpb.FinalApplicationStatusProto_APP_KILLED {
				return fmt.Errorf("the canceled application ended as %s: %s", app.Final, app.Diagnostics)
			}
			break
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the application: %d containers are left: %w", len(x.site.Containers(x.app)), context.Cause(ctx))
		}
		if cpu, err := cpuOf(x.am.pid); err == nil {
			last = cpu
		}
	}
	x.r.Canceled, x.r.EndCPU = time.Since(begun).Seconds(), (last - before).Seconds()
	return nil
}
