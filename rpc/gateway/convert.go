package gateway

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// AttemptToPB makes the message of an execution attempt id.
func AttemptToPB(a ids.ExecutionAttemptID) *pb.ExecutionAttempt {
	return pb.ExecutionAttempt_builder{
		Job: a.Job.Bytes(), Vertex: a.Vertex.Bytes(), Subtask: a.Subtask, Epoch: uint64(a.Epoch), N: a.N,
	}.Build()
}

// AttemptFromPB reads an execution attempt id; all of it must be there.
func AttemptFromPB(m *pb.ExecutionAttempt) (ids.ExecutionAttemptID, error) {
	job, err := ids.JobIDFromBytes(m.GetJob())
	if err != nil {
		return ids.ExecutionAttemptID{}, fmt.Errorf("read execution attempt: %w", err)
	}
	vertex, err := ids.VertexIDFromBytes(m.GetVertex())
	if err != nil {
		return ids.ExecutionAttemptID{}, fmt.Errorf("read execution attempt: %w", err)
	}
	return ids.ExecutionAttemptID{Job: job, Vertex: vertex, Subtask: m.GetSubtask(), Epoch: ids.Epoch(m.GetEpoch()), N: m.GetN()}, nil
}

// AttemptsToPB converts a list.
func AttemptsToPB(list []ids.ExecutionAttemptID) []*pb.ExecutionAttempt {
	out := make([]*pb.ExecutionAttempt, len(list))
	for i, a := range list {
		out[i] = AttemptToPB(a)
	}
	return out
}

// AttemptsFromPB converts a list; one bad entry makes the list bad.
func AttemptsFromPB(list []*pb.ExecutionAttempt) ([]ids.ExecutionAttemptID, error) {
	out := make([]ids.ExecutionAttemptID, len(list))
	for i, m := range list {
		a, err := AttemptFromPB(m)
		if err != nil {
			return nil, err
		}
		out[i] = a
	}
	return out, nil
}

// GenerationToPB makes the message of a generation.
func GenerationToPB(g ids.Generation) *pb.Generation {
	return pb.Generation_builder{Epoch: uint64(g.Epoch), Restart: g.Restart}.Build()
}

// GenerationFromPB reads a generation; an absent one is the zero generation.
func GenerationFromPB(m *pb.Generation) ids.Generation {
	return ids.Generation{Epoch: ids.Epoch(m.GetEpoch()), Restart: m.GetRestart()}
}

// FailureError is a Failure message as an error. It matches the rpc sentinels by its code.
type FailureError struct {
	Code    rpc.Code
	Message string
	Stack   string // of user code
	Kind    string
	At      time.Time
}

// Error returns the message.
func (f *FailureError) Error() string { return f.Message }

// Is compares with the sentinels of rpc by code.
func (f *FailureError) Is(target error) bool {
	t, ok := target.(*rpc.Error)
	return ok && t.Code == f.Code && t.Method == "" && t.Msg == "" && t.Cause == nil
}

// FailureToPB makes the message of a failure at time at: the text of the whole chain, the code of the outermost coded error, and as kind
// the Go type of the innermost error that has a type of its own. A FailureError in the chain keeps its stack, code, kind and time.
func FailureToPB(err error, at time.Time) *pb.Failure {
	if err == nil {
		return nil
	}
	b := pb.Failure_builder{
		Code: uint32(rpc.CodeOf(err)), Message: strings.ToValidUTF8(err.Error(), "�"), Kind: kindOf(err), AtMillis: uint64(at.UnixMilli()),
	}
	var f *FailureError
	if errors.As(err, &f) {
		b.Code, b.Stack, b.Kind = uint32(f.Code), strings.ToValidUTF8(f.Stack, "�"), f.Kind
		if !f.At.IsZero() {
			b.AtMillis = uint64(f.At.UnixMilli())
		}
	}
	return b.Build()
}

// FailureFromPB makes the error of a failure message, nil for an absent one.
func FailureFromPB(m *pb.Failure) error {
	if m == nil {
		return nil
	}
	return &FailureError{Code: rpc.Code(m.GetCode()), Message: m.GetMessage(), Stack: m.GetStack(), Kind: m.GetKind(),
		At: time.UnixMilli(int64(m.GetAtMillis()))}
}

// kindOf skips the types that only carry text or wrap.
func kindOf(err error) string {
	kind := ""
	for ; err != nil; err = errors.Unwrap(err) {
		switch t := fmt.Sprintf("%T", err); t {
		case "*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors", "*errors.joinError":
		default:
			kind = t
		}
	}
	return kind
}
