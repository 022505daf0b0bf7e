package amrm

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// scriptedRM answers calls in the process.
type scriptedRM struct {
	mu        sync.Mutex
	allocates []*yarnpb.AllocateRequestProto
	answer    func(method string, req, resp proto.Message) error
	hang      bool
}

func (rm *scriptedRM) Call(ctx context.Context, _ *token.Token, method string, req, resp proto.Message) error {
	rm.mu.Lock()
	defer rm.mu.Unlock()
	if rm.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if a, ok := req.(*yarnpb.AllocateRequestProto); ok {
		rm.allocates = append(rm.allocates, a)
		resp.(*yarnpb.AllocateResponseProto).SetResponseId(a.GetResponseId() + 1)
	}
	if rm.answer == nil {
		return nil
	}
	return rm.answer(method, req, resp)
}

func newSession(t *testing.T, rm *scriptedRM, onEvent func(Event)) *Session {
	t.Helper()
	s, err := New(Config{Caller: rm, Token: first, OnEvent: onEvent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestSessionLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := yarnid.NodeID{Host: "nm1", Port: 45454}
		tok := &token.Token{Kind: token.NM, Identifier: []byte{1}, Password: []byte{2}}
		finishes := 0
		rm := &scriptedRM{answer: func(_ string, req, resp proto.Message) error {
			switch resp := resp.(type) {
			case *yarnpb.RegisterApplicationMasterResponseProto:
				resp.SetQueue("default")
				resp.SetMaximumCapability(toResource(Resource{MemoryMB: 8192, VCores: 4, Custom: map[string]int64{"yarn.io/gpu": 2}}))
			case *yarnpb.AllocateResponseProto:
				for _, a := range req.(*yarnpb.AllocateRequestProto).GetAsk() {
					resp.SetAllocatedContainers([]*yarnpb.ContainerProto{yarnpb.ContainerProto_builder{
						Id: containerID(2).Proto(), NodeId: node.Proto(), Priority: a.GetPriority(),
						AllocationRequestId: proto.Int64(a.GetAllocationRequestId()), Resource: a.GetCapability(),
						ContainerToken: tok.Proto(), NodeHttpAddress: proto.String("nm1:8042"),
					}.Build()})
					resp.SetNmTokens([]*yarnpb.NMTokenProto{
						yarnpb.NMTokenProto_builder{NodeId: node.Proto(), Token: tok.Proto()}.Build()})
				}
			case *yarnpb.FinishApplicationMasterResponseProto:
				finishes++
				resp.SetIsUnregistered(finishes == 3)
			}
			return nil
		}}
		var s *Session
		var allocated []Container
		s = newSession(t, rm, func(e Event) {
			if e, ok := e.(Allocated); ok {
				allocated = e.Containers
				if got, ok := s.NMTokens().NMToken(node); !ok || !got.Equal(tok) {
					t.Errorf("NM token when the container came: got %v", got)
				}
				s.Release(e.Containers[0].ID) // posting from the handler must not block
			}
		})
		reg, err := s.Register(t.Context(), Address{Host: "nm0", RPCPort: 8081})
		if err != nil {
			t.Fatal(err)
		}
		want := Registration{Queue: "default", MaxCapability: Resource{MemoryMB: 8192, VCores: 4, Custom: map[string]int64{"yarn.io/gpu": 2}}}
		if diff := cmp.Diff(want, reg); diff != "" {
			t.Errorf("registration (-want +got):\n%s", diff)
		}
		s.SetAsk(ask(small, 1))
		time.Sleep(time.Second)
		synctest.Wait()
		wantC := []Container{{ID: containerID(2), Node: node, NodeHTTPAddress: "nm1:8042", AskKey: small,
			Resource: ask(small, 1).Resource, Token: tok}}
		if diff := cmp.Diff(wantC, allocated); diff != "" {
			t.Errorf("containers (-want +got):\n%s", diff)
		}
		released := 0
		for _, a := range rm.allocates {
			released += len(a.GetRelease())
		}
		if released != 1 {
			t.Errorf("releases in all allocates: got %d, want 1", released)
		}
		began := time.Now()
		if err := s.Unregister(t.Context(), FinalSucceeded, "", ""); err != nil {
			t.Errorf("unregister: %v", err)
		}
		if took := time.Since(began); took != 200*time.Millisecond || finishes != 3 {
			t.Errorf("%d finishes in %v, want 3 in 200 ms", finishes, took)
		}
	})
}

func TestSessionEndsWaitingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t, &scriptedRM{hang: true}, func(Event) {})
		if err := s.Unregister(t.Context(), FinalFailed, "", ""); !errors.Is(err, ErrNotRegistered) {
			t.Errorf("unregister before register: got %v, want ErrNotRegistered", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
		defer cancel()
		if _, err := s.Register(ctx, Address{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("register with a hanging resource manager: got %v, want DeadlineExceeded", err)
		}
		done := make(chan error, 1)
		go func() { done <- s.Unregister(t.Context(), FinalFailed, "", "") }()
		synctest.Wait()
		s.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("unregister over Close: got %v, want ErrClosed", err)
		}
	})
}

func TestSessionReportsTermination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		rm := &scriptedRM{answer: func(_ string, _, resp proto.Message) error {
			if resp, ok := resp.(*yarnpb.AllocateResponseProto); ok {
				resp.SetAMCommand(yarnpb.AMCommandProto_AM_SHUTDOWN)
			}
			return nil
		}}
		s := newSession(t, rm, func(e Event) {
			if e, ok := e.(Terminated); ok && errors.Is(e.Cause, ErrShutdown) {
				events++
			}
		})
		if _, err := s.Register(t.Context(), Address{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := s.Unregister(t.Context(), FinalFailed, "", ""); !errors.Is(err, ErrShutdown) || events != 1 {
			t.Errorf("unregister: got %v with %d events, want ErrShutdown and 1", err, events)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no caller":         {OnEvent: func(Event) {}},
		"no handler":        {Caller: &scriptedRM{}},
		"negative interval": {Caller: &scriptedRM{}, OnEvent: func(Event) {}, HeartbeatInterval: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What servers might default differently is always sent.
func TestAskOnTheWire(t *testing.T) {
	a := ask(small, 3)
	a.NodeLabel, a.Custom = "gpu", map[string]int64{"yarn.io/gpu": 1}
	got := toAllocate(&allocateRequest{responseID: 4, asks: []Ask{a}, blackAdd: []string{"x"}})
	r := got.GetAsk()[0]
	if r.GetResourceName() != "*" || r.GetNumContainers() != 3 || !r.HasRelaxLocality() || r.GetNodeLabelExpression() != "gpu" ||
		!r.HasAllocationRequestId() || !r.GetExecutionTypeRequest().HasExecutionType() ||
		r.GetCapability().GetResourceValueMap()[0].GetKey() != "yarn.io/gpu" {
		t.Errorf("ask: got %v", r)
	}
	if !got.HasResponseId() || got.GetBlacklistRequest().GetBlacklistAdditions()[0] != "x" {
		t.Errorf("request: got %v", got)
	}
	if plain := toAllocate(&allocateRequest{}); plain.HasBlacklistRequest() {
		t.Errorf("empty request: got %v, want no blacklist", plain)
	}
}

func TestAnswerFromTheWire(t *testing.T) {
	id := containerID(5).Proto()
	p := yarnpb.AllocateResponseProto_builder{
		ResponseId: proto.Int32(3),
		CompletedContainerStatuses: []*yarnpb.ContainerStatusProto{
			yarnpb.ContainerStatusProto_builder{ContainerId: id, ExitStatus: proto.Int32(-103), Diagnostics: proto.String("vmem")}.Build(),
			yarnpb.ContainerStatusProto_builder{ContainerId: id}.Build(),
		},
		UpdatedNodes: []*yarnpb.NodeReportProto{yarnpb.NodeReportProto_builder{
			NodeId: yarnid.NodeID{Host: "nm1", Port: 1}.Proto(), NodeState: yarnpb.NodeStateProto_NS_LOST.Enum()}.Build()},
		Preempt: yarnpb.PreemptionMessageProto_builder{
			StrictContract: yarnpb.StrictPreemptionContractProto_builder{
				Container: []*yarnpb.PreemptionContainerProto{yarnpb.PreemptionContainerProto_builder{Id: id}.Build()}}.Build(),
			Contract: yarnpb.PreemptionContractProto_builder{
				Container: []*yarnpb.PreemptionContainerProto{yarnpb.PreemptionContainerProto_builder{Id: id}.Build()}}.Build(),
		}.Build(),
		AmRmToken: second.Proto(),
	}.Build()
	got := fromAllocate(p)
	want := allocateResponse{
		responseID: 3,
		completed: []Status{{ID: containerID(5), ExitStatus: ExitKilledExceededVMem, Diagnostics: "vmem"},
			{ID: containerID(5), ExitStatus: ExitInvalid, Diagnostics: "N/A"}},
		nodes:       []NodeReport{{Node: yarnid.NodeID{Host: "nm1", Port: 1}, State: NodeLost}},
		preemptions: []Preemption{{[]yarnid.ContainerID{containerID(5)}, true}, {[]yarnid.ContainerID{containerID(5)}, false}},
		amrmToken:   second,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(allocateResponse{})); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

// FuzzAnswer feeds the session whatever a YARN RM could send: it must neither panic nor announce a container twice.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0x10, 0x01})
	seed, err := proto.Marshal(yarnpb.AllocateResponseProto_builder{
		ResponseId:          proto.Int32(1),
		AllocatedContainers: []*yarnpb.ContainerProto{{}, yarnpb.ContainerProto_builder{Id: containerID(2).Proto()}.Build()},
		Preempt:             &yarnpb.PreemptionMessageProto{},
	}.Build())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &yarnpb.AllocateResponseProto{}
		if proto.Unmarshal(b, p) != nil {
			return
		}
		d := registered(t)
		d.wantAllocate()
		d.answer(fromAllocate(p))
		seen := map[yarnid.ContainerID]bool{}
		for _, e := range d.takeEvents() {
			var all []Container
			switch e := e.(type) {
			case Allocated:
				all = e.Containers
			case PreviousContainers:
				all = e.Containers
			}
			for _, ct := range all {
				if seen[ct.ID] {
					t.Errorf("container %s announced twice", ct.ID)
				}
				seen[ct.ID] = true
			}
		}
	})
}
