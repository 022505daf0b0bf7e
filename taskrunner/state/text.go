package state

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"unsafe"
)

// texts finds entries whose keys are strings. Most keys are short: two words hold them whole, from which the hash comes with one
// multiplication and a comparison without the memory of the key.
type texts struct {
	seed   maphash.Seed  // for long keys
	salt   [2]uint64     // for short ones
	prints []fingerprint // by the number of the entry
}

func newTexts() *texts {
	return &texts{seed: maphash.MakeSeed(), salt: [2]uint64{rand.Uint64(), rand.Uint64()}}
}

// fingerprint stands for a text: of up to 15 bytes, the bytes themselves and in the last byte their number, so that equal ones are of
// equal texts. Longer texts have one of their own kind, which two of them may share.
type fingerprint struct{ lo, hi uint64 }

// manyBytes is what the last byte of the fingerprint of a long text is.
const manyBytes = 0xff

func (p fingerprint) long() bool { return p.hi>>56 == manyBytes }

// fingerprintOf reads a text in a few pieces that overlap: a loop over so few bytes would be mispredicted for every other key.
func fingerprintOf(s string) fingerprint {
	p, n := unsafe.Pointer(unsafe.StringData(s)), len(s)
	size := uint64(n) << 56
	switch {
	case n > 15:
		return fingerprint{lo: word64(p, 0), hi: manyBytes << 56}
	case n >= 8:
		return fingerprint{lo: word64(p, 0), hi: word64(p, n-8)>>(8*uint(16-n)) | size}
	case n >= 4:
		return fingerprint{lo: word32(p, 0) | word32(p, n-4)<<(8*uint(n-4)&63), hi: size}
	case n > 0:
		return fingerprint{lo: word8(p, 0) | word8(p, n/2)<<(8*uint(n/2)&63) | word8(p, n-1)<<(8*uint(n-1)&63), hi: size}
	}
	return fingerprint{}
}

func word64(p unsafe.Pointer, at int) uint64 { return *(*uint64)(unsafe.Add(p, at)) }
func word32(p unsafe.Pointer, at int) uint64 { return uint64(*(*uint32)(unsafe.Add(p, at))) }
func word8(p unsafe.Pointer, at int) uint64  { return uint64(*(*byte)(unsafe.Add(p, at))) }

// hash returns the hash of a text for the index. With other salts it is another one: nobody can make keys that collide.
func (x *texts) hash(s string, p fingerprint) uint32 {
	if p.long() {
		return uint32(maphash.String(x.seed, s))
	}
	return p.hash(x.salt)
}

func (p fingerprint) hash(salt [2]uint64) uint32 {
	hi, lo := bits.Mul64(p.lo^salt[0], p.hi^salt[1])
	return uint32((hi ^ lo) >> 32)
}

// put notes the key of an entry.
func (x *texts) put(number uint32, s string) {
	for uint32(len(x.prints)) <= number {
		x.prints = append(x.prints, fingerprint{})
	}
	x.prints[number] = fingerprintOf(s)
}

// find puts the numbers of the entries of up to Window keys into numbers, and their hashes into hashes. Number 0: the key is long or not
// there.
func (x *texts) find(keys []string, in *index, numbers, hashes *[Window]uint32) {
	keys = keys[:min(len(keys), Window)]
	var prints [Window]fingerprint
	for i, k := range keys {
		p := fingerprintOf(k)
		prints[i] = p
		if hashes[i] = p.hash(x.salt); p.long() {
			hashes[i] = x.hash(k, p)
		}
	}
	mask := uint32(len(in.slots) - 1)
	var first [Window]slot
	for i, hash := range hashes[:len(keys)] {
		first[i] = in.slots[hash>>in.shift&mask]
	}
	for i := range keys {
		s, p, hash := first[i], prints[i], hashes[i]
		if p.long() {
			numbers[i] = 0
			continue
		}
		for at := hash >> in.shift; s.number != 0 && (s.hash != hash || x.prints[s.number] != p); {
			at++
			s = in.slots[at&mask]
		}
		numbers[i] = s.number
	}
}
