package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/zkha/ha"
)

// Job is what a job is run from.
type Job struct {
	ID           ids.JobID
	Plan         *plan.Plan                             // resolved; its name is the job's
	Coordinators map[ids.OperatorID]program.Coordinator // used up by this one run
}

// Application says what the one job of an application is (application mode).
type Application struct {
	Job  ids.JobID
	Name string // until Build has told the plan's
	// Build makes the job; it may run user code and take its time. An error, or a panic, ends the application as FAILED with it.
	Build func(ctx context.Context) (Job, error)
}

// Config is what a Dispatcher is made from.
type Config struct {
	Epoch       ids.Epoch
	Application *Application // nil: a session, jobs come by SubmitJob

	ResourceManager ResourceManager
	Dialer          gateway.Dialer
	Results         ha.ResultStore // of this epoch
	Staging         Staging
	JobData         JobData // nil: nothing is kept

	// WorkerGrace is how long workers have to exit by themselves; 0: 3 s.
	WorkerGrace time.Duration
	// Exit is called once, when nothing is left to do, on a goroutine of the Dispatcher; it must not block or call Close.
	Exit func(Exit)
	// JobMaster holds the address and the timings for every JobMaster; the Dispatcher sets the rest.
	JobMaster jobmaster.Config
	Log       *slog.Logger

	newMaster func(jobmaster.Config) (master, error) // tests
	onStep    func(name string) error                // tests: called before each step; an error stops the run like a crash
}

// Validate joins all that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.ResourceManager == nil || c.Dialer == nil || c.Results == nil || c.Staging == nil || c.Exit == nil {
		errs = append(errs, errors.New("ResourceManager, Dialer, Results, Staging and Exit are needed"))
	}
	if a := c.Application; a != nil && (a.Job.IsZero() || a.Build == nil) {
		errs = append(errs, errors.New("an application needs a job id and Build"))
	}
	return errors.Join(errs...)
}

// ErrDuplicateJob: a job with this id runs or has ended here.
var ErrDuplicateJob = errors.New("dispatcher: the job has been submitted already")

// ErrShuttingDown: no job is accepted any more.
var ErrShuttingDown = errors.New("dispatcher: the application is shutting down")

// Dispatcher is the endpoint. Its methods are safe for concurrent use.
type Dispatcher struct {
	cfg   Config
	log   *slog.Logger
	loop  *actor.Loop[core]
	jobs  atomic.Pointer[[]*job] // published by the loop; in order of submission
	phase atomic.Pointer[string] // the step of an end in progress, for people
}

// New makes a Dispatcher; nothing runs before Start.
func New(cfg Config) (*Dispatcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make dispatcher: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.WorkerGrace = cmp.Or(cfg.WorkerGrace, 3*time.Second)
	if cfg.JobData == nil {
		cfg.JobData = noJobData{}
	}
	if cfg.newMaster == nil {
		cfg.newMaster = func(c jobmaster.Config) (master, error) { return jobmaster.New(c) }
	}
	d := &Dispatcher{cfg: cfg, log: cfg.Log.With("epoch", cfg.Epoch)}
	d.jobs.Store(new([]*job))
	d.loop = actor.New("dispatcher", func(self actor.Self[core]) *core {
		return &core{d: d, self: self}
	}, actor.Config[core]{OnStop: func(c *core) { c.stop() }})
	return d, nil
}

// Start begins: in application mode it finishes a stored end or runs the job. ctx bounds the Dispatcher's life; Close ends it too.
func (d *Dispatcher) Start(ctx context.Context) {
	d.loop.Start(ctx)
	d.loop.Post(func(c *core) { c.start() })
}

// Hold stops all deciding, here and in the JobMasters; steps of an end that run are cancelled. Only Close follows.
func (d *Dispatcher) Hold() {
	d.loop.Post(func(c *core) { c.holdNow() })
}

// Close ends all JobMasters and goroutines and waits; nothing is told to workers, whose tasks go on.
func (d *Dispatcher) Close() error {
	d.loop.Close()
	var errs []error
	for _, j := range *d.jobs.Load() {
		if m := j.running(); m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// SubmitJob runs a job. It returns when the job is accepted: ErrDuplicateJob, ErrShuttingDown, rpc.ErrOnHold, or what is wrong with it.
func (d *Dispatcher) SubmitJob(ctx context.Context, j Job) error {
	_, err := actor.Ask(ctx, d.loop, func(c *core, r actor.Reply[struct{}]) { c.submit(j, r) })
	return err
}

// CancelJob starts the cancellation of a job: rpc.ErrUnknownJob, *jobmaster.EndedError, rpc.ErrOnHold.
func (d *Dispatcher) CancelJob(ctx context.Context, id ids.JobID) error {
	_, err := actor.Ask(ctx, d.loop, func(c *core, r actor.Reply[struct{}]) { c.cancelJob(id, r) })
	return err
}

// Shutdown ends the application (DELETE /cluster): running jobs are cancelled and their results stored first. It returns when that
// has begun; Config.Exit tells its end.
func (d *Dispatcher) Shutdown(ctx context.Context) error {
	_, err := actor.Call(ctx, d.loop, func(c *core) (struct{}, error) { return struct{}{}, c.shutdown() })
	return err
}

// RegisterTaskExecutor implements gateway.JobMaster for all jobs.
func (d *Dispatcher) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	const method = "JobMaster.RegisterTaskExecutor"
	if got := ids.Epoch(req.GetEpoch()); got != d.cfg.Epoch {
		return nil, &rpc.Error{Code: rpc.Fenced, Method: method, Epoch: d.cfg.Epoch, Msg: fmt.Sprintf("epoch %d is not that of the leader, %d", got, d.cfg.Epoch)}
	}
	if id, err := ids.JobIDFromBytes(req.GetJob()); err == nil {
		if j := d.find(id); j != nil && j.running() != nil {
			return j.running().RegisterTaskExecutor(ctx, req)
		}
	}
	return nil, &rpc.Error{Code: rpc.UnknownJob, Method: method, Msg: fmt.Sprintf("no job %x runs here", req.GetJob())}
}

// NotEnoughResources implements resourcemanager.JobListener: it passes the ResourceManager's word about missing slots to a job.
func (d *Dispatcher) NotEnoughResources(id ids.JobID, reason string, final bool) {
	if j := d.find(id); j != nil && j.running() != nil {
		j.running().NotEnoughResources(reason, final)
	}
}

// WorkerGone implements resourcemanager.JobListener: it passes the ResourceManager's word about the end of a worker to all jobs.
func (d *Dispatcher) WorkerGone(worker ids.ResourceID, cause error) {
	for _, j := range *d.jobs.Load() {
		if m := j.running(); m != nil {
			m.WorkerGone(worker, cause)
		}
	}
}

func (d *Dispatcher) find(id ids.JobID) *job {
	for _, j := range *d.jobs.Load() {
		if j.id == id {
			return j
		}
	}
	return nil
}

type noJobData struct{}

// Remove has nothing to remove.
func (noJobData) Remove(context.Context, ids.JobID) error { return nil }

var _ gateway.JobMaster = (*Dispatcher)(nil)
