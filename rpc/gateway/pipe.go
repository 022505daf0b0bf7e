package gateway

import (
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
)

// pipeRoom is how many messages an in-process connection takes before Send blocks, as a socket's buffers would.
const pipeRoom = 16

// pipe is one end of an in-process connection. Each message is copied on its way.
type pipe[S, R Envelope] struct {
	out       chan S
	in        chan R
	own, peer *cutoff
	open      <-chan struct{} // nothing leaves before it is closed
}

// cutoff is closed when its end was aborted; then, if any, runs once.
type cutoff struct {
	once sync.Once
	ch   chan struct{}
	then func()
}

func (c *cutoff) cut() {
	c.once.Do(func() {
		close(c.ch)
		if c.then != nil {
			c.then()
		}
	})
}

// newPipe returns both ends; what the second one sends leaves when accepted is closed, and ended runs when that end is aborted.
func newPipe[S, R Envelope](accepted <-chan struct{}, ended func()) (*pipe[S, R], *pipe[R, S]) {
	ab, ba := make(chan S, pipeRoom), make(chan R, pipeRoom)
	a, b := &cutoff{ch: make(chan struct{})}, &cutoff{ch: make(chan struct{}), then: ended}
	always := make(chan struct{})
	close(always)
	return &pipe[S, R]{out: ab, in: ba, own: a, peer: b, open: always}, &pipe[R, S]{out: ba, in: ab, own: b, peer: a, open: accepted}
}

func errReset() error { return rpc.New(rpc.Unreachable, "the connection was reset") }

func (p *pipe[S, R]) Send(m S) error {
	select {
	case <-p.open:
	case <-p.own.ch:
		return errReset()
	case <-p.peer.ch:
		return errReset()
	}
	select {
	case p.out <- proto.Clone(m).(S):
		return nil
	case <-p.own.ch:
	case <-p.peer.ch:
	}
	return errReset()
}

func (p *pipe[S, R]) Recv() (R, error) {
	var none R
	select {
	case m := <-p.in:
		return m, nil
	case <-p.own.ch:
		return none, errReset()
	case <-p.peer.ch:
	}
	select { // what was sent before the peer's end still arrives
	case m := <-p.in:
		return m, nil
	default:
		return none, errReset()
	}
}

func (p *pipe[S, R]) Abort() { p.own.cut() }
