package rpc

import (
	"context"
	"errors"
	"strings"

	"github.com/flott-dev/flott/rpc/ids"
)

// Code says what went wrong, for programs. Numbers are part of the wire: new ones are appended, none is ever reused.
type Code uint32

// The codes.
const (
	Unspecified   Code = 0  // an error without a code
	Internal      Code = 1  // the peer is broken
	Fenced        Code = 2  // wrong leader epoch; Error.Epoch is the responder's
	UnknownWorker Code = 3  // no such registration
	UnknownJob    Code = 4  // no such job, here and now
	Replayed      Code = 5  // a registration attempt or request that a newer one has overtaken
	NotLeader     Code = 6  // nobody leads here
	Unreachable   Code = 7  // the peer's process cannot be reached or its connection broke
	Timeout       Code = 8  // no answer within the caller's time
	Stopped       Code = 9  // the endpoint is stopping
	TooLarge      Code = 10 // a message above the limit
	Closed        Code = 11 // the stream was closed on purpose; the cause says why
	Overflow      Code = 12 // the stream's queue was full
	NoProgress    Code = 13 // the stream's peer took nothing for too long
	Superseded    Code = 14 // a newer stream took this one's place
	Cancelled     Code = 15 // the caller went away
	Invalid       Code = 16 // the request contradicts itself or lacks something
	NotFound      Code = 17 // the thing asked for is not there
	PlanMismatch  Code = 18 // the two sides built different plans
	OnHold        Code = 19 // the leader may write and accept nothing at present
	NoSlot        Code = 20 // the slot is unknown or taken
	UserCode      Code = 21 // an error or panic of the job's own code
)

var codeNames = [...]string{"unspecified", "internal", "fenced", "unknown worker", "unknown job", "replayed", "not leader", "unreachable",
	"timeout", "stopped", "too large", "closed", "overflow", "no progress", "superseded", "cancelled", "invalid", "not found",
	"plan mismatch", "on hold", "no slot", "user code"}

// String names the code.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "unknown code"
}

// Outcome says what a failed call did at the peer.
type Outcome uint8

const (
	// OutcomeUnknown is a call that may or may not have been executed.
	OutcomeUnknown Outcome = iota
	// OutcomeNotSent is a call that never reached the peer: repeating it is safe.
	OutcomeNotSent
	// OutcomeRefused is a call that the peer answered with an error.
	OutcomeRefused
)

// Error is a failed call or the end of a stream.
type Error struct {
	Code    Code
	Method  string    // "ResourceManager.RegisterTaskExecutor", or empty
	Msg     string    // for people; may be empty when Cause says all
	Epoch   ids.Epoch // of the responder, when it refused a token; else 0
	Cause   error
	Outcome Outcome // set by the caller's side; it does not cross the wire
}

// New returns an error with a code, made where the refusal is decided.
func New(code Code, msg string) *Error { return &Error{Code: code, Msg: msg} }

// Wrap returns cause under a code.
func Wrap(code Code, msg string, cause error) *Error {
	return &Error{Code: code, Msg: msg, Cause: cause}
}

// Error joins method, message (or the code's name) and cause.
func (e *Error) Error() string {
	var parts []string
	if e.Method != "" {
		parts = append(parts, e.Method)
	}
	switch {
	case e.Msg != "":
		parts = append(parts, e.Msg)
	case e.Cause == nil:
		parts = append(parts, e.Code.String())
	}
	if e.Cause != nil {
		parts = append(parts, e.Cause.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is compare by code with the sentinels below.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Method == "" && t.Msg == "" && t.Cause == nil
}

// Sentinels for errors.Is; each matches every Error of its code, also after it has crossed a wire.
var (
	ErrFenced        error = &Error{Code: Fenced}
	ErrUnknownWorker error = &Error{Code: UnknownWorker}
	ErrUnknownJob    error = &Error{Code: UnknownJob}
	ErrReplayed      error = &Error{Code: Replayed}
	ErrNoLeader      error = &Error{Code: NotLeader}
	ErrUnreachable   error = &Error{Code: Unreachable}
	ErrTimeout       error = &Error{Code: Timeout}
	ErrStopped       error = &Error{Code: Stopped}
	ErrTooLarge      error = &Error{Code: TooLarge}
	ErrClosed        error = &Error{Code: Closed}
	ErrOverflow      error = &Error{Code: Overflow}
	ErrNoProgress    error = &Error{Code: NoProgress}
	ErrSuperseded    error = &Error{Code: Superseded}
	ErrNotFound      error = &Error{Code: NotFound}
	ErrOnHold        error = &Error{Code: OnHold}
)

// CodeOf returns the code of the outermost Error in err's chain, or Unspecified.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Unspecified
}

// EpochOf returns the highest epoch that a responder put into err's chain, 0 for none.
func EpochOf(err error) ids.Epoch {
	var highest ids.Epoch
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			break
		}
		highest = max(highest, e.Epoch)
		err = e.Cause
	}
	return highest
}

// NotSent reports that the failed call never reached the peer, so that it may be repeated whatever it does.
func NotSent(err error) bool { return outcome(err) == OutcomeNotSent }

// Refused reports that the peer answered: the call was understood and is over.
func Refused(err error) bool { return outcome(err) == OutcomeRefused }

// Unknown reports that the failed call may have been executed. It is false for nil.
func Unknown(err error) bool { return err != nil && outcome(err) == OutcomeUnknown }

func outcome(err error) Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return OutcomeUnknown
}

// FromContext returns the Error for a context's end, and err itself when it is something else.
func FromContext(err error) error {
	var e *Error
	switch {
	case err == nil || errors.As(err, &e):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, "", err)
	case errors.Is(err, context.Canceled):
		return Wrap(Cancelled, "", err)
	}
	return err
}
