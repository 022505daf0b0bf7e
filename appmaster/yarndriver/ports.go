package yarndriver

import (
	"context"

	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Session is the session with the YARN RM; *amrm.Session.
type Session interface {
	Register(ctx context.Context, a amrm.Address) (amrm.Registration, error)
	SetAsk(a amrm.Ask)
	Release(ids ...yarnid.ContainerID)
	Expect(id yarnid.ContainerID)
	Blacklist(add, remove []string)
	Unregister(ctx context.Context, status amrm.FinalStatus, diagnostics, trackingURL string) error
}

// NodeManagers starts and stops containers; *nm.Client.
type NodeManagers interface {
	Start(ctx context.Context, requests []nm.StartRequest, report func(nm.Result))
	Stop(ctx context.Context, targets []nm.Target, report func(nm.Result))
}

// Launch makes what a NodeManager needs to start a worker in a container. It is called off the loop.
type Launch func(c amrm.Container) (*yarnpb.ContainerLaunchContextProto, error)
