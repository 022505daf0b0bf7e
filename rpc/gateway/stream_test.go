package gateway

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/invariant"
	"github.com/flott-dev/flott/rpc/pb"
)

// scripted is a Conn whose peer is the test: what is sent comes out of out when the test takes it.
type scripted struct {
	out chan *pb.FromResourceManager
	in  chan *pb.ToResourceManager
	cut cutoff
}

func newScripted() *scripted {
	return &scripted{out: make(chan *pb.FromResourceManager), in: make(chan *pb.ToResourceManager), cut: cutoff{ch: make(chan struct{})}}
}

func (c *scripted) Send(m *pb.FromResourceManager) error {
	select {
	case c.out <- m:
		return nil
	case <-c.cut.ch:
		return io.ErrClosedPipe
	}
}

func (c *scripted) Recv() (*pb.ToResourceManager, error) {
	select {
	case m := <-c.in:
		return m, nil
	case <-c.cut.ch:
		return nil, io.ErrClosedPipe
	}
}

func (c *scripted) Abort() { c.cut.cut() }

func beat(hold bool) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{Heartbeat: pb.ResourceManagerHeartbeat_builder{Hold: hold}.Build()}.Build()
}

func free(n uint64) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{FreeSlot: pb.FreeSlot_builder{RequestId: n}.Build()}.Build()
}

// describe shortens a message for comparison.
func describe(m *pb.FromResourceManager) string {
	switch {
	case m.HasHeartbeat() && m.GetHeartbeat().GetHold():
		return "beat(hold)"
	case m.HasHeartbeat():
		return "beat"
	case m.HasClosed():
		return "closed"
	}
	return "free" + string(rune('0'+m.GetFreeSlot().GetRequestId()))
}

// TestHeartbeatsCoalesce: while nothing leaves, only the newest heartbeat stays, at the place of the newest.
func TestHeartbeatsCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newScripted()
		s := NewStream[*pb.FromResourceManager, *pb.ToResourceManager](StreamConfig{}, conn)
		s.Send(free(0))
		synctest.Wait() // the writer holds free0
		for _, m := range []*pb.FromResourceManager{free(1), beat(false), free(2), beat(false), beat(true), free(3)} {
			if err := s.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for range 5 {
			got = append(got, describe(<-conn.out))
		}
		s.Send(beat(false)) // the earlier one has left: nothing to replace
		got = append(got, describe(<-conn.out))
		if want := "free0 free1 free2 beat(hold) free3 beat"; strings.Join(got, " ") != want {
			t.Errorf("left as %v, want %s", got, want)
		}
		s.Break(rpc.ErrStopped)
	})
}

// TestHeartbeatsNeverOverflow: a peer that takes nothing for a while does not lose its stream to heartbeats.
func TestHeartbeatsNeverOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newScripted()
		s := NewStream[*pb.FromResourceManager, *pb.ToResourceManager](StreamConfig{MaxQueued: 200}, conn)
		for range 1000 {
			if err := s.Send(beat(true)); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		for n := 0; err == nil && n < 10; n++ {
			err = s.Send(free(1))
		}
		if !errors.Is(err, rpc.ErrOverflow) {
			t.Errorf("other messages: %v, want overflow", err)
		}
	})
}

// TestProgressRule: eight seconds without anything taken end the stream, less does not, and idle time does not count.
func TestProgressRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newScripted()
		s := NewStream[*pb.FromResourceManager, *pb.ToResourceManager](StreamConfig{}, conn)
		<-time.After(time.Hour)
		for n := range uint64(3) {
			s.Send(free(n))
		}
		start := time.Now()
		<-time.After(7 * time.Second)
		<-conn.out
		<-time.After(7 * time.Second)
		<-conn.out
		<-s.Done()
		if took := time.Since(start); took != 22*time.Second || !errors.Is(s.Err(), rpc.ErrNoProgress) {
			t.Errorf("ended after %v with %v, want 22s and no progress", took, s.Err())
		}
	})
}

// TestLinger: what a closed stream cannot send within its time is dropped, and its goroutines end.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newScripted()
		s := NewStream[*pb.FromResourceManager, *pb.ToResourceManager](StreamConfig{}, conn)
		s.Send(free(1))
		s.Send(free(2))
		start := time.Now()
		s.Close(rpc.New(rpc.Stopped, "bye"))
		if describe(<-conn.out) != "free1" {
			t.Error("free1 did not leave")
		}
		<-conn.cut.ch
		if took := time.Since(start); took != time.Second {
			t.Errorf("cut after %v, want 1s", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		conn := newScripted()
		s := NewStream[*pb.FromResourceManager, *pb.ToResourceManager](StreamConfig{}, conn)
		s.Close(rpc.New(rpc.Stopped, "bye"))
		last := <-conn.out
		if err := rpc.FromWire(last.GetClosed().GetCause()); !errors.Is(err, rpc.ErrStopped) || err.Error() != "bye" {
			t.Errorf("the last message says %v", err)
		}
		// The peer answers by ending: no need to wait for the linger time.
		start := time.Now()
		conn.in <- pb.ToResourceManager_builder{Closed: &pb.StreamClosed{}}.Build()
		<-conn.cut.ch
		if took := time.Since(start); took != 0 {
			t.Errorf("cut after %v, want at once", took)
		}
	})
}

func TestFrozen(t *testing.T) {
	if !invariant.Enabled {
		checkFrozen(free(1), 0) // no check without the tag
		return
	}
	m := free(1)
	sum := fingerprintIfChecked(m)
	checkFrozen(m, sum)
	m.GetFreeSlot().SetReason("changed")
	defer func() {
		if recover() == nil {
			t.Error("a changed message passed")
		}
	}()
	checkFrozen(m, sum)
}

func BenchmarkStream(b *testing.B) {
	near, far := newPipe[*pb.FromResourceManager, *pb.ToResourceManager](nil, nil)
	s := NewStream[*pb.FromResourceManager, *pb.ToResourceManager](StreamConfig{}, near)
	peer := NewStream[*pb.ToResourceManager, *pb.FromResourceManager](StreamConfig{}, far)
	b.ReportAllocs()
	m := free(1)
	for b.Loop() {
		if err := s.Send(m); err != nil {
			b.Fatal(err)
		}
		if _, err := peer.Recv(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	s.Break(rpc.ErrStopped)
	peer.Break(rpc.ErrStopped)
}
