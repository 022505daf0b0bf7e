package registration

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

type owner struct{ self actor.Self[owner] }

// begin starts a registration on a loop of its own, in a bubble.
func begin(t *testing.T, known ids.Epoch, call Call) (l *actor.Loop[owner], r *Registration[owner], results chan Result) {
	t.Helper()
	l = actor.New("owner", func(self actor.Self[owner]) *owner { return &owner{self} }, actor.Config[owner]{})
	l.Start(t.Context())
	results = make(chan Result, 2)
	r, err := actor.Call(t.Context(), l, func(o *owner) (*Registration[owner], error) {
		return Begin(o.self, Config{InitialTimeout: 100 * ms}, nil, known, call, func(_ *owner, res Result) { results <- res }), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, r, results
}

func success(epoch uint64, id ids.InstanceID) *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{Epoch: epoch,
		Success: pb.RegistrationSuccess_builder{InstanceId: id.Bytes(), ResourceId: "am"}.Build()}.Build()
}

func failure(retry uint64) *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{Failure: pb.RegistrationFailure_builder{Reason: "recovering", RetryAfterMillis: retry}.Build()}.Build()
}

// TestShell answers the attempts from a script and compares when they were made and how it ended.
func TestShell(t *testing.T) {
	id := ids.NewInstanceID()
	refused := &rpc.Error{Code: rpc.Fenced, Msg: "old", Epoch: 7, Outcome: rpc.OutcomeRefused}
	type answer struct {
		after time.Duration
		resp  *pb.RegistrationResponse
		err   error
	}
	for _, c := range []struct {
		name    string
		known   ids.Epoch
		answers []answer
		times   []time.Duration // when each attempt began
		want    Result
	}{
		{"success", 3, []answer{{10 * ms, success(3, id), nil}}, []time.Duration{0},
			Result{Event: Succeeded, Epoch: 3, Instance: id, Resource: "am"}},
		{"silence, then success", 0, []answer{{time.Hour, nil, nil}, {time.Hour, nil, nil}, {0, success(1, id), nil}},
			[]time.Duration{0, 100 * ms, 300 * ms}, Result{Event: Succeeded, Epoch: 1, Instance: id, Resource: "am"}},
		{"failure", 0, []answer{{0, failure(500), nil}, {0, failure(0), nil}, {0, success(1, id), nil}},
			[]time.Duration{0, 500 * ms, 30500 * ms}, Result{Event: Succeeded, Epoch: 1, Instance: id, Resource: "am"}},
		{"not leading yet", 0, []answer{{0, nil, rpc.Answered(rpc.ToWire(rpc.ErrNoLeader))}, {0, success(1, id), nil}},
			[]time.Duration{0, 500 * ms}, Result{Event: Succeeded, Epoch: 1, Instance: id, Resource: "am"}},
		{"answered error", 0, []answer{{0, nil, errors.New("broken")}, {0, &pb.RegistrationResponse{}, nil}, {0, success(1, ids.InstanceID{}), nil},
			{0, success(1, id), nil}}, []time.Duration{0, 10 * time.Second, 20 * time.Second, 30 * time.Second},
			Result{Event: Succeeded, Epoch: 1, Instance: id, Resource: "am"}},
		{"an answer of a lower epoch is not believed", 5, []answer{{0, success(4, id), nil}, {0, success(5, id), nil}},
			[]time.Duration{0, 10 * time.Second}, Result{Event: Succeeded, Epoch: 5, Instance: id, Resource: "am"}},
		{"rejection", 0, []answer{{0, pb.RegistrationResponse_builder{Epoch: 2,
			Rejection: pb.RegistrationRejection_builder{Reason: "not ours"}.Build()}.Build(), nil}}, []time.Duration{0},
			Result{Event: Rejected, Epoch: 2, Reason: "not ours"}},
		{"fenced by a higher epoch", 3, []answer{{0, nil, refused}}, []time.Duration{0}, Result{Event: Fenced, Epoch: 7, Reason: "old"}},
		{"fenced by a lower epoch is an error", 8, []answer{{0, nil, refused}, {0, success(8, id), nil}}, []time.Duration{0, 10 * time.Second},
			Result{Event: Succeeded, Epoch: 8, Instance: id, Resource: "am"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var times []time.Duration
				l, _, results := begin(t, c.known, func(ctx context.Context, again bool) (*pb.RegistrationResponse, error) {
					times = append(times, time.Since(start))
					if want := len(times) > 1 && c.answers[len(times)-2].after == time.Hour; again != want {
						t.Errorf("call %d: again is %v, want %v", len(times), again, want)
					}
					a := c.answers[len(times)-1]
					select {
					case <-time.After(a.after):
						return a.resp, a.err
					case <-ctx.Done():
						return nil, ctx.Err()
					}
				})
				if got := <-results; got != c.want {
					t.Errorf("ended with %+v, want %+v", got, c.want)
				}
				if !slices.Equal(times, c.times) {
					t.Errorf("attempts at %v, want %v", times, c.times)
				}
				l.Close()
				if len(results) != 0 {
					t.Error("a second result came")
				}
			})
		})
	}
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, n := time.Now(), 0
		id := ids.NewInstanceID()
		l, _, results := begin(t, 0, func(context.Context, bool) (*pb.RegistrationResponse, error) {
			if n++; n < 12 {
				return nil, &rpc.Error{Code: rpc.Unreachable, Outcome: rpc.OutcomeNotSent}
			}
			return success(1, id), nil
		})
		if got := <-results; got.Event != Succeeded {
			t.Errorf("ended with %+v", got)
		}
		// Bounds of the waits: 50 + 100 + … + 800 + 6 × 1000 ms, each at least half of it.
		if took := time.Since(start); took < 3775*ms || took > 7550*ms {
			t.Errorf("eleven reconnects took %v", took)
		}
		l.Close()
	})
}

// TestStop: while an attempt runs and while a pause runs, Stop is the end.
func TestStop(t *testing.T) {
	for _, wait := range []time.Duration{50 * ms, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			l, r, results := begin(t, 0, func(ctx context.Context, _ bool) (*pb.RegistrationResponse, error) {
				calls++
				<-ctx.Done()
				return nil, &rpc.Error{Code: rpc.Internal, Msg: strings.Repeat("x", 10), Outcome: rpc.OutcomeRefused}
			})
			<-time.After(wait)
			if _, err := actor.Call(t.Context(), l, func(*owner) (int, error) { r.Stop(); return 0, nil }); err != nil {
				t.Fatal(err)
			}
			before := calls
			<-time.After(time.Hour)
			if calls != before || len(results) != 0 {
				t.Errorf("after Stop: %d more calls, %d results", calls-before, len(results))
			}
			l.Close()
		})
	}
}
