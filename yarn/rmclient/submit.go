package rmclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Submission describes an application to start. Java: ApplicationSubmissionContext.
type Submission struct {
	ID                yarnid.ApplicationID
	Name, Queue, Type string // Queue empty means "default"
	Tags              []string
	Priority          int32    // higher is served first; the cluster may cap it
	Resource          Resource // of the AM's container
	NodeLabel         string   // for all containers; empty means the queue's default
	AMNodeLabel       string   // for the AM's container; empty means as NodeLabel
	// MaxAttempts of the AM; 0 means the cluster's setting, which also caps it.
	MaxAttempts int32
	// AttemptFailuresValidity: attempts that failed longer ago do not count; 0 means all count.
	AttemptFailuresValidity time.Duration
	// KeepContainers lets workers live on while a new attempt of the AM starts.
	KeepContainers bool
	// Launch says what the AM's container runs.
	Launch *yarnpb.ContainerLaunchContextProto
	// Unmanaged leaves starting the AM to the caller; Launch is still required.
	Unmanaged bool
}

// anyNode is the resource name that matches every node.
const anyNode = "*"

func (s *Submission) proto() *yarnpb.ApplicationSubmissionContextProto {
	queue := s.Queue
	if queue == "" {
		queue = "default"
	}
	p := yarnpb.ApplicationSubmissionContextProto_builder{
		ApplicationId: s.ID.Proto(), ApplicationName: &s.Name, Queue: &queue, ApplicationType: &s.Type, ApplicationTags: s.Tags,
		Priority:                                yarnpb.PriorityProto_builder{Priority: &s.Priority}.Build(),
		AmContainerSpec:                         s.Launch,
		MaxAppAttempts:                          &s.MaxAttempts,
		UnmanagedAm:                             &s.Unmanaged,
		Resource:                                s.Resource.proto(),
		KeepContainersAcrossApplicationAttempts: &s.KeepContainers,
		CancelTokensWhenComplete:                proto.Bool(true),
	}.Build()
	if s.AttemptFailuresValidity > 0 {
		p.SetAttemptFailuresValidityInterval(s.AttemptFailuresValidity.Milliseconds())
	}
	if s.NodeLabel != "" {
		p.SetNodeLabelExpression(s.NodeLabel)
	}
	if s.AMNodeLabel != "" { // the label goes with a request of its own, which then also holds the size
		p.SetAmContainerResourceRequest([]*yarnpb.ResourceRequestProto{yarnpb.ResourceRequestProto_builder{
			Priority: yarnpb.PriorityProto_builder{Priority: proto.Int32(0)}.Build(), ResourceName: proto.String(anyNode), Capability: s.Resource.proto(),
			NumContainers: proto.Int32(1), RelaxLocality: proto.Bool(true), NodeLabelExpression: &s.AMNodeLabel,
		}.Build()})
	}
	return p
}

// RejectedError says that the YARN RM took an application's submission and then turned it down, so that no AM was ever started.
type RejectedError struct{ Report Report }

// Error is the first line of YARN's diagnostics behind id and state. YARN 3.5 writes the beginning of its sentence twice; once is enough.
func (e *RejectedError) Error() string {
	text, _, _ := strings.Cut(strings.TrimSpace(e.Report.Diagnostics), "\n")
	if i := strings.LastIndex(text, "Application "+e.Report.ID.String()); i > 0 {
		text = text[i:]
	}
	return fmt.Sprintf("YARN rejected %s (%s): %s", e.Report.ID, e.Report.State, text)
}

// Submit submits an application and waits until the scheduler has accepted it; the report may show that it has ended since. An application that
// YARN turns down is an *ipc.RemoteError or a *RejectedError. Should the YARN RM lose the application while it fails over, it is submitted again under the same id. When Submit fails
// otherwise (ipc.Unknown), the application may exist: the caller kills it.
func (c *Client) Submit(ctx context.Context, s *Submission) (Report, error) {
	req := yarnpb.SubmitApplicationRequestProto_builder{ApplicationSubmissionContext: s.proto()}.Build()
	for {
		if err := c.call(ctx, "submitApplication", req, &yarnpb.SubmitApplicationResponseProto{}); err != nil {
			return Report{}, fmt.Errorf("submit %s: %w", s.ID, err)
		}
		r, err := c.awaitAccepted(ctx, s.ID)
		if !errors.Is(err, ipc.ErrApplicationNotFound) {
			return r, err
		}
		c.cfg.Log.Info("the yarn resource manager lost the application, submitting it again", "application", s.ID)
		if err := c.pause(ctx); err != nil {
			return Report{}, fmt.Errorf("submit %s: %w", s.ID, err)
		}
	}
}

func (c *Client) awaitAccepted(ctx context.Context, id yarnid.ApplicationID) (Report, error) {
	for {
		r, err := c.Report(ctx, id)
		switch {
		case err != nil:
			return Report{}, err
		case r.State.Accepted(), r.State.Terminal() && r.Attempt.Attempt > 0:
			return r, nil
		case r.State.Terminal():
			return r, &RejectedError{r}
		}
		if err := c.pause(ctx); err != nil {
			return r, fmt.Errorf("wait until %s is accepted (%s): %w", id, r.State, err)
		}
	}
}

// Kill ends an application and waits until YARN has done so; diagnostics is shown in its report. An application that has ended already
// is fine.
func (c *Client) Kill(ctx context.Context, id yarnid.ApplicationID, diagnostics string) error {
	req := yarnpb.KillApplicationRequestProto_builder{ApplicationId: id.Proto()}.Build()
	if diagnostics != "" {
		req.SetDiagnostics(diagnostics)
	}
	for {
		resp := &yarnpb.KillApplicationResponseProto{}
		if err := c.call(ctx, "forceKillApplication", req, resp); err != nil {
			return fmt.Errorf("kill %s: %w", id, err)
		}
		if resp.GetIsKillCompleted() {
			return nil
		}
		if err := c.pause(ctx); err != nil {
			return fmt.Errorf("kill %s: %w", id, err)
		}
	}
}

// Signal for a container.
type Signal int32

// Signals. Java: SignalContainerCommand.
const (
	SignalThreadDump Signal = Signal(yarnpb.SignalContainerCommandProto_OUTPUT_THREAD_DUMP) // SIGQUIT
	SignalGraceful   Signal = Signal(yarnpb.SignalContainerCommandProto_GRACEFUL_SHUTDOWN)  // SIGTERM
	SignalForceful   Signal = Signal(yarnpb.SignalContainerCommandProto_FORCEFUL_SHUTDOWN)  // SIGKILL
)

// SignalContainer sends a container's process a signal, by way of its NodeManager's next heartbeat.
func (c *Client) SignalContainer(ctx context.Context, id yarnid.ContainerID, s Signal) error {
	command := yarnpb.SignalContainerCommandProto(s)
	req := yarnpb.SignalContainerRequestProto_builder{ContainerId: id.Proto(), Command: &command}.Build()
	if err := c.call(ctx, "signalToContainer", req, &yarnpb.SignalContainerResponseProto{}); err != nil {
		return fmt.Errorf("signal %s: %w", id, err)
	}
	return nil
}

// pause waits for the next look; the error is the context's cause.
func (c *Client) pause(ctx context.Context) error {
	t := time.NewTimer(c.cfg.PollInterval)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
