package rpc

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// Limits of an error on the wire: what is longer is cut, from the inside of the chain and the end of the texts.
const (
	maxWireCauses = 16
	maxWireText   = 16 << 10
)

// ToWire puts err's chain into a message. Of an error without code only the text is kept, but a coded error below it stays findable.
func ToWire(err error) *pb.ErrorDetail {
	if err == nil {
		return nil
	}
	return toWire(err, maxWireCauses)
}

func toWire(err error, depth int) *pb.ErrorDetail {
	d := &pb.ErrorDetail{}
	var cause error
	if e, ok := err.(*Error); ok {
		d.SetCode(uint32(e.Code))
		d.SetMethod(cut(e.Method))
		d.SetMessage(cut(e.Msg))
		d.SetEpoch(uint64(e.Epoch))
		cause = e.Cause
	} else {
		text := err.Error()
		var inner *Error
		if errors.As(err, &inner) {
			// Our text ends with the inner error's in the usual case; cut it there, so that it is not said twice.
			text = strings.TrimSuffix(strings.TrimSuffix(text, inner.Error()), ": ")
			cause = inner
		}
		d.SetMessage(cut(text))
	}
	if cause != nil && depth > 1 {
		d.SetCause(toWire(cause, depth-1))
	}
	return d
}

func cut(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= maxWireText {
		return s
	}
	s = s[:maxWireText]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}

// FromWire makes the error that a message describes; nil for nil. The caller sets the outcome.
func FromWire(d *pb.ErrorDetail) *Error {
	if d == nil {
		return nil
	}
	var top, last *Error
	for n := 0; d != nil && n < maxWireCauses; n++ {
		e := &Error{Code: Code(d.GetCode()), Method: d.GetMethod(), Msg: d.GetMessage(), Epoch: ids.Epoch(d.GetEpoch())}
		if last == nil {
			top = e
		} else {
			last.Cause = e
		}
		last, d = e, d.GetCause()
	}
	return top
}

// Answered makes the error that a peer answered with. The call is refused, unless the answer is that its time ended there: then it may
// have been executed.
func Answered(d *pb.ErrorDetail) *Error {
	e := FromWire(d)
	if e.Code != Timeout && e.Code != Cancelled {
		e.Outcome = OutcomeRefused
	}
	return e
}
