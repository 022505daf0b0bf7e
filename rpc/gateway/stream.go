package gateway

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/pb"
)

// Envelope is a message of a stream: one of the four To… and From… messages.
type Envelope interface {
	proto.Message
	HasHeartbeat() bool
	HasClosed() bool
	GetClosed() *pb.StreamClosed
	SetClosed(*pb.StreamClosed)
}

// Conn carries envelopes for a Stream; transports implement it. Send and Recv are called by one goroutine each.
type Conn[S, R Envelope] interface {
	// Send returns when the network has taken m; it may block for as long as the peer takes nothing.
	Send(m S) error
	// Recv returns the next message, which belongs to the caller; an error means that there will be none.
	Recv() (R, error)
	// Abort ends the connection at once: Send and Recv return soon. It never blocks and may be called more than once.
	Abort()
}

// StreamConfig bounds a stream; zero fields have the defaults.
type StreamConfig struct {
	MaxQueued  int           // bytes that wait to be sent (16 MiB); a single message may be as large
	MaxMessage int           // bytes of one message (16 MiB)
	Progress   time.Duration // the stream breaks when the network takes nothing for so long (8 s)
	Linger     time.Duration // after Close, how long what is queued may take to leave (1 s)
	// Context breaks the stream when it ends; nil: never.
	Context context.Context
	// Running counts the stream's goroutines for an owner that waits for them; may be nil.
	Running *sync.WaitGroup
}

func (c StreamConfig) withDefaults() StreamConfig {
	if c.MaxQueued == 0 {
		c.MaxQueued = 16 << 20
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = 16 << 20
	}
	if c.Progress == 0 {
		c.Progress = 8 * time.Second
	}
	if c.Linger == 0 {
		c.Linger = time.Second
	}
	if c.Context == nil {
		c.Context = context.Background()
	}
	if c.Running == nil {
		c.Running = new(sync.WaitGroup)
	}
	return c
}

// readAhead is how many messages the reader may be ahead of Recv, so that what comes together costs one change of goroutines.
const readAhead = 16

// perMessage is what a queued message costs beyond its bytes.
const perMessage = 64

// Stream is one end of an ordered, bidirectional stream. It has two goroutines of its own: the writer takes from a bounded queue, the
// reader hands over to Recv. Exactly one thing ends it: Close here, Close there, or a break; Done is closed then and Err says which.
//
// The user must keep receiving until an error: only so the end of the peer is seen, and only so the peer makes progress. Whoever posts
// what was received to a loop posts the Stream with it, and the loop drops what is not from its current one:
//
//	reader of A: Recv → m ───────────────────────────→ Post(A, m)      loop: current is B, A ≠ B → dropped
//	loop:            A breaks, B is admitted, current = B ┘
type Stream[S, R Envelope] struct {
	cfg  StreamConfig
	conn Conn[S, R]

	in        chan R
	done      chan struct{} // ended for the user
	wake      chan struct{} // one slot: the writer shall look again
	peerEnded chan struct{} // the reader has seen the end of the connection

	mu        sync.Mutex
	err       error       // set before done is closed
	endedHere bool        // by Close or Break; set before done is closed
	cut       *time.Timer // ended by Close: the writer still flushes, until then
	queue     []queued[S]
	bytes     int
	heartbeat int // index in queue, or -1
}

type queued[S any] struct {
	m    S
	size int
	sum  uint64 // under invariants: of the content when it was sent
}

// NewStream makes an end of a stream over conn and starts its goroutines. Transports call it.
func NewStream[S, R Envelope](cfg StreamConfig, conn Conn[S, R]) *Stream[S, R] {
	s := &Stream[S, R]{
		cfg: cfg.withDefaults(), conn: conn,
		in: make(chan R, readAhead), done: make(chan struct{}), wake: make(chan struct{}, 1), peerEnded: make(chan struct{}),
		heartbeat: -1,
	}
	s.cfg.Running.Add(2)
	unlink := context.AfterFunc(s.cfg.Context, func() {
		s.Break(rpc.Wrap(rpc.Unreachable, "the connection ended", context.Cause(s.cfg.Context)))
	})
	go s.write(unlink)
	go s.read()
	return s
}

// Done is closed when the stream has ended for its user.
func (s *Stream[S, R]) Done() <-chan struct{} { return s.done }

// Err says why the stream ended, nil while it has not. After Close here it is Close's cause (rpc.ErrClosed for nil); after Close there an
// rpc.Error of code Closed around the peer's cause; after a break one of Unreachable, Overflow or NoProgress.
func (s *Stream[S, R]) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Send queues m, which is frozen from now on. It never blocks. A heartbeat replaces the one that still waits, at the end of the queue. A
// full queue breaks the stream; an error means that m will not arrive, nil does not mean that it will. rpc.ErrTooLarge is about m only.
func (s *Stream[S, R]) Send(m S) error {
	size := proto.Size(m) + perMessage
	if size > s.cfg.MaxMessage {
		return rpc.New(rpc.TooLarge, fmt.Sprintf("send %d bytes in one message: at most %d", size, s.cfg.MaxMessage))
	}
	q := queued[S]{m: m, size: size, sum: fingerprintIfChecked(m)}
	s.mu.Lock()
	if s.err != nil {
		defer s.mu.Unlock()
		return s.err
	}
	if m.HasHeartbeat() && s.heartbeat >= 0 {
		s.bytes -= s.queue[s.heartbeat].size
		s.queue = slices.Delete(s.queue, s.heartbeat, s.heartbeat+1)
		s.heartbeat = -1
	}
	if len(s.queue) > 0 && s.bytes+size > s.cfg.MaxQueued {
		waiting := s.bytes
		s.mu.Unlock()
		err := rpc.New(rpc.Overflow, fmt.Sprintf("%d bytes wait to be sent, %d more do not fit", waiting, size))
		s.end(err, false, false)
		return err
	}
	if m.HasHeartbeat() {
		s.heartbeat = len(s.queue)
	}
	s.queue = append(s.queue, q)
	s.bytes += size
	s.mu.Unlock()
	s.signal()
	return nil
}

// Recv returns the next message, or the stream's end, or ctx's. One goroutine receives.
func (s *Stream[S, R]) Recv(ctx context.Context) (R, error) {
	var none R
	select {
	case <-s.done: // ended here: nothing is received any more, whatever has come
		if s.endedHere {
			return none, s.err
		}
	default:
	}
	select {
	case m := <-s.in:
		return m, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-s.done:
	}
	if !s.endedHere {
		select { // what came before the end is still to be had
		case m := <-s.in:
			return m, nil
		default:
		}
	}
	return none, s.err
}

// Close ends the stream with a cause that the peer gets, after what is queued. It returns at once; what is queued has StreamConfig.Linger
// to leave. Nothing is received any more. Closing again does nothing.
func (s *Stream[S, R]) Close(cause error) {
	if cause == nil {
		cause = rpc.ErrClosed
	}
	s.end(cause, true, true)
}

// Break ends the stream at once: nothing that is queued leaves, and the peer gets no cause. Closing after it does nothing.
func (s *Stream[S, R]) Break(cause error) {
	s.end(cause, false, true)
	s.conn.Abort()
}

// end sets the reason once. Without linger the connection is cut at once. Here says that the user of this end wants it.
func (s *Stream[S, R]) end(err error, linger, here bool) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err, s.endedHere = err, here
	if linger {
		s.cut = time.AfterFunc(s.cfg.Linger, s.conn.Abort)
	} else {
		s.queue, s.bytes, s.heartbeat = nil, 0, -1
	}
	close(s.done)
	s.mu.Unlock()
	s.signal()
	if !linger {
		s.conn.Abort()
	}
}

func (s *Stream[S, R]) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the writer goroutine; it ends when the stream has ended and is flushed or cut.
func (s *Stream[S, R]) write(unlink func() bool) {
	defer s.cfg.Running.Done()
	defer unlink()
	defer s.conn.Abort()
	stuck := time.AfterFunc(time.Hour, func() {
		s.end(rpc.New(rpc.NoProgress, fmt.Sprintf("the peer has taken nothing for %v", s.cfg.Progress)), false, false)
	})
	stuck.Stop()
	defer stuck.Stop()
	for {
		q, ok, ended := s.next()
		if !ok {
			if ended {
				s.farewell()
				return
			}
			<-s.wake
			continue
		}
		checkFrozen(q.m, q.sum)
		stuck.Reset(s.cfg.Progress)
		err := s.conn.Send(q.m)
		stuck.Stop()
		if err != nil {
			s.end(broken(err), false, false)
			return
		}
	}
}

func (s *Stream[S, R]) next() (q queued[S], ok, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended = s.err != nil
	if len(s.queue) == 0 {
		return q, false, ended
	}
	q = s.queue[0]
	s.queue[0] = queued[S]{}
	s.queue = s.queue[1:]
	s.bytes -= q.size
	s.heartbeat = max(s.heartbeat-1, -1)
	return q, true, ended
}

// farewell tells the peer the cause, if it was Close that ended the stream, and waits until the peer has gone or Linger is over.
func (s *Stream[S, R]) farewell() {
	s.mu.Lock()
	cut, err := s.cut, s.err
	s.mu.Unlock()
	if cut == nil {
		return
	}
	defer cut.Stop()
	var none S
	last := none.ProtoReflect().New().Interface().(S)
	closed := &pb.StreamClosed{}
	closed.SetCause(rpc.ToWire(err))
	last.SetClosed(closed)
	if s.conn.Send(last) == nil {
		<-s.peerEnded
	}
}

// read is the reader goroutine; it ends with the connection. After a Close here it only looks for the peer's end.
func (s *Stream[S, R]) read() {
	defer s.cfg.Running.Done()
	defer close(s.peerEnded)
	for {
		m, err := s.conn.Recv()
		if err != nil {
			s.end(broken(err), false, false)
			return
		}
		if m.HasClosed() {
			e := &rpc.Error{Code: rpc.Closed, Msg: "the peer closed the stream"}
			if d := m.GetClosed().GetCause(); d != nil {
				e.Cause = rpc.FromWire(d)
			}
			s.end(e, false, false)
			s.conn.Abort() // also when Close here was first
			return
		}
		select {
		case s.in <- m:
		case <-s.done:
		}
	}
}

// broken gives a transport's error a code.
func broken(err error) error {
	if rpc.CodeOf(err) != rpc.Unspecified {
		return err
	}
	return rpc.Wrap(rpc.Unreachable, "the stream broke", err)
}
