package memory

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/flott-dev/flott/rpc/invariant"
)

const (
	// BufferSize is the size of a buffer (taskmanager.memory.segment-size).
	BufferSize = 32 << 10
	// SlabSize is the unit in which memory is taken from and given back to the system.
	SlabSize = 1 << 20

	perSlab = SlabSize / BufferSize
)

// ErrInsufficient: more buffers are wanted than there are.
var ErrInsufficient = errors.New("memory: insufficient number of network buffers")

// Network is the network memory of a process.
type Network struct {
	mu    sync.Mutex
	slabs []*slab // made as they are needed
	limit int     // buffers in all
	given int     // buffers in shares
	arena arena
}

// slab is SlabSize bytes; its buffers are used by one pool at a time.
type slab struct {
	mem   []byte
	owner *Pool
	free  []uint8 // indices of free buffers
}

// NewNetwork maps the network memory of a process; bytes is rounded up to whole slabs. The mapping lives as long as the process.
func NewNetwork(bytes int) (*Network, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("map network memory: %d bytes", bytes)
	}
	slabs := (bytes + SlabSize - 1) / SlabSize
	a, err := newArena(slabs)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes of network memory: %w", slabs*SlabSize, err)
	}
	return &Network{limit: slabs * perSlab, arena: a}, nil
}

// Share gives a job runtime its part of the network; bytes is rounded down to whole slabs, at least one.
func (n *Network) Share(bytes int) (*Pool, error) {
	want := max(1, bytes/SlabSize) * perSlab
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.given+want > n.limit {
		return nil, fmt.Errorf("share %d of %d buffers, %d are given: %w", want, n.limit, n.given, ErrInsufficient)
	}
	n.given += want
	return &Pool{net: n, limit: want}, nil
}

// take returns an unowned slab; the caller's share guarantees that there is one.
func (n *Network) take(p *Pool) *slab {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.slabs {
		if s.owner == nil {
			s.owner = p
			return s
		}
	}
	s := &slab{mem: n.arena.slab(len(n.slabs)), owner: p}
	for i := range perSlab {
		s.free = append(s.free, uint8(perSlab-1-i))
	}
	n.slabs = append(n.slabs, s)
	return s
}

// giveBack returns slabs whose buffers are all free.
func (n *Network) giveBack(slabs []*slab) {
	for _, s := range slabs {
		n.arena.unused(s.mem)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range slabs {
		s.owner = nil
	}
}

// Pool is the share of one job runtime.
type Pool struct {
	net   *Network
	limit int

	mu       sync.Mutex
	reserved int
	inUse    int
	slabs    []*slab
	closed   bool
}

// Reserve sets n buffers aside. The error says how many there are.
func (p *Pool) Reserve(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.reserved+n > p.limit {
		return fmt.Errorf("reserve %d buffers, %d of %d are reserved: %w; raise taskmanager.memory.network.max or lower the parallelism",
			n, p.reserved, p.limit, ErrInsufficient)
	}
	p.reserved += n
	return nil
}

// Release ends a reservation; its buffers have been given back.
func (p *Pool) Release(n int) {
	p.mu.Lock()
	p.reserved -= n
	unused := p.trim()
	p.mu.Unlock()
	p.net.giveBack(unused)
}

// trim takes those wholly free slabs from the pool that what is reserved does not need. The caller holds mu.
func (p *Pool) trim() (unused []*slab) {
	need := (p.reserved + perSlab - 1) / perSlab
	kept := p.slabs[:0]
	for i, s := range p.slabs {
		if len(s.free) == perSlab && len(kept)+len(p.slabs)-i > need {
			unused = append(unused, s)
			continue
		}
		kept = append(kept, s)
	}
	clear(p.slabs[len(kept):])
	p.slabs = kept
	return unused
}

// Get returns a reserved buffer of BufferSize bytes with any content, or nil when more are taken than reserved, which is an error of
// the caller.
func (p *Pool) Get() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inUse >= p.reserved {
		return nil
	}
	p.inUse++
	for _, s := range p.slabs {
		if n := len(s.free); n > 0 {
			return p.cut(s, n)
		}
	}
	s := p.net.take(p)
	p.slabs = append(p.slabs, s)
	return p.cut(s, len(s.free))
}

// cut takes the last of the n free buffers of a slab.
func (p *Pool) cut(s *slab, n int) []byte {
	i := int(s.free[n-1])
	s.free = s.free[:n-1]
	return s.mem[i*BufferSize : (i+1)*BufferSize : (i+1)*BufferSize]
}

// Put gives a buffer back, or any prefix of one.
func (p *Pool) Put(b []byte) {
	b = b[:BufferSize]
	poison(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	at := uintptr(unsafe.Pointer(&b[0]))
	for _, s := range p.slabs {
		base := uintptr(unsafe.Pointer(&s.mem[0]))
		if at >= base && at < base+SlabSize {
			s.free = append(s.free, uint8((at-base)/BufferSize))
			p.inUse--
			return
		}
	}
	invariant.Failf("memory: a buffer was given back to a pool that it does not come from")
}

// Stats returns how many buffers are in use, reserved, and in the share.
func (p *Pool) Stats() (inUse, reserved, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inUse, p.reserved, p.limit
}

// Close gives the share back. Every buffer has been given back before.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.reserved = 0
	unused := p.trim()
	limit := p.limit - len(p.slabs)*perSlab // what is still in use stays out of circulation
	p.mu.Unlock()
	p.net.giveBack(unused)
	p.net.mu.Lock()
	p.net.given -= limit
	p.net.mu.Unlock()
}
