package amrm

import (
	"context"
	"errors"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/token"
)

// Protocol is the Java interface of the AM's calls.
const Protocol = "org.apache.hadoop.yarn.api.ApplicationMasterProtocolPB"

// rotatingCaller calls the YARN RM on one of several addresses and stays with one that answers. It does not repeat a
// call that an address may have processed: with response ids the session must know of each such case.
type rotatingCaller struct {
	client *ipc.Client
	addrs  []string

	mu      sync.Mutex
	current int
}

// NewCaller makes calls through client to the scheduler addresses (host:port) of the YARN RM: one, or with high
// availability all of them.
func NewCaller(client *ipc.Client, addrs []string) (Caller, error) {
	if len(addrs) == 0 {
		return nil, errors.New("amrm: no address of the resource manager")
	}
	return &rotatingCaller{client: client, addrs: addrs}, nil
}

// Call tries each address once as long as the call did not get out: a standby YARN RM refuses connections.
func (r *rotatingCaller) Call(ctx context.Context, tok *token.Token, method string, req, resp proto.Message) error {
	var err error
	for range r.addrs {
		r.mu.Lock()
		addr := r.addrs[r.current]
		r.mu.Unlock()
		err = r.client.Call(ctx, ipc.Peer{Addr: addr, Protocol: Protocol, Token: tok}, method, req, resp)
		if err == nil || !ipc.Unreachable(err) || errors.Is(err, ipc.ErrRetriable) {
			return err
		}
		r.mu.Lock()
		r.current = (r.current + 1) % len(r.addrs)
		r.mu.Unlock()
		if ipc.Unknown(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}
