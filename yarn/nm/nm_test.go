package nm_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// The tests named Row… follow the facts about start and stop errors, one each, against a scripted node;
// yarn/yarntest runs the client over the real wire.

const yarnItself = "org.apache.hadoop.yarn.exceptions.YarnException"

var errReset = errors.New("connection reset")

func target(n int64, host string) nm.Target {
	return nm.Target{
		ID: yarnid.ContainerID{Attempt: yarnid.AttemptID{
			Application: yarnid.ApplicationID{ClusterTimestamp: 1, ID: 1}, Attempt: 1}, ID: n},
		Node: yarnid.NodeID{Host: host, Port: 1},
	}
}

func request(t nm.Target) nm.StartRequest {
	return nm.StartRequest{Target: t, Token: &token.Token{Kind: token.Container}, Context: &yarnpb.ContainerLaunchContextProto{}}
}

// script answers calls of all nodes by method; the number counts the calls of that method from 0.
type script struct {
	mu      sync.Mutex
	calls   map[string]int
	methods map[string]func(n int, req, resp proto.Message) error
	tokens  map[yarnid.NodeID]*token.Token
	used    []*token.Token
}

func (s *script) Call(_ context.Context, _ yarnid.NodeID, tok *token.Token, method string, req, resp proto.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls[method]
	s.calls[method]++
	s.used = append(s.used, tok)
	return s.methods[method](n, req, resp)
}

func (s *script) NMToken(node yarnid.NodeID) (*token.Token, bool) {
	t, ok := s.tokens[node]
	return t, ok
}

func newScript() *script {
	return &script{
		calls: map[string]int{}, methods: map[string]func(int, proto.Message, proto.Message) error{},
		tokens: map[yarnid.NodeID]*token.Token{target(0, "a").Node: {Kind: token.NM, Identifier: []byte("a")}},
	}
}

func (s *script) client(t *testing.T) *nm.Client {
	t.Helper()
	c, err := nm.New(nm.Config{Caller: s, Tokens: s})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func exception(class, message string) *yarnpb.SerializedExceptionProto {
	return yarnpb.SerializedExceptionProto_builder{ClassName: &class, Message: &message}.Build()
}

// answerStart succeeds for all but those in failed.
func answerStart(req, resp proto.Message, failed map[int64]*yarnpb.SerializedExceptionProto) {
	b := resp.(*yarnpb.StartContainersResponseProto)
	for i := range req.(*yarnpb.StartContainersRequestProto).GetStartContainerRequest() {
		id := target(int64(i+1), "a").ID
		if e := failed[id.ID]; e != nil {
			b.SetFailedRequests(append(b.GetFailedRequests(), yarnpb.ContainerExceptionMapProto_builder{ContainerId: id.Proto(), Exception: e}.Build()))
			continue
		}
		b.SetSucceededRequests(append(b.GetSucceededRequests(), id.Proto()))
	}
}

// answerStatus knows the containers in states; all others get an exception with text.
func answerStatus(req, resp proto.Message, states map[int64]yarnpb.ContainerStateProto, text string) {
	b := resp.(*yarnpb.GetContainerStatusesResponseProto)
	for _, p := range req.(*yarnpb.GetContainerStatusesRequestProto).GetContainerId() {
		if state, ok := states[p.GetId()]; ok {
			b.SetStatus(append(b.GetStatus(), yarnpb.ContainerStatusProto_builder{ContainerId: p, State: &state}.Build()))
			continue
		}
		b.SetFailedRequests(append(b.GetFailedRequests(), yarnpb.ContainerExceptionMapProto_builder{
			ContainerId: p, Exception: exception(yarnItself, text)}.Build()))
	}
}

// start starts containers 1 to n on node a and returns their errors.
func start(t *testing.T, c *nm.Client, n int64) map[int64]error {
	t.Helper()
	var requests []nm.StartRequest
	for i := range n {
		requests = append(requests, request(target(i+1, "a")))
	}
	out := map[int64]error{}
	c.Start(t.Context(), requests, func(r nm.Result) {
		if _, twice := out[r.ID.ID]; twice {
			t.Errorf("container %s has two results", r.ID)
		}
		out[r.ID.ID] = r.Err
	})
	if len(out) != int(n) {
		t.Errorf("%d results, want %d", len(out), n)
	}
	return out
}

func TestRowStartIsNotAtomic(t *testing.T) {
	s := newScript()
	s.methods["startContainers"] = func(_ int, req, resp proto.Message) error {
		answerStart(req, resp, map[int64]*yarnpb.SerializedExceptionProto{2: exception(yarnItself, "boom\n\tat java")})
		return nil
	}
	got := start(t, s.client(t), 3)
	if got[1] != nil || got[2] == nil || got[3] != nil {
		t.Errorf("got %v, want an error for container 2 only", got)
	}
}

func TestRowFailedCallAsksWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.methods["startContainers"] = func(int, proto.Message, proto.Message) error {
			return &ipc.RemoteError{Class: "java.io.IOException", Message: "disk full"}
		}
		s.methods["getContainerStatuses"] = func(_ int, req, resp proto.Message) error {
			answerStatus(req, resp, map[int64]yarnpb.ContainerStateProto{
				1: yarnpb.ContainerStateProto_C_RUNNING, 2: yarnpb.ContainerStateProto_C_COMPLETE,
			}, "Container container_1 is not handled by this NodeManager")
			return nil
		}
		got := start(t, s.client(t), 3)
		if got[1] != nil || got[2] != nil || got[3] == nil {
			t.Errorf("got %v, want containers 1 and 2 started", got)
		}
	})
}

func TestRowStartedBeforeAfterLostAnswerIsSuccess(t *testing.T) {
	for _, text := range []string{"Container container_1 already is running on this node!!", "Attempt to relaunch the same container with id container_1."} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript()
			s.methods["startContainers"] = func(n int, req, resp proto.Message) error {
				if n == 0 {
					return errReset
				}
				answerStart(req, resp, map[int64]*yarnpb.SerializedExceptionProto{1: exception(yarnItself, text)})
				return nil
			}
			if got := start(t, s.client(t), 2); got[1] != nil || got[2] != nil {
				t.Errorf("%q after a lost answer: got %v, want success", text, got)
			}
			if err := start(t, s.client(t), 1)[1]; !errors.Is(err, nm.ErrAlreadyStarted) {
				t.Errorf("%q: got %v, want ErrAlreadyStarted", text, err)
			}
		})
	}
}

func TestRowStartFailuresAreTyped(t *testing.T) {
	const pkg = "org.apache.hadoop.yarn.exceptions."
	for _, tt := range []struct {
		class, text string
		want        error
	}{
		{yarnItself, "\nUnauthorized request to start container. \nThis token is expired. current time is 2 found 1", nm.ErrTokenExpired},
		{pkg + "InvalidContainerException", "Container x rejected as it is allocated by a previous RM", nm.ErrPreviousRM},
		{yarnItself, "\nUnauthorized request to start container. \nNMToken for application attempt : a was used", nm.ErrTokenRejected},
		{yarnItself, "Null resource URL for local resource x : y", nm.ErrInvalidContext},
		{yarnItself, "Null resource visibility for local resource x : y", nm.ErrInvalidContext},
		{pkg + "InvalidAuxServiceException", "The auxService:x does not exist", nm.ErrInvalidContext},
	} {
		s := newScript()
		s.methods["startContainers"] = func(_ int, req, resp proto.Message) error {
			answerStart(req, resp, map[int64]*yarnpb.SerializedExceptionProto{1: exception(tt.class, tt.text)})
			return nil
		}
		if err := start(t, s.client(t), 1)[1]; !errors.Is(err, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.text, err, tt.want)
		}
	}
}

func TestRowNotYetReadyIsRepeatedWithinTheBudget(t *testing.T) {
	const notReady = "org.apache.hadoop.yarn.exceptions.NMNotYetReadyException"
	ready := map[string]func(n int, req, resp proto.Message, after int) error{
		"for the call": func(n int, req, resp proto.Message, after int) error {
			if n < after {
				return &ipc.RemoteError{Class: notReady, Message: "Rejecting new containers"}
			}
			answerStart(req, resp, nil)
			return nil
		},
		"for the container": func(n int, req, resp proto.Message, after int) error {
			if n < after {
				answerStart(req, resp, map[int64]*yarnpb.SerializedExceptionProto{1: exception(notReady, "is recovering, try later")})
				return nil
			}
			answerStart(req, resp, nil)
			return nil
		},
	}
	for name, answer := range ready {
		t.Run(name, func(t *testing.T) {
			for after, want := range map[int]error{3: nil, 1000000: nm.ErrUnreachable} {
				synctest.Test(t, func(t *testing.T) {
					s := newScript()
					s.methods["startContainers"] = func(n int, req, resp proto.Message) error { return answer(n, req, resp, after) }
					s.methods["getContainerStatuses"] = s.methods["startContainers"]
					began := time.Now()
					err := start(t, s.client(t), 1)[1]
					if took := time.Since(began); !errors.Is(err, want) || (err == nil) != (want == nil) || took > 2*time.Minute {
						t.Errorf("ready after %d tries: got %v after %v, want %v", after, err, took, want)
					}
				})
			}
		})
	}
}

func TestRowConnectErrorsAreRepeatedWithinTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		s.methods["startContainers"] = func(int, proto.Message, proto.Message) error { return errReset }
		began := time.Now()
		err := start(t, s.client(t), 1)[1]
		if took := time.Since(began); !errors.Is(err, nm.ErrUnreachable) || !errors.Is(err, errReset) || took != time.Minute {
			t.Errorf("got %v after %v, want ErrUnreachable after a minute", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.client(t).Start(ctx, []nm.StartRequest{request(target(1, "a"))}, func(r nm.Result) {
			if !errors.Is(r.Err, context.DeadlineExceeded) || errors.Is(r.Err, nm.ErrUnreachable) {
				t.Errorf("got %v, want the end of the context", r.Err)
			}
		})
	})
}

func TestRowOlderTokenIsReplacedByTheNewest(t *testing.T) {
	s := newScript()
	refusal := &ipc.RemoteError{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: "Older NMToken should not be used"}
	newer := &token.Token{Kind: token.NM, Identifier: []byte("newer")}
	s.methods["startContainers"] = func(n int, req, resp proto.Message) error {
		if n == 0 {
			s.tokens[target(0, "a").Node] = newer
			return refusal
		}
		answerStart(req, resp, nil)
		return nil
	}
	if err := start(t, s.client(t), 1)[1]; err != nil || !s.used[1].Equal(newer) {
		t.Errorf("got %v with tokens %v, want success with the newer one", err, s.used)
	}
	s.methods["startContainers"] = func(int, proto.Message, proto.Message) error { return refusal }
	s.methods["getContainerStatuses"] = s.methods["startContainers"]
	before := s.calls["startContainers"]
	if err := start(t, s.client(t), 1)[1]; !errors.Is(err, nm.ErrTokenRejected) || s.calls["startContainers"] != before+1 {
		t.Errorf("without a newer token: got %v after %d calls, want ErrTokenRejected at once", err, s.calls["startContainers"]-before)
	}
}

func TestNoTokenForTheNode(t *testing.T) {
	s := newScript()
	s.client(t).Start(t.Context(), []nm.StartRequest{request(target(1, "elsewhere"))}, func(r nm.Result) {
		if !errors.Is(r.Err, nm.ErrNoToken) {
			t.Errorf("got %v, want ErrNoToken", r.Err)
		}
	})
}

func TestRowStop(t *testing.T) {
	s := newScript()
	s.methods["stopContainers"] = func(_ int, req, resp proto.Message) error {
		ids := req.(*yarnpb.StopContainersRequestProto).GetContainerId()
		b := resp.(*yarnpb.StopContainersResponseProto)
		b.SetSucceededRequests(ids[:1]) // running or recently stopped
		b.SetFailedRequests([]*yarnpb.ContainerExceptionMapProto{yarnpb.ContainerExceptionMapProto_builder{
			ContainerId: ids[1], Exception: exception(yarnItself, "Container x is not handled by this NodeManager")}.Build()})
		return nil
	}
	got := map[int64]error{}
	s.client(t).Stop(t.Context(), []nm.Target{target(1, "a"), target(2, "a"), target(3, "a")}, func(r nm.Result) { got[r.ID.ID] = r.Err })
	if got[1] != nil || !errors.Is(got[2], nm.ErrUnknownContainer) || got[3] == nil {
		t.Errorf("got %v, want success, ErrUnknownContainer and an error for the one left out", got)
	}
}

func TestRowRecentlyStopped(t *testing.T) {
	s := newScript()
	s.methods["getContainerStatuses"] = func(_ int, req, resp proto.Message) error {
		answerStatus(req, resp, map[int64]yarnpb.ContainerStateProto{1: yarnpb.ContainerStateProto_C_NEW},
			"Container container_2 was recently stopped on node manager.")
		return nil
	}
	s.client(t).Statuses(t.Context(), []nm.Target{target(1, "a"), target(2, "a")}, func(st nm.Status) {
		switch {
		case st.ID.ID == 1 && (st.Err != nil || st.State != nm.StateNew || st.ExitStatus != -1000):
			t.Errorf("got %+v, want NEW without exit status", st)
		case st.ID.ID == 2 && !errors.Is(st.Err, nm.ErrEnded):
			t.Errorf("got %+v, want ErrEnded", st)
		}
	})
}

// blocking counts the calls under way.
type blocking struct {
	now, most atomic.Int32
	batches   sync.Map
}

func (b *blocking) Call(ctx context.Context, node yarnid.NodeID, _ *token.Token, _ string, req, resp proto.Message) error {
	b.most.Store(max(b.most.Load(), b.now.Add(1)))
	defer b.now.Add(-1)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	ids := req.(*yarnpb.StopContainersRequestProto).GetContainerId()
	b.batches.Store(fmt.Sprint(node, ids[0].GetId()), len(ids))
	resp.(*yarnpb.StopContainersResponseProto).SetSucceededRequests(ids)
	return nil
}

func (b *blocking) NMToken(yarnid.NodeID) (*token.Token, bool) { return &token.Token{}, true }

func TestNodesInParallelContainersInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &blocking{}
		c, err := nm.New(nm.Config{Caller: b, Tokens: b, Parallel: 4})
		if err != nil {
			t.Fatal(err)
		}
		var all []nm.Target
		for i := range int64(80) {
			all = append(all, target(i, fmt.Sprint("node", i%8)))
		}
		for i := range int64(70) {
			all = append(all, target(100+i, "big"))
		}
		began, results := time.Now(), 0
		c.Stop(t.Context(), all, func(r nm.Result) {
			if r.Err != nil {
				t.Error(r.Err)
			}
			results++
		})
		if took := time.Since(began); took != 3*time.Second || b.most.Load() != 4 || results != 150 {
			t.Errorf("%d results in %v with %d calls at once; want 150 in 3 s (10 batches) with 4", results, took, b.most.Load())
		}
		if n, _ := b.batches.Load(fmt.Sprint(yarnid.NodeID{Host: "node3", Port: 1}, 3)); n != 10 {
			t.Errorf("batch of node3: %v containers, want 10", n)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	s := newScript()
	for name, cfg := range map[string]nm.Config{
		"no caller": {Tokens: s}, "no tokens": {Caller: s}, "negative": {Caller: s, Tokens: s, Parallel: -1},
	} {
		if _, err := nm.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
