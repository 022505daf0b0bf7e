package gateway

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

func TestLeaderless(t *testing.T) {
	_, err1 := LeaderlessResourceManager{}.RegisterTaskExecutor(t.Context(), nil)
	_, err2 := LeaderlessJobMaster{}.RegisterTaskExecutor(t.Context(), nil)
	for _, err := range []error{err1, err2} {
		if !errors.Is(err, rpc.ErrNoLeader) || !rpc.NotSent(err) {
			t.Errorf("got %v, want no leader, not sent", err)
		}
	}
}

// closedWith records the cause it was closed with.
type closedWith struct{ cause error }

func (c *closedWith) Close(cause error) { c.cause = cause }

func TestRoster(t *testing.T) {
	r := &Roster{Resource: "c1"}
	job := ids.NewJobID()
	open := func(epoch, attempt uint64, job []byte) *pb.StreamOpen {
		return pb.StreamOpen_builder{ResourceId: "c1", Epoch: epoch, Attempt: attempt, Job: job}.Build()
	}
	a, b, j, late := &closedWith{}, &closedWith{}, &closedWith{}, &closedWith{}
	if err := r.Admit(open(1, 1, nil), a); !errors.Is(err, rpc.ErrReplayed) {
		t.Errorf("a stream nobody registered for: %v", err)
	}
	if n := r.Begin(""); n != 1 {
		t.Errorf("first attempt is %d", n)
	}
	r.Begin(string(job[:]))
	other := open(1, 1, nil)
	other.SetResourceId("c2")
	if err := r.Admit(other, a); !errors.Is(err, rpc.ErrUnknownWorker) {
		t.Errorf("a stream meant for another worker: %v", err)
	}
	for _, s := range []struct {
		open *pb.StreamOpen
		s    *closedWith
	}{{open(5, 1, nil), a}, {open(5, 1, job[:]), j}} {
		if err := r.Admit(s.open, s.s); err != nil {
			t.Errorf("admit %v: %v", s.open, err)
		}
	}
	r.Begin("")
	if err := r.Admit(open(5, 1, nil), late); !errors.Is(err, rpc.ErrReplayed) {
		t.Errorf("a stream of the attempt before: %v", err)
	}
	if err := r.Admit(open(5, 2, nil), b); err != nil || !errors.Is(a.cause, rpc.ErrSuperseded) || j.cause != nil {
		t.Errorf("the same epoch again: %v; old closed with %v, job's with %v", err, a.cause, j.cause)
	}
	if err := r.Admit(open(4, 2, nil), late); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != 5 || b.cause != nil {
		t.Errorf("a lower epoch: %v; current closed with %v", err, b.cause)
	}
	c := &closedWith{}
	if err := r.Admit(open(6, 2, nil), c); err != nil || !errors.Is(b.cause, rpc.ErrFenced) || !errors.Is(j.cause, rpc.ErrFenced) || r.Epoch() != 6 {
		t.Errorf("a higher epoch: %v; closed with %v and %v; epoch %d", err, b.cause, j.cause, r.Epoch())
	}
	r.Remove("", b) // not the current one: no effect
	r.CloseAll(rpc.ErrStopped)
	if c.cause != rpc.ErrStopped {
		t.Errorf("CloseAll closed with %v", c.cause)
	}
	if late.cause != nil {
		t.Errorf("a stream that was refused was closed by the roster: %v", late.cause)
	}
}

func TestConvert(t *testing.T) {
	a := ids.ExecutionAttemptID{Job: ids.NewJobID(), Vertex: ids.VertexIDForChain(ids.OperatorIDForUID("x")), Subtask: 3, Epoch: 1<<32 + 1, N: 9}
	list, err := AttemptsFromPB(AttemptsToPB([]ids.ExecutionAttemptID{a}))
	if err != nil || len(list) != 1 || list[0] != a {
		t.Errorf("attempt arrives as %v, %v", list, err)
	}
	for _, bad := range []*pb.ExecutionAttempt{nil, {}, pb.ExecutionAttempt_builder{Job: a.Job.Bytes(), Vertex: []byte{1}}.Build()} {
		if _, err := AttemptFromPB(bad); err == nil {
			t.Errorf("%v was read as an attempt", bad)
		}
		if _, err := AttemptsFromPB([]*pb.ExecutionAttempt{AttemptToPB(a), bad}); err == nil {
			t.Errorf("a list with %v was read", bad)
		}
	}
	g := ids.Generation{Epoch: 4, Restart: 2}
	if got := GenerationFromPB(GenerationToPB(g)); got != g {
		t.Errorf("generation arrives as %v", got)
	}
}

func TestFailures(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	if FailureToPB(nil, at) != nil || FailureFromPB(nil) != nil {
		t.Error("no failure must stay none")
	}
	err := FailureFromPB(FailureToPB(fmt.Errorf("open part: %w", &fs.PathError{Op: "open", Path: "/x", Err: errors.New("bad\xff")}), at))
	var f *FailureError
	if !errors.As(err, &f) || f.Kind != "*fs.PathError" || f.Message != "open part: open /x: bad�" || !f.At.Equal(at) {
		t.Errorf("arrives as %#v", err)
	}
	user := &FailureError{Code: rpc.UserCode, Message: "panic: 3", Stack: "goroutine 1", Kind: "runtime.Error", At: at}
	err = FailureFromPB(FailureToPB(fmt.Errorf("task 1: %w", user), at.Add(time.Hour)))
	if !errors.As(err, &f) || f.Stack != "goroutine 1" || f.Code != rpc.UserCode || f.Message != "task 1: panic: 3" || !f.At.Equal(at) {
		t.Errorf("a failure passed on arrives as %#v", f)
	}
	if !errors.Is(FailureFromPB(FailureToPB(rpc.New(rpc.NoProgress, "stuck"), at)), rpc.ErrNoProgress) {
		t.Error("a failure lost its code")
	}
}
