package transport_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/transport"
)

// network is what the conformance tests need of an implementation.
type network struct {
	t      *testing.T
	listen func(gateway.Endpoints) (addr string, closeIt, kill func())
	dial   func() gateway.Dialer
}

func (n network) dialer() gateway.Dialer {
	d := n.dial()
	n.t.Cleanup(func() { d.Close() })
	return d
}

func (n network) serve(e gateway.Endpoints) string {
	addr, _, kill := n.listen(e)
	n.t.Cleanup(kill)
	return addr
}

// both runs a test over each implementation.
func both(t *testing.T, cfg gateway.StreamConfig, f func(t *testing.T, n network)) {
	t.Run("remote", func(t *testing.T) {
		checkLeaks(t)
		f(t, network{t, func(e gateway.Endpoints) (string, func(), func()) {
			s, err := transport.Listen(transport.ServerConfig{Stream: cfg}, e)
			if err != nil {
				t.Fatal(err)
			}
			return s.Addr(), func() { s.Close() }, s.Kill
		}, func() gateway.Dialer { return transport.NewDialer(transport.DialerConfig{Stream: cfg}) }})
	})
	t.Run("in-process", func(t *testing.T) {
		checkLeaks(t)
		net := gateway.NewInProcess(cfg)
		names := 0
		f(t, network{t, func(e gateway.Endpoints) (string, func(), func()) {
			names++
			s, err := net.Listen(fmt.Sprintf("process-%d", names), e)
			if err != nil {
				t.Fatal(err)
			}
			return s.Addr(), func() { s.Close() }, s.Kill
		}, net.Dialer})
	})
}

// checkLeaks fails the test when goroutines of ours or of gRPC outlive it.
func checkLeaks(t *testing.T) {
	t.Cleanup(func() {
		deadline := time.After(5 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			left := leaked()
			if left == "" {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Errorf("goroutines are left:\n%s", left)
				return
			}
		}
	})
}

func leaked() string {
	buf := make([]byte, 1<<20)
	var out []string
	for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if i > 0 && !strings.Contains(g, "testing.(*T).Run") && !strings.Contains(g, "testing.tRunner") &&
			(strings.Contains(g, "flott/rpc") || strings.Contains(g, "google.golang.org/grpc")) {
			out = append(out, g)
		}
	}
	return strings.Join(out, "\n\n")
}

// worker is a TaskExecutorServer made of functions.
type worker struct {
	rm    func(ctx context.Context, open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error
	job   func(ctx context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error
	files map[string]string
}

func (w *worker) AcceptResourceManager(ctx context.Context, open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
	return w.rm(ctx, open, s)
}

func (w *worker) AcceptJob(ctx context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
	return w.job(ctx, open, s)
}

func (w *worker) ListLogs(context.Context, *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	resp := &pb.ListLogsResponse{}
	for name, text := range w.files {
		resp.SetFiles(append(resp.GetFiles(), pb.LogFile_builder{Name: name, Size: uint64(len(text))}.Build()))
	}
	return resp, nil
}

func (w *worker) ReadLog(_ context.Context, req *pb.ReadLogRequest) (io.ReadCloser, error) {
	text, ok := w.files[req.GetName()]
	if !ok {
		return nil, rpc.New(rpc.NotFound, "no log "+req.GetName())
	}
	return io.NopCloser(strings.NewReader(text[req.GetOffset():])), nil
}

// accepting is a worker that admits ResourceManager streams and passes them on.
func accepting() (*worker, chan *gateway.ToResourceManagerStream) {
	ch := make(chan *gateway.ToResourceManagerStream, 16)
	return &worker{rm: func(_ context.Context, _ *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
		ch <- s
		return nil
	}}, ch
}

// connected opens one ResourceManager stream.
func connected(t *testing.T, n network) (leader *gateway.ResourceManagerStream, far *gateway.ToResourceManagerStream) {
	t.Helper()
	w, ch := accepting()
	addr := n.serve(gateway.Endpoints{TaskExecutor: w})
	leader, err := n.dialer().TaskExecutor(addr).OpenResourceManager(t.Context(), header(1))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return leader, <-ch
}

func header(epoch uint64) *pb.StreamOpen {
	return pb.StreamOpen_builder{Epoch: epoch, ResourceId: "container_1", Attempt: 1, InstanceId: make([]byte, 16)}.Build()
}

// request is a numbered message from the leader, of about size bytes.
func request(n, size int) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{FreeSlot: pb.FreeSlot_builder{RequestId: uint64(n), Reason: strings.Repeat("x", size)}.Build()}.Build()
}

// response is a numbered message from the worker.
func response(n int) *pb.ToResourceManager {
	return pb.ToResourceManager_builder{Response: pb.Response_builder{RequestId: uint64(n)}.Build()}.Build()
}

// rm is a ResourceManager made of a function.
type rm func(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error)

func (f rm) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	return f(ctx, req)
}

type jm func(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error)

func (f jm) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	return f(ctx, req)
}

func await(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not happen within 10 s", what)
	}
}
