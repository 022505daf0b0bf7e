package rmclient

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

var app = yarnid.ApplicationID{ClusterTimestamp: 1410901177871, ID: 7}

// script answers each method with its next answer; the last one repeats. An answer is a message or an error.
type script struct {
	t       *testing.T
	mu      sync.Mutex
	answers map[string][]any
	seen    map[string][][]byte
}

func (s *script) handle(_ context.Context, c ipctest.Caller, protocol, method string, req []byte) (proto.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if protocol != Protocol || c.Protocol != Protocol || c.User != "alice" {
		s.t.Errorf("%s: got protocol %s, caller %+v", method, protocol, c)
	}
	s.seen[method] = append(s.seen[method], req)
	list := s.answers[method]
	if len(list) == 0 {
		s.t.Errorf("unexpected call of %s", method)
		return nil, errors.New("unexpected")
	}
	if len(list) > 1 {
		s.answers[method] = list[1:]
	}
	if err, ok := list[0].(error); ok {
		return nil, err
	}
	return list[0].(proto.Message), nil
}

func (s *script) calls(method string) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[method]
}

func (s *script) request(method string, m proto.Message) {
	s.t.Helper()
	calls := s.calls(method)
	if len(calls) == 0 {
		s.t.Fatalf("no call of %s", method)
	}
	if err := proto.Unmarshal(calls[len(calls)-1], m); err != nil {
		s.t.Fatal(err)
	}
}

// scripted is a client of a server that answers from answers.
func scripted(t *testing.T, answers map[string][]any) (*Client, *script) {
	t.Helper()
	s := &script{t: t, answers: answers, seen: map[string][][]byte{}}
	server, err := ipctest.New(ipctest.Config{Simple: true, Handle: s.handle})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return connect(t, server.Addr()), s
}

func connect(t *testing.T, addrs ...string) *Client {
	t.Helper()
	conn := ipc.New(ipc.Config{})
	t.Cleanup(func() { _ = conn.Close() })
	c, err := New(Config{IPC: conn, Addrs: addrs, User: "alice", Patience: 100 * time.Millisecond, PollInterval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func remote(class, message string) error {
	return &ipc.RemoteError{Class: "org.apache.hadoop.yarn.exceptions." + class, Message: message}
}

// report is an answer to getApplicationReport. Java reports attempt -1 before there is one.
func report(state yarnpb.YarnApplicationStateProto, attempt int32, diagnostics string) *yarnpb.GetApplicationReportResponseProto {
	return yarnpb.GetApplicationReportResponseProto_builder{ApplicationReport: yarnpb.ApplicationReportProto_builder{
		ApplicationId: app.Proto(), YarnApplicationState: &state, Diagnostics: &diagnostics,
		CurrentApplicationAttemptId: yarnid.AttemptID{Application: app, Attempt: attempt}.Proto(),
	}.Build()}.Build()
}

func submission() *Submission {
	return &Submission{
		ID: app, Name: "job", Type: "flott", Tags: []string{"b", "a"}, Priority: 3, MaxAttempts: 2, KeepContainers: true, NodeLabel: "x", AttemptFailuresValidity: 10 * time.Second,
		Resource: Resource{MemoryMB: 1024, VCores: 2, Custom: map[string]int64{"yarn.io/gpu": 1}},
		Launch:   yarnpb.ContainerLaunchContextProto_builder{Command: []string{"true"}}.Build(),
	}
}

const (
	newSaving = yarnpb.YarnApplicationStateProto_NEW_SAVING
	accepted  = yarnpb.YarnApplicationStateProto_ACCEPTED
	failed    = yarnpb.YarnApplicationStateProto_FAILED
)

func TestSubmit(t *testing.T) {
	ok := &yarnpb.SubmitApplicationResponseProto{}
	lost := remote("ApplicationNotFoundException", "Application with id ... doesn't exist in RM.")
	tests := []struct {
		name            string
		submits, report []any
		tries           int
		state           State
		err             string
	}{
		{"accepted", []any{ok}, []any{report(newSaving, -1, ""), report(accepted, 1, "")}, 1, StateAccepted, ""},
		{"lost in a failover", []any{ok}, []any{report(newSaving, -1, ""), lost, report(accepted, 1, "")}, 2, StateAccepted, ""},
		{"AM failed at once", []any{ok}, []any{report(failed, 1, "exited with 7")}, 1, StateFailed, ""},
		{"turned down later", []any{ok}, []any{report(failed, -1, "to unknown queue: q\nmore")}, 1, StateFailed, "YARN rejected " + app.String() + " (FAILED): to unknown queue: q"},
		{"3.5 says it twice", []any{ok}, []any{report(failed, -1, "Application "+app.String()+" byApplication "+app.String()+" by x")}, 1, StateFailed,
			"YARN rejected " + app.String() + " (FAILED): Application " + app.String() + " by x"},
		{"turned down at once", []any{remote("InvalidResourceRequestException", "too large")}, nil, 1, "", "InvalidResourceRequestException: too large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, s := scripted(t, map[string][]any{"submitApplication": tt.submits, "getApplicationReport": tt.report})
			r, err := c.Submit(t.Context(), submission())
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.err)) {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if r.State != tt.state || len(s.calls("submitApplication")) != tt.tries {
				t.Errorf("got state %q after %d submissions, want %q after %d", r.State, len(s.calls("submitApplication")), tt.state, tt.tries)
			}
		})
	}
}

func TestSubmissionOnTheWire(t *testing.T) {
	c, s := scripted(t, map[string][]any{"submitApplication": {&yarnpb.SubmitApplicationResponseProto{}}, "getApplicationReport": {report(accepted, 1, "")}})
	sub := submission()
	sub.AMNodeLabel = "am"
	if _, err := c.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	req := &yarnpb.SubmitApplicationRequestProto{}
	s.request("submitApplication", req)
	p := req.GetApplicationSubmissionContext()
	res := p.GetResource()
	if p.GetQueue() != "default" || p.GetApplicationType() != "flott" || !p.GetKeepContainersAcrossApplicationAttempts() || p.GetAttemptFailuresValidityInterval() != 10_000 ||
		p.GetMaxAppAttempts() != 2 || p.GetPriority().GetPriority() != 3 || p.GetNodeLabelExpression() != "x" || p.GetUnmanagedAm() || len(p.GetAmContainerSpec().GetCommand()) != 1 {
		t.Errorf("context: got %v", p)
	}
	if res.GetMemory() != 1024 || res.GetVirtualCores() != 2 || len(res.GetResourceValueMap()) != 1 || res.GetResourceValueMap()[0].GetValue() != 1 {
		t.Errorf("resource: got %v", res)
	}
	if am := p.GetAmContainerResourceRequest(); len(am) != 1 || am[0].GetNodeLabelExpression() != "am" || am[0].GetResourceName() != "*" || am[0].GetCapability().GetMemory() != 1024 {
		t.Errorf("request for the AM: got %v", am)
	}
}

func TestSubmitEndsWithItsContext(t *testing.T) {
	c, _ := scripted(t, map[string][]any{"submitApplication": {&yarnpb.SubmitApplicationResponseProto{}}, "getApplicationReport": {report(newSaving, -1, "")}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Submit(ctx, submission()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
}

func TestKillRepeatsUntilCompleted(t *testing.T) {
	answer := func(done bool) *yarnpb.KillApplicationResponseProto {
		return yarnpb.KillApplicationResponseProto_builder{IsKillCompleted: &done}.Build()
	}
	c, s := scripted(t, map[string][]any{"forceKillApplication": {answer(false), answer(false), answer(true)}})
	if err := c.Kill(t.Context(), app, "enough"); err != nil {
		t.Fatal(err)
	}
	req := &yarnpb.KillApplicationRequestProto{}
	s.request("forceKillApplication", req)
	if n := len(s.calls("forceKillApplication")); n != 3 || req.GetDiagnostics() != "enough" || yarnid.FromApplication(req.GetApplicationId()) != app {
		t.Errorf("got %d calls, the last %v, want 3", n, req)
	}
	c, _ = scripted(t, map[string][]any{"forceKillApplication": {remote("ApplicationNotFoundException", "no")}})
	if err := c.Kill(t.Context(), app, ""); !errors.Is(err, ipc.ErrApplicationNotFound) {
		t.Errorf("unknown application: got %v, want ErrApplicationNotFound", err)
	}
}

func TestDownWithinPatience(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	begin := time.Now()
	_, err = connect(t, addr).NewApplication(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the YARN ResourceManager at "+addr+" does not answer") || !ipc.NotSent(err) {
		t.Errorf("got %v, want a sentence that names %s", err, addr)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("answered after %v", d)
	}
}

func TestReportFields(t *testing.T) {
	final, logs := yarnpb.FinalApplicationStatusProto_APP_SUCCEEDED, yarnpb.LogAggregationStatusProto_LOG_TIME_OUT
	state := yarnpb.YarnApplicationStateProto_FINISHED
	c, _ := scripted(t, map[string][]any{"getApplicationReport": {yarnpb.GetApplicationReportResponseProto_builder{ApplicationReport: yarnpb.ApplicationReportProto_builder{
		ApplicationId: app.Proto(), CurrentApplicationAttemptId: yarnid.AttemptID{Application: app, Attempt: 2}.Proto(), User: proto.String("u"), Queue: proto.String("q"),
		Name: proto.String("n"), ApplicationType: proto.String("flott"), ApplicationTags: []string{"t"}, YarnApplicationState: &state, FinalApplicationStatus: &final,
		Progress: proto.Float32(0.5), Host: proto.String("nm1"), RpcPort: proto.Int32(8081), TrackingUrl: proto.String("http://rm/proxy"), OriginalTrackingUrl: proto.String("http://nm1:8081"),
		StartTime: proto.Int64(1000), LaunchTime: proto.Int64(2000), FinishTime: proto.Int64(0), LogAggregationStatus: &logs,
		AppResource_Usage: yarnpb.ApplicationResourceUsageReportProto_builder{NumUsedContainers: proto.Int32(3),
			UsedResources: yarnpb.ResourceProto_builder{Memory: proto.Int64(5), VirtualCores: proto.Int32(6), ResourceValueMap: []*yarnpb.ResourceInformationProto{
				yarnpb.ResourceInformationProto_builder{Key: proto.String("memory-mb"), Value: proto.Int64(5)}.Build(),
				yarnpb.ResourceInformationProto_builder{Key: proto.String("yarn.io/gpu"), Value: proto.Int64(1)}.Build()}}.Build()}.Build(),
		AmRmToken: commonpb.TokenProto_builder{Identifier: []byte("i"), Password: []byte("p"), Kind: proto.String("YARN_AM_RM_TOKEN"), Service: proto.String("")}.Build(),
	}.Build()}.Build()}})
	got, err := c.Report(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	want := Report{
		ID: app, Attempt: yarnid.AttemptID{Application: app, Attempt: 2}, User: "u", Queue: "q", Name: "n", Type: "flott", Tags: []string{"t"}, State: StateFinished, Final: FinalSucceeded,
		Diagnostics: "N/A", Progress: 0.5, Host: "nm1", RPCPort: 8081, TrackingURL: "http://rm/proxy", OriginalTrackingURL: "http://nm1:8081",
		Started: time.UnixMilli(1000), Launched: time.UnixMilli(2000), Containers: 3, Used: Resource{5, 6, map[string]int64{"yarn.io/gpu": 1}}, LogAggregation: "TIME_OUT",
		AMRMToken: &token.Token{Identifier: []byte("i"), Password: token.Secret("p"), Kind: token.AMRM},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestListsAndFilters(t *testing.T) {
	older := yarnid.ApplicationID{ClusterTimestamp: app.ClusterTimestamp, ID: 3}
	c, s := scripted(t, map[string][]any{
		"getApplications": {yarnpb.GetApplicationsResponseProto_builder{Applications: []*yarnpb.ApplicationReportProto{
			yarnpb.ApplicationReportProto_builder{ApplicationId: older.Proto()}.Build(), yarnpb.ApplicationReportProto_builder{ApplicationId: app.Proto()}.Build()}}.Build()},
		"getClusterNodes":   {&yarnpb.GetClusterNodesResponseProto{}},
		"getQueueInfo":      {&yarnpb.GetQueueInfoResponseProto{}},
		"signalToContainer": {&yarnpb.SignalContainerResponseProto{}},
		"getNewApplication": {&yarnpb.GetNewApplicationResponseProto{}},
		"getContainers":     {yarnpb.GetContainersResponseProto_builder{Containers: []*yarnpb.ContainerReportProto{{}}}.Build()},
	})
	ctx := t.Context()
	got, err := c.Applications(ctx, Filter{Types: []string{"flott"}, Users: []string{"alice"}, States: []State{StateRunning}, Tags: []string{"x"}, Limit: 5})
	if err != nil || len(got) != 2 || got[0].ID != app {
		t.Errorf("applications: got %+v, %v, want the newest first", got, err)
	}
	req := &yarnpb.GetApplicationsRequestProto{}
	s.request("getApplications", req)
	if req.GetApplicationTypes()[0] != "flott" || req.GetUsers()[0] != "alice" || req.GetApplicationStates()[0] != yarnpb.YarnApplicationStateProto_RUNNING || req.GetApplicationTags()[0] != "x" || req.GetLimit() != 5 || req.HasName() {
		t.Errorf("filter: got %v", req)
	}
	if _, err := c.Applications(ctx, Filter{States: []State{"x"}}); err == nil {
		t.Error("unknown state: got no error")
	}
	if _, err := c.Nodes(ctx, NodeRunning, NodeLost); err != nil {
		t.Error(err)
	}
	nodes := &yarnpb.GetClusterNodesRequestProto{}
	s.request("getClusterNodes", nodes)
	if len(nodes.GetNodeStates()) != 2 || nodes.GetNodeStates()[1] != yarnpb.NodeStateProto_NS_LOST {
		t.Errorf("node states: got %v", nodes)
	}
	if _, err := c.Nodes(ctx, "x"); err == nil {
		t.Error("unknown node state: got no error")
	}
	if _, err := c.Queue(ctx, "q"); !errors.Is(err, ErrNoQueue) {
		t.Errorf("queue: got %v, want ErrNoQueue", err)
	}
	if err := c.SignalContainer(ctx, yarnid.ContainerID{Attempt: yarnid.AttemptID{Application: app, Attempt: 1}, ID: 2}, SignalForceful); err != nil {
		t.Error(err)
	}
	if _, err := c.NewApplication(ctx); err == nil {
		t.Error("new application without an id: got no error")
	}
	if got, err := c.Containers(ctx, yarnid.AttemptID{}); err != nil || len(got) != 1 {
		t.Errorf("containers: got %v, %v", got, err)
	}
}

func TestValidate(t *testing.T) {
	_, err := New(Config{})
	if err == nil || !strings.Contains(err.Error(), "yarn.resourcemanager.address") || !strings.Contains(err.Error(), "neither user nor token") {
		t.Errorf("got %v, want all faults", err)
	}
}
