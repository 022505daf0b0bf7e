package transport

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/pb"
)

// toStatus puts an endpoint's error into a status; nil stays nil.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	st, detailErr := status.New(codes.FailedPrecondition, rpc.CodeOf(err).String()).WithDetails(rpc.ToWire(err))
	if detailErr != nil { // cannot happen: the detail is a message of ours
		return status.Error(codes.Internal, err.Error())
	}
	return st.Err()
}

// answered returns the error that an endpoint put into a status, nil if there is none in it.
func answered(err error) *rpc.Error {
	st, ok := status.FromError(err)
	if !ok {
		return nil
	}
	for _, d := range st.Details() {
		if d, ok := d.(*pb.ErrorDetail); ok {
			return rpc.Answered(d)
		}
	}
	return nil
}

// callError makes the error of a call of which gRPC returned err. ctx is the caller's: its end counts before what the peer says after.
func callError(ctx context.Context, method string, sent *atomic.Bool, err error) error {
	if err == nil {
		return nil
	}
	e := &rpc.Error{Method: method, Outcome: rpc.OutcomeNotSent}
	if sent.Load() {
		e.Outcome = rpc.OutcomeUnknown
	}
	if ctx.Err() != nil {
		e.Cause = context.Cause(ctx)
		if known, ok := rpc.FromContext(e.Cause).(*rpc.Error); ok {
			e.Code, e.Cause = known.Code, known.Cause
		} else {
			e.Code = rpc.Cancelled
		}
		return e
	}
	if a := answered(err); a != nil {
		return a
	}
	e.Code, e.Cause = codeOf(err), err
	if e.Code == rpc.Invalid {
		e.Outcome = rpc.OutcomeRefused
	}
	return e
}

// codeOf translates gRPC's own codes.
func codeOf(err error) rpc.Code {
	if errors.Is(err, io.EOF) {
		return rpc.Unreachable
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled:
		return rpc.Unreachable
	case codes.DeadlineExceeded:
		return rpc.Timeout
	case codes.ResourceExhausted:
		return rpc.TooLarge
	case codes.Unimplemented:
		return rpc.Invalid
	}
	return rpc.Internal
}

// sentKey is the context key of an *atomic.Bool that says whether the call's headers were written to a connection.
type sentKey struct{}

// sentHandler watches gRPC for that.
type sentHandler struct{}

func (sentHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (sentHandler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); ok {
		if sent, ok := ctx.Value(sentKey{}).(*atomic.Bool); ok {
			sent.Store(true)
		}
	}
}

func (sentHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (sentHandler) HandleConn(context.Context, stats.ConnStats) {}
