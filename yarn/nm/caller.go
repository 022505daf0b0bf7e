package nm

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Protocol is the Java interface of NodeManagers.
const Protocol = "org.apache.hadoop.yarn.api.ContainerManagementProtocolPB"

type ipcCaller struct{ client *ipc.Client }

// NewCaller makes calls through client, which keeps one connection per node and token.
func NewCaller(client *ipc.Client) Caller { return ipcCaller{client} }

func (c ipcCaller) Call(ctx context.Context, node yarnid.NodeID, tok *token.Token, method string, req, resp proto.Message) error {
	return c.client.Call(ctx, ipc.Peer{Addr: node.String(), Protocol: Protocol, Token: tok}, method, req, resp)
}

// failure is the error of a call, classified.
type failure struct {
	means   error // nil: nothing known
	final   bool  // waiting does not help
	unknown bool  // the node may have processed the call
}

func classify(err error) failure {
	var remote *ipc.RemoteError
	if !errors.As(err, &remote) {
		return failure{final: !ipc.Unreachable(err), unknown: !ipc.NotSent(err)}
	}
	means := meaning(remote.Class, remote.Message)
	if errors.Is(means, errRetry) {
		return failure{}
	}
	return failure{means: means, final: true}
}

// firstLines keeps a message short: exceptions carry whole stacks.
func firstLines(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.Index(s, "\n\tat "); i >= 0 {
		s = s[:i]
	}
	return strings.ReplaceAll(s, "\n", " ")
}
