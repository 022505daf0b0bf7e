package transport_test

import (
	"context"
	"testing"

	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/transport"
)

// BenchmarkPingPong is one message there and one back over loopback.
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
	server, err := transport.Listen(transport.ServerConfig{}, gateway.Endpoints{TaskExecutor: w})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Kill()
	d := transport.NewDialer(transport.DialerConfig{})
	defer d.Close()
	s, err := d.TaskExecutor(server.Addr()).OpenResourceManager(b.Context(), header(1))
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
}
