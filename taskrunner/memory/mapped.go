//go:build !race && !invariants

package memory

import "golang.org/x/sys/unix"

// arena is one anonymous mapping: address space now, pages when they are touched.
type arena struct{ mem []byte }

func newArena(slabs int) (arena, error) {
	mem, err := unix.Mmap(-1, 0, slabs*SlabSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	return arena{mem}, err
}

func (a arena) slab(i int) []byte {
	return a.mem[i*SlabSize : (i+1)*SlabSize : (i+1)*SlabSize]
}

// unused lets the system take the pages back. When it will not, they stay resident, which costs memory only.
func (a arena) unused(mem []byte) { _ = unix.Madvise(mem, unix.MADV_DONTNEED) }

func poison([]byte) {}
