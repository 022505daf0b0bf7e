package jobmaster

import (
	"errors"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// locationLists are messages of lists that several deployments of one step share, by the list's first entry.
type locationLists map[*scheduler.Location][]*pb.Location

func deployToPB(d scheduler.Deploy, request ids.RequestID, cfg *Config, shared locationLists) *pb.Deploy {
	b := pb.Deploy_builder{
		RequestId: uint64(request), Generation: gateway.GenerationToPB(d.Generation), Plan: cfg.planBytes, PlanDigest: cfg.planDigest[:],
	}
	for _, t := range d.Tasks {
		b.Tasks = append(b.Tasks, pb.TaskDeployment_builder{
			Attempt: gateway.AttemptToPB(t.Attempt), Allocation: t.Allocation.Bytes(), AttemptNumber: t.AttemptNumber,
		}.Build())
	}
	for _, list := range d.Locations {
		b.Locations = append(b.Locations, shared.toPB(list)...)
	}
	return b.Build()
}

// toPB gives one message for one location, however many deployments have it: messages are frozen.
func (s locationLists) toPB(list []scheduler.Location) []*pb.Location {
	if known := s[&list[0]]; known != nil {
		return known
	}
	out := make([]*pb.Location, len(list))
	for i, l := range list {
		out[i] = pb.Location_builder{
			Vertex: l.Vertex.Bytes(), FirstSubtask: l.First, LastSubtask: l.Last, DataAddress: l.DataAddress,
			Generation: gateway.GenerationToPB(l.Generation), Attempts: l.Attempts, AttemptEpoch: uint64(l.AttemptEpoch),
		}.Build()
	}
	s[&list[0]] = out
	return out
}

func metricsFromPB(m *pb.TaskMetrics) scheduler.Metrics {
	return scheduler.Metrics{
		RecordsIn: m.GetRecordsIn(), RecordsOut: m.GetRecordsOut(), BytesIn: m.GetBytesIn(), BytesOut: m.GetBytesOut(),
		BusyMillis: m.GetBusyMillis(), IdleMillis: m.GetIdleMillis(), BackpressedMillis: m.GetBackpressuredMillis(),
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
	attempt, err := gateway.AttemptFromPB(m.GetAttempt())
	u := scheduler.TaskUpdate{
		Worker: worker, Attempt: attempt, Failure: failureFromPB(m.GetFailure()),
		Generation: gateway.GenerationFromPB(m.GetGeneration()),
	}
	if _, known := pb.ExecutionState_name[int32(m.GetState())]; known {
		u.State = scheduler.TaskState(m.GetState())
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
	f := failureFromPB(gateway.FailureToPB(err, now))
	f.Secondary = false
	if of, ok := errors.AsType[*coordinatorhost.Error](err); ok && of.Stack != "" {
		f.Stack = of.Stack
	}
	return f
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
