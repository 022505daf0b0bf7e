package jobmaster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/coordinatorhost"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/pb"
)

// TestTaskStatesOnTheWire: the scheduler's states and the wire's have the same numbers and names.
func TestTaskStatesOnTheWire(t *testing.T) {
	for _, s := range scheduler.TaskStates() {
		if got := pb.ExecutionState(s).String(); got != s.String() {
			t.Errorf("state %d is %s here and %s on the wire", s, s, got)
		}
	}
	if want, got := len(pb.ExecutionState_name)-1, len(scheduler.TaskStates()); got != want {
		t.Errorf("%d states here, %d on the wire", got, want)
	}
}

func TestFailureOf(t *testing.T) {
	now := time.UnixMilli(5000)
	f := FailureOf(fmt.Errorf("deploy: %w", &coordinatorhost.Error{Operator: "a", Method: "commit", Stack: "main.f()", Err: errors.New("panic: x")}), now)
	if f.Message != "deploy: a: commit: panic: x" || f.Stack != "main.f()" || !f.At.Equal(now) {
		t.Errorf("failure = %+v", f)
	}
	// What this process itself reports is a cause, whatever its code; what a task reports may be a consequence.
	if f := FailureOf(rpc.New(rpc.Unreachable, "no NameNode"), now); f.Secondary {
		t.Error("a failure of this process counts as a consequence")
	}
	for code, want := range map[rpc.Code]bool{rpc.Unreachable: true, rpc.Closed: true, rpc.UserCode: false, rpc.Unspecified: false} {
		if got := failureFromPB(pb.Failure_builder{Code: uint32(code)}.Build()).Secondary; got != want {
			t.Errorf("%s: secondary %v, want %v", code, got, want)
		}
	}
}

// FuzzUpdateFromPB: whatever a worker sends is read or refused.
func FuzzUpdateFromPB(f *testing.F) {
	f.Add([]byte{1}, []byte{2}, []byte{3}, int32(6))
	f.Fuzz(func(t *testing.T, job, vertex, op []byte, state int32) {
		m := pb.TaskStateChange_builder{
			Attempt: pb.ExecutionAttempt_builder{Job: job, Vertex: vertex}.Build(), State: pb.ExecutionState(state),
			Finals: []*pb.OperatorState{pb.OperatorState_builder{Operator: op}.Build()},
		}.Build()
		u, err := updateFromPB("w", m)
		if good := len(job) == 16 && len(vertex) == 16 && len(op) == 16; (err == nil) != good {
			t.Errorf("ids of %d, %d and %d bytes: %v", len(job), len(vertex), len(op), err)
		}
		if u.State > scheduler.TaskFailed || state > 9 && u.State != scheduler.TaskUnspecified {
			t.Errorf("state %d was read as %s", state, u.State)
		}
	})
}
