package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/taskrunner/memory"
)

// lines is a Batch of strings.
type lines struct {
	mu       sync.Mutex
	values   []string
	read     int
	timed    bool
	recycled atomic.Bool
	err      error
}

func batch(values ...string) *lines { return &lines{values: values} }

func (b *lines) add(s string) {
	b.mu.Lock()
	b.values = append(b.values, s)
	b.mu.Unlock()
}

func (b *lines) Encode(dst []byte, limit int, one bool) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.recycled.Load() {
		return dst, errors.New("encoding a recycled batch")
	}
	start := len(dst)
	for ; b.read < len(b.values); b.read++ {
		v := b.values[b.read]
		if len(dst)-start+len(v)+10 > limit && (!one || len(dst) > start) {
			return dst, b.err
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	return dst, b.err
}

func (b *lines) Timed() bool { return b.timed }
func (b *lines) Published() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.values)
}
func (b *lines) Read() int { return b.read }
func (b *lines) Size() int { return 16 * len(b.values) }
func (b *lines) Recycle() {
	if b.recycled.Swap(true) {
		panic("a batch was recycled twice")
	}
}

// side is one worker: an exchange with a pool of its own.
func side(t testing.TB, change ...func(*Config)) *Exchange {
	t.Helper()
	net, err := memory.NewNetwork(4 << 20)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := net.Share(4 << 20)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Bind: "127.0.0.1:0", Pool: pool, BufferTimeout: -1}
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if inUse, reserved, _ := pool.Stats(); inUse != 0 || reserved != 0 {
			t.Errorf("%d buffers are in use and %d reserved after Close", inUse, reserved)
		}
	})
	return e
}

var (
	edge    = ids.EdgeID{1}
	gen     = ids.Generation{Epoch: 1, Restart: 1}
	errStop = errors.New("stop")
)

// producer opens a partition to n consumers; Offer gives up after ten seconds.
func producer(t testing.TB, e *Exchange, subtask, n int, change ...func(*PartitionConfig)) *Partition {
	t.Helper()
	wake := make(chan struct{}, 1)
	cfg := PartitionConfig{Edge: edge, Generation: gen, Subtask: subtask, LastConsumer: n - 1, Wake: waker(wake),
		Wait: func() error { return await(wake) }, Fail: func(err error) { t.Errorf("producer: %v", err) }}
	for _, f := range change {
		f(&cfg)
	}
	p, err := e.OpenPartition(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func waker(c chan struct{}) func() {
	return func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func await(c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("nothing happened for ten seconds")
	}
}

// reader is a consumer that reads what a gate has, in this goroutine.
type reader struct {
	t    testing.TB
	gate *Gate
	wake chan struct{}
}

func consume(t testing.TB, e *Exchange, subtask int, producers ...Location) *reader {
	t.Helper()
	r := &reader{t: t, wake: make(chan struct{}, 1)}
	var err error
	r.gate, err = e.OpenGate(GateConfig{Subtask: subtask, Inputs: []InputConfig{{Edge: edge, Producers: producers}}, Wake: waker(r.wake)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.gate.Close)
	return r
}

func at(e *Exchange) Location { return Location{e.Addr(), gen} }

// item waits for the next item and gives it to f before Done.
func (r *reader) item(f func(Item)) {
	r.t.Helper()
	for {
		if it, ok := r.gate.Next(); ok {
			f(it)
			r.gate.Done()
			return
		}
		if err := await(r.wake); err != nil {
			r.t.Fatal(err)
		}
	}
}

// next returns one item in words: the records joined, or an event, or an error.
func (r *reader) next() (out string, err error) {
	r.t.Helper()
	r.item(func(it Item) {
		switch {
		case it.Err != nil:
			err = it.Err
		case it.Event != nil:
			out = "<" + string(it.Event) + ">"
		case it.Batch != nil:
			b := it.Batch.(*lines)
			n := b.Published()
			out = strings.Join(b.values[b.read:n], " ")
			b.read = n
		default:
			out = strings.Join(decode(r.t, it.Frame), " ")
		}
	})
	return out, err
}

func decode(t testing.TB, b []byte) (out []string) {
	t.Helper()
	for len(b) > 0 {
		n, k := binary.Uvarint(b)
		if k <= 0 || uint64(len(b)-k) < n {
			t.Fatalf("frame ends within a record: %d bytes left", len(b))
		}
		out = append(out, string(b[k:k+int(n)]))
		b = b[k+int(n):]
	}
	return out
}

func (r *reader) expect(want ...string) {
	r.t.Helper()
	for _, w := range want {
		if got, err := r.next(); err != nil || got != w {
			r.t.Fatalf("got %.80q (%v), want %.80q", got, err, w)
		}
	}
}

func (r *reader) expectError(want error) {
	r.t.Helper()
	got, err := r.next()
	if !errors.Is(err, want) {
		r.t.Fatalf("got %q, %v; want the error %v", got, err, want)
	}
}

func send(t testing.TB, o *Port, bs ...*lines) {
	t.Helper()
	for _, b := range bs {
		if err := o.Offer(b); err != nil {
			t.Fatal(err)
		}
		o.Seal()
	}
}

func event(t testing.TB, o *Port, s string) {
	t.Helper()
	if err := o.Event([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

// both runs a test in-process and over a connection.
func both(t *testing.T, f func(t *testing.T, from, to *Exchange)) {
	t.Run("in-process", func(t *testing.T) {
		e := side(t)
		f(t, e, e)
	})
	t.Run("tcp", func(t *testing.T) { f(t, side(t), side(t)) })
}

func TestOrder(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		p := producer(t, from, 0, 1)
		o := p.Ports()[0]
		first, open := batch("a", "b"), batch("c")
		send(t, o, first)
		if err := o.Offer(open); err != nil {
			t.Fatal(err)
		}
		open.add("d")
		o.Seal()
		event(t, o, "mark")
		r := consume(t, to, 0, at(from))
		var got []string
		for len(got) == 0 || got[len(got)-1] != "<mark>" {
			s, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
		if all := strings.Join(got, " "); all != "a b c d <mark>" {
			t.Errorf("got %q", all)
		}
		event(t, o, "end")
		p.Finish()
		r.expect("<end>")
		if !first.recycled.Load() || !open.recycled.Load() {
			t.Error("a batch was not given back")
		}
		if from.registered() != 0 {
			t.Error("the consumed partition is still registered")
		}
	})
}

// registered returns the number of ports.
func (e *Exchange) registered() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ports)
}

func TestBackPressure(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		p := producer(t, from, 0, 1)
		o := p.Ports()[0]
		for i := range queueLimit {
			if !p.Available() {
				t.Fatalf("no room after %d batches", i)
			}
			send(t, o, batch(fmt.Sprint(i)))
		}
		if p.Available() {
			t.Fatalf("still room after %d batches that nobody reads", queueLimit)
		}
		sent := make(chan error, 1)
		go func() {
			b := batch("more")
			err := o.Offer(b)
			o.Seal()
			sent <- err
		}()
		r := consume(t, to, 0, at(from))
		var got []string
		for !strings.HasSuffix(strings.Join(got, " "), "more") {
			s, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
		if err := <-sent; err != nil || strings.Join(got, " ") != "0 1 2 3 4 5 6 7 more" {
			t.Errorf("got %q (%v)", got, err)
		}
		if !p.Available() {
			t.Error("no room after everything has been read")
		}
	})
}

func TestManyPortsShareTheLimit(t *testing.T) {
	e := side(t)
	for ports, want := range map[int]int{1: 8, 8: 8, 16: 4, 1000: 2} {
		p := producer(t, e, ports, ports)
		for i := range want {
			if !p.Available() {
				t.Errorf("%d ports: no room after %d batches in one of them", ports, i)
			}
			send(t, p.Ports()[0], batch("x"))
		}
		if p.Available() {
			t.Errorf("%d ports: room after %d batches in one of them", ports, want)
		}
	}
}

func TestOfferEndsWithTheTask(t *testing.T) {
	e := side(t)
	o := producer(t, e, 0, 1, func(c *PartitionConfig) { c.Wait = func() error { return errStop } }).Ports()[0]
	for range queueLimit {
		send(t, o, batch("x"))
	}
	if err := o.Offer(batch("y")); !errors.Is(err, errStop) {
		t.Errorf("error %v, want that of Wait", err)
	}
}

func TestBufferTimeoutShowsOpenBatch(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		t.Run(fmt.Sprintf("tcp=%v", tcp), func(t *testing.T) {
			from := side(t, func(c *Config) { c.BufferTimeout = time.Millisecond })
			to := from
			if tcp {
				to = side(t)
			}
			r := consume(t, to, 0, at(from))
			o := producer(t, from, 0, 1).Ports()[0]
			b := batch("a")
			if err := o.Offer(b); err != nil {
				t.Fatal(err)
			}
			r.expect("a")
			b.add("b")
			r.expect("b")
			o.Seal()
			event(t, o, "end")
			r.expect("<end>")
		})
	}
}

func TestFlushShowsOpenBatch(t *testing.T) {
	both(t, func(t *testing.T, from, to *Exchange) {
		r := consume(t, to, 0, at(from))
		o := producer(t, from, 0, 1).Ports()[0]
		b := batch("a")
		if err := o.Offer(b); err != nil {
			t.Fatal(err)
		}
		o.Flush()
		r.expect("a")
		if _, ok := r.gate.Next(); ok {
			t.Error("the gate has an item although nothing was flushed")
		}
		b.add("b")
		o.Flush()
		r.expect("b")
	})
}

// TestConsumerTakesPartOfAnOpenBatch: what was flushed comes, however little the consumer takes at once.
func TestConsumerTakesPartOfAnOpenBatch(t *testing.T) {
	e := side(t)
	r := consume(t, e, 0, at(e))
	o := producer(t, e, 0, 1).Ports()[0]
	if err := o.Offer(batch("a", "b", "c")); err != nil {
		t.Fatal(err)
	}
	o.Flush()
	var got []string
	for len(got) < 3 {
		r.item(func(it Item) {
			b := it.Batch.(*lines)
			got = append(got, b.values[b.read])
			b.read++
		})
	}
	if want := "a b c"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFlushedBatchAboveAFrame: what was flushed is sent, also when it needs several frames.
func TestFlushedBatchAboveAFrame(t *testing.T) {
	from, to := side(t), side(t)
	r := consume(t, to, 0, at(from))
	o := producer(t, from, 0, 1).Ports()[0]
	half := strings.Repeat("x", maxData/2)
	if err := o.Offer(batch(half, half, half)); err != nil {
		t.Fatal(err)
	}
	o.Flush()
	r.expect(half, half, half)
}

func TestLargeRecords(t *testing.T) {
	from, to := side(t), side(t)
	r := consume(t, to, 0, at(from))
	o := producer(t, from, 0, 1).Ports()[0]
	huge := strings.Repeat("0123456789", 500_000)
	exact := strings.Repeat("x", maxData-3)
	send(t, o, batch("small", huge, "after"), batch(exact), batch(exact+"yz"))
	var got []string
	for len(got) < 5 {
		s, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Split(s, " ")...)
	}
	for i, want := range []string{"small", huge, "after", exact, exact + "yz"} {
		if got[i] != want {
			t.Errorf("record %d has %d bytes, want %d", i, len(got[i]), len(want))
		}
	}
}

func TestRecordAboveTheLimitFailsTheProducer(t *testing.T) {
	from, to := side(t), side(t)
	failed := make(chan error, 1)
	consume(t, to, 0, at(from))
	o := producer(t, from, 0, 1, func(c *PartitionConfig) { c.Fail = func(err error) { failed <- err } }).Ports()[0]
	send(t, o, batch(strings.Repeat("x", MaxRecord+1)))
	if err := <-failed; !errors.Is(err, ErrRecordTooLarge) {
		t.Errorf("error %v, want %v", err, ErrRecordTooLarge)
	}
	b := batch("x")
	b.err = errors.New("no codec for this value")
	send(t, o, b)
	if err := <-failed; !errors.Is(err, b.err) {
		t.Errorf("error %v, want %v", err, b.err)
	}
}

// TestCredit has a consumer that does not read: the producer's queue fills, and no more buffers are used than were reserved.
func TestCredit(t *testing.T) {
	from, to := side(t), side(t)
	const consumers = 3
	var rs []*reader
	for i := range consumers {
		rs = append(rs, consume(t, to, i, at(from)))
	}
	p := producer(t, from, 0, consumers)
	want := make([]int, consumers)
	done := make(chan error, 1)
	go func() {
		for n := range 300 {
			o := p.Ports()[n%consumers]
			if err := o.Offer(batch(strings.Repeat("x", 20_000), fmt.Sprint(n))); err != nil {
				done <- err
				return
			}
			o.Seal()
		}
		for _, o := range p.Ports() {
			if err := o.Event([]byte("end")); err != nil {
				done <- err
				return
			}
		}
		p.Finish()
		done <- nil
	}()
	var wg sync.WaitGroup
	for i, r := range rs {
		wg.Go(func() {
			for {
				s, err := r.next()
				if err != nil {
					t.Error(err)
					return
				}
				if s == "<end>" {
					return
				}
				want[i] += len(s)
				if used, reserved, _ := to.cfg.Pool.Stats(); used > reserved {
					t.Errorf("%d buffers are used, %d are reserved", used, reserved)
				}
			}
		})
	}
	wg.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i, n := range want {
		if n < 100*20_000 {
			t.Errorf("consumer %d got %d bytes", i, n)
		}
	}
	for _, r := range rs {
		if r.gate.floats != 8 {
			t.Errorf("%d floating buffers came back to the gate, want 8", r.gate.floats)
		}
	}
}

func TestSmallBatchesShareAFrame(t *testing.T) {
	from, to := side(t), side(t)
	o := producer(t, from, 0, 1).Ports()[0]
	send(t, o, batch("a"), batch("b"))
	timed := batch("c")
	timed.timed = true
	send(t, o, timed)
	r := consume(t, to, 0, at(from))
	r.expect("a b", "c")
}
