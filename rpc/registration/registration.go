package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// Result is how a registration ended.
type Result struct {
	Event    Event // Succeeded, Rejected or Fenced
	Epoch    ids.Epoch
	Instance ids.InstanceID // Succeeded
	Resource ids.ResourceID // Succeeded: of the responder
	Reason   string         // Rejected, Fenced
}

// Call calls Register. again says that nothing but time has ended the try before: it is the same attempt, whose answer may still be on its
// way, under the same number; otherwise call numbers a new one (gateway.Roster.Begin). It runs on a goroutine of its own, one at a time, and
// ends with ctx.
type Call func(ctx context.Context, again bool) (*pb.RegistrationResponse, error)

// Registration drives a Machine on the loop of S. All its fields belong to that loop.
type Registration[S any] struct {
	self    actor.Self[S]
	log     *slog.Logger
	machine *Machine
	call    Call
	over    func(*S, Result)
	known   ids.Epoch
	stopped bool
	cancel  func() bool // of the running wait
	abort   context.CancelFunc
}

// Begin starts to register. known is the epoch that the caller believes in, 0 for none: answers of a lower epoch are not believed. over is
// called once on the loop, unless Stop came first. Call Begin on the loop; a nil log discards.
func Begin[S any](self actor.Self[S], cfg Config, log *slog.Logger, known ids.Epoch, call Call, over func(*S, Result)) *Registration[S] {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Registration[S]{self: self, log: log, machine: NewMachine(cfg), call: call, over: over, known: known}
	r.apply(r.machine.Step(Start, 0, 0))
	return r
}

// Stop ends the registration on the loop; nothing is reported after it.
func (r *Registration[S]) Stop() {
	r.stopped = true
	if r.cancel != nil {
		r.cancel()
	}
	if r.abort != nil {
		r.abort()
	}
}

func (r *Registration[S]) apply(a Action) {
	switch a.Do {
	case Attempt:
		r.attempt(a)
	case Wait:
		r.cancel = r.self.After(a.Delay, func(*S) {
			r.cancel = nil
			if !r.stopped {
				r.apply(r.machine.Step(Waited, 0, 0))
			}
		})
	}
}

func (r *Registration[S]) attempt(a Action) {
	ctx, abort := context.WithTimeout(context.Background(), a.Timeout)
	r.abort = abort
	actor.Go(r.self, func(stopped context.Context) (*pb.RegistrationResponse, error) {
		defer context.AfterFunc(stopped, abort)()
		return r.call(ctx, a.Number > 1)
	}, func(s *S, resp *pb.RegistrationResponse, err error) {
		// Whatever call's error says: when the attempt's time was over, it timed out.
		late := ctx.Err() == context.DeadlineExceeded
		abort()
		if r.stopped {
			return
		}
		result, retryAfter := judge(resp, err, r.known)
		if err != nil && late && result.Event != Fenced && !rpc.NotSent(err) {
			result.Event = TimedOut
		}
		r.next(s, a, result, retryAfter, err)
	})
}

func (r *Registration[S]) next(s *S, a Action, result Result, retryAfter time.Duration, err error) {
	next := r.machine.Step(result.Event, retryAfter, rand.Float64())
	if next.Do == Over {
		r.stopped = true
		r.over(s, result)
		return
	}
	r.log.Debug("registration attempt did not succeed", "attempt", a.Number, "timeout", a.Timeout, "reason", result.Reason, "error", err,
		"next_in", next.Delay)
	r.apply(next)
}

// notYet is when to ask a process again that runs but does not lead at present.
const notYet = 500 * time.Millisecond

// judge reads an answer.
func judge(resp *pb.RegistrationResponse, err error, known ids.Epoch) (Result, time.Duration) {
	if err != nil {
		res := Result{Event: Errored, Epoch: rpc.EpochOf(err), Reason: err.Error()}
		switch {
		case errors.Is(err, rpc.ErrFenced) && res.Epoch > known:
			res.Event = Fenced
		case rpc.NotSent(err):
			res.Event = NotSent
		case errors.Is(err, rpc.ErrNoLeader), errors.Is(err, rpc.ErrOnHold):
			res.Event = Failed
			return res, notYet
		case errors.Is(err, rpc.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
			res.Event = TimedOut
		}
		return res, 0
	}
	res := Result{Epoch: ids.Epoch(resp.GetEpoch())}
	if res.Epoch < known {
		res.Event, res.Reason = Errored, fmt.Sprintf("answer of epoch %d, %d is known", res.Epoch, known)
		return res, 0
	}
	switch resp.WhichResult() {
	case pb.RegistrationResponse_Success_case:
		id, err := ids.InstanceIDFromBytes(resp.GetSuccess().GetInstanceId())
		if err != nil {
			res.Event, res.Reason = Errored, err.Error()
			return res, 0
		}
		res.Event, res.Instance, res.Resource = Succeeded, id, ids.ResourceID(resp.GetSuccess().GetResourceId())
	case pb.RegistrationResponse_Failure_case:
		res.Event, res.Reason = Failed, resp.GetFailure().GetReason()
		return res, time.Duration(min(resp.GetFailure().GetRetryAfterMillis(), 3_600_000)) * time.Millisecond
	case pb.RegistrationResponse_Rejection_case:
		res.Event, res.Reason = Rejected, resp.GetRejection().GetReason()
	default:
		res.Event, res.Reason = Errored, "an answer of an unknown kind"
	}
	return res, 0
}
