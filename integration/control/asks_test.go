package control

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// check compares what was asked for, in order, and how many containers came and were started. No container is started twice.
func (l *allocates) check(t *testing.T, asks []int32, given, started int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.asks, asks) {
		t.Errorf("asks: got %v, want %v", l.asks, asks)
	}
	if len(l.given) != given {
		t.Errorf("containers given: got %v, want %d", l.given, given)
	}
	if len(l.started) != started {
		t.Errorf("containers started: got %v, want %d", l.started, started)
	}
	for id, n := range l.started {
		if n != 1 {
			t.Errorf("container %s was started %d times", id, n)
		}
	}
	t.Logf("asks %v, %d calls sent again", l.asks, l.resent)
}

// TestAskedOnce runs a job whose containers come one by one while every third answer of the YARN RM is lost: one ask for all, never again.
func TestAskedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, yarntest.Config{NodeHeartbeat: 100 * time.Millisecond})
	answers := 0
	s.allocates.with(func() {
		s.allocates.answered = func(*yarnpb.AllocateResponseProto) error {
			if answers++; answers%3 == 0 {
				return ipctest.ErrHangUp
			}
			return nil
		}
	})
	a := s.run([]string{"-p", "4"}, "finish")
	a.ended(finished, appSucceeded, `job endings finish finished`)
	a.nothingLeft()
	s.allocates.check(t, []int32{4}, 4, 4)
	s.allocates.with(func() {
		if s.allocates.resent == 0 {
			t.Error("no answer was lost")
		}
	})
}

// TestSurplusIsReleased lets the YARN RM give three containers for an ask of two, and deliver one of them twice: the surplus one goes back
// unstarted, the one that came twice is started once.
func TestSurplusIsReleased(t *testing.T) {
	t.Parallel()
	s := newSite(t, yarntest.Config{})
	var twice *yarnpb.ContainerProto
	s.allocates.with(func() {
		s.allocates.asked = func(req *yarnpb.AllocateRequestProto) {
			for _, ask := range req.GetAsk() {
				if ask.GetNumContainers() == 2 {
					ask.SetNumContainers(3)
				}
			}
		}
		s.allocates.answered = func(resp *yarnpb.AllocateResponseProto) error {
			switch given := resp.GetAllocatedContainers(); {
			case twice == nil && len(given) > 0:
				twice = proto.CloneOf(given[0])
			case twice != nil && s.allocates.given[yarnid.FromContainer(twice.GetId()).String()] == 1:
				resp.SetAllocatedContainers(append(given, twice))
			}
			return nil
		}
	})
	a := s.run([]string{"-p", "2"}, "forever")
	a.running()
	a.eventually("the surplus container is given back, and another delivered again", func() (ok bool) {
		s.allocates.with(func() {
			ok = len(s.allocates.released) == 1 && twice != nil && s.allocates.given[yarnid.FromContainer(twice.GetId()).String()] == 2
		})
		return ok && len(a.workers()) == 2
	})
	s.allocates.with(func() {
		for id := range s.allocates.released {
			if s.allocates.started[id] > 0 {
				t.Errorf("the surplus container %s was started", id)
			}
		}
	})
	a.cancel()
	a.ended(finished, appKilled, `job endings forever .*cancel.*`)
	a.nothingLeft()
	s.allocates.check(t, []int32{2}, 3, 2)
}

// waitingFor is what a job with one of two workers says of itself.
var waitingFor = regexp.MustCompile(fmt.Sprintf(`wants 2 slots and has 1, from 1 workers; YARN has not given 1 container\(s\) of %d MiB`, containerMB))

func (a *application) waits() {
	a.t.Helper()
	a.eventually("the job says for what it waits", func() bool {
		job, ok := a.job()
		return ok && job.Flott != nil && waitingFor.MatchString(job.Flott.WaitingFor)
	})
}

// TestRoomAppears lets a job wait for room for its second worker, through a restart of the YARN RM: it says for what it waits, asks once,
// and once more after the restart, and starts when another node comes.
func TestRoomAppears(t *testing.T) {
	t.Parallel()
	s := newSite(t, yarntest.Config{Nodes: 1, NodeMemoryMB: roomForTwo, MaxMemoryMB: 8192})
	a := s.run([]string{"-p", "2"}, "forever")
	a.waits()
	s.StopRM()
	s.RestartRM()
	if err := s.StartRM(); err != nil {
		t.Fatal(err)
	}
	a.eventually("the AM registers again and asks again", func() (ok bool) {
		s.allocates.with(func() { ok = slices.Equal(s.allocates.asks, []int32{2, 1}) })
		return ok
	})
	if _, err := s.AddNode(); err != nil {
		t.Fatal(err)
	}
	a.running()
	if job, ok := a.job(); !ok || job.Flott == nil || job.Flott.WaitingFor != "" || len(a.workers()) != 2 {
		t.Errorf("once it runs: got %+v with %d workers, want 2 and nothing to wait for", job.Flott, len(a.workers()))
	}
	a.cancel()
	a.ended(finished, appKilled, `job endings forever .*cancel.*`)
	a.nothingLeft()
	s.allocates.check(t, []int32{2, 1}, 2, 2)
}

// TestNoRoom lets slot.request.timeout end a job that gets one of its two workers.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	s := newSite(t, yarntest.Config{Nodes: 1, NodeMemoryMB: roomForTwo, MaxMemoryMB: 8192})
	a := s.run([]string{"-p", "2", "-Dslot.request.timeout=8s"}, "forever")
	a.ended(finished, appFailed, `.*slot\.request\.timeout.*`+waitingFor.String()+`.*|.*`+waitingFor.String()+`.*slot\.request\.timeout.*`)
	a.nothingLeft()
	a.noStaging()
	s.allocates.with(func() {
		if got := s.allocates.asks; len(got) != 2 || got[0] != 2 || got[1] != 0 {
			t.Errorf("asks: got %v, want one for 2 and its end", got)
		}
	})
}

// TestRestartWhileRunning restarts the YARN RM under a job that has all its workers: nothing is asked for again, and nothing ends.
func TestRestartWhileRunning(t *testing.T) {
	t.Parallel()
	s := newSite(t, yarntest.Config{})
	a := s.run([]string{"-p", "2"}, "forever")
	a.running()
	s.StopRM()
	s.RestartRM()
	if err := s.StartRM(); err != nil {
		t.Fatal(err)
	}
	a.eventually("the AM registers again", func() (ok bool) {
		s.allocates.with(func() { ok = s.allocates.term == 2 })
		return ok
	})
	a.running()
	a.cancel()
	a.ended(finished, appKilled, `job endings forever .*cancel.*`)
	a.nothingLeft()
	s.allocates.check(t, []int32{2}, 2, 2)
}
