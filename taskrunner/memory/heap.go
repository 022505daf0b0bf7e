//go:build race || invariants

package memory

// arena makes slabs on the Go heap, where the race detector sees them.
type arena struct{}

func newArena(int) (arena, error) { return arena{}, nil }

func (arena) slab(int) []byte { return make([]byte, SlabSize) }

func (arena) unused(mem []byte) { poison(mem) }

// poison overwrites what nobody may read any more.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
