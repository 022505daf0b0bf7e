package gateway

import (
	"context"
	"io"

	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/pb"
)

// ResourceManager is the leader's ResourceManager as workers see it.
type ResourceManager interface {
	// RegisterTaskExecutor answers when the ResourceManager's stream to the worker is up, or with a refusal.
	RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error)
}

// JobMaster is the leader's JobMasters as workers see them: one server for all jobs, routed by the request's job id.
type JobMaster interface {
	// RegisterTaskExecutor answers when the JobMaster's stream to the worker is up, or with a refusal.
	RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error)
}

// TaskExecutor is a worker as the leader sees it.
type TaskExecutor interface {
	// OpenResourceManager returns when the worker has admitted the stream; ctx is of the opening only. The first message received is
	// the inventory.
	OpenResourceManager(ctx context.Context, open *pb.StreamOpen) (*ResourceManagerStream, error)
	// OpenJob is the same for a job.
	OpenJob(ctx context.Context, open *pb.StreamOpen) (*JobMasterStream, error)
	// ListLogs lists the files of the log directory.
	ListLogs(ctx context.Context, req *pb.ListLogsRequest) (*pb.ListLogsResponse, error)
	// ReadLog streams a file; the reader ends with ctx and must be closed.
	ReadLog(ctx context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error)
}

// TaskExecutorServer is what a worker implements. Its methods run on goroutines of the transport.
type TaskExecutorServer interface {
	// AcceptResourceManager decides at once whether the stream is admitted; ctx is of the decision only. On nil the worker owns s: it
	// receives from it and closes it. On an error s is closed with it, and the opener gets it. What is sent on s before leaves after.
	AcceptResourceManager(ctx context.Context, open *pb.StreamOpen, s *ToResourceManagerStream) error
	// AcceptJob is the same for a job.
	AcceptJob(ctx context.Context, open *pb.StreamOpen, s *ToJobMasterStream) error
	// ListLogs lists the files of the log directory.
	ListLogs(ctx context.Context, req *pb.ListLogsRequest) (*pb.ListLogsResponse, error)
	// ReadLog opens a file at the offset; rpc.ErrNotFound for a name that is not in the directory.
	ReadLog(ctx context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error)
}

// The four directions of the two kinds of streams. The names say whose end it is.
type (
	// ResourceManagerStream is the ResourceManager's end.
	ResourceManagerStream = Stream[*pb.FromResourceManager, *pb.ToResourceManager]
	// ToResourceManagerStream is the worker's end.
	ToResourceManagerStream = Stream[*pb.ToResourceManager, *pb.FromResourceManager]
	// JobMasterStream is a JobMaster's end.
	JobMasterStream = Stream[*pb.FromJobMaster, *pb.ToJobMaster]
	// ToJobMasterStream is the worker's end.
	ToJobMasterStream = Stream[*pb.ToJobMaster, *pb.FromJobMaster]
)

// Dialer makes gateways. Making one does not connect; calls do. Close ends all streams and calls and waits for them.
type Dialer interface {
	ResourceManager(addr string) ResourceManager
	JobMaster(addr string) JobMaster
	TaskExecutor(addr string) TaskExecutor
	Close() error
}

// Endpoints is what a process serves; nil ones are answered with rpc.ErrNoLeader (an AM that does not lead) or, for TaskExecutor,
// rpc.ErrNotFound.
type Endpoints struct {
	ResourceManager ResourceManager
	JobMaster       JobMaster
	TaskExecutor    TaskExecutorServer
	// Leader is the AM's own epoch; with it calls of other epochs are refused before they reach an endpoint. Nil: no check here.
	Leader *fence.Leader
}
