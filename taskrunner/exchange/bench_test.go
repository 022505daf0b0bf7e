package exchange

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
)

// numbers is a Batch of 64-bit numbers that is used again and again.
type numbers struct {
	values [512]uint64
	added  atomic.Int64
	read   int
	free   chan *numbers
}

func (b *numbers) Encode(dst []byte, limit int, one bool) ([]byte, error) {
	start := len(dst)
	for n := int(b.added.Load()); b.read < n; b.read++ {
		if len(dst)-start+8 > limit && (!one || len(dst) > start) {
			break
		}
		dst = binary.LittleEndian.AppendUint64(dst, b.values[b.read])
	}
	return dst, nil
}

func (b *numbers) Timed() bool    { return false }
func (b *numbers) Published() int { return int(b.added.Load()) }
func (b *numbers) Read() int      { return b.read }
func (b *numbers) Size() int      { return 8 * len(b.values) }
func (b *numbers) Recycle() {
	b.read = 0
	b.added.Store(0)
	b.free <- b
}

// transfer sends n numbers through one channel, in batches of at most size, and takes them at the other end on its own goroutine. It
// returns their sum as it came.
func transfer(t testing.TB, from, to *Exchange, n, size int) uint64 {
	wake := make(chan struct{}, 1)
	g, err := to.OpenGate(GateConfig{Inputs: []InputConfig{{Edge: edge, Producers: []Location{at(from)}}}, Wake: waker(wake)})
	if err != nil {
		t.Fatal(err)
	}
	sum := make(chan uint64)
	go func() {
		var total uint64
		defer func() { sum <- total }()
		defer g.Close()
		for {
			item, ok := g.Next()
			switch {
			case !ok:
				<-wake
				continue
			case item.Err != nil:
				t.Error(item.Err)
				return
			case item.Event != nil:
				g.Done()
				return
			case item.Batch != nil:
				b := item.Batch.(*numbers)
				for n := b.Published(); b.read < n; b.read++ {
					total += b.values[b.read]
				}
			default:
				for f := item.Frame; len(f) > 0; f = f[8:] {
					total += binary.LittleEndian.Uint64(f)
				}
			}
			g.Done()
		}
	}()
	room := make(chan struct{}, 1)
	p := producer(t, from, 0, 1, func(c *PartitionConfig) {
		c.Wake = waker(room)
		c.Wait = func() error { <-room; return nil } // await allocates
	})
	o := p.Ports()[0]
	free := make(chan *numbers, queueLimit+2)
	for range cap(free) {
		free <- &numbers{free: free}
	}
	for i := 0; i < n; {
		b := <-free
		if err := o.Offer(b); err != nil {
			t.Fatal(err)
		}
		for k := 0; k < size && i < n; k++ {
			b.values[k] = uint64(i)
			b.added.Store(int64(k + 1))
			i++
		}
		o.Seal()
	}
	event(t, o, "end")
	p.Finish()
	return <-sum
}

// BenchmarkChannel is one channel without anything around it: an op is a record of eight bytes. "alone" has one record in each batch, so
// that an op is what a batch costs.
func BenchmarkChannel(b *testing.B) {
	for _, tcp := range []bool{false, true} {
		for name, size := range map[string]int{"full": 512, "alone": 1} {
			b.Run(fmt.Sprintf("tcp=%v/%s", tcp, name), func(b *testing.B) {
				from := side(b)
				to := from
				if tcp {
					to = side(b)
				}
				b.SetBytes(8)
				b.ReportAllocs()
				b.ResetTimer()
				transfer(b, from, to, b.N, size)
			})
		}
	}
}
