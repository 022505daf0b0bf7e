package plan

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Scheme names the way from a key to its key group: KeyHash over the key's canonical encoding, then KeyGroup. It is recorded in
// checkpoint metadata; what it computes never changes, a different way gets a new name.
const Scheme = "flott-kg-1"

// MaxKeyGroups is the upper bound of a maximum parallelism (Flink's UPPER_BOUND_MAX_PARALLELISM).
const MaxKeyGroups = 32768

// The multipliers of KeyHash: odd 64-bit numbers with irregular bits (the golden ratio and the two largest SplitMix64 constants).
const (
	hashSeed = 0x9e3779b97f4a7c15
	hashMulA = 0xbf58476d1ce4e5b9
	hashMulB = 0x94d049bb133111eb
)

// KeyHash is the fixed 32-bit hash of a key's canonical encoding.
//
// The bytes are taken as little-endian 64-bit words, the last one filled up with zeros; each word is folded in by
// h = hi ^ lo of the 128-bit product (h ^ word ^ seed) * A, and the end is (h ^ length ^ seed) * B folded the same way, its halves xored.
func KeyHash(b []byte) uint32 {
	n := len(b)
	if n > 16 {
		return longHash(b)
	}
	// Most texts are here. The bytes are read in pieces that overlap, and the second word is folded in always: a loop or a branch for so
	// few bytes would be mispredicted for every other key.
	var lo, hi uint64
	switch {
	case n >= 8:
		lo, hi = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])>>(8*uint(16-n))
	case n >= 4:
		lo = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<(8*uint(n-4)&63)
	case n > 0:
		lo = uint64(b[0]) | uint64(b[n/2])<<(8*uint(n/2)&63) | uint64(b[n-1])<<(8*uint(n-1)&63)
	default:
		return finish(0, 0)
	}
	h := fold(lo^hashSeed, hashMulA)
	second := fold(h^hi^hashSeed, hashMulA)
	if n > 8 {
		h = second
	}
	return finish(h, uint64(n))
}

// longHash is KeyHash of more than 16 bytes.
func longHash(b []byte) uint32 {
	n := len(b)
	last := binary.LittleEndian.Uint64(b[n-8:])
	var h uint64
	for ; len(b) >= 8; b = b[8:] {
		h = fold(h^binary.LittleEndian.Uint64(b)^hashSeed, hashMulA)
	}
	if k := len(b); k > 0 {
		h = fold(h^last>>(8*uint(8-k)&63)^hashSeed, hashMulA)
	}
	return finish(h, uint64(n))
}

// KeyHash64 is KeyHash of the eight little-endian bytes of w, which is how integers are encoded.
func KeyHash64(w uint64) uint32 { return finish(fold(w^hashSeed, hashMulA), 8) }

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func finish(h, n uint64) uint32 {
	h = fold(h^n^hashSeed, hashMulB)
	return uint32(h) ^ uint32(h>>32)
}

// Murmur is Flink's MathUtils.murmurHash of one 32-bit value; the result is never negative as an int32.
func Murmur(h uint32) uint32 {
	h *= 0xcc9e2d51
	h = bits.RotateLeft32(h, 15)
	h *= 0x1b873593
	h = bits.RotateLeft32(h, 13)
	h = h*5 + 0xe6546b64
	h ^= 4
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	h ^= h >> 16
	// The absolute value, 0 for the least number. Without a branch: which way it went would be a coin's throw.
	sign := uint32(int32(h) >> 31)
	return ((h ^ sign) - sign) &^ (1 << 31)
}

// KeyGroup returns the key group of a key hash for this maximum parallelism.
func KeyGroup(hash uint32, maxParallelism int) int { return groupOf(Murmur(hash), maxParallelism) }

// TextGroup is KeyGroup of the KeyHash of a text. It is here, as WordGroup, because generic code, which is compiled in the job's package,
// would not have the small functions inlined.
func TextGroup(s string, maxParallelism int) int {
	return groupOf(Murmur(KeyHash(unsafe.Slice(unsafe.StringData(s), len(s)))), maxParallelism)
}

// WordGroup is KeyGroup of the KeyHash64 of a number.
func WordGroup(w uint64, maxParallelism int) int {
	return groupOf(Murmur(KeyHash64(w)), maxParallelism)
}

func groupOf(murmur uint32, maxParallelism int) int {
	if u := uint32(maxParallelism); u&(u-1) == 0 {
		return int(murmur & (u - 1))
	}
	return int(murmur % uint32(maxParallelism))
}

// KeyGroupOwner returns the subtask that owns a key group.
func KeyGroupOwner(group, maxParallelism, parallelism int) int {
	return group * parallelism / maxParallelism
}

// KeyGroupRange returns the first and the last key group of a subtask, both inclusive.
func KeyGroupRange(subtask, maxParallelism, parallelism int) (first, last int) {
	first = (subtask*maxParallelism + parallelism - 1) / parallelism
	last = ((subtask+1)*maxParallelism - 1) / parallelism
	return first, last
}

// DefaultMaxParallelism derives the maximum parallelism of an operator that declares none.
func DefaultMaxParallelism(parallelism int) int {
	n := parallelism + parallelism/2
	p := 1
	for p < n {
		p <<= 1
	}
	return min(max(p, 128), MaxKeyGroups)
}
