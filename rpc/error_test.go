package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc/pb"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{New(Fenced, "too old"), "too old"},
		{&Error{Code: NotLeader}, "not leader"},
		{&Error{}, "unspecified"},
		{&Error{Code: 9999}, "unknown code"},
		{&Error{Code: Timeout, Method: "A.B", Cause: context.DeadlineExceeded}, "A.B: context deadline exceeded"},
		{&Error{Code: Closed, Method: "A.B", Msg: "the peer closed", Cause: New(Stopped, "")}, "A.B: the peer closed: stopped"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestPredicates(t *testing.T) {
	notSent := &Error{Code: Unreachable, Outcome: OutcomeNotSent}
	for _, c := range []struct {
		err                       error
		notSent, refused, unknown bool
	}{
		{nil, false, false, false},
		{fs.ErrNotExist, false, false, true},
		{notSent, true, false, false},
		{fmt.Errorf("register: %w", notSent), true, false, false},
		{&Error{Outcome: OutcomeRefused, Cause: notSent}, false, true, false},
		{New(Internal, "x"), false, false, true},
	} {
		if NotSent(c.err) != c.notSent || Refused(c.err) != c.refused || Unknown(c.err) != c.unknown {
			t.Errorf("%v: not sent %v, refused %v, unknown %v", c.err, NotSent(c.err), Refused(c.err), Unknown(c.err))
		}
	}
	if !errors.Is(notSent, ErrUnreachable) || errors.Is(notSent, ErrTimeout) || errors.Is(notSent, New(Unreachable, "text")) {
		t.Error("errors.Is must compare codes with sentinels only")
	}
}

func TestFromContext(t *testing.T) {
	if err := FromContext(fmt.Errorf("x: %w", context.DeadlineExceeded)); CodeOf(err) != Timeout {
		t.Errorf("deadline: %v", err)
	}
	if err := FromContext(context.Canceled); CodeOf(err) != Cancelled || !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: %v", err)
	}
	if err := FromContext(fs.ErrExist); err != fs.ErrExist {
		t.Errorf("other: %v", err)
	}
}

func TestWire(t *testing.T) {
	inner := &Error{Code: Fenced, Method: "M", Msg: "old", Epoch: 7}
	for _, c := range []struct {
		err  error
		text string
	}{
		{inner, "M: old"},
		{fmt.Errorf("deploy to %s: %w", "c1", inner), "deploy to c1: M: old"},
		{Wrap(Closed, "closed", errors.Join(fs.ErrClosed, inner)), "closed: file already closed\n: M: old"},
		{errors.New(""), "unspecified"},
	} {
		got := FromWire(ToWire(c.err))
		if got.Error() != c.text {
			t.Errorf("%q arrives as %q, want %q", c.err, got, c.text)
		}
		if errors.Is(c.err, ErrFenced) && (!errors.Is(got, ErrFenced) || EpochOf(got) != 7) {
			t.Errorf("%v lost its code or epoch: %v", c.err, got)
		}
	}
	if ToWire(nil) != nil || FromWire(nil) != nil {
		t.Error("nil must stay nil")
	}
}

func TestWireLimits(t *testing.T) {
	err := error(New(Internal, strings.Repeat("é", maxWireText)))
	for range 2 * maxWireCauses {
		err = Wrap(Internal, "outer", err)
	}
	d := ToWire(err)
	n := 0
	for e := d; e != nil; e = e.GetCause() {
		n++
	}
	if n != maxWireCauses {
		t.Errorf("%d causes, want %d", n, maxWireCauses)
	}
	if s := ToWire(New(Internal, strings.Repeat("é", maxWireText))).GetMessage(); len(s) > maxWireText || len(s) < maxWireText-1 {
		t.Errorf("text of %d bytes", len(s))
	}
	if _, err := proto.Marshal(ToWire(New(Internal, "\xff"))); err != nil {
		t.Errorf("text that is not UTF-8: %v", err)
	}
	deep := &pb.ErrorDetail{}
	for range 100 {
		outer := &pb.ErrorDetail{}
		outer.SetCause(deep)
		deep = outer
	}
	n = 0
	for e := error(FromWire(deep)); e != nil; e = errors.Unwrap(e) {
		n++
	}
	if n != maxWireCauses {
		t.Errorf("read %d causes, want %d", n, maxWireCauses)
	}
}

func TestAnswered(t *testing.T) {
	if !Refused(Answered(ToWire(ErrFenced))) || !Unknown(Answered(ToWire(ErrTimeout))) {
		t.Error("an answer is a refusal, except that its time was over")
	}
}

// TestCodeNames keeps the table as long as the list of codes.
func TestCodeNames(t *testing.T) {
	if UserCode.String() != "user code" || Fenced.String() != "fenced" || len(codeNames) != int(UserCode)+1 {
		t.Errorf("the last name is %q, there are %d", UserCode, len(codeNames))
	}
}

func FuzzFromWire(f *testing.F) {
	b, _ := proto.Marshal(ToWire(fmt.Errorf("x: %w", ErrFenced)))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &pb.ErrorDetail{}
		if proto.Unmarshal(b, d) != nil {
			return
		}
		e := FromWire(d)
		if again := FromWire(ToWire(e)); again.Error() != e.Error() && len(e.Error()) < maxWireText {
			t.Errorf("%q arrives as %q", e, again)
		}
	})
}
