package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/plan"
)

// master is a JobMaster as the Dispatcher uses it.
type master interface {
	Start(ctx context.Context)
	Close() error
	Hold()
	Cancel(ctx context.Context) error
	Fail(ctx context.Context, cause error) error
	Commit(ctx context.Context) error
	Discard(ctx context.Context) error
	Conclude(ctx context.Context) error
	View() *jobmaster.View
	RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error)
	NotEnoughResources(reason string, final bool)
	WorkerGone(worker ids.ResourceID, cause error)
}

// job is one job of this epoch. Fields in atomics are published for queries; the others belong to the loop.
type job struct {
	id    ids.JobID
	start time.Time

	master atomic.Pointer[master]         // nil before the job is built, and for one that never was
	still  atomic.Pointer[jobmaster.View] // what is shown without a master
	result atomic.Pointer[Result]         // once it is stored

	ending    *ending // the end in progress
	cancelled bool    // before there was a master
}

func newJob(id ids.JobID, name string, now time.Time) *job {
	j := &job{id: id, start: now}
	j.still.Store(stillView(id, name, now, scheduler.JobInitializing, now, scheduler.Failure{}))
	return j
}

func (j *job) running() master {
	if m := j.master.Load(); m != nil {
		return *m
	}
	return nil
}

func (j *job) view() *jobmaster.View {
	if m := j.running(); m != nil {
		return m.View()
	}
	return j.still.Load()
}

// stillView shows a job without tasks: one that is being built, was never built, or ended under an earlier leader.
func stillView(id ids.JobID, name string, start time.Time, state scheduler.JobState, at time.Time, cause scheduler.Failure) *jobmaster.View {
	v := &jobmaster.View{
		View: &scheduler.View{Job: id, State: state, Changed: at, Cause: cause, Phases: scheduler.Phases{Created: start}},
		Name: name, Plan: &plan.Plan{Name: name}, Graph: &plan.JobGraph{},
	}
	v.Reached[scheduler.JobInitializing] = start
	v.Reached[state] = at
	return v
}

func (r *Result) encode() ([]byte, error) {
	r.StateName = r.State.String()
	return json.Marshal(r)
}

func decodeResult(data []byte) (*Result, error) {
	r := &Result{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read stored result: %w", err)
	}
	state, err := scheduler.ParseJobState(r.StateName)
	if err != nil || !state.Terminal() {
		return nil, fmt.Errorf("read stored result: state %q is not an end", r.StateName)
	}
	r.State = state
	return r, nil
}
