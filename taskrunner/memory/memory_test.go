package memory

import (
	"errors"
	"sync"
	"testing"
)

func network(t *testing.T, slabs int) *Network {
	t.Helper()
	n, err := NewNetwork(slabs * SlabSize)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func share(t *testing.T, n *Network, slabs int) *Pool {
	t.Helper()
	p, err := n.Share(slabs * SlabSize)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSharesFitInTheNetwork(t *testing.T) {
	n := network(t, 3)
	a, b := share(t, n, 1), share(t, n, 2)
	if _, err := n.Share(SlabSize); !errors.Is(err, ErrInsufficient) {
		t.Errorf("a fourth slab of three: %v", err)
	}
	b.Close()
	b.Close()
	share(t, n, 2)
	if _, err := n.Share(SlabSize); !errors.Is(err, ErrInsufficient) {
		t.Errorf("closing twice gave a share back twice: %v", err)
	}
	a.Close()
	if _, err := NewNetwork(0); err == nil {
		t.Error("a network of no bytes was made")
	}
}

func TestReservations(t *testing.T) {
	p := share(t, network(t, 1), 1)
	if err := p.Reserve(perSlab + 1); !errors.Is(err, ErrInsufficient) {
		t.Errorf("reserving more than the share: %v", err)
	}
	if p.Get() != nil {
		t.Error("a buffer that was not reserved was handed out")
	}
	if err := p.Reserve(2); err != nil {
		t.Fatal(err)
	}
	a, b := p.Get(), p.Get()
	if len(a) != BufferSize || len(b) != BufferSize || cap(a) != BufferSize || &a[0] == &b[0] {
		t.Errorf("buffers of %d and %d bytes", len(a), len(b))
	}
	if p.Get() != nil {
		t.Error("more buffers than reserved")
	}
	p.Put(a[:1])
	if c := p.Get(); c == nil || &c[0] != &a[0] {
		t.Error("a buffer that was given back by a prefix of it does not come again")
	}
	p.Put(a)
	p.Put(b)
	p.Release(2)
	if used, reserved, limit := p.Stats(); used != 0 || reserved != 0 || limit != perSlab {
		t.Errorf("%d used, %d reserved, of %d", used, reserved, limit)
	}
	if len(p.slabs) != 0 {
		t.Error("a slab without reservations was kept")
	}
	p.Close()
	if err := p.Reserve(1); err == nil {
		t.Error("a closed pool reserves")
	}
}

func TestForeignBuffer(t *testing.T) {
	p := share(t, network(t, 1), 1)
	defer func() {
		if recover() == nil {
			t.Error("a buffer of nobody was taken back")
		}
	}()
	p.Put(make([]byte, BufferSize))
}

// TestBuffersOverlapNowhere has several pools take all their buffers at once, again and again.
func TestBuffersOverlapNowhere(t *testing.T) {
	n := network(t, 6)
	var wg sync.WaitGroup
	for id := range 3 {
		p := share(t, n, 2)
		wg.Go(func() {
			for range 20 {
				if err := p.Reserve(2 * perSlab); err != nil {
					t.Error(err)
					return
				}
				var all [][]byte
				for k := range 2 * perSlab {
					b := p.Get()
					for i := range b {
						b[i] = byte(id*64 + k)
					}
					all = append(all, b)
				}
				for k, b := range all {
					if b[0] != byte(id*64+k) || b[BufferSize-1] != byte(id*64+k) {
						t.Errorf("pool %d: buffer %d was written by another", id, k)
					}
					p.Put(b)
				}
				p.Release(2 * perSlab)
			}
			p.Close()
		})
	}
	wg.Wait()
	if n.given != 0 {
		t.Errorf("%d buffers are still given away", n.given)
	}
}
