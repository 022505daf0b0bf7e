package slotmanager

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
)

// script drives a Manager and writes its effects as text, one word each, so that a case reads as a conversation.
type script struct {
	m    *Manager
	now  time.Time
	last byte // of the newest allocation id
}

func newScript(cfg Config) *script {
	s := &script{now: time.Unix(0, 0)}
	cfg.NewAllocation = func() ids.AllocationID {
		s.last++
		return ids.AllocationID{s.last}
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = 30 * time.Second
	}
	s.m = New(cfg)
	return s
}

func (s *script) step(ev Event) string {
	var out []string
	for _, e := range s.m.Step(s.now, ev) {
		switch e := e.(type) {
		case Allocate:
			out = append(out, fmt.Sprintf("allocate:%s/%d=%d", e.Worker, e.Slot, e.Allocation[0]))
		case DeclareWorkers:
			out = append(out, fmt.Sprintf("workers:%d", e.Total))
		case AskRelease:
			out = append(out, "ask:"+string(e.Worker))
		case Release:
			out = append(out, "release:"+string(e.Worker))
		case Reject:
			out = append(out, "reject:"+string(e.Worker))
		case NotEnough:
			out = append(out, fmt.Sprintf("notenough:%d", e.Missing))
		}
	}
	return strings.Join(out, " ")
}

var jobA, jobB = ids.JobID{0xa}, ids.JobID{0xb}

func frees(n int) []SlotStatus {
	s := make([]SlotStatus, n)
	for i := range s {
		s[i].Free = true
	}
	return s
}

func taking(job ids.JobID, alloc byte) SlotStatus {
	return SlotStatus{Job: job, Allocation: ids.AllocationID{alloc}}
}

type line struct {
	ev   Event
	want string
}

func TestConversations(t *testing.T) {
	inst := ids.InstanceID{1}
	for name, tc := range map[string]struct {
		cfg   Config
		lines []line
	}{
		"two workers for four slots": {Config{SlotsPerWorker: 2}, []line{
			{Require{jobA, "am:1", 4}, "workers:2"},
			{Register{"w1", inst, frees(2)}, "allocate:w1/0=1 allocate:w1/1=2"},
			{Allocated{"w1", inst, ids.AllocationID{1}, false}, ""},
			{Register{"w2", inst, frees(2)}, "allocate:w2/0=3 allocate:w2/1=4"},
		}},
		"a requirement that falls gives workers back only when idle": {Config{SlotsPerWorker: 1}, []line{
			{Require{jobA, "am:1", 2}, "workers:2"},
			{Register{"w1", inst, frees(1)}, "allocate:w1/0=1"},
			{Require{jobA, "am:1", 0}, "workers:1"},
			{SlotFreed{"w1", inst, ids.AllocationID{1}}, ""},
		}},
		"a refused slot waits for the next report": {Config{SlotsPerWorker: 1}, []line{
			{Require{jobA, "am:1", 1}, "workers:1"},
			{Register{"w1", inst, frees(1)}, "allocate:w1/0=1"},
			{Allocated{"w1", inst, ids.AllocationID{1}, true}, ""},
			{Report{"w1", inst, frees(1)}, "allocate:w1/0=2"},
		}},
		"a report that crossed the request changes nothing": {Config{SlotsPerWorker: 1}, []line{
			{Require{jobA, "am:1", 1}, "workers:1"},
			{Register{"w1", inst, frees(1)}, "allocate:w1/0=1"},
			{Report{"w1", inst, frees(1)}, ""},
			{Allocated{"w1", inst, ids.AllocationID{1}, false}, ""},
			{Report{"w1", inst, []SlotStatus{taking(jobA, 1)}}, ""},
		}},
		"a slot missing in the report is free and given again": {Config{SlotsPerWorker: 1}, []line{
			{Require{jobA, "am:1", 1}, "workers:1"},
			{Register{"w1", inst, []SlotStatus{taking(jobA, 9)}}, ""},
			{Report{"w1", inst, frees(1)}, "allocate:w1/0=1"},
		}},
		"a lost worker is asked for again": {Config{SlotsPerWorker: 2}, []line{
			{Require{jobA, "am:1", 2}, "workers:1"},
			{Register{"w1", inst, frees(2)}, "allocate:w1/0=1 allocate:w1/1=2"},
			{Unregister{"w1"}, ""},
			{Register{"w2", inst, frees(2)}, "allocate:w2/0=3 allocate:w2/1=4"},
		}},
		"messages of an older registration are dropped": {Config{SlotsPerWorker: 1}, []line{
			{Require{jobA, "am:1", 1}, "workers:1"},
			{Register{"w1", inst, frees(1)}, "allocate:w1/0=1"},
			{Register{"w1", ids.InstanceID{2}, frees(1)}, "allocate:w1/0=2"},
			{Allocated{"w1", inst, ids.AllocationID{2}, true}, ""},
			{Report{"w1", inst, []SlotStatus{taking(jobB, 7)}}, ""},
		}},
		"the limit is told once": {Config{SlotsPerWorker: 2, MaxSlots: 2}, []line{
			{Require{jobA, "am:1", 3}, "workers:1 notenough:3"},
			{Register{"w1", inst, frees(2)}, "allocate:w1/0=1 allocate:w1/1=2"},
			{Tick{}, ""},
			{Register{"w2", inst, frees(2)}, "reject:w2"},
		}},
		"two jobs share workers": {Config{SlotsPerWorker: 2}, []line{
			{Require{jobA, "am:1", 1}, "workers:1"},
			{Require{jobB, "am:1", 1}, ""},
			{Register{"w1", inst, frees(2)}, "allocate:w1/0=1 allocate:w1/1=2"},
		}},
		"a redundant worker is kept warm": {Config{SlotsPerWorker: 1, RedundantWorkers: 1}, []line{
			{Require{jobA, "am:1", 1}, "workers:1"},
			{Register{"w1", inst, frees(1)}, "allocate:w1/0=1 workers:2"},
			{Register{"w2", inst, frees(1)}, ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(tc.cfg)
			for i, l := range tc.lines {
				if got := s.step(l.ev); got != l.want {
					t.Fatalf("line %d %#v: got %q, want %q", i, l.ev, got, l.want)
				}
			}
		})
	}
}

func TestIdleWorkerGoesWhenItAgrees(t *testing.T) {
	inst := ids.InstanceID{1}
	for name, tc := range map[string]struct {
		before Event // between question and answer
		answer bool
		want   string
	}{
		"yes":             {Tick{}, true, "release:w1 workers:0"},
		"no":              {Tick{}, false, ""},
		"work came first": {Require{jobA, "am:1", 1}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(Config{SlotsPerWorker: 1, IdleTimeout: 30 * time.Second})
			s.step(Register{"w1", inst, frees(1)})
			if got, want := s.m.NextDeadline(), s.now.Add(30*time.Second); !got.Equal(want) {
				t.Fatalf("deadline: got %v, want %v", got, want)
			}
			s.now = s.now.Add(29 * time.Second)
			if got := s.step(Tick{}); got != "" {
				t.Fatalf("before the timeout: got %q, want nothing", got)
			}
			s.now = s.now.Add(time.Second)
			if got := s.step(Tick{}); got != "ask:w1" {
				t.Fatalf("at the timeout: got %q, want the question", got)
			}
			s.step(tc.before)
			if got := s.step(CanRelease{"w1", inst, tc.answer}); got != tc.want {
				t.Errorf("answer: got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOverviewCountsSlots(t *testing.T) {
	s := newScript(Config{SlotsPerWorker: 3})
	s.step(Require{jobA, "am:1", 2})
	s.step(Register{"w1", ids.InstanceID{1}, frees(3)})
	workers, slots, freeSlots := s.m.Overview()
	if workers != 1 || slots != 3 || freeSlots != 1 {
		t.Errorf("got %d workers, %d slots, %d free, want 1, 3, 1", workers, slots, freeSlots)
	}
	if got := s.m.FreeSlots("w1"); got != 1 {
		t.Errorf("free slots of w1: got %d, want 1", got)
	}
}
