package transport

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
)

const (
	openKey     = "flott-open-bin" // request metadata: pb.StreamOpen
	acceptedKey = "flott-accepted" // response header: the call was admitted
	maxOpen     = 4 << 10          // bytes of a pb.StreamOpen
	logChunk    = 64 << 10
)

type taskExecutorServer struct {
	pb.UnimplementedTaskExecutorServer
	served gateway.Served
	s      *Server
}

func (h taskExecutorServer) ResourceManagerStream(gs grpc.BidiStreamingServer[pb.FromResourceManager, pb.ToResourceManager]) error {
	return serveStream(h.s, gs.Context(), gs.SendHeader, wire[*pb.ToResourceManager, *pb.FromResourceManager](gs), h.served.AcceptResourceManager)
}

func (h taskExecutorServer) JobMasterStream(gs grpc.BidiStreamingServer[pb.FromJobMaster, pb.ToJobMaster]) error {
	return serveStream(h.s, gs.Context(), gs.SendHeader, wire[*pb.ToJobMaster, *pb.FromJobMaster](gs), h.served.AcceptJob)
}

func (h taskExecutorServer) ListLogs(ctx context.Context, req *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	resp, err := h.served.ListLogs(ctx, req)
	return resp, toStatus(err)
}

func (h taskExecutorServer) ReadLog(req *pb.ReadLogRequest, gs grpc.ServerStreamingServer[pb.LogChunk]) error {
	r, err := h.served.ReadLog(gs.Context(), req)
	if err != nil {
		return toStatus(err)
	}
	defer r.Close()
	if err := gs.SendHeader(metadata.Pairs(acceptedKey, "1")); err != nil {
		return err
	}
	for {
		buf := make([]byte, logChunk) // gRPC may still hold the last one
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			chunk := &pb.LogChunk{}
			chunk.SetData(buf[:n])
			if err := gs.Send(chunk); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return toStatus(err)
		}
	}
}

// wire is the half of a gRPC stream that client and server have in common.
type wire[S, R any] interface {
	Send(S) error
	Recv() (R, error)
}

// serverConn is the worker's end of a stream. gRPC ends it when the handler returns, which waits for aborted.
type serverConn[S, R gateway.Envelope] struct {
	wire[S, R]
	accepted chan struct{} // closed when the header has gone out
	aborted  chan struct{}
	once     sync.Once
}

func (c *serverConn[S, R]) Send(m S) error {
	select {
	case <-c.accepted:
		return c.wire.Send(m)
	case <-c.aborted:
		return errEnded()
	}
}

func (c *serverConn[S, R]) Recv() (R, error) {
	m, err := c.wire.Recv()
	if err != nil {
		err = rpc.Wrap(rpc.Unreachable, "the leader's end of the stream is gone", err)
	}
	return m, err
}

func (c *serverConn[S, R]) Abort() { c.once.Do(func() { close(c.aborted) }) }

func errEnded() error { return rpc.New(rpc.Unreachable, "the stream has ended") }

func serveStream[S, R gateway.Envelope](s *Server, ctx context.Context, sendHeader func(metadata.MD) error, w wire[S, R],
	accept func(context.Context, *pb.StreamOpen, *gateway.Stream[S, R]) error) error {
	open, err := readOpen(ctx)
	if err != nil {
		return toStatus(err)
	}
	conn := &serverConn[S, R]{wire: w, accepted: make(chan struct{}), aborted: make(chan struct{})}
	cfg := s.cfg.Stream
	cfg.Running, cfg.Context = &s.running, ctx
	st := gateway.NewStream[S, R](cfg, conn)
	if err := accept(ctx, open, st); err != nil {
		st.Break(err)
		return toStatus(err)
	}
	if err := sendHeader(metadata.Pairs(acceptedKey, "1")); err != nil {
		st.Break(rpc.Wrap(rpc.Unreachable, "the leader did not wait for the stream", err))
		return err
	}
	close(conn.accepted)
	<-conn.aborted // by the stream's end, which the end of ctx brings too
	return nil
}

func readOpen(ctx context.Context) (*pb.StreamOpen, error) {
	values := metadata.ValueFromIncomingContext(ctx, openKey)
	if len(values) != 1 || len(values[0]) > maxOpen {
		return nil, rpc.New(rpc.Invalid, "a stream needs one header of at most 4 KiB")
	}
	open := &pb.StreamOpen{}
	if err := proto.Unmarshal([]byte(values[0]), open); err != nil {
		return nil, rpc.Wrap(rpc.Invalid, "read the header of a stream", err)
	}
	return open, nil
}
