package coordinatorhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/program"
)

// scripted is a coordinator whose methods do what the test says; it notices calls that overlap.
type scripted struct {
	t      *testing.T
	on     map[string]func(ctx context.Context) error
	events []string
	inside atomic.Int32
	c      program.CoordinatorContext
	finals [][]byte
	closed bool
}

func (s *scripted) call(ctx context.Context, name string) error {
	if s.inside.Add(1) != 1 {
		s.t.Errorf("%s overlaps another call", name)
	}
	defer s.inside.Add(-1)
	s.events = append(s.events, name)
	if f := s.on[name]; f != nil {
		return f(ctx)
	}
	return nil
}

func (s *scripted) Start(ctx context.Context, c program.CoordinatorContext) error {
	s.c = c
	return s.call(ctx, "start")
}
func (s *scripted) HandleEvent(ctx context.Context, subtask int, a ids.ExecutionAttemptID, p []byte) error {
	return s.call(ctx, fmt.Sprintf("event %d %s", subtask, p))
}
func (s *scripted) SubtaskReset(ctx context.Context, subtask int) error {
	return s.call(ctx, fmt.Sprintf("reset %d", subtask))
}
func (s *scripted) Snapshot(context.Context, uint64) ([]byte, error) { return nil, nil }
func (s *scripted) Restore(context.Context, []byte) error            { return nil }
func (s *scripted) Commit(ctx context.Context, finals [][]byte) error {
	s.finals = finals
	return s.call(ctx, "commit")
}
func (s *scripted) Discard(ctx context.Context) error { return s.call(ctx, "discard") }
func (s *scripted) Close() error {
	s.closed = true
	return s.call(context.Background(), "close")
}

type bench struct {
	host   *Host
	a, b   *scripted
	failed chan error
	sent   []string
}

var opA, opB = ids.OperatorID{1}, ids.OperatorID{2}

func newBench(t *testing.T, on map[string]func(context.Context) error) *bench {
	b := &bench{a: &scripted{t: t, on: on}, b: &scripted{t: t}, failed: make(chan error, 10)}
	b.host = New(Config{
		Coordinators: map[ids.OperatorID]program.Coordinator{opA: b.a, opB: b.b},
		Parallelism:  map[ids.OperatorID]int{opA: 3}, Names: map[ids.OperatorID]string{opA: "Source: a"},
		Failed: func(err error) { b.failed <- err },
		Send: func(op ids.OperatorID, subtask int, _ ids.ExecutionAttemptID, p []byte) {
			b.sent = append(b.sent, fmt.Sprintf("%d %d %s", op[0], subtask, p))
		},
	})
	return b
}

func attempt(subtask uint32) ids.ExecutionAttemptID { return ids.ExecutionAttemptID{Subtask: subtask} }

func TestOrderOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		if err := b.host.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.a.c.Operator != opA || b.a.c.Parallelism != 3 {
			t.Errorf("context = %+v", b.a.c)
		}
		b.a.c.Send(2, attempt(2), []byte("split"))
		for i := range 3 {
			b.host.Event(opA, attempt(0), []byte{'0' + byte(i)})
		}
		b.host.SubtaskFailed([]ids.OperatorID{opA, {9}}, 1)
		b.host.Event(ids.OperatorID{9}, attempt(0), nil)
		if err := b.host.Commit(t.Context(), map[ids.OperatorID][][]byte{opA: {[]byte("x"), nil}}); err != nil {
			t.Fatal(err)
		}
		if err := b.host.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(b.a.events, ", "), "start, event 0 0, event 0 1, event 0 2, reset 1, commit, close"; got != want {
			t.Errorf("calls: %s, want %s", got, want)
		}
		if len(b.a.finals) != 2 || fmt.Sprint(b.sent) != "[1 2 split]" {
			t.Errorf("finals %v, sent %v", b.a.finals, b.sent)
		}
	})
}

func TestStartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string]func(context.Context) error{"start": func(context.Context) error {
			return fmt.Errorf("open /nope: %w", fs.ErrNotExist)
		}})
		defer b.host.Close()
		err := b.host.Start(t.Context())
		if err == nil || err.Error() != "Source: a: open /nope: file does not exist" || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("start: %v", err)
		}
	})
}

func TestPanicBecomesAnErrorWithStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string]func(context.Context) error{"event 0 x": func(context.Context) error {
			var list []int
			return fmt.Errorf("element %d", list[len(list)])
		}})
		defer b.host.Close()
		b.host.Event(opA, attempt(0), []byte("x"))
		b.host.Event(opA, attempt(0), []byte("never seen"))
		var of *Error
		if err := <-b.failed; !errors.As(err, &of) || !strings.Contains(of.Stack, "coordinatorhost_test.go") ||
			err.Error() != "Source: a: handle an event: panic: runtime error: index out of range [0] with length 0" {
			t.Errorf("failure: %v", err)
		}
		synctest.Wait()
		if len(b.a.events) != 1 {
			t.Errorf("a broken coordinator was called again: %v", b.a.events)
		}
		if err := b.host.Discard(t.Context()); err != nil || b.a.events[1] != "discard" {
			t.Errorf("a broken coordinator still discards: %v, %v", err, b.a.events)
		}
	})
}

func TestFailedIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		if err := b.host.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.a.c.Fail(errors.New("listing stopped"))
		b.a.c.Fail(errors.New("again"))
		if got := (<-b.failed).Error(); got != "Source: a: listing stopped" {
			t.Errorf("failure: %s", got)
		}
		b.host.Close()
		if len(b.failed) != 0 {
			t.Error("a second failure was told")
		}
	})
}

// TestSlowCoordinatorHoldsUpNobody: each has its own goroutine, and Close cancels what runs.
func TestSlowCoordinatorHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string]func(context.Context) error{"event 0 slow": func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		b.host.Event(opA, attempt(0), []byte("slow"))
		b.host.Event(opB, attempt(0), []byte("quick"))
		synctest.Wait()
		if len(b.b.events) != 1 {
			t.Error("one coordinator held up another")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.host.Commit(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("commit behind a slow event: %v", err)
		}
		if err := b.host.Close(); err != nil || !b.a.closed || len(b.failed) != 0 {
			t.Errorf("close: %v, closed %v, failures %d", err, b.a.closed, len(b.failed))
		}
		if err := b.host.Discard(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("discard after close: %v", err)
		}
	})
}
