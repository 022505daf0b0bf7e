package operator

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/flott-dev/flott/rpc/plan"
)

// record is a Port that writes down what happens, in short: o offer, s seal, f flush, e event.
type record struct {
	log     strings.Builder
	batches []Shared
	err     error
}

func (r *record) Offer(b Shared) error {
	r.log.WriteString("o")
	r.batches = append(r.batches, b)
	return r.err
}
func (r *record) Seal()  { r.log.WriteString("s") }
func (r *record) Flush() { r.log.WriteString("f") }
func (r *record) Event(p []byte) error {
	ev, err := ParseEvent(p)
	r.log.WriteString("e" + fmt.Sprint(uint8(ev.Kind)))
	return errors.Join(err, r.err)
}

func open[T any](t *testing.T, e EdgeNode, c WriterConfig) Output[T] {
	t.Helper()
	w, err := e.Writer(c)
	if err != nil {
		t.Fatal(err)
	}
	return w.(Output[T])
}

func TestWriterSeals(t *testing.T) {
	long := strings.Repeat("x", batchBytes/2+1)
	for _, c := range []struct {
		name string
		send func(Output[string]) error
		want string
	}{
		{"open batch", func(o Output[string]) error { return o.Collect("a", NoTime) }, "o"},
		{"event behind the sealed batch", func(o Output[string]) error {
			return errors.Join(o.Collect("a", NoTime), o.Control(Event{Kind: Watermark, Time: 1}), o.Control(Event{Kind: EndOfData}))
		}, "ose1e3"},
		{"flush", func(o Output[string]) error {
			err := o.Collect("a", NoTime)
			o.(EdgeWriter).Flush()
			o.(EdgeWriter).Flush()
			return errors.Join(err, o.Collect("b", NoTime))
		}, "oso"},
		{"change of timedness", func(o Output[string]) error {
			return errors.Join(o.Collect("a", NoTime), o.Collect("b", 1), o.Collect("c", 2), o.Collect("d", NoTime))
		}, "ososo"},
		{"bytes", func(o Output[string]) error {
			return errors.Join(o.Collect(long, NoTime), o.Collect(long, NoTime), o.Collect("a", NoTime))
		}, "oso"},
		{"a value above the bound travels alone", func(o Output[string]) error {
			return errors.Join(o.Collect("a", NoTime), o.Collect(long+long, NoTime), o.Collect("a", NoTime))
		}, "ososo"},
		{"count", func(o Output[string]) error {
			for range channelBatch + 1 {
				if err := o.Collect("", NoTime); err != nil {
					return err
				}
			}
			return nil
		}, "oso"},
	} {
		var p record
		w := open[string](t, Edge[string]{MustCodec[string]()}, WriterConfig{Ports: []Port{&p}, Ship: plan.Forward})
		if err := c.send(w); err != nil || p.log.String() != c.want {
			t.Errorf("%s: port saw %q (%v), want %q", c.name, p.log.String(), err, c.want)
		}
	}
}

// TestChannelsShareRoom: a writer with many channels has smaller batches, down to MaxBatch.
func TestChannelsShareRoom(t *testing.T) {
	for _, c := range []struct{ ports, want int }{{1, channelBatch}, {16, channelBatch}, {32, channelBatch / 2}, {100, 655}, {1000, MaxBatch}} {
		w := newWriter(MustCodec[string](), WriterConfig{Ports: make([]Port, c.ports)})
		if got := len(w.pool.get().values); got != c.want {
			t.Errorf("%d channels: batches of %d records, want %d", c.ports, got, c.want)
		}
	}
}

// TestHeadTakesPartsOfABatch: a task looks for other work in between.
func TestHeadTakesPartsOfABatch(t *testing.T) {
	var got collected[string]
	h, err := Edge[string]{MustCodec[string]()}.Reader(&got)
	if err != nil {
		t.Fatal(err)
	}
	b := newBatchPool(MustCodec[string](), channelBatch).get()
	for range MaxBatch + 1 {
		b.Append("a", NoTime)
	}
	for _, want := range []int{MaxBatch, MaxBatch + 1} {
		if err := h.Batch(b); err != nil || len(got.values) != want || b.Read() != want || h.Records() != uint64(want) {
			t.Errorf("%d records handed on, %d read, %d counted (%v), want %d", len(got.values), b.Read(), h.Records(), err, want)
		}
	}
}

func TestWriterFlushesEachRecord(t *testing.T) {
	var p record
	w := open[int](t, Edge[int]{MustCodec[int]()}, WriterConfig{Ports: []Port{&p}, Ship: plan.Forward, FlushEach: true})
	if err := errors.Join(w.Collect(1, NoTime), w.Collect(2, NoTime)); err != nil || p.log.String() != "off" {
		t.Errorf("port saw %q (%v), want off", p.log.String(), err)
	}
}

func TestWriterReturnsPortError(t *testing.T) {
	p := record{err: errors.New("cancelled")}
	w := open[int](t, Edge[int]{MustCodec[int]()}, WriterConfig{Ports: []Port{&p}, Ship: plan.Forward})
	if err := w.Collect(1, NoTime); !errors.Is(err, p.err) {
		t.Errorf("error %v, want that of the port", err)
	}
	if err := w.Control(Event{Kind: EndOfData}); !errors.Is(err, p.err) {
		t.Errorf("error %v, want that of the port", err)
	}
}

func TestRebalanceTakesTurns(t *testing.T) {
	ps := [3]record{}
	w := open[int](t, Edge[int]{MustCodec[int]()}, WriterConfig{Ports: []Port{&ps[0], &ps[1], &ps[2]}, Ship: plan.Rebalance, Subtask: 4})
	for i := range 7 {
		if err := w.Collect(i, NoTime); err != nil {
			t.Fatal(err)
		}
	}
	want := [][]int{{2, 5}, {0, 3, 6}, {1, 4}}
	for i := range ps {
		if got := values[int](t, ps[i].batches); !reflect.DeepEqual(got, want[i]) {
			t.Errorf("channel %d got %v, want %v", i, got, want[i])
		}
	}
}

// values reads batches as their consumer would.
func values[T any](t *testing.T, bs []Shared) []T {
	t.Helper()
	var c collected[T]
	for _, b := range bs {
		if _, err := b.(*Batch[T]).each(&c, channelBatch); err != nil {
			t.Fatal(err)
		}
		b.Recycle()
	}
	return c.values
}

func TestHashGoesToOwner(t *testing.T) {
	key, err := KeyOf[string]()
	if err != nil {
		t.Fatal(err)
	}
	const p, m = 3, 128
	ps := [p]record{}
	e := HashEdge[string, string]{Edge: Edge[string]{MustCodec[string]()}, Key: key, Of: func(s string) string { return s[:1] }}
	w := open[string](t, e, WriterConfig{Ports: []Port{&ps[0], &ps[1], &ps[2]}, Ship: plan.Hash, MaxParallelism: m, Parallelism: p})
	for c := 'a'; c <= 'z'; c++ {
		if err := errors.Join(w.Collect(string(c)+"1", NoTime), w.Collect(string(c)+"2", NoTime)); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for i := range ps {
		for _, v := range values[string](t, ps[i].batches) {
			n++
			if o := plan.KeyGroupOwner(plan.KeyGroup(plan.KeyHash([]byte(v[:1])), m), m, p); o != i {
				t.Errorf("%q went to subtask %d, its key's owner is %d", v, i, o)
			}
		}
	}
	if n != 52 {
		t.Errorf("%d records arrived, want 52", n)
	}
	for _, c := range []WriterConfig{{Ship: plan.Forward, Ports: []Port{&ps[0]}}, {Ship: plan.Hash, Ports: []Port{&ps[0]}, Parallelism: 2, MaxParallelism: 2}} {
		if _, err := e.Writer(c); err == nil {
			t.Errorf("a writer was made for %+v", c)
		}
	}
}

func TestWriterCopiesWhatCanBeWritten(t *testing.T) {
	for _, c := range []bool{false, true} {
		var p record
		w := open[[]int](t, Edge[[]int]{MustCodec[[]int]()}, WriterConfig{Ports: []Port{&p}, Ship: plan.Forward, Copy: c})
		v := []int{1}
		if err := w.Collect(v, NoTime); err != nil {
			t.Fatal(err)
		}
		v[0] = 2
		if got := values[[]int](t, p.batches)[0][0]; (got == 1) != c {
			t.Errorf("copy %v: the consumer sees %d after the producer changed its value", c, got)
		}
	}
}

func TestBatchIsReadWhileItGrows(t *testing.T) {
	b := NewBatch(MustCodec[string]())
	var got collected[string]
	read := func() {
		t.Helper()
		if _, err := b.each(&got, MaxBatch); err != nil {
			t.Fatal(err)
		}
	}
	b.Append("a", 1)
	b.Append("b", 2)
	read()
	if b.Append("c", NoTime) {
		t.Error("a record without time went into a batch of records with time")
	}
	b.Append("c", 3)
	if b.Published() != 3 || b.Read() != 2 {
		t.Errorf("published %d, read %d, want 3 and 2", b.Published(), b.Read())
	}
	read()
	if want := []string{"a", "b", "c"}; !reflect.DeepEqual(got.values, want) || !reflect.DeepEqual(got.times, []Time{1, 2, 3}) {
		t.Errorf("read %v at %v, want %v", got.values, got.times, want)
	}
	b.Recycle()
	if again := b.pool.get(); again != b || b.Published() != 0 || b.values[0] != "" {
		t.Errorf("the batch came back with %d records and %q inside", b.Published(), b.values[0])
	}
}

func TestBatchEncode(t *testing.T) {
	b := NewBatch(MustCodec[string]())
	for _, s := range []string{"aa", "bbbb", strings.Repeat("c", 20), "d"} {
		b.Append(s, 5)
	}
	var got collected[string]
	h, err := Edge[string]{MustCodec[string]()}.Reader(&got)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for b.Read() < b.Published() {
		frame, err := b.Encode([]byte("head"), 25, true)
		if err != nil || len(frame) == 4 {
			t.Fatalf("%d bytes, %v", len(frame), err)
		}
		sizes = append(sizes, len(frame)-4)
		if err := h.Frame(frame[4:], b.Timed()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{11 + 13, 29, 10}; !reflect.DeepEqual(sizes, want) {
		t.Errorf("frames of %v bytes, want %v: whole records, one above the limit alone", sizes, want)
	}
	if len(got.values) != 4 || got.values[3] != "d" || got.times[2] != 5 {
		t.Errorf("decoded %q at %v", got.values, got.times)
	}
	b.reset()
	b.Append("too long for what is left", NoTime)
	if frame, err := b.Encode(nil, 10, false); err != nil || len(frame) != 0 || b.Read() != 0 {
		t.Errorf("%d bytes were encoded although no record was demanded (%v)", len(frame), err)
	}
}

func TestFanoutAndCopy(t *testing.T) {
	e := Edge[[]int]{MustCodec[[]int]()}
	a, b := &collected[[]int]{}, &collected[[]int]{}
	copied, err := e.Copy(b)
	if err != nil {
		t.Fatal(err)
	}
	f, err := e.Fanout([]any{a, copied})
	if err != nil {
		t.Fatal(err)
	}
	v := []int{1}
	out := f.(Output[[]int])
	if err := errors.Join(out.Collect(v, 3), out.Control(Event{Kind: EndOfData})); err != nil {
		t.Fatal(err)
	}
	v[0] = 2
	if a.values[0][0] != 2 || b.values[0][0] != 1 || b.times[0] != 3 || len(a.events) != 1 || len(b.events) != 1 {
		t.Errorf("first %v %v, copied %v %v %v", a.values, a.events, b.values, b.times, b.events)
	}
	for _, wrong := range []any{nil, &collected[string]{}} {
		if _, err := e.Fanout([]any{wrong}); err == nil {
			t.Errorf("a fan-out to %T was made", wrong)
		}
		if _, err := e.Copy(wrong); err == nil {
			t.Errorf("a copy to %T was made", wrong)
		}
		if _, err := e.Reader(wrong); err == nil {
			t.Errorf("a reader for %T was made", wrong)
		}
	}
}

func TestEventWire(t *testing.T) {
	for _, ev := range []Event{{Kind: Watermark, Time: -5}, {Kind: Barrier, Checkpoint: 7, At: 99}, {Kind: EndOfData}, {Kind: EndOfPartition}} {
		got, err := ParseEvent(ev.Append(nil))
		if err != nil || got != ev {
			t.Errorf("%v became %v (%v)", ev, got, err)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, eventSize), make([]byte, 3), append([]byte{9}, make([]byte, 16)...)} {
		if _, err := ParseEvent(b); err == nil {
			t.Errorf("%x was accepted", b)
		}
	}
}

func TestEmit(t *testing.T) {
	next := &collected[int]{}
	e := NewEmitter[int](next)
	out := e.Begin(7)
	out.To(1)
	out.At(2, 9)
	if !reflect.DeepEqual(next.values, []int{1, 2}) || !reflect.DeepEqual(next.times, []Time{7, 9}) || e.End() != nil || out.Ended() {
		t.Errorf("emitted %v at %v, %v", next.values, next.times, e.End())
	}
	next.err = errors.New("cancelled")
	out.To(3)
	out.To(4)
	if len(next.values) != 3 || !errors.Is(e.End(), next.err) || !out.Ended() {
		t.Errorf("after an error: %v, %v", next.values, e.End())
	}
}

// BenchmarkWriter sends records to two consumers by their key, and as they come to one.
func BenchmarkWriter(b *testing.B) {
	type small struct {
		Key, Value int64
		Text       string
	}
	benchWriter(b, "hash/int64", 2, func(i int64) small { return small{i, i, "a text of some length"} }, func(r small) int64 { return r.Key })
	benchWriter(b, "hash/string", 2, func(int64) benchRecord { return benchRecord{Key: "01234567890"} }, func(r benchRecord) string { return r.Key })
	benchWriter(b, "hash/one channel", 1, func(i int64) small { return small{i, i, "a text of some length"} }, func(r small) int64 { return r.Key })
}

func benchWriter[T any, K comparable](b *testing.B, name string, p int, record func(int64) T, of func(T) K) {
	key, err := KeyOf[K]()
	if err != nil {
		b.Fatal(err)
	}
	cfg := WriterConfig{Ship: plan.Hash, MaxParallelism: 128, Parallelism: p}
	for range p {
		cfg.Ports = append(cfg.Ports, &sinkPort{})
	}
	w, err := HashEdge[T, K]{Edge: Edge[T]{MustCodec[T]()}, Key: key, Of: of}.Writer(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(name, func(b *testing.B) {
		out, n := w.(Output[T]), int64(0)
		b.ReportAllocs()
		for b.Loop() {
			n++
			if err := out.Collect(record(n), NoTime); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// sinkPort recycles every batch at once.
type sinkPort struct{ b Shared }

func (p *sinkPort) Offer(b Shared) error { p.b = b; return nil }
func (p *sinkPort) Seal()                { p.b.Recycle() }
func (p *sinkPort) Flush()               {}
func (p *sinkPort) Event([]byte) error   { return nil }
