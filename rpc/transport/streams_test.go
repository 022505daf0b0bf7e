package transport_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

func TestOrder(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		leader, far := connected(t, n)
		const messages = 5000
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range messages {
				m, err := far.Recv(t.Context())
				if err != nil || m.GetFreeSlot().GetRequestId() != uint64(i) {
					t.Errorf("worker got %v, %v as number %d", m, err, i)
					return
				}
				if err := far.Send(response(i)); err != nil {
					t.Errorf("answer %d: %v", i, err)
					return
				}
			}
		}()
		for i := range messages {
			if err := leader.Send(request(i, 10)); err != nil {
				t.Fatalf("send %d: %v", i, err)
			}
		}
		for i := range messages {
			if m, err := leader.Recv(t.Context()); err != nil || m.GetResponse().GetRequestId() != uint64(i) {
				t.Fatalf("leader got %v, %v as number %d", m, err, i)
			}
		}
		<-done
	})
}

func TestOverflow(t *testing.T) {
	both(t, gateway.StreamConfig{MaxQueued: 64 << 10}, func(t *testing.T, n network) {
		leader, far := connected(t, n)
		var err error
		for i := 0; err == nil && i < 100_000; i++ {
			err = leader.Send(request(i, 1000))
		}
		if !errors.Is(err, rpc.ErrOverflow) || !errors.Is(leader.Err(), rpc.ErrOverflow) {
			t.Errorf("a peer that takes nothing: Send %v, Err %v, want overflow", err, leader.Err())
		}
		if err := leader.Send(request(0, 1)); !errors.Is(err, rpc.ErrOverflow) {
			t.Errorf("Send after the end: %v", err)
		}
		if err := drain(t, far); !errors.Is(err, rpc.ErrUnreachable) {
			t.Errorf("the peer's end: %v, want unreachable", err)
		}
	})
}

// drain receives until the end and returns it.
func drain(t *testing.T, s *gateway.ToResourceManagerStream) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, err := s.Recv(ctx); err != nil {
			return err
		}
	}
}

func TestNoProgress(t *testing.T) {
	both(t, gateway.StreamConfig{Progress: 100 * time.Millisecond}, func(t *testing.T, n network) {
		leader, _ := connected(t, n)
		for i := range 1000 {
			if err := leader.Send(request(i, 2000)); err != nil {
				break // it may be over already
			}
		}
		await(t, "the end of the stream", leader.Done())
		if !errors.Is(leader.Err(), rpc.ErrNoProgress) {
			t.Errorf("Err = %v, want no progress", leader.Err())
		}
	})
}

func TestPeerDeath(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		w, ch := accepting()
		addr, _, kill := n.listen(gateway.Endpoints{TaskExecutor: w})
		d := n.dialer()
		leader, err := d.TaskExecutor(addr).OpenResourceManager(t.Context(), header(1))
		if err != nil {
			t.Fatal(err)
		}
		far := <-ch
		kill()
		if _, err := leader.Recv(t.Context()); !errors.Is(err, rpc.ErrUnreachable) || errors.Is(err, rpc.ErrClosed) {
			t.Errorf("after the worker's death: %v, want unreachable", err)
		}
		await(t, "the worker's end", far.Done())
		if _, err := d.TaskExecutor(addr).OpenResourceManager(t.Context(), header(1)); !rpc.NotSent(err) || !errors.Is(err, rpc.ErrUnreachable) {
			t.Errorf("open at a dead worker: %v, want unreachable and not sent", err)
		}
	})
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		w, ch := accepting()
		addr := n.serve(gateway.Endpoints{TaskExecutor: w})
		d := n.dialer()
		leader, err := d.TaskExecutor(addr).OpenResourceManager(t.Context(), header(1))
		if err != nil {
			t.Fatal(err)
		}
		far := <-ch
		d.Close()
		await(t, "the leader's end", leader.Done())
		if err := drain(t, far); !errors.Is(err, rpc.ErrUnreachable) {
			t.Errorf("after the leader's death: %v, want unreachable", err)
		}
		if _, err := d.TaskExecutor(addr).OpenResourceManager(t.Context(), header(1)); !rpc.NotSent(err) || !errors.Is(err, rpc.ErrStopped) {
			t.Errorf("open through a closed dialer: %v, want stopped and not sent", err)
		}
	})
}

// TestClose: what was sent before arrives, then the cause, on both sides.
func TestClose(t *testing.T) {
	cause := fmt.Errorf("release worker: %w", &rpc.Error{Code: rpc.Fenced, Msg: "someone else leads", Epoch: 9})
	check := func(t *testing.T, err error) {
		t.Helper()
		if !errors.Is(err, rpc.ErrClosed) || !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != 9 ||
			!strings.Contains(err.Error(), "release worker: someone else leads") {
			t.Errorf("the other side got %v (epoch %d)", err, rpc.EpochOf(err))
		}
	}
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		leader, far := connected(t, n)
		for i := range 100 {
			leader.Send(request(i, 100))
		}
		leader.Close(cause)
		if leader.Err() != cause || leader.Send(request(0, 0)) != cause {
			t.Errorf("own end: %v", leader.Err())
		}
		for i := range 100 {
			if m, err := far.Recv(t.Context()); err != nil || m.GetFreeSlot().GetRequestId() != uint64(i) {
				t.Fatalf("got %v, %v as number %d", m, err, i)
			}
		}
		_, err := far.Recv(t.Context())
		check(t, err)
	})
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		leader, far := connected(t, n)
		for i := range 100 {
			far.Send(response(i))
		}
		far.Close(cause)
		for i := range 100 {
			if m, err := leader.Recv(t.Context()); err != nil || m.GetResponse().GetRequestId() != uint64(i) {
				t.Fatalf("got %v, %v as number %d", m, err, i)
			}
		}
		_, err := leader.Recv(t.Context())
		check(t, err)
	})
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) { // both at once, without a reason
		leader, far := connected(t, n)
		leader.Close(nil)
		far.Close(nil)
		if !errors.Is(leader.Err(), rpc.ErrClosed) || !errors.Is(far.Err(), rpc.ErrClosed) {
			t.Errorf("ends: %v and %v", leader.Err(), far.Err())
		}
	})
}

func TestRefusedStream(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		streams := make(chan *gateway.ToJobMasterStream, 1)
		w := &worker{job: func(_ context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
			s.Send(pb.ToJobMaster_builder{Leaving: &pb.Leaving{}}.Build()) // must not look like an admission
			streams <- s
			return &rpc.Error{Code: rpc.Fenced, Msg: "too old", Epoch: ids.Epoch(open.GetEpoch() + 1)}
		}}
		addr := n.serve(gateway.Endpoints{TaskExecutor: w})
		_, err := n.dialer().TaskExecutor(addr).OpenJob(t.Context(), header(4))
		if !errors.Is(err, rpc.ErrFenced) || !rpc.Refused(err) || rpc.EpochOf(err) != 5 {
			t.Errorf("open: %v, want fenced by epoch 5", err)
		}
		if want := "TaskExecutor.JobMasterStream: too old"; err == nil || err.Error() != want {
			t.Errorf("open: %v, want %q", err, want)
		}
		if s := <-streams; !errors.Is(s.Err(), rpc.ErrFenced) {
			t.Errorf("the refused stream ended with %v", s.Err())
		}
	})
}

// TestSentWhileAccepting: the inventory may be sent before the stream is admitted, and is the first message.
func TestSentWhileAccepting(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		w := &worker{rm: func(_ context.Context, open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
			return s.Send(pb.ToResourceManager_builder{Inventory: &pb.SlotReport{}}.Build())
		}}
		addr := n.serve(gateway.Endpoints{TaskExecutor: w})
		s, err := n.dialer().TaskExecutor(addr).OpenResourceManager(t.Context(), header(1))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := s.Recv(t.Context()); err != nil || !m.HasInventory() {
			t.Errorf("first message %v, %v, want the inventory", m, err)
		}
	})
}

func TestOpenEndsWithContext(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		w := &worker{rm: func(ctx context.Context, _ *pb.StreamOpen, _ *gateway.ToResourceManagerStream) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		addr := n.serve(gateway.Endpoints{TaskExecutor: w})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := n.dialer().TaskExecutor(addr).OpenResourceManager(ctx, header(1))
		if !errors.Is(err, rpc.ErrTimeout) || !rpc.Unknown(err) {
			t.Errorf("open: %v, want a timeout of unknown outcome", err)
		}
	})
}

// TestStreamOutlivesOpening: the context of the opening ends, the stream does not.
func TestStreamOutlivesOpening(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		w, ch := accepting()
		addr := n.serve(gateway.Endpoints{TaskExecutor: w})
		ctx, cancel := context.WithCancel(t.Context())
		s, err := n.dialer().TaskExecutor(addr).OpenResourceManager(ctx, header(1))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		far := <-ch
		if err := far.Send(response(7)); err != nil {
			t.Error(err)
		}
		if m, err := s.Recv(t.Context()); err != nil || m.GetResponse().GetRequestId() != 7 {
			t.Errorf("got %v, %v", m, err)
		}
		rctx, rcancel := context.WithCancel(t.Context())
		rcancel()
		if _, err := s.Recv(rctx); !errors.Is(err, context.Canceled) || s.Err() != nil {
			t.Errorf("Recv with an ended context: %v; stream: %v", err, s.Err())
		}
	})
}

// TestHigherEpochClosesLower runs a worker's Roster under real streams.
func TestHigherEpochClosesLower(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		roster := &gateway.Roster{Resource: "container_1"}
		w := &worker{
			rm: func(_ context.Context, open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
				return roster.Admit(open, s)
			},
			job: func(_ context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
				return roster.Admit(open, s)
			},
		}
		te := n.dialer().TaskExecutor(n.serve(gateway.Endpoints{TaskExecutor: w}))
		job := ids.NewJobID()
		jobHeader := func(epoch uint64) *pb.StreamOpen {
			h := header(epoch)
			h.SetJob(job.Bytes())
			return h
		}
		roster.Begin("")
		roster.Begin(string(job[:]))
		rm1, err := te.OpenResourceManager(t.Context(), header(1))
		if err != nil {
			t.Fatal(err)
		}
		jm1, err := te.OpenJob(t.Context(), jobHeader(1))
		if err != nil {
			t.Fatal(err)
		}
		rm2, err := te.OpenResourceManager(t.Context(), header(2))
		if err != nil {
			t.Fatal(err)
		}
		for name, recv := range map[string]func() error{
			"resource manager": func() error { _, err := rm1.Recv(t.Context()); return err },
			"job":              func() error { _, err := jm1.Recv(t.Context()); return err },
		} {
			if err := recv(); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != 2 {
				t.Errorf("%s stream of epoch 1 ended with %v, want fenced by 2", name, err)
			}
		}
		if _, err := te.OpenJob(t.Context(), jobHeader(1)); !errors.Is(err, rpc.ErrFenced) || rpc.EpochOf(err) != 2 {
			t.Errorf("open under epoch 1 again: %v", err)
		}
		if rm2.Err() != nil {
			t.Errorf("the stream of epoch 2 ended with %v", rm2.Err())
		}
	})
}

// TestNothingShared: a receiver may change what it got.
func TestNothingShared(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		leader, far := connected(t, n)
		m := pb.FromResourceManager_builder{FreeSlot: pb.FreeSlot_builder{Allocation: []byte("0123456789abcdef")}.Build()}.Build()
		leader.Send(m)
		got, err := far.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got.GetFreeSlot().GetAllocation()[0] = 'X'
		got.GetFreeSlot().SetReason("changed")
		if string(m.GetFreeSlot().GetAllocation()) != "0123456789abcdef" || m.GetFreeSlot().GetReason() != "" {
			t.Error("the receiver's change is seen by the sender")
		}
	})
}

func TestLargeMessages(t *testing.T) {
	both(t, gateway.StreamConfig{}, func(t *testing.T, n network) {
		leader, far := connected(t, n)
		if err := leader.Send(request(1, 17<<20)); !errors.Is(err, rpc.ErrTooLarge) {
			t.Errorf("17 MiB: %v, want too large", err)
		}
		if err := leader.Send(request(2, 16<<20-1000)); err != nil {
			t.Errorf("nearly 16 MiB: %v", err)
		}
		m, err := far.Recv(t.Context())
		if err != nil || m.GetFreeSlot().GetRequestId() != 2 || len(m.GetFreeSlot().GetReason()) != 16<<20-1000 {
			t.Errorf("got %v, want the second message whole", err)
		}
	})
}
