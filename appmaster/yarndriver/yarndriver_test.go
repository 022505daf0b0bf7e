package yarndriver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// yarn is the session and all nodes in one; it writes what it is asked, in order.
type yarn struct {
	mu   sync.Mutex
	said []string
	fail map[string]error // of starts, by host
	gate chan struct{}    // starts wait for it; made in the bubble
	slow bool             // make the gate
	reg  amrm.Registration
}

func (y *yarn) say(format string, args ...any) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.said = append(y.said, fmt.Sprintf(format, args...))
}

func (y *yarn) take() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	s := strings.Join(y.said, "\n")
	y.said = nil
	return s
}

func (y *yarn) Register(context.Context, amrm.Address) (amrm.Registration, error) { return y.reg, nil }
func (y *yarn) SetAsk(a amrm.Ask)                                                 { y.say("ask %d as of %d", a.Count, a.AsOf) }
func (y *yarn) Blacklist(add, remove []string)                                    { y.say("blacklist %v %v", add, remove) }
func (y *yarn) Unregister(_ context.Context, s amrm.FinalStatus, diag, _ string) error {
	y.say("unregister %d %s", s, diag)
	return nil
}

func (y *yarn) Release(cs ...yarnid.ContainerID) {
	for _, c := range cs {
		y.say("release %d", c.ID)
	}
}

func (y *yarn) Expect(id yarnid.ContainerID) { y.say("expect %d", id.ID) }

func (y *yarn) Start(ctx context.Context, reqs []nm.StartRequest, report func(nm.Result)) {
	if y.gate != nil {
		<-y.gate
	}
	for _, r := range reqs {
		y.say("start %d on %s", r.ID.ID, r.Node.Host)
		report(nm.Result{Target: r.Target, Err: y.fail[r.Node.Host]})
	}
}

func (y *yarn) Stop(_ context.Context, ts []nm.Target, report func(nm.Result)) {
	for _, t := range ts {
		y.say("stop %d", t.ID.ID)
		report(nm.Result{Target: t})
	}
}

var key = amrm.AskKey{Priority: 1, AllocationRequestID: 7}

func granted(n int64, host string) amrm.Container {
	app := yarnid.ApplicationID{ClusterTimestamp: 1, ID: 1}
	return amrm.Container{
		ID:   yarnid.ContainerID{Attempt: yarnid.AttemptID{Application: app, Attempt: 1}, ID: n},
		Node: yarnid.NodeID{Host: host, Port: 1}, AskKey: key,
	}
}

// run gives a started driver whose sink writes the events beside what YARN is asked.
func run(t *testing.T, y *yarn, body func(d *Driver)) {
	synctest.Test(t, func(t *testing.T) {
		if y.slow {
			y.gate = make(chan struct{})
		}
		d, err := New(Config{
			Session: y, NodeManagers: y, Worker: amrm.Resource{MemoryMB: 1024, VCores: 1}, Key: key,
			Launch:    func(amrm.Container) (*yarnpb.ContainerLaunchContextProto, error) { return nil, nil },
			Fatal:     func(cause error) { y.say("fatal %v", cause) },
			Reachable: func(node yarnid.NodeID) bool { return node.Host != "silent" },
		})
		if err != nil {
			t.Fatal(err)
		}
		d.Start(t.Context())
		defer d.Close()
		if err := d.Attach(5, sink(y)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Register(t.Context(), amrm.Address{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		body(d)
	})
}

func sink(y *yarn) func(resourcemanager.Event) {
	return func(ev resourcemanager.Event) {
		switch ev := ev.(type) {
		case resourcemanager.Owned:
			y.say("owned %d", len(ev.Workers))
		case resourcemanager.Starting:
			y.say("starting %s", ev.Worker.Node)
		case resourcemanager.Found:
			y.say("found %s", ev.Worker.Node)
		case resourcemanager.Gone:
			y.say("gone wanted=%v %s", ev.Wanted, strings.SplitN(ev.Cause.Error(), "\n", 2)[0])
		case resourcemanager.Waiting:
			if ev.Reason != "" {
				y.say("waiting: %s", ev.Reason)
			}
		case resourcemanager.Refused:
			y.say("refused: %v", ev.Cause)
		}
	}
}

func expect(t *testing.T, y *yarn, lines ...string) {
	t.Helper()
	synctest.Wait()
	if got, want := y.take(), strings.Join(lines, "\n"); got != want {
		t.Fatalf("said:\n%s\nwant:\n%s", got, want)
	}
}

func TestAskedContainersAreStartedAndSurplusGivenBack(t *testing.T) {
	y := &yarn{}
	run(t, y, func(d *Driver) {
		expect(t, y, "owned 0")
		d.Request(5, 2)
		d.Request(5, 2) // unchanged: nothing goes out
		expect(t, y, "ask 2 as of 0")
		d.OnEvent(amrm.Allocated{Seq: 1, Containers: []amrm.Container{granted(1, "n1"), granted(2, "n1"), granted(3, "n2")}})
		expect(t, y, "release 3", "starting n1:1", "starting n1:1", "start 1 on n1", "start 2 on n1")
		d.OnEvent(amrm.Allocated{Seq: 2, Containers: []amrm.Container{granted(1, "n1")}}) // repeated
		expect(t, y)
		d.OnEvent(amrm.Completed{Statuses: []amrm.Status{{ID: granted(1, "n1").ID, ExitStatus: 137, Diagnostics: "Killed by external signal"}}})
		expect(t, y, "gone wanted=false container container_1_0001_01_000001 on n1:1 ended with exit status 137 (killed by SIGKILL)")
		d.Request(5, 1)
		expect(t, y, "ask 1 as of 2")
	})
}

func TestASuspectedWorkerIsLookedFor(t *testing.T) {
	y := &yarn{}
	run(t, y, func(d *Driver) {
		d.Request(5, 1)
		d.OnEvent(amrm.Allocated{Seq: 1, Containers: []amrm.Container{granted(1, "n1")}})
		synctest.Wait()
		y.take()
		d.Suspect(4, resourceID(granted(1, "n1").ID)) // an older leader
		d.Suspect(5, resourceID(granted(2, "n1").ID)) // not ours
		d.Suspect(5, resourceID(granted(1, "n1").ID))
		expect(t, y, "expect 1")
	})
}

func TestReleaseStopsFirst(t *testing.T) {
	y := &yarn{}
	run(t, y, func(d *Driver) {
		d.Request(5, 1)
		d.OnEvent(amrm.Allocated{Seq: 1, Containers: []amrm.Container{granted(1, "n1")}})
		synctest.Wait()
		y.take()
		id := resourceID(granted(1, "n1").ID)
		d.Release(4, id, "an older leader") // dropped
		d.Release(5, id, "idle")
		d.Release(5, id, "again")
		expect(t, y, "stop 1", "release 1")
		d.OnEvent(amrm.Completed{Statuses: []amrm.Status{{ID: granted(1, "n1").ID, ExitStatus: amrm.ExitAborted, Released: true}}})
		expect(t, y, "gone wanted=true container container_1_0001_01_000001 on n1:1 ended with exit status -100 (its node was lost or it was aborted by YARN)")
	})
}

func TestAReleaseDuringTheStartIsNotForgotten(t *testing.T) {
	y := &yarn{slow: true}
	run(t, y, func(d *Driver) {
		d.Request(5, 1)
		d.OnEvent(amrm.Allocated{Seq: 1, Containers: []amrm.Container{granted(1, "n1")}})
		synctest.Wait()
		y.take()
		d.Release(5, resourceID(granted(1, "n1").ID), "not needed")
		expect(t, y, "release 1")
		close(y.gate)
		expect(t, y, "start 1 on n1", "release 1")
	})
}

func TestANodeThatKeepsFailingIsAvoided(t *testing.T) {
	y := &yarn{fail: map[string]error{"bad": errors.New("no disk")}}
	run(t, y, func(d *Driver) {
		d.OnEvent(amrm.ClusterNodes{Count: 3})
		expect(t, y, "owned 0")
		for n := int64(1); n <= 3; n++ {
			d.Request(5, 1)
			d.OnEvent(amrm.Allocated{Seq: uint64(n), Containers: []amrm.Container{granted(n, "bad")}})
			synctest.Wait()
		}
		if got := y.take(); strings.Count(got, "gone wanted=false start container") != 3 || strings.Count(got, "blacklist [bad] []") != 1 {
			t.Fatalf("said:\n%s\nwant three failed starts and one blacklisting", got)
		}
		d.OnEvent(amrm.ClusterNodes{Count: 2})
		expect(t, y, "blacklist [] [bad]")
	})
}

func TestWhatIsAwaitedIsSaid(t *testing.T) {
	y := &yarn{}
	run(t, y, func(d *Driver) {
		d.OnEvent(amrm.ClusterNodes{Count: 2})
		d.Request(5, 1)
		synctest.Wait()
		y.take()
		time.Sleep(5 * time.Second)
		expect(t, y, "waiting: YARN has not given 1 container(s) of 1024 MiB and 1 vcore(s) yet (2 nodes)")
		d.OnEvent(amrm.Allocated{Seq: 1, Containers: []amrm.Container{granted(1, "n1")}})
		synctest.Wait()
		y.take()
		time.Sleep(time.Hour)
		expect(t, y)
	})
}

func TestANewLeaderGetsTheOwnedList(t *testing.T) {
	y := &yarn{reg: amrm.Registration{PreviousContainers: []amrm.Container{granted(1, "n1")}}}
	run(t, y, func(d *Driver) {
		expect(t, y, "owned 1")
		d.OnEvent(amrm.PreviousContainers{Containers: []amrm.Container{granted(1, "n1"), granted(2, "n2")}})
		expect(t, y, "found n2:1")
		d.OnEvent(amrm.PreviousContainers{Containers: []amrm.Container{granted(3, "silent")}})
		expect(t, y, "release 3")
		if err := d.Attach(6, sink(y)); err != nil {
			t.Fatal(err)
		}
		expect(t, y, "owned 2")
		d.Request(5, 3) // of the older epoch
		expect(t, y)
		d.Request(6, 1)
		expect(t, y, "ask 1 as of 0")
	})
}

func TestRefusalsAndTheEnd(t *testing.T) {
	y := &yarn{}
	run(t, y, func(d *Driver) {
		expect(t, y, "owned 0")
		d.OnEvent(amrm.AskRejected{Ask: amrm.Ask{Resource: amrm.Resource{MemoryMB: 9, VCores: 1}}, Reason: "too large"})
		expect(t, y, "refused: YARN refuses containers of 9 MiB and 1 vcores: too large")
		d.OnEvent(amrm.Terminated{Cause: amrm.ErrAttemptGone})
		expect(t, y, "fatal YARN has ended this attempt: application attempt is gone")
		if err := d.Finish(t.Context(), resourcemanager.Canceled, "cancelled"); err != nil {
			t.Fatal(err)
		}
		expect(t, y, "unregister 3 cancelled")
	})
}

func TestWorkersThatNoNodeCanHoldAreRefused(t *testing.T) {
	y := &yarn{reg: amrm.Registration{MaxCapability: amrm.Resource{MemoryMB: 512, VCores: 1}}}
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Config{Session: y, NodeManagers: y, Worker: amrm.Resource{MemoryMB: 1024, VCores: 1}, Key: key,
			Launch: func(amrm.Container) (*yarnpb.ContainerLaunchContextProto, error) { return nil, nil }})
		if err != nil {
			t.Fatal(err)
		}
		d.Start(t.Context())
		defer d.Close()
		_, err = d.Register(t.Context(), amrm.Address{})
		if err == nil || !strings.Contains(err.Error(), "1024 MiB") || !strings.Contains(err.Error(), "512 MiB") {
			t.Errorf("got %v, want a refusal with both sizes", err)
		}
	})
}
