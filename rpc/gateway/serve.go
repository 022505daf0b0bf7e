package gateway

import (
	"context"
	"io"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/pb"

	"google.golang.org/protobuf/proto"
)

// Names of the methods in errors.
const (
	registerAtResourceManager = "ResourceManager.RegisterTaskExecutor"
	registerAtJobMaster       = "JobMaster.RegisterTaskExecutor"
	openResourceManager       = "TaskExecutor.ResourceManagerStream"
	openJobMaster             = "TaskExecutor.JobMasterStream"
	listLogs                  = "TaskExecutor.ListLogs"
	readLog                   = "TaskExecutor.ReadLog"
)

// Served is the receiving side that every transport shares: Endpoints behind the fence, with absent ones answered and every error an
// *rpc.Error that names its method.
type Served struct{ Endpoints }

// RegisterAtResourceManager serves ResourceManager.RegisterTaskExecutor.
func (s Served) RegisterAtResourceManager(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	if s.ResourceManager == nil {
		return nil, refusal(registerAtResourceManager, rpc.ErrNoLeader)
	}
	if err := checkEpoch(s.Leader, req); err != nil {
		return nil, refusal(registerAtResourceManager, err)
	}
	resp, err := s.ResourceManager.RegisterTaskExecutor(ctx, req)
	return resp, refusal(registerAtResourceManager, err)
}

// RegisterAtJobMaster serves JobMaster.RegisterTaskExecutor.
func (s Served) RegisterAtJobMaster(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	if s.JobMaster == nil {
		return nil, refusal(registerAtJobMaster, rpc.ErrNoLeader)
	}
	if err := checkEpoch(s.Leader, req); err != nil {
		return nil, refusal(registerAtJobMaster, err)
	}
	resp, err := s.JobMaster.RegisterTaskExecutor(ctx, req)
	return resp, refusal(registerAtJobMaster, err)
}

// AcceptResourceManager serves TaskExecutor.ResourceManagerStream; the worker compares the epoch.
func (s Served) AcceptResourceManager(ctx context.Context, open *pb.StreamOpen, st *ToResourceManagerStream) error {
	if s.TaskExecutor == nil {
		return refusal(openResourceManager, noWorker())
	}
	return refusal(openResourceManager, s.TaskExecutor.AcceptResourceManager(ctx, open, st))
}

// AcceptJob serves TaskExecutor.JobMasterStream; the worker compares the epoch.
func (s Served) AcceptJob(ctx context.Context, open *pb.StreamOpen, st *ToJobMasterStream) error {
	if s.TaskExecutor == nil {
		return refusal(openJobMaster, noWorker())
	}
	return refusal(openJobMaster, s.TaskExecutor.AcceptJob(ctx, open, st))
}

// ListLogs serves TaskExecutor.ListLogs.
func (s Served) ListLogs(ctx context.Context, req *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	if s.TaskExecutor == nil {
		return nil, refusal(listLogs, noWorker())
	}
	resp, err := s.TaskExecutor.ListLogs(ctx, req)
	return resp, refusal(listLogs, err)
}

// ReadLog serves TaskExecutor.ReadLog.
func (s Served) ReadLog(ctx context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error) {
	if s.TaskExecutor == nil {
		return nil, refusal(readLog, noWorker())
	}
	r, err := s.TaskExecutor.ReadLog(ctx, req)
	return r, refusal(readLog, err)
}

func noWorker() error { return rpc.New(rpc.NotFound, "no worker is served here") }

func checkEpoch(l *fence.Leader, req proto.Message) error {
	if l == nil {
		return nil
	}
	e, _ := fence.EpochOf(req)
	return l.Check(e)
}

// refusal names the method in err. The result is nil for nil, else an *rpc.Error.
func refusal(method string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := rpc.FromContext(err).(*rpc.Error); ok {
		c := *e
		c.Method = method
		return &c
	}
	return &rpc.Error{Code: rpc.CodeOf(err), Method: method, Epoch: rpc.EpochOf(err), Cause: err}
}
