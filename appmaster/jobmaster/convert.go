package jobmaster

import (
	"errors"
	"fmt"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

func attemptToPB(a ids.ExecutionAttemptID) *pb.ExecutionAttempt {
	return pb.ExecutionAttempt_builder{Job: a.Job.Bytes(), Vertex: a.Vertex.Bytes(), Subtask: a.Subtask, Epoch: uint64(a.Epoch), N: a.N}.Build()
}

func attemptsToPB(list []ids.ExecutionAttemptID) []*pb.ExecutionAttempt {
	out := make([]*pb.ExecutionAttempt, len(list))
	for i, a := range list {
		out[i] = attemptToPB(a)
	}
	return out
}

func attemptFromPB(m *pb.ExecutionAttempt) (ids.ExecutionAttemptID, error) {
	job, err1 := ids.JobIDFromBytes(m.GetJob())
	vertex, err2 := ids.VertexIDFromBytes(m.GetVertex())
	return ids.ExecutionAttemptID{Job: job, Vertex: vertex, Subtask: m.GetSubtask(), Epoch: ids.Epoch(m.GetEpoch()), N: m.GetN()}, errors.Join(err1, err2)
}

func generationToPB(g ids.Generation) *pb.Generation {
	return pb.Generation_builder{Epoch: uint64(g.Epoch), Restart: g.Restart}.Build()
}

func deployToPB(d scheduler.Deploy, request ids.RequestID, cfg *Config) *pb.Deploy {
	b := pb.Deploy_builder{
		RequestId: uint64(request), Generation: generationToPB(d.Generation), Plan: cfg.planBytes, PlanDigest: cfg.planDigest[:],
	}
	for _, t := range d.Tasks {
		b.Tasks = append(b.Tasks, pb.TaskDeployment_builder{
			Attempt: attemptToPB(t.Attempt), Allocation: t.Allocation.Bytes(), AttemptNumber: t.AttemptNumber,
		}.Build())
	}
	for _, l := range d.Locations {
		b.Locations = append(b.Locations, pb.Location_builder{
			Vertex: l.Vertex.Bytes(), FirstSubtask: l.First, LastSubtask: l.Last, DataAddress: l.DataAddress,
			Generation: generationToPB(l.Generation), Attempts: l.Attempts, AttemptEpoch: uint64(l.AttemptEpoch),
		}.Build())
	}
	return b.Build()
}

func metricsFromPB(m *pb.TaskMetrics) scheduler.Metrics {
	return scheduler.Metrics{
		RecordsIn: m.GetRecordsIn(), RecordsOut: m.GetRecordsOut(), BytesIn: m.GetBytesIn(), BytesOut: m.GetBytesOut(),
		BusyMillis: m.GetBusyMillis(), IdleMillis: m.GetIdleMillis(), BackpressedMillis: m.GetBackpressuredMillis(),
	}
}

func profileFromPB(m *pb.ResourceProfile) Profile {
	return Profile{
		CPUMillis: m.GetCpuMillis(), TaskHeap: m.GetTaskHeap(), TaskOffHeap: m.GetTaskOffHeap(), Network: m.GetNetwork(), Managed: m.GetManaged(),
	}
}

func failureFromPB(m *pb.Failure) scheduler.Failure {
	f := scheduler.Failure{Message: m.GetMessage(), Stack: m.GetStack(), Kind: m.GetKind(), Code: m.GetCode(), Secondary: secondary(m.GetCode())}
	if at := m.GetAtMillis(); at > 0 {
		f.At = time.UnixMilli(int64(at))
	}
	return f
}

func updateFromPB(worker ids.ResourceID, m *pb.TaskStateChange) (scheduler.TaskUpdate, error) {
	attempt, err := attemptFromPB(m.GetAttempt())
	u := scheduler.TaskUpdate{
		Worker: worker, Attempt: attempt, State: scheduler.TaskState(m.GetState()), Failure: failureFromPB(m.GetFailure()),
		Generation: ids.Generation{Epoch: ids.Epoch(m.GetGeneration().GetEpoch()), Restart: m.GetGeneration().GetRestart()},
	}
	if at := m.GetAtMillis(); at > 0 {
		u.At = time.UnixMilli(int64(at))
	}
	if m.HasMetrics() {
		metrics := metricsFromPB(m.GetMetrics())
		u.Metrics = &metrics
	}
	for _, f := range m.GetFinals() {
		op, opErr := ids.OperatorIDFromBytes(f.GetOperator())
		err = errors.Join(err, opErr)
		u.Finals = append(u.Finals, scheduler.OperatorState{Operator: op, State: f.GetState()})
	}
	return u, err
}

// FailureOf makes a failure of an error that arose in this process.
func FailureOf(err error, now time.Time) scheduler.Failure {
	f := scheduler.Failure{Message: err.Error(), Kind: kindOf(err), At: now}
	if of, ok := errors.AsType[*coordinatorhost.Error](err); ok {
		f.Stack = of.Stack
	}
	return f
}

// kindOf is the Go type of the innermost error.
func kindOf(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// secondary says whether a task that failed with this code only felt the end of another one.
func secondary(code uint32) bool {
	switch rpc.Code(code) {
	case rpc.Unreachable, rpc.Closed, rpc.NoProgress, rpc.Superseded, rpc.Stopped, rpc.Cancelled:
		return true
	}
	return false
}

func firstNonEmpty(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
