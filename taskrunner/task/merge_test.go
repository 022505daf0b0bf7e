package task

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/taskrunner/operator"
)

func mark(t operator.Time) operator.Event { return operator.Event{Kind: operator.Watermark, Time: t} }

func TestMerge(t *testing.T) {
	end, gone := operator.Event{Kind: operator.EndOfData}, operator.Event{Kind: operator.EndOfPartition}
	var in inputs
	for _, group := range []int{0, 0, 1} {
		in.add(group)
	}
	for i, s := range []struct {
		channel int
		ev      operator.Event
		want    operator.Event // zero: nothing is handed on
		err     string
	}{
		{channel: 0, ev: mark(5)},
		{channel: 1, ev: mark(3), want: mark(3)},
		{channel: 1, ev: mark(2)},
		{channel: 1, ev: mark(9), want: mark(5)},
		{channel: 2, ev: mark(1), want: mark(1)},
		{channel: 0, ev: gone, err: "before its data"},
		{channel: 0, ev: mark(math.MaxInt64), want: mark(9)},
		{channel: 0, ev: end},
		{channel: 0, ev: end, err: "twice"},
		{channel: 1, ev: mark(20), want: mark(20)},
		{channel: 1, ev: operator.Event{Kind: operator.Barrier}, err: "cannot align"},
		{channel: 1, ev: end, want: end},
		{channel: 2, ev: end, want: end},
		{channel: 0, ev: gone}, {channel: 1, ev: gone}, {channel: 2, ev: gone},
	} {
		got, ok, err := in.merge(s.channel, s.ev)
		if ok != (s.want != operator.Event{}) || ok && got != s.want {
			t.Errorf("step %d: handed on %v %v, want %v", i, got, ok, s.want)
		}
		if (err != nil) != (s.err != "") || err != nil && !strings.Contains(err.Error(), s.err) {
			t.Errorf("step %d: error %v, want %q", i, err, s.err)
		}
	}
	if !in.ended() {
		t.Error("not ended although every channel has")
	}
}

func TestClock(t *testing.T) {
	var c clock
	at := func(ms int) time.Time { return time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond) }
	check := func(now int, busy, idling, pressured uint64) {
		t.Helper()
		if b, i, p := c.totals(at(now)); b != busy || i != idling || p != pressured {
			t.Errorf("at %d: busy %d, idle %d, back-pressured %d; want %d, %d, %d", now, b, i, p, busy, idling, pressured)
		}
	}
	check(5, 0, 0, 0)
	c.start(at(10))
	check(20, 10, 0, 0)
	c.begin(idle, at(30))
	check(35, 20, 5, 0)
	c.end(at(40))
	c.begin(backPressured, at(50))
	c.end(at(80))
	check(100, 50, 10, 30)
	c.stop(at(110))
	check(500, 60, 10, 30)
}

func TestUserStack(t *testing.T) {
	in := "goroutine 1 [running]:\nruntime/debug.Stack()\n\t/x\nour.recover()\n\t/y\npanic({0x1, 0x2})\n\t/runtime/panic.go:1\nmain.user(...)\n\t/main.go:2"
	if got, want := userStack([]byte(in)), "goroutine 1 [running]:\nmain.user(...)\n\t/main.go:2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := userStack([]byte("odd")); got != "odd" {
		t.Errorf("got %q", got)
	}
}
