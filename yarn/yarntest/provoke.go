package yarntest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Java interfaces of the three protocols.
const (
	clientProtocol    = "org.apache.hadoop.yarn.api.ApplicationClientProtocolPB"
	schedulerProtocol = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"
	containerProtocol = "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB"
)

// Provoker makes the mistakes of Exceptions on a YARN, this one or a real one, as an unmanaged AM.
type Provoker struct {
	IPC                       *ipc.Client
	ClientAddr, SchedulerAddr string
	User                      string
}

// Provoke makes every mistake that needs no fault of the cluster and returns what YARN answered; nil for a mistake
// that was accepted.
func (p *Provoker) Provoke(ctx context.Context) (map[Scenario]*ipc.RemoteError, error) {
	r := &provocation{Provoker: p, answers: map[Scenario]*ipc.RemoteError{}}
	r.call = func(c *ipc.Client, peer ipc.Peer, method string, req, resp proto.Message) error {
		return c.Call(ctx, peer, method, req, resp)
	}
	r.pause = func() error {
		select {
		case <-time.After(100 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, step := range []func() error{r.submit, r.beforeRegister, r.asMaster, r.withForgedTokens, r.onNode, r.fromOtherApplication, r.afterFinish} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.answers, nil
}

type provocation struct {
	*Provoker
	call       func(c *ipc.Client, peer ipc.Peer, method string, req, resp proto.Message) error
	pause      func() error // between two looks at something that takes its time
	answers    map[Scenario]*ipc.RemoteError
	app        yarnid.ApplicationID
	master     *token.Token
	responseID int32
	containers []*yarnpb.ContainerProto
	nmTokens   map[yarnid.NodeID]*token.Token
}

// note keeps the exception that a mistake was answered with.
func (r *provocation) note(s Scenario, err error) error {
	var remote *ipc.RemoteError
	if err != nil && !errors.As(err, &remote) {
		return fmt.Errorf("%s: %w", s, err)
	}
	r.answers[s] = remote
	return nil
}

func (r *provocation) client(method string, req, resp proto.Message) error {
	return r.call(r.IPC, ipc.Peer{Addr: r.ClientAddr, Protocol: clientProtocol, User: r.User}, method, req, resp)
}

func (r *provocation) scheduler(method string, req, resp proto.Message) error {
	return r.call(r.IPC, ipc.Peer{Addr: r.SchedulerAddr, Protocol: schedulerProtocol, Token: r.master}, method, req, resp)
}

func (r *provocation) node(method string, req, resp proto.Message) error {
	return r.nodeAs(r.IPC, r.nmTokens[r.at()], method, req, resp)
}

// at is the node of the container that is played with.
func (r *provocation) at() yarnid.NodeID { return yarnid.FromNode(r.containers[0].GetNodeId()) }

func (r *provocation) nodeAs(c *ipc.Client, tok *token.Token, method string, req, resp proto.Message) error {
	return r.call(c, ipc.Peer{Addr: r.at().String(), Protocol: containerProtocol, Token: tok}, method, req, resp)
}

func (r *provocation) submit() error {
	fresh := &yarnpb.GetNewApplicationResponseProto{}
	if err := r.client("getNewApplication", &yarnpb.GetNewApplicationRequestProto{}, fresh); err != nil {
		return err
	}
	r.app = yarnid.FromApplication(fresh.GetApplicationId())
	unknown := yarnid.ApplicationID{ClusterTimestamp: 1, ID: 1}
	err := r.client("getApplicationReport", yarnpb.GetApplicationReportRequestProto_builder{ApplicationId: unknown.Proto()}.Build(),
		&yarnpb.GetApplicationReportResponseProto{})
	if err := r.note(ApplicationUnknown, err); err != nil {
		return err
	}
	context := yarnpb.ApplicationSubmissionContextProto_builder{
		ApplicationId: r.app.Proto(), ApplicationName: proto.String("provoke"), Queue: proto.String("default"),
		UnmanagedAm: proto.Bool(true), MaxAppAttempts: proto.Int32(1), AmContainerSpec: &yarnpb.ContainerLaunchContextProto{},
		Resource: resource(128, 1), Priority: yarnpb.PriorityProto_builder{Priority: proto.Int32(0)}.Build(),
	}.Build()
	req := yarnpb.SubmitApplicationRequestProto_builder{ApplicationSubmissionContext: context}.Build()
	if err := r.client("submitApplication", req, &yarnpb.SubmitApplicationResponseProto{}); err != nil {
		return err
	}
	for {
		report := &yarnpb.GetApplicationReportResponseProto{}
		req := yarnpb.GetApplicationReportRequestProto_builder{ApplicationId: r.app.Proto()}.Build()
		if err := r.client("getApplicationReport", req, report); err != nil {
			return err
		}
		if tok := report.GetApplicationReport().GetAmRmToken(); tok != nil {
			r.master = token.FromProto(tok)
			return nil
		}
		if err := r.pause(); err != nil {
			return err
		}
	}
}

func (r *provocation) beforeRegister() error {
	return errors.Join(
		r.note(AllocateUnregistered, r.allocate(yarnpb.AllocateRequestProto_builder{})),
		r.note(FinishUnregistered, r.scheduler("finishApplicationMaster", &yarnpb.FinishApplicationMasterRequestProto{},
			&yarnpb.FinishApplicationMasterResponseProto{})),
	)
}

// allocate sends one allocate with the right response id, unless b has one, and keeps what it brings.
func (r *provocation) allocate(b yarnpb.AllocateRequestProto_builder) error {
	if b.ResponseId == nil {
		b.ResponseId = &r.responseID
	}
	b.Progress = proto.Float32(0)
	resp := &yarnpb.AllocateResponseProto{}
	if err := r.scheduler("allocate", b.Build(), resp); err != nil {
		return err
	}
	r.responseID = resp.GetResponseId()
	r.containers = append(r.containers, resp.GetAllocatedContainers()...)
	for _, t := range resp.GetNmTokens() {
		if r.nmTokens == nil {
			r.nmTokens = map[yarnid.NodeID]*token.Token{}
		}
		r.nmTokens[yarnid.FromNode(t.GetNodeId())] = token.FromProto(t.GetToken())
	}
	return nil
}

func provokedAsk(memoryMB int64, label string) *yarnpb.ResourceRequestProto {
	b := yarnpb.ResourceRequestProto_builder{
		Priority:     yarnpb.PriorityProto_builder{Priority: proto.Int32(1)}.Build(),
		ResourceName: proto.String("*"), Capability: resource(memoryMB, 1), NumContainers: proto.Int32(1),
		RelaxLocality: proto.Bool(true), AllocationRequestId: proto.Int64(1),
	}
	if label != "" {
		b.NodeLabelExpression = &label
	}
	return b.Build()
}

func (r *provocation) asMaster() error {
	if err := r.register(); err != nil {
		return err
	}
	if err := r.note(RegisteredTwice, r.register()); err != nil {
		return err
	}
	foreign := yarnid.ContainerID{Attempt: yarnid.AttemptID{Application: r.app, Attempt: 7}, ID: 1}
	for s, b := range map[Scenario]yarnpb.AllocateRequestProto_builder{
		WrongResponseID: {ResponseId: proto.Int32(77)},
		AskTooLarge:     {Ask: []*yarnpb.ResourceRequestProto{provokedAsk(1<<40, "")}},
		AskLabelUnknown: {Ask: []*yarnpb.ResourceRequestProto{provokedAsk(128, "nolabel")}},
		BlacklistAny:    {BlacklistRequest: yarnpb.ResourceBlacklistRequestProto_builder{BlacklistAdditions: []string{"*"}}.Build()},
		ReleaseForeign:  {Release: []*yarnpb.ContainerIdProto{foreign.Proto()}},
	} {
		if err := r.note(s, r.allocate(b)); err != nil {
			return err
		}
	}
	return r.one()
}

func (r *provocation) register() error {
	return r.scheduler("registerApplicationMaster", yarnpb.RegisterApplicationMasterRequestProto_builder{
		Host: proto.String("localhost"), RpcPort: proto.Int32(1), TrackingUrl: proto.String(""),
	}.Build(), &yarnpb.RegisterApplicationMasterResponseProto{})
}

// one gets one more container.
func (r *provocation) one() error {
	wanted := len(r.containers) + 1
	if err := r.allocate(yarnpb.AllocateRequestProto_builder{Ask: []*yarnpb.ResourceRequestProto{provokedAsk(128, "")}}); err != nil {
		return err
	}
	for len(r.containers) < wanted {
		if err := errors.Join(r.pause(), r.allocate(yarnpb.AllocateRequestProto_builder{})); err != nil {
			return err
		}
	}
	return nil
}

// startOne starts the container with a context and a token, and returns the exception of call or container.
func (r *provocation) startOne(clc *yarnpb.ContainerLaunchContextProto, tok *commonpb.TokenProto) error {
	return r.startAs(r.IPC, r.nmTokens[r.at()], clc, tok)
}

func (r *provocation) startAs(c *ipc.Client, as *token.Token, clc *yarnpb.ContainerLaunchContextProto, tok *commonpb.TokenProto) error {
	resp := &yarnpb.StartContainersResponseProto{}
	req := yarnpb.StartContainersRequestProto_builder{StartContainerRequest: []*yarnpb.StartContainerRequestProto{
		yarnpb.StartContainerRequestProto_builder{ContainerLaunchContext: clc, ContainerToken: tok}.Build(),
	}}.Build()
	if err := r.nodeAs(c, as, "startContainers", req, resp); err != nil {
		return err
	}
	return firstFailure(resp.GetFailedRequests())
}

func firstFailure(failed []*yarnpb.ContainerExceptionMapProto) error {
	for _, f := range failed {
		return &ipc.RemoteError{Class: f.GetException().GetClassName(), Message: f.GetException().GetMessage()}
	}
	return nil
}

func (r *provocation) onNode() error {
	good := r.containers[0].GetContainerToken()
	forged := proto.CloneOf(good)
	password := append([]byte{}, good.GetPassword()...)
	password[0] ^= 1
	forged.SetPassword(password)
	sleep := yarnpb.ContainerLaunchContextProto_builder{Command: []string{"exec sleep 60"}}.Build()
	err := r.note(ContainerTokenForged, r.startOne(sleep, forged))

	url := yarnpb.URLProto_builder{Scheme: proto.String("file"), Port: proto.Int32(-1), File: proto.String("/etc/hostname")}.Build()
	file, private := yarnpb.LocalResourceTypeProto_FILE.Enum(), yarnpb.LocalResourceVisibilityProto_PRIVATE.Enum()
	for s, b := range map[Scenario]yarnpb.LocalResourceProto_builder{
		ResourceWithoutURL:     {Type: file, Visibility: private},
		ResourceWithoutType:    {Resource: url, Visibility: private},
		ResourceWithoutVisible: {Resource: url, Type: file},
	} {
		b.Size, b.Timestamp = proto.Int64(1), proto.Int64(1)
		clc := proto.CloneOf(sleep)
		clc.SetLocalResources([]*yarnpb.StringLocalResourceMapProto{
			yarnpb.StringLocalResourceMapProto_builder{Key: proto.String("x"), Value: b.Build()}.Build()})
		err = errors.Join(err, r.note(s, r.startOne(clc, good)))
	}
	stopped := &yarnpb.StopContainersResponseProto{}
	never := yarnid.FromContainer(r.containers[0].GetId())
	never.ID += 1000
	req := yarnpb.StopContainersRequestProto_builder{ContainerId: []*yarnpb.ContainerIdProto{never.Proto()}}.Build()
	if callErr := r.node("stopContainers", req, stopped); callErr != nil {
		return errors.Join(err, callErr)
	}
	err = errors.Join(err, r.note(ContainerUnknown, firstFailure(stopped.GetFailedRequests())))
	if first := r.startOne(sleep, good); first != nil {
		return errors.Join(err, fmt.Errorf("start a container: %w", first))
	}
	return errors.Join(err, r.note(ContainerStartedBefore, r.startOne(sleep, good)))
}

// withForgedTokens connects with tokens of keys that do not exist. Once an attempt has started a container on a node, the node checks its
// tokens against the key of that time, and a wrong one is an error of SASL.
func (r *provocation) withForgedTokens() error {
	var am yarnpb.AMRMTokenIdentifierProto
	var nm yarnpb.NMTokenIdentifierProto
	amToken, nmToken := *r.master, *r.nmTokens[r.at()]
	if err := errors.Join(proto.Unmarshal(amToken.Identifier, &am), proto.Unmarshal(nmToken.Identifier, &nm)); err != nil {
		return err
	}
	am.SetKeyId(am.GetKeyId() + 1000)
	nm.SetKeyId(nm.GetKeyId() + 1000)
	var amErr, nmErr error
	amToken.Identifier, amErr = proto.Marshal(&am)
	nmToken.Identifier, nmErr = proto.Marshal(&nm)
	if err := errors.Join(amErr, nmErr); err != nil {
		return err
	}
	fresh := ipc.New(ipc.Config{}) // the connections of r.IPC are authenticated already
	defer fresh.Close()
	peer := ipc.Peer{Addr: r.SchedulerAddr, Protocol: schedulerProtocol, Token: &amToken}
	err := r.note(AMRMTokenInvalid, r.call(fresh, peer, "allocate", &yarnpb.AllocateRequestProto{}, &yarnpb.AllocateResponseProto{}))
	good := r.containers[0].GetContainerToken()
	return errors.Join(err, r.note(NMTokenInvalid, r.startAs(fresh, &nmToken, &yarnpb.ContainerLaunchContextProto{}, good)))
}

func (r *provocation) fromOtherApplication() error {
	other := &provocation{Provoker: r.Provoker, call: r.call, pause: r.pause, answers: map[Scenario]*ipc.RemoteError{}}
	if err := other.submit(); err != nil {
		return err
	}
	if err := other.register(); err != nil {
		return err
	}
	for other.nmTokens[r.at()] == nil {
		if err := other.one(); err != nil {
			return err
		}
	}
	fresh := ipc.New(ipc.Config{})
	defer fresh.Close()
	good := r.containers[0].GetContainerToken()
	err := r.note(NMTokenOfOtherApp, r.startAs(fresh, other.nmTokens[r.at()], &yarnpb.ContainerLaunchContextProto{}, good))
	return errors.Join(err, other.finish())
}

// finish unregisters.
func (r *provocation) finish() error {
	resp := &yarnpb.FinishApplicationMasterResponseProto{}
	for !resp.GetIsUnregistered() {
		req := yarnpb.FinishApplicationMasterRequestProto_builder{
			FinalApplicationStatus: yarnpb.FinalApplicationStatusProto_APP_SUCCEEDED.Enum(),
			Diagnostics:            proto.String(""), TrackingUrl: proto.String(""),
		}.Build()
		if err := errors.Join(r.pause(), r.scheduler("finishApplicationMaster", req, resp)); err != nil {
			return err
		}
	}
	return nil
}

func (r *provocation) afterFinish() error {
	if err := r.finish(); err != nil {
		return err
	}
	// The attempt is unregistered a moment after the answer.
	var err error
	for err == nil {
		if paused := r.pause(); paused != nil {
			return paused
		}
		err = r.allocate(yarnpb.AllocateRequestProto_builder{})
	}
	if err := r.note(AttemptUnknown, err); err != nil {
		return err
	}
	fresh := ipc.New(ipc.Config{})
	defer fresh.Close()
	peer := ipc.Peer{Addr: r.SchedulerAddr, Protocol: schedulerProtocol, Token: r.master}
	return r.note(AMRMTokenUnknown, r.call(fresh, peer, "allocate", &yarnpb.AllocateRequestProto{}, &yarnpb.AllocateResponseProto{}))
}

// Check compares an answer with the table and says what differs, or nothing.
func (e Exception) Check(got *ipc.RemoteError) error {
	switch {
	case got == nil:
		return fmt.Errorf("%s: accepted, want %s", e.Scenario, e.Class)
	case got.Class != e.Class:
		return fmt.Errorf("%s: class %s, want %s; message %q", e.Scenario, got.Class, e.Class, got.Message)
	case !hasPrefix(got.Message, e.Prefix):
		return fmt.Errorf("%s: message %q, want one that begins with %q", e.Scenario, got.Message, e.Prefix)
	}
	return nil
}
