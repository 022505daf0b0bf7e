package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
)

func TestUnary(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		addr := n.serve(gateway.Endpoints{
			ResourceManager: rm(func(_ context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
				resp := &pb.RegistrationResponse{}
				resp.SetSuccess(pb.RegistrationSuccess_builder{ResourceId: "rm for " + req.GetResourceId()}.Build())
				req.SetResourceId("changed") // it is ours
				return resp, nil
			}),
			JobMaster: jm(func(_ context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
				resp := &pb.RegistrationResponse{}
				resp.SetEpoch(req.GetEpoch())
				return resp, nil
			}),
		})
		d := n.dialer()
		req := pb.RegisterTaskExecutorRequest_builder{ResourceId: "c1"}.Build()
		resp, err := d.ResourceManager(addr).RegisterTaskExecutor(t.Context(), req)
		if err != nil || resp.GetSuccess().GetResourceId() != "rm for c1" || req.GetResourceId() != "c1" {
			t.Errorf("register: %v, %v; request now %v", resp, err, req)
		}
		resp, err = d.JobMaster(addr).RegisterTaskExecutor(t.Context(), pb.RegisterAtJobMasterRequest_builder{Epoch: 3}.Build())
		if err != nil || resp.GetEpoch() != 3 {
			t.Errorf("register at job: %v, %v", resp, err)
		}
	})
}

// TestErrors: code, text and chain of an answered error arrive, and it counts as refused.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		is   []error
		text string
	}{
		{"coded", rpc.New(rpc.UnknownWorker, "container_1 is not ours"), []error{rpc.ErrUnknownWorker}, "container_1 is not ours"},
		{"plain", fs.ErrPermission, nil, "permission denied"},
		{"wrapped", fmt.Errorf("open stream to %s: %w", "w1", rpc.Wrap(rpc.Replayed, "attempt 3", rpc.New(rpc.OnHold, "zk lost"))),
			[]error{rpc.ErrReplayed, rpc.ErrOnHold}, "open stream to w1: attempt 3: zk lost"},
		{"not text", errors.New("bad \xff byte"), nil, "bad � byte"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
				addr := n.serve(gateway.Endpoints{ResourceManager: rm(
					func(context.Context, *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
						return nil, c.err
					})})
				_, err := n.dialer().ResourceManager(addr).RegisterTaskExecutor(t.Context(), &pb.RegisterTaskExecutorRequest{})
				if want := "ResourceManager.RegisterTaskExecutor: " + c.text; err == nil || err.Error() != want {
					t.Fatalf("got %v, want %s", err, want)
				}
				for _, target := range c.is {
					if !errors.Is(err, target) {
						t.Errorf("%v is not %v", err, target)
					}
				}
				if !rpc.Refused(err) || rpc.NotSent(err) || rpc.Unknown(err) {
					t.Errorf("%v does not count as refused", err)
				}
			})
		})
	}
}

func TestAbsentEndpoints(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		addr := n.serve(gateway.Endpoints{})
		d := n.dialer()
		if _, err := d.ResourceManager(addr).RegisterTaskExecutor(t.Context(), &pb.RegisterTaskExecutorRequest{}); !errors.Is(err, rpc.ErrNoLeader) {
			t.Errorf("resource manager: %v", err)
		}
		if _, err := d.JobMaster(addr).RegisterTaskExecutor(t.Context(), &pb.RegisterAtJobMasterRequest{}); !errors.Is(err, rpc.ErrNoLeader) {
			t.Errorf("job master: %v", err)
		}
		if _, err := d.TaskExecutor(addr).OpenResourceManager(t.Context(), header(1)); !errors.Is(err, rpc.ErrNotFound) || !rpc.Refused(err) {
			t.Errorf("worker: %v", err)
		}
	})
}

func TestLeaderFence(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		leader := &fence.Leader{}
		addr := n.serve(gateway.Endpoints{Leader: leader, ResourceManager: rm(
			func(context.Context, *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
				return &pb.RegistrationResponse{}, nil
			})})
		g := n.dialer().ResourceManager(addr)
		for _, c := range []struct {
			own, caller uint64
			want        error
		}{{0, 1, rpc.ErrNoLeader}, {5, 5, nil}, {5, 0, nil}, {5, 4, rpc.ErrFenced}, {5, 6, rpc.ErrFenced}} {
			leader.Set(0)
			if c.own > 0 {
				leader.Set(5)
			}
			_, err := g.RegisterTaskExecutor(t.Context(), pb.RegisterTaskExecutorRequest_builder{Epoch: c.caller}.Build())
			if !errors.Is(err, c.want) {
				t.Errorf("leader %d, caller %d: %v, want %v", c.own, c.caller, err, c.want)
			}
			if c.want == rpc.ErrFenced && rpc.EpochOf(err) != 5 {
				t.Errorf("the refusal names epoch %d", rpc.EpochOf(err))
			}
		}
	})
}

func TestOutcomes(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		entered := make(chan struct{}, 1)
		addr, _, kill := n.listen(gateway.Endpoints{ResourceManager: rm(
			func(ctx context.Context, _ *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
				entered <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			})})
		g := n.dialer().ResourceManager(addr)

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := g.RegisterTaskExecutor(ctx, &pb.RegisterTaskExecutorRequest{})
		cancel()
		<-entered
		if !errors.Is(err, rpc.ErrTimeout) || !rpc.Unknown(err) {
			t.Errorf("no answer in time: %v, want a timeout of unknown outcome", err)
		}

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.RegisterTaskExecutor(ended, &pb.RegisterTaskExecutorRequest{}); !rpc.NotSent(err) || !errors.Is(err, context.Canceled) {
			t.Errorf("call with an ended context: %v, want not sent", err)
		}

		errs := make(chan error, 1)
		go func() {
			_, err := g.RegisterTaskExecutor(t.Context(), &pb.RegisterTaskExecutorRequest{})
			errs <- err
		}()
		<-entered
		kill()
		if err := <-errs; !errors.Is(err, rpc.ErrUnreachable) || !rpc.Unknown(err) {
			t.Errorf("the peer died during the call: %v, want unreachable of unknown outcome", err)
		}
		if _, err := g.RegisterTaskExecutor(t.Context(), &pb.RegisterTaskExecutorRequest{}); !errors.Is(err, rpc.ErrUnreachable) || !rpc.NotSent(err) {
			t.Errorf("nobody listens: %v, want unreachable and not sent", err)
		}
	})
}

func TestLogs(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		text := strings.Repeat("a line of a log\n", 20_000)
		te := n.dialer().TaskExecutor(n.serve(gateway.Endpoints{TaskExecutor: &worker{files: map[string]string{"taskmanager.log": text}}}))
		list, err := te.ListLogs(t.Context(), &pb.ListLogsRequest{})
		if err != nil || len(list.GetFiles()) != 1 || list.GetFiles()[0].GetSize() != uint64(len(text)) {
			t.Errorf("list: %v, %v", list, err)
		}
		r, err := te.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: "taskmanager.log", Offset: 16}.Build())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != text[16:] {
			t.Errorf("read %d bytes, %v, want %d", len(got), err, len(text)-16)
		}
		r.Close()
		if _, err := te.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: "../x"}.Build()); !errors.Is(err, rpc.ErrNotFound) {
			t.Errorf("unknown file: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r, err = te.ReadLog(ctx, pb.ReadLogRequest_builder{Name: "taskmanager.log"}.Build())
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := io.ReadAll(r); err == nil {
			t.Error("the reader survived its context")
		}
		r.Close()
	})
}

// TestGracefulClose: a server whose streams end in time is not cut.
func TestGracefulClose(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		w, ch := accepting()
		addr, closeIt, _ := n.listen(gateway.Endpoints{TaskExecutor: w})
		s, err := n.dialer().TaskExecutor(addr).OpenResourceManager(t.Context(), header(1))
		if err != nil {
			t.Fatal(err)
		}
		(<-ch).Close(rpc.New(rpc.Stopped, "the worker stops"))
		closeIt()
		if _, err := s.Recv(t.Context()); !errors.Is(err, rpc.ErrClosed) || !errors.Is(err, rpc.ErrStopped) {
			t.Errorf("the leader got %v, want the worker's reason", err)
		}
	})
}
