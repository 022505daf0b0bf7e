package ipc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/ipc/internal/wire"
	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/commonpb"
)

// A call that finds many others under way goes out, although nothing else happens on the connection; also when it is the next to last.
func TestCallBehindManyThatWait(t *testing.T) {
	const n = 100
	arrived, release := make(chan struct{}, 2*n), make(chan struct{})
	s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, _ ipctest.Caller, _, method string, req []byte) (proto.Message, error) {
		if method == "slow" {
			arrived <- struct{}{}
			<-release
		}
		return text(decode(t, req)), nil
	}})
	c := client(t, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a"}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			want := fmt.Sprint(i)
			if got, err := call(t.Context(), c, peer, "slow", want); err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	for range n {
		<-arrived
	}
	for i := range 3 {
		want := fmt.Sprint("quick ", i)
		if got, err := call(t.Context(), c, peer, "echo", want, ipc.Timeout(10*time.Second)); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	close(release)
	wg.Wait()
	if _, total := s.Connections(); total != 1 {
		t.Errorf("connections: got %d, want 1", total)
	}
}

// countedReads counts the reads of a connection that brought something.
type countedReads struct {
	net.Conn
	n *atomic.Int64
}

func (c countedReads) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.n.Add(1)
	}
	return n, err
}

// With many calls under way, answers that a server sends one by one are read several at a time.
func TestAnswersGather(t *testing.T) {
	const callers, calls = 64, 50
	var reads atomic.Int64
	s := serve(t, ipctest.Config{Simple: true, Handle: echo(t)})
	c := client(t, ipc.Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		return countedReads{nc, &reads}, err
	}})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a"}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range calls {
				if _, err := call(t.Context(), c, peer, "echo", "x"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n > callers*calls/10 {
		t.Errorf("%d answers took %d reads, want at most a tenth", callers*calls, n)
	}
}

// Callers that give up at any moment neither disturb the others nor get an answer that is not theirs.
func TestManyCallersSomeGiveUp(t *testing.T) {
	s := serve(t, ipctest.Config{Simple: true, Handle: echo(t)})
	c := client(t, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol, User: "a"}
	var answered, left atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 50 {
				// Some requests and answers are larger than the buffers that are kept for the next call.
				size := 10
				if j%10 == 1 {
					size = 200_000
				}
				want := fmt.Sprint(i, "/", j, strings.Repeat("x", rand.IntN(size)))
				ctx, cancel := context.WithCancel(t.Context())
				if j%3 == 0 {
					time.AfterFunc(rand.N(200*time.Microsecond), cancel)
				}
				got, err := call(ctx, c, peer, "echo", want)
				switch {
				case err == nil && got == want:
					answered.Add(1)
				case errors.Is(err, context.Canceled) && j%3 == 0:
					left.Add(1)
				default:
					t.Errorf("call %d of caller %d: got %d bytes, %v, want %d", j, i, len(got), err, len(want))
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if answered.Load() < 64*33 {
		t.Errorf("answered: got %d of %d, %d given up", answered.Load(), 64*50, left.Load())
	}
	if _, total := s.Connections(); total != 1 {
		t.Errorf("connections: got %d, want 1", total)
	}
}

// A context that has ended already sends nothing.
func TestEndedContextSendsNothing(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, ipctest.Config{Simple: true, Handle: func(_ context.Context, _ ipctest.Caller, _, _ string, req []byte) (proto.Message, error) {
		calls.Add(1)
		return text(decode(t, req)), nil
	}})
	c := client(t, ipc.Config{})
	peer := ipc.Peer{Addr: s.Addr(), Protocol: protocol}
	if _, err := call(t.Context(), c, peer, "echo", "x"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := call(ctx, c, peer, "echo", "x"); !errors.Is(err, context.Canceled) || !ipc.NotSent(err) {
			t.Fatalf("got %v, want Canceled, not sent", err)
		}
	}
	if got := calls.Load(); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}

// plainServer answers every call with the same message and allocates nothing for it, so that a benchmark counts the client's allocations.
func plainServer(tb testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		r, w := bufio.NewReaderSize(nc, 32<<10), bufio.NewWriterSize(nc, 32<<10)
		if _, err := r.Discard(len(wire.Preamble) + 1); err != nil {
			return
		}
		body, err := proto.Marshal(text("answer"))
		if err != nil {
			tb.Error(err)
		}
		var in, out []byte
		for {
			if in, err = wire.ReadFrame(r, 1<<20, in); err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
					tb.Error(err)
				}
				return
			}
			head, _, err := wire.CutBytes(in)
			if err != nil {
				tb.Error(err)
				return
			}
			id, n := protowire.ConsumeVarint(head[5:]) // behind rpcKind, rpcOp and the field's tag
			if n < 0 || protowire.DecodeZigZag(id) < 0 {
				continue // the connection context
			}
			out = append(out[:0], 0, 0, 0, 0, 0, 1<<3)
			out = protowire.AppendVarint(out, uint64(protowire.DecodeZigZag(id)))
			out = append(out, 2<<3, byte(commonpb.RpcStatusProto_SUCCESS))
			out[4] = byte(len(out) - 5)
			out = protowire.AppendBytes(out, body)
			out[3] = byte(len(out) - 4)
			_, _ = w.Write(out)
			if r.Buffered() == 0 {
				_ = w.Flush()
			}
		}
	})
	tb.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func BenchmarkCallers(b *testing.B) {
	for _, n := range []int{10, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkCallers(b, n) })
	}
}

func benchmarkCallers(b *testing.B, n int) {
	addr := plainServer(b)
	c := client(b, ipc.Config{})
	peer := ipc.Peer{Addr: addr, Protocol: protocol, User: "a"}
	req := text("a request")
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := c.Call(b.Context(), peer, "echo", req, &commonpb.GetDelegationTokenRequestProto{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
