package transport

import (
	"errors"
	"io"
	"testing"

	"github.com/flott-dev/flott/rpc/pb"
)

// endedStream is a gRPC stream whose peer has ended it.
type endedStream struct {
	clientStream[*pb.ToJobMaster, *pb.FromJobMaster]
}

func (endedStream) Send(*pb.ToJobMaster) error { return io.EOF }

// TestSendAfterTheFarewell: the reader has stopped at the peer's last message; a Send that comes too late ends with the stream, and does not
// wait for an error that nobody will receive.
func TestSendAfterTheFarewell(t *testing.T) {
	gone := make(chan struct{})
	c := &clientConn[*pb.ToJobMaster, *pb.FromJobMaster]{cs: endedStream{}, failed: make(chan struct{}), gone: gone, abort: func() { close(gone) }}
	sent := make(chan error)
	go func() { sent <- c.Send(&pb.ToJobMaster{}) }()
	c.Abort()
	if err := <-sent; !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want %v", err, io.EOF)
	}
}
