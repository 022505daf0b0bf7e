package nm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// startBatch starts containers of one node and repeats it for those the node was not ready for, within the budget.
func (c *Client) startBatch(ctx context.Context, batch []StartRequest) []Result {
	deadline := time.Now().Add(c.cfg.Budget)
	var done []Result
	for {
		var again []StartRequest
		for i, r := range c.startOnce(ctx, batch) {
			if errors.Is(r.Err, errRetry) && time.Now().Before(deadline) && ctx.Err() == nil {
				again = append(again, batch[i])
				continue
			}
			done = append(done, r)
		}
		if len(again) == 0 {
			return done
		}
		batch = again
		select {
		case <-time.After(c.cfg.RetryInterval):
		case <-ctx.Done():
		}
	}
}

// startOnce starts containers of one node. The call is not atomic: when it fails as a whole, or its first answer was
// lost, some containers may run.
func (c *Client) startOnce(ctx context.Context, batch []StartRequest) []Result {
	results := make([]Result, len(batch))
	b := yarnpb.StartContainersRequestProto_builder{}
	for i, r := range batch {
		results[i].Target = r.Target
		b.StartContainerRequest = append(b.StartContainerRequest, yarnpb.StartContainerRequestProto_builder{
			ContainerLaunchContext: r.Context,
			ContainerToken:         r.Token.Proto(),
		}.Build())
	}
	resp := &yarnpb.StartContainersResponseProto{}
	retried, err := c.call(ctx, batch[0].Node, "startContainers", b.Build(), resp)
	if err != nil {
		c.afterFailedStart(ctx, results, err)
		return results
	}
	answered := outcomes(resp.GetSucceededRequests(), resp.GetFailedRequests())
	for i := range results {
		err := answered.of(results[i].ID)
		if retried && errors.Is(err, ErrAlreadyStarted) {
			err = nil // by the call whose answer was lost
		}
		results[i].Err = err
	}
	return results
}

// afterFailedStart asks the node which containers of a failed call it has; these count as started. The others keep
// the call's error.
func (c *Client) afterFailedStart(ctx context.Context, results []Result, err error) {
	targets := make([]Target, len(results))
	for i := range results {
		results[i].Err = err
		targets[i] = results[i].Target
	}
	if errors.Is(err, ErrNoToken) || errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
		return // nobody to ask
	}
	for i, s := range c.statusBatch(ctx, targets) {
		if s.Err == nil || errors.Is(s.Err, ErrEnded) {
			results[i].Err = nil
		}
	}
}

func (c *Client) stopBatch(ctx context.Context, batch []Target) []Result {
	results := make([]Result, len(batch))
	resp := &yarnpb.StopContainersResponseProto{}
	req := yarnpb.StopContainersRequestProto_builder{ContainerId: ids(batch)}.Build()
	_, err := c.call(ctx, batch[0].Node, "stopContainers", req, resp)
	answered := outcomes(resp.GetSucceededRequests(), resp.GetFailedRequests())
	for i, t := range batch {
		results[i] = Result{Target: t, Err: err}
		if err == nil {
			results[i].Err = answered.of(t.ID)
		}
	}
	return results
}

var states = map[yarnpb.ContainerStateProto]State{
	yarnpb.ContainerStateProto_C_NEW:      StateNew,
	yarnpb.ContainerStateProto_C_RUNNING:  StateRunning,
	yarnpb.ContainerStateProto_C_COMPLETE: StateComplete,
}

func (c *Client) statusBatch(ctx context.Context, batch []Target) []Status {
	results := make([]Status, len(batch))
	resp := &yarnpb.GetContainerStatusesResponseProto{}
	req := yarnpb.GetContainerStatusesRequestProto_builder{ContainerId: ids(batch)}.Build()
	_, err := c.call(ctx, batch[0].Node, "getContainerStatuses", req, resp)
	known := map[yarnid.ContainerID]*yarnpb.ContainerStatusProto{}
	for _, s := range resp.GetStatus() {
		known[yarnid.FromContainer(s.GetContainerId())] = s
	}
	answered := outcomes(nil, resp.GetFailedRequests())
	for i, t := range batch {
		results[i] = Status{Target: t, Err: err}
		if err != nil {
			continue
		}
		s, ok := known[t.ID]
		if !ok {
			results[i].Err = answered.of(t.ID)
			continue
		}
		results[i].State = states[s.GetState()]
		results[i].ExitStatus = int(s.GetExitStatus())
		results[i].Diagnostics = s.GetDiagnostics()
	}
	return results
}

func ids(batch []Target) []*yarnpb.ContainerIdProto {
	out := make([]*yarnpb.ContainerIdProto, len(batch))
	for i, t := range batch {
		out[i] = t.ID.Proto()
	}
	return out
}

// outcomeTable holds the per-container part of an answer: nil for a success.
type outcomeTable map[yarnid.ContainerID]error

func outcomes(succeeded []*yarnpb.ContainerIdProto, failed []*yarnpb.ContainerExceptionMapProto) outcomeTable {
	out := outcomeTable{}
	for _, p := range succeeded {
		out[yarnid.FromContainer(p)] = nil
	}
	for _, p := range failed {
		id := yarnid.FromContainer(p.GetContainerId())
		e := p.GetException()
		err := fmt.Errorf("%s: %s", e.GetClassName(), firstLines(e.GetMessage()))
		if m := meaning(e.GetClassName(), e.GetMessage()); m != nil {
			err = fmt.Errorf("%w: %w", m, err)
		}
		out[id] = fmt.Errorf("container %s: %w", id, err)
	}
	return out
}

// of is the outcome of one container; a container the answer leaves out is an error of the node.
func (o outcomeTable) of(id yarnid.ContainerID) error {
	err, ok := o[id]
	if !ok {
		return fmt.Errorf("container %s: the node's answer leaves it out", id)
	}
	return err
}
