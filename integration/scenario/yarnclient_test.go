package scenario

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// yarnClient is a client of the cluster's YARN RM, as a user of that name. Addresses that come before are tried first.
func yarnClient(t *testing.T, c *hadoop.Cluster, user string, before ...string) *rmclient.Client {
	t.Helper()
	hc, _, err := hadoopconf.Load(hadoopconf.Source{HadoopConfDir: c.ConfDir()})
	if err != nil {
		t.Fatal(err)
	}
	rms, err := hc.ResourceManagers()
	if err != nil {
		t.Fatal(err)
	}
	conn := ipc.New(ipc.Config{ConnectTimeout: 5 * time.Second})
	t.Cleanup(func() { _ = conn.Close() })
	addrs := before
	for _, rm := range rms {
		addrs = append(addrs, rm.Client)
	}
	client, err := rmclient.New(rmclient.Config{IPC: conn, Addrs: addrs, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// shellMaster is an application whose AM is a shell command that knows nothing of YARN.
func shellMaster(id yarnid.ApplicationID, command string) *rmclient.Submission {
	return &rmclient.Submission{
		ID: id, Name: "yarn client test", Queue: "default", Type: "flott-test", Tags: []string{"tag-a", "tag-b"}, MaxAttempts: 1,
		Resource: rmclient.Resource{MemoryMB: 256, VCores: 1},
		Launch:   yarnpb.ContainerLaunchContextProto_builder{Command: []string{command}}.Build(),
	}
}

// submitNew submits a shell command as AM under a new id.
func submitNew(t *testing.T, c *rmclient.Client, command string, change func(*rmclient.Submission)) (rmclient.Report, error) {
	t.Helper()
	n, err := c.NewApplication(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Log("application", n.ID)
	s := shellMaster(n.ID, command)
	if change != nil {
		change(s)
	}
	return c.Submit(t.Context(), s)
}

// awaitReport polls until cond holds.
func awaitReport(t *testing.T, c *rmclient.Client, id yarnid.ApplicationID, cond func(rmclient.Report) bool) rmclient.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := c.Report(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if cond(r) {
			return r
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s stays %s: %+v", id, r.State, r)
		}
	}
}

func TestYARNClientSubmitsAndKills(t *testing.T) {
	c := yarnClient(t, hadooptest.Shared(t), "alice")
	ctx := t.Context()
	r, err := submitNew(t, c, "sleep 300", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.User != "alice" || r.Name != "yarn client test" || r.Type != "flott-test" || r.Queue != "default" && r.Queue != "root.default" || !slices.Equal(slices.Sorted(slices.Values(r.Tags)), []string{"tag-a", "tag-b"}) {
		t.Errorf("report: got %+v", r)
	}
	attempt := awaitReport(t, c, r.ID, func(r rmclient.Report) bool { return r.Containers == 1 }).Attempt
	containers, err := c.Containers(ctx, attempt)
	if err != nil || len(containers) != 1 || containers[0].ID.Sequence() != 1 || containers[0].Resource.MemoryMB < 256 {
		t.Errorf("containers of %s: got %+v, %v", attempt, containers, err)
	}
	attempts, err := c.Attempts(ctx, r.ID)
	if err != nil || len(attempts) != 1 || attempts[0].AMContainer != containers[0].ID {
		t.Errorf("attempts: got %+v, %v", attempts, err)
	}
	mine, err := c.Applications(ctx, rmclient.Filter{Types: []string{"flott-test"}, Users: []string{"alice"}, States: []rmclient.State{rmclient.StateAccepted, rmclient.StateRunning}})
	if err != nil || !slices.ContainsFunc(mine, func(o rmclient.Report) bool { return o.ID == r.ID }) {
		t.Errorf("applications: got %+v, %v, want %s among them", mine, err, r.ID)
	}
	if err := c.Kill(ctx, r.ID, "the test is over"); err != nil {
		t.Fatal(err)
	}
	got, err := c.Report(ctx, r.ID)
	if err != nil || got.State != rmclient.StateKilled || got.Final != rmclient.FinalKilled || !strings.Contains(got.Diagnostics, "the test is over") {
		t.Errorf("after the kill: got %+v, %v", got, err)
	}
	if err := c.Kill(ctx, r.ID, "again"); err != nil {
		t.Errorf("kill of an ended application: %v", err)
	}
}

func TestYARNClientSeesFailure(t *testing.T) {
	c := yarnClient(t, hadooptest.Shared(t), "alice")
	r, err := submitNew(t, c, "echo out of luck >&2; exit 7", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := awaitReport(t, c, r.ID, func(r rmclient.Report) bool { return r.State.Terminal() })
	if got.State != rmclient.StateFailed || got.Final != rmclient.FinalFailed || !strings.Contains(got.Diagnostics, "exitCode: 7") {
		t.Errorf("got %+v, want FAILED with exit code 7", got)
	}
}

func TestYARNClientRefusals(t *testing.T) {
	c := yarnClient(t, hadooptest.Shared(t), "alice")
	tests := []struct {
		name   string
		change func(*rmclient.Submission)
		text   string
	}{
		{"unknown queue", func(s *rmclient.Submission) { s.Queue = "nowhere" }, "nowhere"},
		{"too much memory", func(s *rmclient.Submission) { s.Resource.MemoryMB = 1 << 30 }, "maximum"},
		{"unknown label", func(s *rmclient.Submission) { s.NodeLabel = "no-such-label" }, "label"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := submitNew(t, c, "true", tt.change)
			t.Logf("%v", err)
			var rejected *rmclient.RejectedError
			if !errors.As(err, &rejected) && !ipc.Refused(err) {
				t.Fatalf("got %+v, %v, want a refusal", r, err)
			}
			if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line with %q in it", err, tt.text)
			}
		})
	}
	unknown := yarnid.ApplicationID{ClusterTimestamp: 1, ID: 1}
	if _, err := c.Report(t.Context(), unknown); !errors.Is(err, ipc.ErrApplicationNotFound) {
		t.Errorf("report of an unknown application: got %v, want ErrApplicationNotFound", err)
	}
	if err := c.Kill(t.Context(), unknown, ""); !errors.Is(err, ipc.ErrApplicationNotFound) {
		t.Errorf("kill of an unknown application: got %v, want ErrApplicationNotFound", err)
	}
}

func TestYARNClientSeesCluster(t *testing.T) {
	cluster := hadooptest.Shared(t)
	c := yarnClient(t, cluster, "alice")
	ctx := t.Context()
	nodes, err := c.Nodes(ctx, rmclient.NodeRunning)
	if err != nil || len(nodes) != len(cluster.Nodes()) {
		t.Fatalf("nodes: got %+v, %v, want %d", nodes, err, len(cluster.Nodes()))
	}
	for _, n := range nodes {
		if n.ID.IsZero() || n.State != rmclient.NodeRunning || n.Capacity.MemoryMB == 0 || n.Capacity.VCores == 0 || n.HTTPAddress == "" {
			t.Errorf("node: got %+v", n)
		}
	}
	if m, err := c.Metrics(ctx); err != nil || int(m.Active) != len(nodes) {
		t.Errorf("metrics: got %+v, %v, want %d active", m, err, len(nodes))
	}
	if q, err := c.Queue(ctx, "default"); err != nil || q.Name != "default" && q.Path != "root.default" || q.State != "RUNNING" {
		t.Errorf("queue: got %+v, %v", q, err)
	}
	if _, err := c.Queue(ctx, "nowhere"); err == nil {
		t.Error("unknown queue: got no error")
	} else {
		t.Logf("unknown queue: %v", err)
	}
	types, err := c.ResourceTypes(ctx)
	if err != nil || !slices.ContainsFunc(types, func(r rmclient.ResourceType) bool { return r.Name == "memory-mb" }) {
		t.Errorf("resource types: got %+v, %v", types, err)
	}
	n, err := c.NewApplication(ctx)
	if err != nil || n.MaxResource.MemoryMB == 0 || n.MaxResource.VCores == 0 {
		t.Errorf("new application: got %+v, %v", n, err)
	}
}

// TestYARNClientFailsOver puts an address where nothing listens before the real one: a standby YARN RM looks like that.
func TestYARNClientFailsOver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	_ = l.Close()
	c := yarnClient(t, hadooptest.Shared(t), "alice", dead)
	begin := time.Now()
	if _, err := c.Metrics(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("found the active one after %v", d)
	}
}

// TestTokenAuthentication speaks DIGEST-MD5 with the YARN RM's scheduler port: the token comes from an application whose AM is this test.
func TestTokenAuthentication(t *testing.T) {
	cluster := hadooptest.Shared(t)
	c := yarnClient(t, cluster, "alice")
	r, err := submitNew(t, c, "true", func(s *rmclient.Submission) { s.Unmanaged = true })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Kill(context.WithoutCancel(t.Context()), r.ID, "the test is over") }()
	tok := awaitReport(t, c, r.ID, func(r rmclient.Report) bool { return r.AMRMToken != nil }).AMRMToken
	if id, err := tok.Decode(); err != nil || id.Attempt.Application != r.ID {
		t.Errorf("token: got %v, %v, want one of %s", tok, err, r.ID)
	}
	hc, _, err := hadoopconf.Load(hadoopconf.Source{HadoopConfDir: cluster.ConfDir()})
	if err != nil {
		t.Fatal(err)
	}
	rms, err := hc.ResourceManagers()
	if err != nil {
		t.Fatal(err)
	}
	conn := ipc.New(ipc.Config{})
	defer conn.Close()
	peer := ipc.Peer{Addr: rms[0].Scheduler, Protocol: "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB", User: "alice"}
	call := func(method string, req, resp proto.Message) error {
		return conn.Call(t.Context(), peer, method, req, resp)
	}
	register := yarnpb.RegisterApplicationMasterRequestProto_builder{Host: proto.String("localhost"), RpcPort: proto.Int32(1), TrackingUrl: proto.String("")}.Build()

	if err := call("registerApplicationMaster", register, &yarnpb.RegisterApplicationMasterResponseProto{}); !errors.Is(err, ipc.ErrAccessControl) || !ipc.Refused(err) {
		t.Errorf("without a token: got %v, want ErrAccessControl", err)
	}
	peer.Token = &token.Token{Identifier: tok.Identifier, Password: token.Secret("guess"), Kind: tok.Kind}
	if err := call("registerApplicationMaster", register, &yarnpb.RegisterApplicationMasterResponseProto{}); !ipc.Refused(err) || ipc.Unreachable(err) {
		t.Errorf("wrong password: got %v, want a refusal", err)
	}
	peer.Token = tok
	registered := &yarnpb.RegisterApplicationMasterResponseProto{}
	if err := call("registerApplicationMaster", register, registered); err != nil || registered.GetMaximumCapability().GetMemory() == 0 {
		t.Fatalf("register: got %v, %v", registered, err)
	}
	running, err := c.Report(t.Context(), r.ID)
	if err != nil || running.State != rmclient.StateRunning || running.RPCPort != 1 {
		t.Errorf("after the registration: got %+v, %v", running, err)
	}
	status := yarnpb.FinalApplicationStatusProto_APP_SUCCEEDED
	finished := &yarnpb.FinishApplicationMasterResponseProto{}
	finish := yarnpb.FinishApplicationMasterRequestProto_builder{FinalApplicationStatus: &status, Diagnostics: proto.String("all went well")}.Build()
	for !finished.GetIsUnregistered() {
		if err := call("finishApplicationMaster", finish, finished); err != nil {
			t.Fatal(err)
		}
	}
	end := awaitReport(t, c, r.ID, func(r rmclient.Report) bool { return r.State.Terminal() })
	if end.Final != rmclient.FinalSucceeded || end.Diagnostics != "all went well" {
		t.Errorf("end: got %+v", end)
	}
}
