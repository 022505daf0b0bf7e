package wire

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// master is an unmanaged ApplicationMaster that a test plays, with the clients that our own uses.
type master struct {
	t       *testing.T
	ctx     context.Context
	rm      *rmclient.Client
	session *amrm.Session
	nodes   *nm.Client
	events  chan amrm.Event
	app     yarnid.ApplicationID

	completed map[yarnid.ContainerID]amrm.Status // each told once
}

func newMaster(t *testing.T, y yarn) *master {
	t.Helper()
	m := &master{t: t, ctx: bounded(t), events: make(chan amrm.Event, 1000), completed: map[yarnid.ContainerID]amrm.Status{}}
	conn := ipc.New(ipc.Config{})
	t.Cleanup(func() { _ = conn.Close() })
	var err error
	if m.rm, err = rmclient.New(rmclient.Config{IPC: conn, Addrs: []string{y.client}, User: "alice"}); err != nil {
		t.Fatal(err)
	}
	tok := m.submit()
	caller, err := amrm.NewCaller(conn, []string{y.scheduler})
	if err != nil {
		t.Fatal(err)
	}
	m.session, err = amrm.New(amrm.Config{
		Caller: caller, Token: tok, OnEvent: func(e amrm.Event) { m.events <- e },
		HeartbeatInterval: 100 * time.Millisecond, RequestInterval: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.session.Close)
	if m.nodes, err = nm.New(nm.Config{Caller: nm.NewCaller(conn), Tokens: m.session.NMTokens()}); err != nil {
		t.Fatal(err)
	}
	return m
}

// submit submits the application and returns its AMRM token.
func (m *master) submit() *token.Token {
	m.t.Helper()
	fresh, err := m.rm.NewApplication(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	m.app = fresh.ID
	m.t.Log("application", m.app)
	m.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(m.t.Context()), limit)
		defer cancel()
		if err := m.rm.Kill(ctx, m.app, "the test is over"); err != nil {
			m.t.Errorf("end the application: %v", err)
		}
	})
	_, err = m.rm.Submit(m.ctx, &rmclient.Submission{
		ID: fresh.ID, Name: "life", Type: "flott-test", Tags: []string{"one", "two"}, MaxAttempts: 1, Unmanaged: true,
		Resource: rmclient.Resource{MemoryMB: 128, VCores: 1}, Launch: &yarnpb.ContainerLaunchContextProto{},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return m.report("an AMRM token", func(r rmclient.Report) bool { return r.AMRMToken != nil }).AMRMToken
}

// report waits until the application's report is as wanted.
func (m *master) report(what string, cond func(rmclient.Report) bool) rmclient.Report {
	m.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := m.rm.Report(m.ctx, m.app)
		if err != nil {
			m.t.Fatal(err)
		}
		if cond(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			m.t.Fatalf("report without %s: %+v", what, r)
		}
	}
}

// next returns the next event of type E. Completions are kept wherever they come; what else comes between is passed over, since the real
// YARN RM tells some things earlier or later than the fake.
func next[E amrm.Event](m *master) E {
	m.t.Helper()
	var seen []amrm.Event
	for {
		select {
		case e := <-m.events:
			seen = append(seen, e)
			if c, ok := e.(amrm.Completed); ok {
				m.keep(c)
			}
			if e, ok := e.(E); ok {
				return e
			}
		case <-m.ctx.Done():
			var none E
			m.t.Fatalf("no event %T; got %+v", none, seen)
		}
	}
}

func (m *master) keep(c amrm.Completed) {
	for _, s := range c.Statuses {
		if old, twice := m.completed[s.ID]; twice {
			m.t.Errorf("container %s completed twice: %+v, %+v", s.ID, old, s)
		}
		m.completed[s.ID] = s
	}
}

// ended waits for a container's completion.
func (m *master) ended(id yarnid.ContainerID) amrm.Status {
	m.t.Helper()
	for {
		if s, ok := m.completed[id]; ok {
			return s
		}
		next[amrm.Completed](m)
	}
}

var (
	asked = amrm.Resource{MemoryMB: 200, VCores: 1}
	given = int64(256) // the next multiple of minMemoryMB
	key   = amrm.AskKey{Priority: 3, AllocationRequestID: 1 << 40}
)

// get asks for n containers and waits for them.
func (m *master) get(n int) []amrm.Container {
	m.t.Helper()
	m.session.SetAsk(amrm.Ask{AskKey: key, Resource: asked, Count: n})
	var got []amrm.Container
	for len(got) < n {
		got = append(got, next[amrm.Allocated](m).Containers...)
	}
	if len(got) > n {
		m.t.Fatalf("got %d containers, asked for %d", len(got), n)
	}
	for _, c := range got {
		if c.AskKey != key || c.Resource.MemoryMB != given || c.ID.Attempt.Application != m.app || c.Token == nil || c.NodeHTTPAddress == "" {
			m.t.Errorf("got container %+v, want one of %d MB under the ask's key", c, given)
		}
		if _, ok := m.session.NMTokens().NMToken(c.Node); !ok {
			m.t.Errorf("no token for node %s of %s", c.Node, c.ID)
		}
	}
	return got
}

// start starts a shell command in a container.
func (m *master) start(c amrm.Container, command string) error {
	m.t.Helper()
	clc := yarnpb.ContainerLaunchContextProto_builder{Command: []string{command}}.Build()
	err := errors.New("no answer")
	m.nodes.Start(m.ctx, []nm.StartRequest{{Target: nm.Target{ID: c.ID, Node: c.Node}, Token: c.Token, Context: clc}}, func(r nm.Result) { err = r.Err })
	return err
}

func (m *master) stop(c amrm.Container) error {
	err := errors.New("no answer")
	m.nodes.Stop(m.ctx, []nm.Target{{ID: c.ID, Node: c.Node}}, func(r nm.Result) { err = r.Err })
	return err
}

func (m *master) status(c amrm.Container) (out nm.Status) {
	m.nodes.Statuses(m.ctx, []nm.Target{{ID: c.ID, Node: c.Node}}, func(s nm.Status) { out = s })
	return out
}

// TestLifeOfAnApplication is the script of an ApplicationMaster's life, with the same expectations of the fake and of real YARN.
func TestLifeOfAnApplication(t *testing.T) {
	onBoth(t, func(t *testing.T, y yarn) {
		m := newMaster(t, y)
		m.register()
		got := m.get(4)
		m.runOne(got[0])
		m.failOne(got[1])
		m.releaseOne(got[2])
		m.tooLarge()
		if err := m.start(got[3], "exec sleep 300"); err != nil {
			t.Fatal(err)
		}
		m.unregister()
	})
}

func (m *master) register() {
	m.t.Helper()
	reg, err := m.session.Register(m.ctx, amrm.Address{Host: "here", RPCPort: 4711, TrackingURL: "http://127.0.0.1:4711/"})
	if err != nil {
		m.t.Fatal(err)
	}
	var types []string
	for _, rt := range reg.ResourceTypes {
		types = append(types, rt.Name)
	}
	if !slices.Contains(types, "memory-mb") || !slices.Contains(types, "vcores") || !strings.HasSuffix(reg.Queue, "default") ||
		reg.MaxCapability.MemoryMB < 1024 || reg.MaxCapability.VCores < 1 || len(reg.PreviousContainers) > 0 || reg.Partial {
		m.t.Errorf("registration: got %+v", reg)
	}
	r := m.report("a running AM", func(r rmclient.Report) bool { return r.State == rmclient.StateRunning })
	tags := slices.Sorted(slices.Values(r.Tags))
	if r.User != "alice" || r.Name != "life" || r.Type != "flott-test" || !slices.Equal(tags, []string{"one", "two"}) || r.Host != "here" || r.RPCPort != 4711 ||
		r.TrackingURL != "http://127.0.0.1:4711/" || r.OriginalTrackingURL != r.TrackingURL ||
		r.Attempt != (yarnid.AttemptID{Application: m.app, Attempt: 1}) || r.Final != rmclient.FinalUndefined {
		m.t.Errorf("report of a running AM: got %+v", r)
	}
	if n := next[amrm.ClusterNodes](m).Count; n != 2 {
		m.t.Errorf("usable nodes: got %d, want 2", n)
	}
}

// runOne starts a container, looks at it and stops it; starting and stopping it again changes nothing.
func (m *master) runOne(c amrm.Container) {
	m.t.Helper()
	if err := m.start(c, "exec sleep 300"); err != nil {
		m.t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	s := m.status(c)
	for ; s.Err == nil && s.State == nm.StateNew && m.ctx.Err() == nil; s = m.status(c) {
		<-tick.C
	}
	if s.Err != nil || s.State != nm.StateRunning || s.ExitStatus != amrm.ExitInvalid {
		m.t.Errorf("status of a running container: got %+v", s)
	}
	if err := m.start(c, "true"); !errors.Is(err, nm.ErrAlreadyStarted) {
		m.t.Errorf("second start: got %v, want %v", err, nm.ErrAlreadyStarted)
	}
	if err := m.stop(c); err != nil {
		m.t.Errorf("stop: %v", err)
	}
	if s := m.ended(c.ID); s.ExitStatus != amrm.ExitKilledByAM || s.Released {
		m.t.Errorf("stopped container: got %+v, want exit status %d", s, amrm.ExitKilledByAM)
	}
	if err := m.stop(c); err != nil {
		m.t.Errorf("second stop: %v", err)
	}
	if err := m.start(c, "true"); !errors.Is(err, nm.ErrAlreadyStarted) && !errors.Is(err, nm.ErrEnded) {
		m.t.Errorf("start of an ended container: got %v, want %v or %v", err, nm.ErrAlreadyStarted, nm.ErrEnded)
	}
}

// failOne runs a container whose process fails.
func (m *master) failOne(c amrm.Container) {
	m.t.Helper()
	if err := m.start(c, "echo out of luck 2><LOG_DIR>/stderr >&2; exit 3"); err != nil {
		m.t.Fatal(err)
	}
	if s := m.ended(c.ID); s.ExitStatus != 3 || s.Released || !strings.Contains(s.Diagnostics, "out of luck") {
		m.t.Errorf("failed container: got %+v, want exit status 3 and what it wrote to standard error", s)
	}
}

// releaseOne gives a container back that was never started.
func (m *master) releaseOne(c amrm.Container) {
	m.t.Helper()
	m.session.Release(c.ID)
	if s := m.ended(c.ID); s.ExitStatus != amrm.ExitAborted || !s.Released {
		m.t.Errorf("released container: got %+v, want released, exit status %d", s, amrm.ExitAborted)
	}
}

// tooLarge asks for what no node can give; the session goes on without that ask.
func (m *master) tooLarge() {
	m.t.Helper()
	large := amrm.Ask{AskKey: amrm.AskKey{Priority: 4, AllocationRequestID: 2}, Resource: amrm.Resource{MemoryMB: 1 << 40, VCores: 1}, Count: 1}
	m.session.SetAsk(large)
	if e := next[amrm.AskRejected](m); e.Ask.AskKey != large.AskKey || !strings.HasPrefix(e.Reason, "Invalid resource request!") {
		m.t.Errorf("ask that is too large: got %+v", e)
	}
}

// unregister ends the application, with a container that still runs.
func (m *master) unregister() {
	m.t.Helper()
	if err := m.session.Unregister(m.ctx, amrm.FinalSucceeded, "all well\nand more", "http://127.0.0.1:1/history"); err != nil {
		m.t.Fatal(err)
	}
	next[amrm.Unregistered](m)
	r := m.report("an end", func(r rmclient.Report) bool { return r.State.Terminal() })
	if r.State != rmclient.StateFinished || r.Final != rmclient.FinalSucceeded || !strings.Contains(r.Diagnostics, "all well\nand more") {
		m.t.Errorf("report of an ended application: got %+v", r)
	}
}

// TestKilledApplication kills an application under its ApplicationMaster's feet: the report says who did it and why, and the master learns
// that its attempt is over.
func TestKilledApplication(t *testing.T) {
	onBoth(t, func(t *testing.T, y yarn) {
		m := newMaster(t, y)
		m.register()
		got := m.get(1)
		if err := m.start(got[0], "exec sleep 300"); err != nil {
			t.Fatal(err)
		}
		if err := m.rm.Kill(m.ctx, m.app, "enough\nof it"); err != nil {
			t.Fatal(err)
		}
		r := m.report("an end", func(r rmclient.Report) bool { return r.State.Terminal() })
		want := "Application " + m.app.String() + " was killed by user alice at 127.0.0.1 with diagnostic message: enough\nof it"
		if r.State != rmclient.StateKilled || r.Final != rmclient.FinalKilled || strings.TrimSpace(r.Diagnostics) != want {
			t.Errorf("report: got %s, %s and %q, want %q", r.State, r.Final, r.Diagnostics, want)
		}
		if e := next[amrm.Terminated](m); !errors.Is(e.Cause, amrm.ErrAttemptGone) {
			t.Errorf("the master learns %v, want %v", e.Cause, amrm.ErrAttemptGone)
		}
	})
}
