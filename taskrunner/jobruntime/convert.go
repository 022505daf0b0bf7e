package jobruntime

import (
	"errors"
	"slices"
	"strings"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/taskrunner/exchange"
	"github.com/flott-dev/flott/taskrunner/task"
)

var states = map[task.State]pb.ExecutionState{
	task.Initializing: pb.ExecutionState_INITIALIZING,
	task.Running:      pb.ExecutionState_RUNNING,
	task.Finished:     pb.ExecutionState_FINISHED,
	task.Canceled:     pb.ExecutionState_CANCELED,
	task.Failed:       pb.ExecutionState_FAILED,
}

func updateToPB(u task.Update, allocation []byte) *pb.TaskStateChange {
	b := pb.TaskStateChange_builder{
		Attempt: gateway.AttemptToPB(u.Attempt), Generation: gateway.GenerationToPB(u.Generation), State: states[u.State],
		AtMillis: uint64(u.At.UnixMilli()), Allocation: allocation,
	}
	if u.State.Terminal() {
		b.Metrics = metricsToPB(u.Attempt, u.Metrics)
	}
	if u.State == task.Failed && u.Failure != nil {
		b.Failure = failureToPB(u)
	}
	for op, state := range u.Finals {
		b.Finals = append(b.Finals, pb.OperatorState_builder{Operator: op.Bytes(), State: state}.Build())
	}
	slices.SortFunc(b.Finals, func(x, y *pb.OperatorState) int { return slices.Compare(x.GetOperator(), y.GetOperator()) })
	return b.Build()
}

func metricsToPB(a ids.ExecutionAttemptID, m task.Metrics) *pb.TaskMetrics {
	return pb.TaskMetrics_builder{
		Attempt: gateway.AttemptToPB(a), RecordsIn: m.RecordsIn, RecordsOut: m.RecordsOut, BytesIn: m.BytesIn, BytesOut: m.BytesOut,
		BusyMillis: m.BusyMillis, IdleMillis: m.IdleMillis, BackpressuredMillis: m.BackPressuredMillis,
	}.Build()
}

// failureToPB keeps the stack of user code and gives the error a code that tells causes from consequences.
func failureToPB(u task.Update) *pb.Failure {
	f := gateway.FailureToPB(u.Failure.Err, u.At)
	f.SetCode(uint32(codeOf(u.Failure)))
	if u.Failure.Stack != "" {
		f.SetStack(strings.ToValidUTF8(u.Failure.Stack, "�"))
	}
	return f
}

// codeOf: the codes Unreachable, Closed and Stopped say that the failure follows from something elsewhere.
func codeOf(f *task.Failure) rpc.Code {
	var conn *exchange.ConnectionError
	switch err := f.Err; {
	case f.Stack != "":
		return rpc.UserCode
	case errors.As(err, &conn), errors.Is(err, exchange.ErrPartitionNotFound):
		return rpc.Unreachable
	case errors.Is(err, errInputEnded), errors.Is(err, exchange.ErrProducerFailed), errors.Is(err, exchange.ErrStale):
		return rpc.Closed
	case errors.Is(err, exchange.ErrClosed):
		return rpc.Stopped
	}
	return rpc.UserCode
}
