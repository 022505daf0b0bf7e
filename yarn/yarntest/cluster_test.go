package yarntest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// wait bounds what a test waits for; only a failing test waits that long.
const wait = 20 * time.Second

var key = amrm.AskKey{Priority: 3, AllocationRequestID: 1 << 40}

func startCluster(t *testing.T, cfg yarntest.Config) *yarntest.Cluster {
	t.Helper()
	c, err := yarntest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// master is an AM played by the test.
type master struct {
	t       *testing.T
	cluster *yarntest.Cluster
	id      yarnid.AttemptID
	ipc     *ipc.Client
	session *amrm.Session
	nodes   *nm.Client
	events  chan amrm.Event
	seen    []amrm.Event
}

func newMaster(t *testing.T, c *yarntest.Cluster, id yarnid.AttemptID, tok *token.Token) *master {
	t.Helper()
	m := &master{t: t, cluster: c, id: id, ipc: ipc.New(ipc.Config{}), events: make(chan amrm.Event, 1<<16)}
	t.Cleanup(func() { _ = m.ipc.Close() })
	caller, err := amrm.NewCaller(m.ipc, []string{c.SchedulerAddr()})
	if err != nil {
		t.Fatal(err)
	}
	m.session, err = amrm.New(amrm.Config{
		Caller: caller, Token: tok, OnEvent: func(e amrm.Event) { m.events <- e },
		HeartbeatInterval: 50 * time.Millisecond, RequestInterval: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.session.Close)
	m.nodes, err = nm.New(nm.Config{Caller: nm.NewCaller(m.ipc), Tokens: m.session.NMTokens()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unmanaged returns a registered AM of an application of its own.
func unmanaged(t *testing.T, c *yarntest.Cluster) *master {
	t.Helper()
	id, tok := c.SubmitUnmanaged("alice")
	m := newMaster(t, c, id, tok)
	m.register()
	return m
}

func (m *master) register() amrm.Registration {
	m.t.Helper()
	reg, err := m.session.Register(m.t.Context(), amrm.Address{Host: "h", RPCPort: 1, TrackingURL: "http://h:1"})
	if err != nil {
		m.t.Fatal(err)
	}
	return reg
}

// next waits for the next event of type E; others are dropped.
func next[E amrm.Event](m *master) E {
	m.t.Helper()
	timeout := time.After(wait)
	for {
		select {
		case e := <-m.events:
			m.seen = append(m.seen, e)
			if e, ok := e.(E); ok {
				return e
			}
		case <-timeout:
			var zero E
			m.t.Fatalf("no event %T; got %+v", zero, m.seen)
		}
	}
}

// get asks for n containers and waits for them.
func (m *master) get(n int) []amrm.Container {
	m.t.Helper()
	m.session.SetAsk(amrm.Ask{AskKey: key, Resource: amrm.Resource{MemoryMB: 500, VCores: 1}, Count: n})
	var out []amrm.Container
	for len(out) < n {
		out = append(out, next[amrm.Allocated](m).Containers...)
	}
	if len(out) > n {
		m.t.Fatalf("got %d containers, want %d", len(out), n)
	}
	return out
}

func targets(containers []amrm.Container) []nm.Target {
	var out []nm.Target
	for _, ct := range containers {
		out = append(out, nm.Target{ID: ct.ID, Node: ct.Node})
	}
	return out
}

func (m *master) start(clc *yarnpb.ContainerLaunchContextProto, containers ...amrm.Container) []error {
	var requests []nm.StartRequest
	for i, target := range targets(containers) {
		requests = append(requests, nm.StartRequest{Target: target, Token: containers[i].Token, Context: clc})
	}
	var errs []error
	m.nodes.Start(m.t.Context(), requests, func(r nm.Result) { errs = append(errs, r.Err) })
	return errs
}

func (m *master) mustStart(clc *yarnpb.ContainerLaunchContextProto, containers ...amrm.Container) {
	m.t.Helper()
	if err := errors.Join(m.start(clc, containers...)...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *master) await(what string, cond func() bool) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), wait)
	defer cancel()
	if err := m.cluster.Await(ctx, cond); err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
}

func (m *master) app() yarntest.Application {
	a, _ := m.cluster.Application(m.id.Application)
	return a
}

var empty = &yarnpb.ContainerLaunchContextProto{}

func TestLifeOfAnApplication(t *testing.T) {
	c := startCluster(t, yarntest.Config{Nodes: 3, FinishPolls: 2})
	m := unmanaged(t, c)
	got := m.get(6)
	perNode := map[yarnid.NodeID]int{}
	for _, ct := range got {
		perNode[ct.Node]++
		if ct.AskKey != key || ct.Resource.MemoryMB != 512 {
			t.Errorf("container %+v, want the key of the ask and 512 MB", ct)
		}
	}
	if len(perNode) != 3 {
		t.Errorf("containers per node: %v, want all 3 nodes", perNode)
	}
	m.mustStart(empty, got[:5]...)
	running := 0
	m.nodes.Statuses(t.Context(), targets(got[:5]), func(s nm.Status) {
		if s.Err == nil && s.State == nm.StateRunning {
			running++
		}
	})
	if running != 5 {
		t.Errorf("%d running, want 5", running)
	}
	m.nodes.Stop(t.Context(), targets(got[:1]), func(r nm.Result) {
		if r.Err != nil {
			t.Errorf("stop: %v", r.Err)
		}
	})
	if e := next[amrm.Completed](m); e.Statuses[0].ID != got[0].ID || e.Statuses[0].ExitStatus != amrm.ExitKilledByAM {
		t.Errorf("completed: got %+v", e)
	}
	m.session.Release(got[1].ID)
	if s := next[amrm.Completed](m).Statuses[0]; s.ID != got[1].ID || !s.Released || s.ExitStatus != amrm.ExitAborted {
		t.Errorf("completed: got %+v", s)
	}
	c.Complete(got[2].ID, 137, "killed")
	if s := next[amrm.Completed](m).Statuses[0]; s.ID != got[2].ID || s.Released || s.ExitStatus != 137 {
		t.Errorf("completed: got %+v", s)
	}
	if err := m.session.Unregister(t.Context(), amrm.FinalSucceeded, "all well", "http://history"); err != nil {
		t.Fatal(err)
	}
	a := m.app()
	if a.State != yarnpb.YarnApplicationStateProto_FINISHED || a.Final != yarnpb.FinalApplicationStatusProto_APP_SUCCEEDED ||
		a.Diagnostics != "all well" || a.TrackingURL != "http://history" {
		t.Errorf("application: got %+v", a)
	}
	if left := c.Containers(m.id.Application); len(left) > 0 {
		t.Errorf("containers left: %v", left)
	}
}

func TestRoomAndHeartbeats(t *testing.T) {
	c := startCluster(t, yarntest.Config{Nodes: 2, NodeMemoryMB: 1024, NodeHeartbeat: time.Hour})
	m := unmanaged(t, c)
	m.session.SetAsk(amrm.Ask{AskKey: key, Resource: amrm.Resource{MemoryMB: 512}, Count: 9})
	m.await("ask", func() bool { return m.app().Pending == 9 })
	for beat, want := range []int{2, 4, 4} {
		c.Heartbeat()
		if got := len(c.Containers(m.id.Application)); got != want {
			t.Errorf("after heartbeat %d: %d containers, want %d", beat+1, got, want)
		}
	}
	if pending := m.app().Pending; pending != 5 {
		t.Errorf("pending: got %d, want 5", pending)
	}
}

func TestNodeLoss(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	got := m.get(2)
	m.mustStart(empty, got...)
	c.LoseNode(got[0].Node)
	nodes := next[amrm.NodeUpdates](m).Nodes
	for nodes[0].State != amrm.NodeLost {
		nodes = next[amrm.NodeUpdates](m).Nodes
	}
	if s := next[amrm.Completed](m).Statuses[0]; s.ID != got[0].ID || s.ExitStatus != amrm.ExitAborted || s.Released {
		t.Errorf("completed: got %+v", s)
	}
	for _, ct := range m.get(3) {
		if ct.Node == got[0].Node {
			t.Errorf("container %s on the lost node", ct.ID)
		}
	}
}

func TestPreemption(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	got := m.get(1)
	c.Preempt(got[0].ID)
	if e := next[amrm.Preemption](m); !slices.Equal(e.Containers, []yarnid.ContainerID{got[0].ID}) || e.Strict {
		t.Errorf("preemption: got %+v", e)
	}
}

func TestRestartOfTheResourceManager(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	got := m.get(3)
	m.mustStart(empty, got[0], got[1])
	m.session.Blacklist([]string{"nowhere"}, nil)
	m.session.SetAsk(amrm.Ask{AskKey: key, Resource: amrm.Resource{MemoryMB: 1 << 12}, Count: 5})
	m.await("ask and blacklist", func() bool { return m.app().Pending > 0 && len(m.app().Blacklist) == 1 })
	c.StopRM()
	c.RestartRM()
	next[amrm.Trouble](m)
	if err := c.StartRM(); err != nil {
		t.Fatal(err)
	}
	next[amrm.Reregistered](m)
	if fresh := next[amrm.Allocated](m).Containers; fresh[0].ID.Epoch() != 1 {
		t.Errorf("container %s, want one of epoch 1", fresh[0].ID)
	}
	if a := m.app(); len(a.Blacklist) != 1 || a.Pending == 0 {
		t.Errorf("after the restart: got %+v, want the blacklist and something pending", a)
	}
	if err := m.start(empty, got[2])[0]; !errors.Is(err, nm.ErrPreviousRM) {
		t.Errorf("start of a container of the previous RM: got %v, want ErrPreviousRM", err)
	}
	c.Complete(got[0].ID, 0, "")
	c.Complete(got[1].ID, 0, "")
	for _, s := range next[amrm.Completed](m).Statuses {
		if s.ID != got[0].ID && s.ID != got[1].ID {
			t.Errorf("completed: got %+v", s)
		}
	}
}

func TestRolloverOfTheAMRMToken(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	c.RollAMRMKey()
	next[amrm.TokenRolled](m)
	c.ForgetAMRMKeys()
	m.get(1) // over a connection with the new token
	c.RollAMRMKey()
	c.ForgetAMRMKeys()
	c.StopRM() // before the session heard of the new key
	if err := c.StartRM(); err != nil {
		t.Fatal(err)
	}
	for {
		switch e := (<-m.events).(type) {
		case amrm.TokenRolled: // it was quicker: try again
			c.RollAMRMKey()
			c.ForgetAMRMKeys()
			c.StopRM()
			if err := c.StartRM(); err != nil {
				t.Fatal(err)
			}
		case amrm.Terminated:
			if !errors.Is(e.Cause, amrm.ErrTokenRejected) {
				t.Errorf("terminated by %v, want ErrTokenRejected", e.Cause)
			}
			return
		}
	}
}

func TestRepeatedCompletions(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	got := m.get(2)
	m.mustStart(empty, got...)
	c.Complete(got[0].ID, 1, "")
	next[amrm.Completed](m)
	c.Redeliver(got[0].ID)
	c.Complete(got[1].ID, 2, "")
	if s := next[amrm.Completed](m).Statuses; len(s) != 1 || s[0].ID != got[1].ID {
		t.Errorf("completed: got %+v, want the second container only", s)
	}
}

func TestLostAnswersAreRepeated(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	lost := 0
	c.After("allocate", func(_ context.Context, call yarntest.Call) error {
		if r := call.Response.(*yarnpb.AllocateResponseProto); len(r.GetAllocatedContainers()) > 0 && lost < 2 {
			lost++
			return ipctest.ErrHangUp
		}
		return nil
	})
	got := m.get(4)
	if lost != 2 {
		t.Errorf("%d answers lost, want 2", lost)
	}
	m.mustStart(empty, got...)
	if pending := m.app().Pending; pending != 0 {
		t.Errorf("pending after %d containers: %d, want 0", len(got), pending)
	}
}

func TestKilledApplicationTerminatesItsAM(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	m := unmanaged(t, c)
	client := ipc.New(ipc.Config{})
	defer client.Close()
	peer := ipc.Peer{Addr: c.ClientAddr(), Protocol: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB", User: "alice"}
	req := yarnpb.KillApplicationRequestProto_builder{ApplicationId: m.id.Application.Proto()}.Build()
	for done := false; !done; {
		resp := &yarnpb.KillApplicationResponseProto{}
		if err := client.Call(t.Context(), peer, "forceKillApplication", req, resp); err != nil {
			t.Fatal(err)
		}
		done = resp.GetIsKillCompleted()
	}
	if e := next[amrm.Terminated](m); !errors.Is(e.Cause, amrm.ErrAttemptGone) {
		t.Errorf("terminated by %v, want ErrAttemptGone", e.Cause)
	}
}

// A managed application whose AM is played by the test: its second attempt finds the containers of the first.
func TestContainersKeptOverAttempts(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	id := submit(t, c, func(b *yarnpb.ApplicationSubmissionContextProto_builder) {
		keep := true
		b.KeepContainersAcrossApplicationAttempts = &keep
	})
	attempt, tok, ok := c.AMToken(id)
	if !ok {
		t.Fatal("no attempt")
	}
	first := newMaster(t, c, attempt, tok)
	first.register()
	got := first.get(2)
	first.mustStart(empty, got...)
	c.FailAM(id, 1)
	if e := next[amrm.Terminated](first); !errors.Is(e.Cause, amrm.ErrAttemptGone) {
		t.Errorf("first attempt terminated by %v, want ErrAttemptGone", e.Cause)
	}
	attempt, tok, _ = c.AMToken(id)
	if attempt.Attempt != 2 {
		t.Fatalf("attempt %s, want the second", attempt)
	}
	second := newMaster(t, c, attempt, tok)
	reg := second.register()
	if len(reg.PreviousContainers) != 2 || reg.PreviousContainers[0].AskKey != key {
		t.Fatalf("previous containers: got %+v, want 2", reg.PreviousContainers)
	}
	second.nodes.Statuses(t.Context(), targets(reg.PreviousContainers), func(s nm.Status) {
		if s.Err != nil || s.State != nm.StateRunning {
			t.Errorf("status: got %+v, want running", s)
		}
	})
	c.RestartRM() // tells of the two once more: not news
	next[amrm.Reregistered](second)
	c.Complete(got[0].ID, 9, "")
	if s := next[amrm.Completed](second).Statuses; len(s) != 1 || s[0].ExitStatus != 9 {
		t.Errorf("completed: got %+v", s)
	}
	for _, e := range second.seen {
		if e, repeated := e.(amrm.PreviousContainers); repeated {
			t.Errorf("known containers announced again: %+v", e)
		}
	}
	c.FailAM(id, 1)
	a, _ := c.Application(id)
	if a.State != yarnpb.YarnApplicationStateProto_FAILED || !strings.Contains(a.Diagnostics, "failed 2 times") {
		t.Errorf("application: got %+v, want failed", a)
	}
}

// submit submits a managed application through the client port.
func submit(t *testing.T, c *yarntest.Cluster, change func(*yarnpb.ApplicationSubmissionContextProto_builder)) yarnid.ApplicationID {
	t.Helper()
	client := ipc.New(ipc.Config{})
	defer client.Close()
	peer := ipc.Peer{Addr: c.ClientAddr(), Protocol: "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB", User: "alice"}
	fresh := &yarnpb.GetNewApplicationResponseProto{}
	if err := client.Call(t.Context(), peer, "getNewApplication", &yarnpb.GetNewApplicationRequestProto{}, fresh); err != nil {
		t.Fatal(err)
	}
	memory := int64(200)
	b := yarnpb.ApplicationSubmissionContextProto_builder{
		ApplicationId: fresh.GetApplicationId(), AmContainerSpec: empty,
		Resource: yarnpb.ResourceProto_builder{Memory: &memory}.Build(),
	}
	change(&b)
	req := yarnpb.SubmitApplicationRequestProto_builder{ApplicationSubmissionContext: b.Build()}.Build()
	if err := client.Call(t.Context(), peer, "submitApplication", req, &yarnpb.SubmitApplicationResponseProto{}); err != nil {
		t.Fatal(err)
	}
	return yarnid.FromApplication(fresh.GetApplicationId())
}

func TestThousandsOfContainers(t *testing.T) {
	c := startCluster(t, yarntest.Config{Nodes: 40, NodeMemoryMB: 64 << 10})
	m := unmanaged(t, c)
	got := m.get(3000)
	m.mustStart(empty, got...)
	for _, ct := range got {
		c.Complete(ct.ID, 0, "")
	}
	done := 0
	for done < len(got) {
		done += len(next[amrm.Completed](m).Statuses)
	}
	if left := c.Containers(m.id.Application); done != 3000 || len(left) > 0 {
		t.Errorf("%d completed, %d left; want 3000 and 0", done, len(left))
	}
}

func TestMistakesAreAnsweredByTheTable(t *testing.T) {
	c := startCluster(t, yarntest.Config{})
	client := ipc.New(ipc.Config{})
	defer client.Close()
	p := yarntest.Provoker{IPC: client, ClientAddr: c.ClientAddr(), SchedulerAddr: c.SchedulerAddr(), User: "alice"}
	answers, err := p.Provoke(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, e := range yarntest.Exceptions() {
		if got, provoked := answers[e.Scenario]; provoked {
			checked++
			if err := e.Check(got); err != nil {
				t.Error(err)
			}
		}
	}
	if checked != len(answers) || checked < 16 {
		t.Errorf("%d of %d answers are in the table, want all of at least 16", checked, len(answers))
	}
}
