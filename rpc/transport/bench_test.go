package transport_test

import (
	"context"
	"testing"

	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/transport"
)

// eachNetwork runs a benchmark against endpoints that are served over loopback, and in the process.
func eachNetwork(b *testing.B, e gateway.Endpoints, f func(b *testing.B, d gateway.Dialer, addr string)) {
	b.Run("remote", func(b *testing.B) {
		server, err := transport.Listen(transport.ServerConfig{}, e)
		if err != nil {
			b.Fatal(err)
		}
		defer server.Kill()
		d := transport.NewDialer(transport.DialerConfig{})
		defer d.Close()
		f(b, d, server.Addr())
	})
	b.Run("in-process", func(b *testing.B) {
		net := gateway.NewInProcess(gateway.StreamConfig{})
		server, err := net.Listen("process", e)
		if err != nil {
			b.Fatal(err)
		}
		defer server.Kill()
		d := net.Dialer()
		defer d.Close()
		f(b, d, server.Addr())
	})
}

// BenchmarkCall is a unary call of a gateway and its answer.
func BenchmarkCall(b *testing.B) {
	answer := pb.RegistrationResponse_builder{Success: pb.RegistrationSuccess_builder{ResourceId: "am"}.Build()}.Build()
	served := gateway.Endpoints{ResourceManager: rm(func(context.Context, *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
		return answer, nil
	})}
	eachNetwork(b, served, func(b *testing.B, d gateway.Dialer, addr string) {
		gw := d.ResourceManager(addr)
		req := pb.RegisterTaskExecutorRequest_builder{ResourceId: "container_1", Attempt: 1, Address: "127.0.0.1:1", Slots: 4}.Build()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := gw.RegisterTaskExecutor(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkPingPong is one message of a stream there and one back.
func BenchmarkPingPong(b *testing.B) {
	w := &worker{rm: func(_ context.Context, _ *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
		go func() { // ends with the stream
			for {
				m, err := s.Recv(context.Background())
				if err != nil {
					return
				}
				s.Send(response(int(m.GetFreeSlot().GetRequestId())))
			}
		}()
		return nil
	}}
	eachNetwork(b, gateway.Endpoints{TaskExecutor: w}, func(b *testing.B, d gateway.Dialer, addr string) {
		s, err := d.TaskExecutor(addr).OpenResourceManager(b.Context(), header(1))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			s.Send(request(1, 50))
			if _, err := s.Recv(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
