package transport

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
)

// remote is an address as one dialer sees it.
type remote struct {
	d    *dialer
	addr string
}

// call makes a unary call, which also ends with the dialer.
func call[A any](ctx context.Context, r remote, method string, invoke func(context.Context, *grpc.ClientConn) (A, error)) (A, error) {
	var none A
	cc, release, err := r.d.acquire(method, r.addr)
	if err != nil {
		return none, err
	}
	defer release()
	sent := new(atomic.Bool)
	cctx, cancel := context.WithCancel(context.WithValue(ctx, sentKey{}, sent))
	defer cancel()
	defer context.AfterFunc(r.d.ctx, cancel)()
	resp, err := invoke(cctx, cc)
	if err != nil {
		return none, callError(ctx, method, sent, err)
	}
	return resp, nil
}

type remoteResourceManager struct{ remote }

func (r remoteResourceManager) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	return call(ctx, r.remote, "ResourceManager.RegisterTaskExecutor", func(ctx context.Context, cc *grpc.ClientConn) (*pb.RegistrationResponse, error) {
		return pb.NewResourceManagerClient(cc).RegisterTaskExecutor(ctx, req)
	})
}

type remoteJobMaster struct{ remote }

func (r remoteJobMaster) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return call(ctx, r.remote, "JobMaster.RegisterTaskExecutor", func(ctx context.Context, cc *grpc.ClientConn) (*pb.RegistrationResponse, error) {
		return pb.NewJobMasterClient(cc).RegisterTaskExecutor(ctx, req)
	})
}

type remoteTaskExecutor struct{ remote }

func (r remoteTaskExecutor) ListLogs(ctx context.Context, req *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	return call(ctx, r.remote, "TaskExecutor.ListLogs", func(ctx context.Context, cc *grpc.ClientConn) (*pb.ListLogsResponse, error) {
		return pb.NewTaskExecutorClient(cc).ListLogs(ctx, req)
	})
}

func (r remoteTaskExecutor) OpenResourceManager(ctx context.Context, open *pb.StreamOpen) (*gateway.ResourceManagerStream, error) {
	return openStream(ctx, r.remote, "TaskExecutor.ResourceManagerStream", open,
		func(ctx context.Context, cc *grpc.ClientConn) (clientStream[*pb.FromResourceManager, *pb.ToResourceManager], error) {
			return pb.NewTaskExecutorClient(cc).ResourceManagerStream(ctx)
		})
}

func (r remoteTaskExecutor) OpenJob(ctx context.Context, open *pb.StreamOpen) (*gateway.JobMasterStream, error) {
	return openStream(ctx, r.remote, "TaskExecutor.JobMasterStream", open,
		func(ctx context.Context, cc *grpc.ClientConn) (clientStream[*pb.FromJobMaster, *pb.ToJobMaster], error) {
			return pb.NewTaskExecutorClient(cc).JobMasterStream(ctx)
		})
}

// admission is how far the opening of a stream has come. Its context lives as long as the stream, not as long as the opening.
type admission struct {
	ctx    context.Context
	cancel context.CancelFunc
	sent   *atomic.Bool
	method string
}

func (r remote) admission(method string) *admission {
	a := &admission{sent: new(atomic.Bool), method: method}
	a.ctx, a.cancel = context.WithCancel(context.WithValue(r.d.ctx, sentKey{}, a.sent))
	return a
}

// wait returns when the peer has admitted the call; opening is the caller's context of that. discover reads the status of a call that was
// refused.
func (a *admission) wait(opening context.Context, start func(context.Context) (grpc.ClientStream, error), discover func() error) error {
	stop := context.AfterFunc(opening, a.cancel)
	cs, err := start(a.ctx)
	if err == nil {
		var md metadata.MD
		if md, err = cs.Header(); err == nil && len(md.Get(acceptedKey)) == 0 {
			if err = discover(); err == nil {
				err = rpc.New(rpc.Internal, "the peer neither admitted nor refused the call")
			}
		}
	}
	if !stop() && err == nil {
		err = context.Cause(opening)
	}
	if err != nil {
		a.cancel()
	}
	return callError(opening, a.method, a.sent, err)
}

// clientStream is what the generated clients return for a bidirectional stream.
type clientStream[S, R any] interface {
	wire[S, R]
	grpc.ClientStream
}

func openStream[S, R gateway.Envelope](ctx context.Context, r remote, method string, open *pb.StreamOpen,
	start func(context.Context, *grpc.ClientConn) (clientStream[S, R], error)) (*gateway.Stream[S, R], error) {
	header, err := proto.Marshal(open)
	if err != nil || len(header) > maxOpen {
		return nil, &rpc.Error{Code: rpc.Invalid, Method: method, Msg: "the stream's header cannot be sent", Cause: err, Outcome: rpc.OutcomeNotSent}
	}
	cc, release, err := r.d.acquire(method, r.addr)
	if err != nil {
		return nil, err
	}
	a := r.admission(method)
	a.ctx = metadata.AppendToOutgoingContext(a.ctx, openKey, string(header))
	var cs clientStream[S, R]
	err = a.wait(ctx, func(ctx context.Context) (grpc.ClientStream, error) {
		cs, err = start(ctx, cc)
		return cs, err
	}, func() error {
		_, err := cs.Recv()
		return err
	})
	if err != nil {
		release()
		return nil, err
	}
	cfg := r.d.cfg.Stream
	cfg.Running, cfg.Context = &r.d.running, r.d.ctx
	gone := make(chan struct{})
	return gateway.NewStream[S, R](cfg, &clientConn[S, R]{
		cs: cs, failed: make(chan struct{}), gone: gone,
		abort: sync.OnceFunc(func() { a.cancel(); release(); close(gone) }),
	}), nil
}

// clientConn is the leader's end of a stream.
type clientConn[S, R gateway.Envelope] struct {
	cs     clientStream[S, R]
	abort  func()
	failed chan struct{} // closed when err is set
	err    error
	gone   chan struct{} // closed by abort
}

// Send tells why the stream ended as Recv learns it: gRPC says no more here than EOF.
func (c *clientConn[S, R]) Send(m S) error {
	err := c.cs.Send(m)
	if errors.Is(err, io.EOF) {
		select {
		case <-c.failed:
			return c.err
		case <-c.gone: // the reader stopped at the peer's farewell: it will not learn of an error, and the stream has its reason
			return err
		}
	}
	return err
}

// Recv returns one error only: the reader stops at it.
func (c *clientConn[S, R]) Recv() (R, error) {
	m, err := c.cs.Recv()
	if err != nil {
		if a := answered(err); a != nil {
			err = a
		} else {
			err = rpc.Wrap(codeOf(err), "the worker's end of the stream is gone", err)
		}
		c.err = err
		close(c.failed)
	}
	return m, err
}

func (c *clientConn[S, R]) Abort() { c.abort() }

func (r remoteTaskExecutor) ReadLog(ctx context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error) {
	const method = "TaskExecutor.ReadLog"
	cc, release, err := r.d.acquire(method, r.addr)
	if err != nil {
		return nil, err
	}
	a := r.admission(method)
	var cs grpc.ServerStreamingClient[pb.LogChunk]
	err = a.wait(ctx, func(ctx context.Context) (grpc.ClientStream, error) {
		cs, err = pb.NewTaskExecutorClient(cc).ReadLog(ctx, req)
		return cs, err
	}, func() error {
		_, err := cs.Recv()
		return err
	})
	if err != nil {
		release()
		return nil, err
	}
	stop := context.AfterFunc(ctx, a.cancel)
	return &logReader{ctx: ctx, a: a, cs: cs, close: sync.OnceFunc(func() { stop(); a.cancel(); release() })}, nil
}

// logReader reads a file's chunks.
type logReader struct {
	ctx   context.Context
	a     *admission
	cs    grpc.ServerStreamingClient[pb.LogChunk]
	rest  []byte
	close func()
}

func (l *logReader) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, callError(l.ctx, l.a.method, l.a.sent, l.ctx.Err())
	}
	for len(l.rest) == 0 {
		chunk, err := l.cs.Recv()
		if err == io.EOF {
			return 0, io.EOF
		}
		if err != nil {
			return 0, callError(l.ctx, l.a.method, l.a.sent, err)
		}
		l.rest = chunk.GetData()
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *logReader) Close() error {
	l.close()
	return nil
}
