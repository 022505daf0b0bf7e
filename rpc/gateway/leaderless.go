package gateway

import (
	"context"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/pb"
)

func noLeader(method string) error {
	return &rpc.Error{Code: rpc.NotLeader, Method: method, Msg: "no leader is known", Outcome: rpc.OutcomeNotSent}
}

// LeaderlessResourceManager is a ResourceManager without leader.
type LeaderlessResourceManager struct{}

// RegisterTaskExecutor returns rpc.ErrNoLeader.
func (LeaderlessResourceManager) RegisterTaskExecutor(context.Context, *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	return nil, noLeader(registerAtResourceManager)
}

// LeaderlessJobMaster is a JobMaster without leader.
type LeaderlessJobMaster struct{}

// RegisterTaskExecutor returns rpc.ErrNoLeader.
func (LeaderlessJobMaster) RegisterTaskExecutor(context.Context, *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return nil, noLeader(registerAtJobMaster)
}
