package jobmaster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
)

// Config is what a JobMaster is made from. Coordinators are used up: another JobMaster of the same job needs new ones.
type Config struct {
	Job          ids.JobID
	Epoch        ids.Epoch
	Address      string         // where workers reach the JobMaster endpoint of this process
	Plan         *plan.Plan     // resolved
	Graph        *plan.JobGraph // nil: plan.Chain(Plan)
	Coordinators map[ids.OperatorID]program.Coordinator
	// AddLeftover records a place to sweep before a coordinator creates it; may be nil.
	AddLeftover func(ctx context.Context, uri string) error

	ResourceManager ResourceManager
	Dialer          gateway.Dialer
	Listener        Listener

	HeartbeatInterval  time.Duration // 0: 2 s
	HeartbeatTimeout   time.Duration // 0: 8 s
	FailureThreshold   int           // heartbeat.rpc-failure-threshold; 0: 2; negative: never
	SlotRequestTimeout time.Duration // 0: 5 min
	SlotIdleTimeout    time.Duration // 0: 50 s
	OpenTimeout        time.Duration // bounds the opening of a stream; 0: 8 s
	Log                *slog.Logger

	planBytes  []byte
	planDigest [32]byte
}

func (c Config) withDefaults() Config {
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, 2*time.Second)
	c.HeartbeatTimeout = cmp.Or(c.HeartbeatTimeout, 8*time.Second)
	c.FailureThreshold = cmp.Or(c.FailureThreshold, 2)
	c.SlotRequestTimeout = cmp.Or(c.SlotRequestTimeout, 5*time.Minute)
	c.SlotIdleTimeout = cmp.Or(c.SlotIdleTimeout, 50*time.Second)
	c.OpenTimeout = cmp.Or(c.OpenTimeout, 8*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("job_id", c.Job, "epoch", c.Epoch)
	return c
}

// Validate joins all that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Job.IsZero() {
		errs = append(errs, errors.New("no job id"))
	}
	if c.Plan == nil {
		errs = append(errs, errors.New("no plan"))
	}
	if c.ResourceManager == nil || c.Dialer == nil || c.Listener == nil {
		errs = append(errs, errors.New("ResourceManager, Dialer and Listener are needed"))
	}
	if c.HeartbeatTimeout < 0 || c.HeartbeatInterval < 0 || c.SlotRequestTimeout < 0 || c.SlotIdleTimeout < 0 {
		errs = append(errs, errors.New("a duration is negative"))
	}
	return errors.Join(errs...)
}

// lossPatience is how long a worker that cannot be reached is not yet lost: where it runs they may know what happened to it.
const lossPatience = time.Second

// reopenDelay lies between the second and further openings of a broken stream.
const reopenDelay = 100 * time.Millisecond

// viewDelay bounds how old a View can be while the job's state does not change, countsDelay how old its counts can be; both longer for a
// job whose View takes long to make.
const (
	viewDelay   = 50 * time.Millisecond
	countsDelay = time.Second
)

var (
	// ErrOnHold: the leader has lost its certainty; nothing may be decided until it is granted anew.
	ErrOnHold error = rpc.New(rpc.OnHold, "the leader is on hold")
	// ErrClosed: the JobMaster has been closed.
	ErrClosed error = rpc.New(rpc.Stopped, "the JobMaster has been closed")

	errSuperseded error = rpc.New(rpc.Superseded, "a newer stream has taken its place")
)

// EndedError: the job is in a terminal state already.
type EndedError struct {
	Job   ids.JobID
	State scheduler.JobState
}

// Error names the job and its state.
func (e *EndedError) Error() string {
	return fmt.Sprintf("job %s has already reached state %s", e.Job, e.State)
}

// JobMaster is the endpoint of one job under one epoch.
type JobMaster struct {
	cfg   Config
	loop  *actor.Loop[core]
	host  *coordinatorhost.Host
	shell *shell
	view  atomic.Pointer[View]
}

// New makes a JobMaster; nothing runs before Start.
func New(cfg Config) (*JobMaster, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make JobMaster of job %s: %w", cfg.Job, err)
	}
	var err error
	if cfg.Graph == nil {
		if cfg.Graph, err = plan.Chain(cfg.Plan); err != nil {
			return nil, fmt.Errorf("make JobMaster of job %s: %w", cfg.Job, err)
		}
	}
	if cfg.planBytes, err = cfg.Plan.Marshal(); err != nil {
		return nil, fmt.Errorf("make JobMaster of job %s: %w", cfg.Job, err)
	}
	cfg.planDigest = cfg.Plan.Digest()
	return newShell(cfg)
}

// RegisterTaskExecutor implements gateway.JobMaster: it answers when the stream to the worker is up, or says why not.
func (j *JobMaster) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return j.register(ctx, req)
}

// NotEnoughResources is the ResourceManager's word about why it cannot serve all that was declared, shown to people; an empty reason
// takes it back. Final means that it never will: the job fails.
func (j *JobMaster) NotEnoughResources(reason string, final bool) {
	j.post(func(c *core, now time.Time) { c.notEnoughResources(now, reason, final) })
}

// WorkerGone is the ResourceManager's word that a worker is no more.
func (j *JobMaster) WorkerGone(worker ids.ResourceID, cause error) {
	j.post(func(c *core, now time.Time) { c.workerGone(now, worker, cause) })
}

// Hold stops all deciding; only Close follows. A new leader makes a new JobMaster.
func (j *JobMaster) Hold() {
	j.post(func(c *core, _ time.Time) { c.hold, c.dirty = true, true })
}

// Cancel starts the cancellation; the Listener is told when the tasks have ended. *EndedError when the job has ended, ErrOnHold.
func (j *JobMaster) Cancel(ctx context.Context) error {
	return j.call(ctx, func(c *core, now time.Time) error { return c.cancel(now) })
}

// Fail ends the job as FAILED with this cause, unless it is ending already. After TasksEnded(FINISHED) it turns the end into FAILED.
func (j *JobMaster) Fail(ctx context.Context, cause error) error {
	return j.call(ctx, func(c *core, now time.Time) error { c.fail(now, FailureOf(cause, now)); return nil })
}

// Commit makes the coordinators publish what the finished tasks left. Idempotent; for after TasksEnded(FINISHED).
func (j *JobMaster) Commit(ctx context.Context) error {
	finals, err := actor.Call(ctx, j.loop, func(c *core) (map[ids.OperatorID][][]byte, error) {
		if c.hold {
			return nil, ErrOnHold
		}
		return c.sched.Finals(), nil
	})
	if err != nil {
		return err
	}
	return j.host.Commit(ctx, finals)
}

// Discard makes the coordinators remove what the tasks of a failed or cancelled job left. Idempotent.
func (j *JobMaster) Discard(ctx context.Context) error {
	if err := j.call(ctx, func(c *core, _ time.Time) error {
		if c.hold {
			return ErrOnHold
		}
		return nil
	}); err != nil {
		return err
	}
	return j.host.Discard(ctx)
}

// Conclude makes the end that TasksEnded told the job's state, once it is stored, and lets the workers forget the job.
func (j *JobMaster) Conclude(ctx context.Context) error {
	return j.call(ctx, func(c *core, now time.Time) error { return c.conclude(now) })
}

// View is the job as it was a moment ago. It never waits.
func (j *JobMaster) View() *View { return j.view.Load() }
