package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/pb"
)

// InProcess is a network of named addresses inside one process: the same calls, streams, errors and fences as over sockets, with copied
// messages. Handlers of unary calls run on the caller's goroutine with a context that also ends with the peer.
type InProcess struct {
	cfg StreamConfig

	mu      sync.Mutex
	servers map[string]*InProcessServer
}

// NewInProcess makes a network without addresses.
func NewInProcess(cfg StreamConfig) *InProcess {
	return &InProcess{cfg: cfg, servers: map[string]*InProcessServer{}}
}

// grace is how long Close lets calls and streams end by themselves.
const grace = time.Second

// InProcessServer is one address that is served.
type InProcessServer struct {
	net    *InProcess
	name   string
	served Served

	ctx  context.Context // ends when the "process" dies
	kill context.CancelFunc

	mu      sync.Mutex
	closing bool
	live    int           // calls and streams
	idle    chan struct{} // made by Close, closed when live is 0

	running sync.WaitGroup // calls, and goroutines of streams
}

// Listen serves endpoints under a name that is free.
func (n *InProcess) Listen(name string, e Endpoints) (*InProcessServer, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.servers[name] != nil {
		return nil, fmt.Errorf("listen on in-process address %s: it is in use", name)
	}
	s := &InProcessServer{net: n, name: name, served: Served{e}}
	s.ctx, s.kill = context.WithCancel(context.Background())
	n.servers[name] = s
	return s, nil
}

// Addr returns the name.
func (s *InProcessServer) Addr() string { return s.name }

// Close frees the name, gives calls and streams a second to end, cuts the rest and waits for their goroutines.
func (s *InProcessServer) Close() error {
	if idle := s.refuse(); idle != nil {
		select {
		case <-idle:
		case <-time.After(grace):
		}
	}
	s.Kill()
	return nil
}

// Kill does what the death of a process would: the name is free, every call and stream is cut. It waits for their goroutines.
func (s *InProcessServer) Kill() {
	s.refuse()
	s.kill()
	s.running.Wait()
}

// refuse ends new calls; the channel, if any, is closed when nothing is live any more.
func (s *InProcessServer) refuse() <-chan struct{} {
	s.net.mu.Lock()
	if s.net.servers[s.name] == s {
		delete(s.net.servers, s.name)
	}
	s.net.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	if s.live > 0 && s.idle == nil {
		s.idle = make(chan struct{})
	}
	return s.idle
}

// enter counts a call or stream.
func (s *InProcessServer) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.live++
	s.running.Add(1)
	return true
}

func (s *InProcessServer) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live--
	if s.live == 0 && s.idle != nil {
		close(s.idle)
	}
	s.running.Done()
}

// Dialer returns a dialer of this network.
func (n *InProcess) Dialer() Dialer {
	d := &inProcessDialer{net: n}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

type inProcessDialer struct {
	net    *InProcess
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	running sync.WaitGroup // calls, and goroutines of streams; calls begin under mu and not after ctx's end
}

func (d *inProcessDialer) Close() error {
	d.mu.Lock()
	d.cancel()
	d.mu.Unlock()
	d.running.Wait()
	return nil
}

func (d *inProcessDialer) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return false
	}
	d.running.Add(1)
	return true
}

func (d *inProcessDialer) ResourceManager(addr string) ResourceManager {
	return inProcessResourceManager{target{d, addr}}
}
func (d *inProcessDialer) JobMaster(addr string) JobMaster {
	return inProcessJobMaster{target{d, addr}}
}
func (d *inProcessDialer) TaskExecutor(addr string) TaskExecutor {
	return inProcessTaskExecutor{target{d, addr}}
}

// target is an address as one dialer sees it.
type target struct {
	d    *inProcessDialer
	addr string
}

// connect finds who serves and counts the call there; leave must be called when it is over. ctx ends with the caller, the server and the
// dialer.
func (t target) connect(ctx context.Context, method string) (*InProcessServer, context.Context, func(), error) {
	if ctx.Err() != nil {
		return nil, nil, nil, local(method, context.Cause(ctx), rpc.OutcomeNotSent)
	}
	if !t.d.enter() {
		return nil, nil, nil, &rpc.Error{Code: rpc.Stopped, Method: method, Msg: "the dialer is closed", Outcome: rpc.OutcomeNotSent}
	}
	t.d.net.mu.Lock()
	s := t.d.net.servers[t.addr]
	t.d.net.mu.Unlock()
	if s == nil || !s.enter() {
		t.d.running.Done()
		return nil, nil, nil, &rpc.Error{Code: rpc.Unreachable, Method: method, Msg: fmt.Sprintf("connect to %s: connection refused", t.addr),
			Outcome: rpc.OutcomeNotSent}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	reset := func() { cancel(errReset()) }
	stopServer, stopDialer := context.AfterFunc(s.ctx, reset), context.AfterFunc(t.d.ctx, reset)
	return s, ctx, func() {
		stopServer()
		stopDialer()
		cancel(nil)
		s.leave()
		t.d.running.Done()
	}, nil
}

// local is the error of a call whose answer was not awaited.
func local(method string, err error, o rpc.Outcome) error {
	e := rpc.Error{Code: rpc.Unreachable, Cause: err}
	var known *rpc.Error
	if errors.As(rpc.FromContext(err), &known) {
		e = *known
	}
	e.Method, e.Outcome = method, o
	return &e
}

// answer turns what a handler returned into what its caller sees: its own end before anything the peer says after it.
func answer(ctx context.Context, method string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return local(method, context.Cause(ctx), rpc.OutcomeUnknown)
	}
	return rpc.Answered(rpc.ToWire(err))
}

// call makes a unary call; handle is the server's side of it.
func call[Q, A proto.Message](ctx context.Context, t target, method string, req Q, handle func(Served, context.Context, Q) (A, error)) (A, error) {
	var none A
	s, ctx, leave, err := t.connect(ctx, method)
	if err != nil {
		return none, err
	}
	defer leave()
	sum := fingerprintIfChecked(req)
	resp, err := handle(s.served, ctx, proto.Clone(req).(Q))
	checkFrozen(req, sum)
	if err := answer(ctx, method, err); err != nil {
		return none, err
	}
	if ctx.Err() != nil { // as over a socket, an answer does not overtake its caller's end
		return none, local(method, context.Cause(ctx), rpc.OutcomeUnknown)
	}
	return proto.Clone(resp).(A), nil
}

type inProcessResourceManager struct{ target }

func (t inProcessResourceManager) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	return call(ctx, t.target, registerAtResourceManager, req, Served.RegisterAtResourceManager)
}

type inProcessJobMaster struct{ target }

func (t inProcessJobMaster) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return call(ctx, t.target, registerAtJobMaster, req, Served.RegisterAtJobMaster)
}

type inProcessTaskExecutor struct{ target }

func (t inProcessTaskExecutor) OpenResourceManager(ctx context.Context, open *pb.StreamOpen) (*ResourceManagerStream, error) {
	return openInProcess[*pb.FromResourceManager, *pb.ToResourceManager](ctx, t.target, openResourceManager, open, Served.AcceptResourceManager)
}

func (t inProcessTaskExecutor) OpenJob(ctx context.Context, open *pb.StreamOpen) (*JobMasterStream, error) {
	return openInProcess[*pb.FromJobMaster, *pb.ToJobMaster](ctx, t.target, openJobMaster, open, Served.AcceptJob)
}

func (t inProcessTaskExecutor) ListLogs(ctx context.Context, req *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	return call(ctx, t.target, listLogs, req, Served.ListLogs)
}

func (t inProcessTaskExecutor) ReadLog(ctx context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error) {
	s, ctx, leave, err := t.connect(ctx, readLog)
	if err != nil {
		return nil, err
	}
	r, err := s.served.ReadLog(ctx, proto.Clone(req).(*pb.ReadLogRequest))
	if err := answer(ctx, readLog, err); err != nil {
		leave()
		return nil, err
	}
	return &logReader{ctx: ctx, r: r, leave: sync.OnceFunc(leave)}, nil
}

// logReader ends with its call's context.
type logReader struct {
	ctx   context.Context
	r     io.ReadCloser
	leave func()
}

func (l *logReader) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, local(readLog, context.Cause(l.ctx), rpc.OutcomeUnknown)
	}
	return l.r.Read(p)
}

func (l *logReader) Close() error {
	defer l.leave()
	return l.r.Close()
}

// openInProcess opens a stream; accept is the server's side of it.
func openInProcess[S, R Envelope](ctx context.Context, t target, method string, open *pb.StreamOpen,
	accept func(Served, context.Context, *pb.StreamOpen, *Stream[R, S]) error) (*Stream[S, R], error) {
	s, ctx, leave, err := t.connect(ctx, method)
	if err != nil {
		return nil, err
	}
	defer leave()
	accepted := make(chan struct{})
	if !s.enter() { // the stream counts beside the call that opens it
		return nil, local(method, errReset(), rpc.OutcomeUnknown)
	}
	near, far := newPipe[S, R](accepted, s.leave)
	farCfg, nearCfg := t.d.net.cfg, t.d.net.cfg
	farCfg.Running, nearCfg.Running = &s.running, &t.d.running
	farCfg.Context, nearCfg.Context = s.ctx, t.d.ctx
	st := NewStream(farCfg, far)
	err = accept(s.served, ctx, proto.Clone(open).(*pb.StreamOpen), st)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		st.Break(err)
		near.Abort()
		return nil, answer(ctx, method, err)
	}
	close(accepted)
	return NewStream(nearCfg, near), nil
}
