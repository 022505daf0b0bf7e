package resourcemanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// rig is a core without a loop: the ports write what they are asked into one log, in order.
type rig struct {
	t    *testing.T
	c    *core
	now  time.Time
	said []string
}

func newRig(t *testing.T, change func(*Config)) *rig {
	r := &rig{t: t, now: time.Unix(1000, 0)}
	var last byte
	cfg := Config{
		Epoch: 7, Resource: "am", Driver: r, Jobs: r, Log: slog.New(slog.DiscardHandler),
		Slots: slotmanager.Config{SlotsPerWorker: 1, IdleTimeout: 30 * time.Second, NewAllocation: func() ids.AllocationID {
			last++
			return ids.AllocationID{last}
		}},
		HeartbeatInterval: 2 * time.Second, HeartbeatTimeout: 8 * time.Second,
		RegistrationTimeout: 5 * time.Minute, StartRetryInterval: 3 * time.Second, MaxStartFailures: 10,
		RecoveryTimeout: 10 * time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	r.c = newCore(cfg, func() time.Time { return r.now })
	r.c.redial = func(id ids.ResourceID, _ *connection) { r.say("redial %s", id) }
	return r
}

func (r *rig) say(format string, args ...any) { r.said = append(r.said, fmt.Sprintf(format, args...)) }

func (r *rig) Attach(ids.Epoch, func(Event)) error { return nil }
func (r *rig) Request(_ ids.Epoch, n int)          { r.say("request %d", n) }
func (r *rig) Release(_ ids.Epoch, id ids.ResourceID, _ string) {
	r.say("release %s", id)
}
func (r *rig) Suspect(_ ids.Epoch, id ids.ResourceID)       { r.say("suspect %s", id) }
func (r *rig) Finish(context.Context, Status, string) error { return nil }
func (r *rig) NotEnoughResources(_ ids.JobID, reason string, final bool) {
	r.say("notenough %v %s", final, reason)
}
func (r *rig) WorkerGone(id ids.ResourceID, cause error) { r.say("gone %s: %v", id, cause) }

// want compares what was said since the last call.
func (r *rig) want(lines ...string) {
	r.t.Helper()
	if got, want := strings.Join(r.said, "\n"), strings.Join(lines, "\n"); got != want {
		r.t.Fatalf("said:\n%s\nwant:\n%s", got, want)
	}
	r.said = nil
}

type fakeLink struct {
	r    *rig
	name string
	last *pb.FromResourceManager
}

func (l *fakeLink) Send(m *pb.FromResourceManager) error {
	l.last = m
	switch {
	case m.HasRequestSlot():
		l.r.say("%s slot %d", l.name, m.GetRequestSlot().GetSlotIndex())
	case m.HasGoodbye():
		l.r.say("%s goodbye", l.name)
	case m.HasCanBeReleased():
		l.r.say("%s can you go", l.name)
	}
	return nil
}

func (l *fakeLink) Close(error) { l.r.say("%s closed", l.name) }

func registration(id string, attempt uint64) *pb.RegisterTaskExecutorRequest {
	return pb.RegisterTaskExecutorRequest_builder{Epoch: 7, ResourceId: id, Attempt: attempt, Address: "w:1"}.Build()
}

var job = ids.JobID{0xa}

// register brings a worker from its registration to its first inventory with one free slot.
func (r *rig) register(id string, attempt uint64) (*connection, *fakeLink) {
	r.t.Helper()
	req := registration(id, attempt)
	if resp := r.c.admit(req); resp != nil {
		r.t.Fatalf("admit %s: %v", id, resp)
	}
	l := &fakeLink{r: r, name: fmt.Sprintf("%s#%d", id, attempt)}
	if resp := r.c.accept(req, ids.InstanceID{byte(attempt)}, l, nil); !resp.HasSuccess() {
		r.t.Fatalf("accept %s: %v", id, resp)
	}
	conn := r.c.workers[ids.ResourceID(id)].conn
	r.c.receive(ids.ResourceID(id), conn, l, pb.ToResourceManager_builder{Inventory: oneSlot(nil)}.Build())
	return conn, l
}

func oneSlot(alloc []byte) *pb.SlotReport {
	s := pb.Slot_builder{State: pb.SlotState_FREE}
	if alloc != nil {
		s = pb.Slot_builder{State: pb.SlotState_ALLOCATED, Job: job.Bytes(), Allocation: alloc}
	}
	return pb.SlotReport_builder{Slots: []*pb.Slot{s.Build()}}.Build()
}

func (r *rig) require(slots int) {
	r.c.jobs[job] = true
	r.c.step(slotmanager.Require{Job: job, JobMaster: "am:1", Slots: slots})
}

func TestWorkersComeUntilTheJobIsServed(t *testing.T) {
	r := newRig(t, nil)
	Owned{}.apply(r.c)
	r.require(2)
	r.want("request 2")
	Starting{Worker{ID: "w1"}}.apply(r.c)
	Starting{Worker{ID: "w1"}}.apply(r.c) // repeated
	r.want()
	r.register("w1", 1)
	r.want("w1#1 slot 0")
	Starting{Worker{ID: "w2"}}.apply(r.c)
	r.register("w2", 1)
	r.want("w2#1 slot 0")
}

func TestNothingIsAskedBeforeTheOwnedListIsKnown(t *testing.T) {
	r := newRig(t, nil)
	r.require(2)
	r.want()
	if resp := r.c.admit(registration("w1", 1)); !resp.HasFailure() || resp.GetFailure().GetRetryAfterMillis() == 0 {
		t.Errorf("registration before the list: got %v, want a failure for now", resp)
	}
	Owned{Workers: []Worker{{ID: "w1"}}}.apply(r.c)
	r.want() // w1 may still register: nothing new until then
	r.register("w1", 1)
	r.want("w1#1 slot 0", "request 1")
}

func TestPreviousWorkersAreAwaitedOnlySoLong(t *testing.T) {
	r := newRig(t, nil)
	Owned{Workers: []Worker{{ID: "w1"}}}.apply(r.c)
	r.require(2)
	r.want()
	r.now = r.now.Add(10 * time.Second)
	r.c.tick()
	r.want("request 1")
}

func TestRegistrationAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(r *rig)
		id      string
		attempt uint64
		want    string
	}{
		"unknown worker": {func(*rig) {}, "w9", 1, "rejection"},
		"a released worker": {func(r *rig) {
			r.c.dismiss(r.c.workers["w1"], "test")
		}, "w1", 1, "rejection"},
		"an older attempt":       {func(r *rig) { r.register("w1", 5) }, "w1", 4, "replayed"},
		"the same attempt again": {func(r *rig) { r.register("w1", 5) }, "w1", 5, "success"},
		"on hold":                {func(r *rig) { r.c.hold = true }, "w1", 1, "failure"},
		"a known worker":         {func(*rig) {}, "w1", 1, "open"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			Owned{Workers: []Worker{{ID: "w1"}}}.apply(r.c)
			tc.prepare(r)
			got := "open"
			if err := r.c.replayed(registration(tc.id, tc.attempt)); errors.Is(err, rpc.ErrReplayed) {
				got = "replayed"
			} else if resp := r.c.admit(registration(tc.id, tc.attempt)); resp != nil {
				got = map[bool]string{resp.HasSuccess(): "success", resp.HasFailure(): "failure", resp.HasRejection(): "rejection"}[true]
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestWhatAcceptFindsChanged(t *testing.T) {
	for name, tc := range map[string]struct {
		meanwhile func(r *rig)
		err       error
		want      string
	}{
		"nothing":               {func(*rig) {}, nil, "success"},
		"no connection back":    {func(*rig) {}, errors.New("refused"), "failure"},
		"a newer registration":  {func(r *rig) { r.c.admit(registration("w1", 2)) }, nil, "failure"},
		"the worker has ended":  {func(r *rig) { Gone{Worker: "w1"}.apply(r.c) }, nil, "rejection"},
		"the worker must leave": {func(r *rig) { r.c.dismiss(r.c.workers["w1"], "test") }, nil, "rejection"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			Owned{Workers: []Worker{{ID: "w1"}}}.apply(r.c)
			req := registration("w1", 1)
			r.c.admit(req)
			tc.meanwhile(r)
			r.said = nil
			var l link
			if tc.err == nil {
				l = &fakeLink{r: r, name: "l"}
			}
			resp := r.c.accept(req, ids.InstanceID{1}, l, tc.err)
			got := map[bool]string{resp.HasSuccess(): "success", resp.HasFailure(): "failure", resp.HasRejection(): "rejection"}[true]
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if tc.err == nil && tc.want != "success" {
				r.want("l closed")
			}
		})
	}
}

func TestAReplacedRegistrationIsSilenced(t *testing.T) {
	r := newRig(t, nil)
	Owned{}.apply(r.c)
	r.require(1)
	Starting{Worker{ID: "w1"}}.apply(r.c)
	old, oldLink := r.register("w1", 1)
	r.want("request 1", "w1#1 slot 0")
	r.register("w1", 2)
	r.want("w1#1 closed", "w1#2 slot 0")
	// The old stream's answer and its end come late.
	r.c.receive("w1", old, oldLink, pb.ToResourceManager_builder{Response: pb.Response_builder{RequestId: 1}.Build()}.Build())
	r.c.broken("w1", old, oldLink, errors.New("closed"))
	r.want()
}

func TestTheDriversCauseReachesTheJob(t *testing.T) {
	r := newRig(t, nil)
	Owned{}.apply(r.c)
	r.require(1)
	Starting{Worker{ID: "w1"}}.apply(r.c)
	conn, l := r.register("w1", 1)
	r.said = nil
	r.c.broken("w1", conn, l, errors.New("reset"))
	r.want("suspect w1", "redial w1")
	Gone{Worker: "w1", Cause: errors.New("killed")}.apply(r.c)
	r.want("gone w1: killed", "request 1")
	if r.c.reopened("w1", conn, nil, errors.New("refused")) {
		t.Error("a stream was taken for a worker that is gone")
	}
	r.want()
}

func TestASilentWorkerIsGivenUp(t *testing.T) {
	r := newRig(t, nil)
	Owned{}.apply(r.c)
	r.require(1)
	Starting{Worker{ID: "w1", Node: "n:1"}}.apply(r.c)
	conn, l := r.register("w1", 1)
	r.said = nil
	r.now = r.now.Add(7 * time.Second)
	r.c.receive("w1", conn, l, pb.ToResourceManager_builder{Heartbeat: oneSlot([]byte(strings.Repeat("\x01", 16)))}.Build())
	r.now = r.now.Add(7 * time.Second)
	r.c.tick()
	r.want()
	r.now = r.now.Add(time.Second)
	r.c.tick()
	r.want("w1#1 goodbye", "release w1", "w1#1 closed",
		"gone w1: worker w1 on n:1 has been silent for 8s (heartbeat.timeout)", "request 1")
}

func TestStartFailuresPauseTheAsking(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxStartFailures = 1 })
	Owned{}.apply(r.c)
	r.require(1)
	for i, want := range [][]string{
		{"request 1"}, // first failure: asked again at once
		nil,           // second within the minute: pause
	} {
		r.said = nil
		id := ids.ResourceID(fmt.Sprint("w", i))
		Starting{Worker{ID: id}}.apply(r.c)
		r.said = nil
		Gone{Worker: id, Cause: errors.New("no disk")}.apply(r.c)
		r.said = slicesDelete(r.said, "notenough")
		r.want(want...)
	}
	r.now = r.now.Add(3 * time.Second)
	r.c.tick()
	r.want("request 1")
}

func slicesDelete(lines []string, prefix string) []string {
	var out []string
	for _, l := range lines {
		if !strings.HasPrefix(l, prefix) {
			out = append(out, l)
		}
	}
	return out
}

func TestSurplusStartingWorkersAreReleased(t *testing.T) {
	r := newRig(t, nil)
	Owned{}.apply(r.c)
	r.require(2)
	Starting{Worker{ID: "w1"}}.apply(r.c)
	Starting{Worker{ID: "w2"}}.apply(r.c)
	r.said = nil
	r.require(1)
	r.want("release w1")
	Gone{Worker: "w1", Wanted: true}.apply(r.c)
	r.want()
}

func TestAWorkerThatNeverRegistersIsReplaced(t *testing.T) {
	r := newRig(t, nil)
	Owned{}.apply(r.c)
	r.require(1)
	Starting{Worker{ID: "w1"}}.apply(r.c)
	r.said = nil
	if got, want := r.c.nextDeadline(), r.now.Add(5*time.Minute); !got.Equal(want) {
		t.Fatalf("next deadline: got %v, want %v", got, want)
	}
	r.now = r.now.Add(5 * time.Minute)
	r.c.tick()
	r.want("release w1", "request 1")
}

func TestNoNewWorkersOnHoldOrAtTheEnd(t *testing.T) {
	for name, set := range map[string]func(*core){
		"hold":   func(c *core) { c.hold = true },
		"ending": func(c *core) { c.ending = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			Owned{}.apply(r.c)
			set(r.c)
			r.require(2)
			r.want()
		})
	}
}
