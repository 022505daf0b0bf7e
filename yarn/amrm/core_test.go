package amrm

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

var (
	start  = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	first  = &token.Token{Kind: token.AMRM, Identifier: []byte("first")}
	second = &token.Token{Kind: token.AMRM, Identifier: []byte("second")}
	small  = AskKey{Priority: 1, AllocationRequestID: 11}
	large  = AskKey{Priority: 2, AllocationRequestID: 22}
)

func containerID(n int64) yarnid.ContainerID {
	return yarnid.ContainerID{Attempt: yarnid.AttemptID{
		Application: yarnid.ApplicationID{ClusterTimestamp: 1, ID: 1}, Attempt: 1}, ID: n}
}

func containers(key AskKey, ns ...int64) []Container {
	var out []Container
	for _, n := range ns {
		out = append(out, Container{ID: containerID(n), AskKey: key})
	}
	return out
}

func ask(key AskKey, count int) Ask {
	return Ask{AskKey: key, Resource: Resource{MemoryMB: 1024 * int64(key.Priority), VCores: 1}, Count: count}
}

// driver steps a core and keeps what it did.
type driver struct {
	t      *testing.T
	core   *core
	now    time.Time
	call   *callEffect // in flight
	events []Event
	other  []effect
}

func newDriver(t *testing.T) *driver {
	return &driver{t: t, core: newCore(5*time.Second, 500*time.Millisecond, first), now: start}
}

// registered returns a driver past registration and the first, empty heartbeat.
func registered(t *testing.T) *driver {
	d := newDriver(t)
	d.do(cmdRegister{registerRequest{host: "nm1", rpcPort: 8081, trackingURL: "http://nm1:8081"}})
	d.end(registerDone{})
	d.wantAllocate()
	d.answer(allocateResponse{responseID: 1})
	d.other = nil
	return d
}

func (d *driver) do(in any) {
	d.t.Helper()
	for _, e := range d.core.Step(d.now, in) {
		switch e := e.(type) {
		case callEffect:
			if d.call != nil {
				d.t.Fatalf("second call in flight: %+v beside %+v", e, *d.call)
			}
			d.call = &e
		case notify:
			d.events = append(d.events, e.event)
		default:
			d.other = append(d.other, e)
		}
	}
}

// end finishes the call in flight with in.
func (d *driver) end(in any) {
	d.t.Helper()
	if d.call == nil {
		d.t.Fatalf("no call in flight to end with %+v", in)
	}
	d.call = nil
	d.do(in)
}

func (d *driver) answer(resp allocateResponse) {
	d.t.Helper()
	d.end(allocateDone{resp: resp})
}

func (d *driver) fail(kind failureKind, message string) {
	d.t.Helper()
	f := &failure{kind: kind, unknown: kind == failRetry, message: message, err: errors.New(message)}
	switch {
	case d.call.register != nil:
		d.end(registerDone{fail: f})
	case d.call.allocate != nil:
		d.end(allocateDone{fail: f})
	default:
		d.end(finishDone{fail: f})
	}
}

// next lets time pass until the core makes a call and returns how long that took.
func (d *driver) next() time.Duration {
	d.t.Helper()
	began := d.now
	for d.call == nil {
		due, ok := d.core.Deadline()
		if !ok {
			d.t.Fatal("no call and no deadline")
		}
		if due.After(d.now) {
			d.now = due
		}
		d.do(tick{})
	}
	return d.now.Sub(began)
}

// wantAllocate waits for an allocate.
func (d *driver) wantAllocate() *allocateRequest {
	d.t.Helper()
	d.next()
	if d.call.allocate == nil {
		d.t.Fatalf("got call %+v, want allocate", *d.call)
	}
	return d.call.allocate
}

// round answers the next allocate with the next response id.
func (d *driver) round(resp allocateResponse) *allocateRequest {
	d.t.Helper()
	req := d.wantAllocate()
	resp.responseID = req.responseID + 1
	d.answer(resp)
	return req
}

func (d *driver) takeEvents() []Event {
	out := d.events
	d.events = nil
	return out
}

func (d *driver) wantEvents(want ...Event) {
	d.t.Helper()
	got := d.takeEvents()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b error) bool { return a.Error() == b.Error() })); diff != "" {
		d.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func counts(asks []Ask) map[AskKey]int {
	out := map[AskKey]int{}
	for _, a := range asks {
		out[a.AskKey] = a.Count
	}
	return out
}

func (d *driver) wantCounts(req *allocateRequest, want map[AskKey]int) {
	d.t.Helper()
	if diff := cmp.Diff(want, counts(req.asks)); diff != "" {
		d.t.Errorf("asks (-want +got):\n%s", diff)
	}
}

func TestRegisterThenHeartbeat(t *testing.T) {
	d := newDriver(t)
	if _, ok := d.core.Deadline(); ok {
		t.Error("a deadline before Register")
	}
	d.do(cmdRegister{registerRequest{host: "nm1", rpcPort: 8081}})
	if d.call == nil || d.call.register == nil || d.call.register.host != "nm1" || d.call.tok != first {
		t.Fatalf("got call %+v, want register with the first token", d.call)
	}
	reg := Registration{Queue: "default", PreviousContainers: containers(small, 7)}
	d.end(registerDone{resp: registerResponse{reg: reg}})
	if diff := cmp.Diff([]effect{joined{reg}}, d.other, cmp.AllowUnexported(joined{})); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	if req := d.wantAllocate(); req.responseID != 0 || len(req.asks)+len(req.releases) > 0 {
		t.Errorf("first allocate: got %+v, want an empty one with response id 0", req)
	}
}

func TestAskIsNotRepeatedWhileOutstanding(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 3)})
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{small: 3})
	for range 3 {
		d.do(cmdAsk{ask(small, 3)})
		d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{})
	}
	d.round(allocateResponse{allocated: containers(small, 2, 3)})
	d.do(cmdAsk{ask(small, 1)}) // wanted − owned after the allocation
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{})
	d.do(cmdAsk{ask(small, 2)})
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{small: 2})
	d.do(cmdAsk{ask(small, 0)})
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{small: 0})
}

func TestAskThatCrossesAnAllocation(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 2)})
	d.round(allocateResponse{})
	d.round(allocateResponse{allocated: containers(small, 2)}) // Seq 1
	d.round(allocateResponse{allocated: containers(small, 3)}) // Seq 2
	more := ask(small, 4)                                      // computed when the owner knew of Seq 1 only: 5 wanted, 1 owned
	more.AsOf = 1
	d.do(cmdAsk{more})
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{small: 3})
}

// The YARN RM granted containers before it overwrote its count with ours: it must be told again.
func TestAskOverwritesCountOfGrantedContainers(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 2)})
	d.round(allocateResponse{})
	d.do(cmdAsk{ask(small, 5)})
	d.wantCounts(d.round(allocateResponse{allocated: containers(small, 2, 3)}), map[AskKey]int{small: 5})
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{small: 3})
	d.wantCounts(d.round(allocateResponse{}), map[AskKey]int{})
}

func TestSizeChangeIsAChange(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 1)})
	d.round(allocateResponse{})
	bigger := ask(small, 1)
	bigger.MemoryMB = 9000
	d.do(cmdAsk{bigger})
	req := d.round(allocateResponse{})
	if len(req.asks) != 1 || req.asks[0].MemoryMB != 9000 {
		t.Errorf("asks: got %+v, want one of 9000 MB", req.asks)
	}
}

func TestPacing(t *testing.T) {
	d := registered(t)
	if got := d.next(); got != 5*time.Second {
		t.Errorf("idle heartbeat after %v, want 5 s", got)
	}
	// A change while a call is in flight waits for its end and for the gap.
	d.do(cmdAsk{ask(small, 1)})
	d.now = d.now.Add(10 * time.Millisecond)
	d.answer(allocateResponse{responseID: 2})
	if got := d.next(); got != 5*time.Millisecond {
		t.Errorf("changed heartbeat after %v, want 5 ms", got)
	}
	asked := d.now.Add(-15 * time.Millisecond)
	d.answer(allocateResponse{responseID: 3})
	calls := map[string]int{}
	for d.now.Sub(asked) < 7*time.Second {
		waited := d.now.Sub(asked)
		got, want, when := d.next(), min(max(15*time.Millisecond, waited/10), 200*time.Millisecond), "after 2 s"
		switch {
		case waited >= 5*time.Second:
			want, when = 500*time.Millisecond, "after 5 s"
		case waited < 2*time.Second:
			when = "at first"
		}
		if got != want {
			t.Fatalf("heartbeat after %v when waiting for %v, want %v", got, waited, want)
		}
		calls[when]++
		d.answer(allocateResponse{responseID: d.core.responseID + 1})
	}
	if diff := cmp.Diff(map[string]int{"at first": 37, "after 2 s": 15, "after 5 s": 4}, calls); diff != "" {
		t.Errorf("heartbeats (-want +got):\n%s", diff)
	}
	d.next()
	d.answer(allocateResponse{responseID: d.core.responseID + 1, allocated: containers(small, 2)})
	if got := d.next(); got != 5*time.Second {
		t.Errorf("heartbeat after the last container: %v, want 5 s", got)
	}
}

// TestReleasePacing: who stops workers waits for the end of their containers, which comes with a later allocate.
func TestReleasePacing(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 1)})
	d.round(allocateResponse{allocated: containers(small, 2)})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(2)}})
	d.round(allocateResponse{})
	if got := d.next(); got != 15*time.Millisecond {
		t.Errorf("heartbeat while a container ends: after %v, want 15 ms", got)
	}
	released := d.now
	for d.now.Sub(released) < 5*time.Second {
		d.answer(allocateResponse{responseID: d.core.responseID + 1})
		d.next()
	}
	d.answer(allocateResponse{responseID: d.core.responseID + 1})
	if got := d.next(); got != 5*time.Second {
		t.Errorf("heartbeat when the end does not come: after %v, want 5 s", got)
	}
}

// TestExpectedEnd: an idle session looks at once, and often, when its owner has reason to think that a container has ended.
func TestExpectedEnd(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 1)})
	d.round(allocateResponse{allocated: containers(small, 2)})
	d.round(allocateResponse{})
	d.now = d.now.Add(3 * time.Second)
	d.do(cmdExpect{containerID(7)}) // never announced
	if d.call != nil {
		t.Error("a container that is none of ours made the session look")
	}
	d.do(cmdExpect{containerID(2)})
	if d.call == nil || d.call.allocate == nil {
		t.Fatal("no allocate at once")
	}
	d.answer(allocateResponse{responseID: d.core.responseID + 1})
	if got := d.next(); got != 15*time.Millisecond {
		t.Errorf("the next allocate after %v, want 15 ms", got)
	}
	d.answer(allocateResponse{responseID: d.core.responseID + 1, completed: []Status{{ID: containerID(2), ExitStatus: 137}}})
	if got := d.next(); got != 5*time.Second {
		t.Errorf("heartbeat after the end has come: after %v, want 5 s", got)
	}
}

func TestReleaseConfirmed(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 1)})
	d.round(allocateResponse{allocated: containers(small, 2)})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(2)}})
	d.round(allocateResponse{completed: []Status{{ID: containerID(2)}}})
	if got := d.next(); got != 5*time.Second {
		t.Errorf("heartbeat after the last end: after %v, want 5 s", got)
	}
}

func TestChangeGoesOutAtOnce(t *testing.T) {
	d := registered(t)
	d.now = d.now.Add(time.Second)
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(2)}})
	if d.call == nil || !slices.Equal(d.call.allocate.releases, []yarnid.ContainerID{containerID(2)}) {
		t.Errorf("got call %+v, want the release at once", d.call)
	}
}

func TestAnnouncementsAreIdempotent(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 2)})
	d.round(allocateResponse{})
	d.takeEvents()
	d.round(allocateResponse{allocated: containers(small, 2), completed: []Status{{ID: containerID(2), ExitStatus: 1}}})
	d.wantEvents(Allocated{1, containers(small, 2)}, Completed{[]Status{{ID: containerID(2), ExitStatus: 1}}})
	d.round(allocateResponse{
		completed: []Status{{ID: containerID(2), ExitStatus: 1}, {ID: containerID(99)}},
		previous:  containers(large, 5),
	})
	d.wantEvents(PreviousContainers{containers(large, 5)})
	d.round(allocateResponse{previous: containers(large, 5), allocated: containers(small, 5)})
	d.wantEvents()
}

func TestReleasedIsMarked(t *testing.T) {
	d := registered(t)
	d.do(cmdAsk{ask(small, 2)})
	d.round(allocateResponse{})
	d.round(allocateResponse{allocated: containers(small, 2, 3)})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(2)}})
	d.do(cmdRelease{[]yarnid.ContainerID{containerID(2)}}) // once is enough
	if req := d.round(allocateResponse{}); len(req.releases) != 1 {
		t.Errorf("releases: got %v, want one", req.releases)
	}
	d.takeEvents()
	d.round(allocateResponse{completed: []Status{
		{ID: containerID(2), ExitStatus: ExitAborted}, {ID: containerID(3), ExitStatus: ExitAborted}}})
	d.wantEvents(Completed{[]Status{
		{ID: containerID(2), ExitStatus: ExitAborted, Released: true}, {ID: containerID(3), ExitStatus: ExitAborted}}})
}

func TestTokensComeBeforeContainers(t *testing.T) {
	d := registered(t)
	node := yarnid.NodeID{Host: "nm1", Port: 45454}
	d.do(cmdAsk{ask(small, 1)})
	d.round(allocateResponse{nmTokens: []nmToken{{node, second}}, allocated: containers(small, 2)})
	d.wantEvents(NMTokens{[]yarnid.NodeID{node}}, Allocated{1, containers(small, 2)})
	if len(d.other) != 1 {
		t.Fatalf("effects: got %v, want storeTokens", d.other)
	}
	if _, ok := d.other[0].(storeTokens); !ok {
		t.Errorf("effects: got %v, want storeTokens", d.other)
	}
}

func TestBlacklistSendsDifferences(t *testing.T) {
	d := registered(t)
	d.do(cmdBlacklist{add: []string{"a", "b", "*", ""}})
	req := d.round(allocateResponse{})
	if !slices.Equal(req.blackAdd, []string{"a", "b"}) || len(req.blackRemove) > 0 {
		t.Errorf("got +%v -%v, want +[a b]", req.blackAdd, req.blackRemove)
	}
	d.do(cmdBlacklist{add: []string{"b", "c"}, remove: []string{"a", "x"}})
	req = d.round(allocateResponse{})
	if !slices.Equal(req.blackAdd, []string{"c"}) || !slices.Equal(req.blackRemove, []string{"a"}) {
		t.Errorf("got +%v -%v, want +[c] -[a]", req.blackAdd, req.blackRemove)
	}
}

func TestOtherEvents(t *testing.T) {
	d := registered(t)
	nodes := []NodeReport{{Node: yarnid.NodeID{Host: "nm1", Port: 1}, State: NodeLost}}
	preempt := Preemption{Containers: []yarnid.ContainerID{containerID(2)}}
	for range 2 {
		d.round(allocateResponse{clusterNodes: 3, nodes: nodes, preemptions: []Preemption{preempt}})
	}
	d.wantEvents(ClusterNodes{3}, NodeUpdates{nodes}, preempt, NodeUpdates{nodes}, preempt)
}

func TestProgressIsClamped(t *testing.T) {
	d := registered(t)
	for _, tt := range []struct{ in, want float32 }{{0.5, 0.5}, {2, 1}, {-1, 0}, {float32(math.NaN()), 0}} {
		d.do(cmdProgress{tt.in})
		if got := d.round(allocateResponse{}).progress; got != tt.want {
			t.Errorf("progress %v: sent %v, want %v", tt.in, got, tt.want)
		}
	}
}
