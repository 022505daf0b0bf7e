package operator

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"reflect"
	"unsafe"

	"github.com/flott-dev/flott/rpc/plan"
)

// Key is the canonical encoding of keys of type K, which decides their place (plan.Scheme) for ever.
//
// Integers of every width are eight bytes, little endian, sign or zero extended; a bool is one byte; floats are the eight bytes of the
// float64, with one NaN and no negative zero; a string that is the whole key is its bytes, inside a struct or array a varint length
// goes before; structs and arrays are their parts in order. Nothing else can be a key.
type Key[K comparable] struct {
	parts  []keyPart
	whole  bool // one part that is the whole key
	floats bool
}

type keyPart struct {
	kind   reflect.Kind
	offset uintptr
}

// KeyOf returns the canonical encoding for K; the error names the part that cannot be in a key.
func KeyOf[K comparable]() (*Key[K], error) {
	k := &Key[K]{}
	t := reflect.TypeFor[K]()
	if err := k.add(t, 0, t.String()); err != nil {
		return nil, err
	}
	k.whole = len(k.parts) == 1 && t.Kind() != reflect.Struct && t.Kind() != reflect.Array
	return k, nil
}

// Name identifies the encoding in the plan.
func (k *Key[K]) Name() string { return plan.Scheme + ":" + TypeName[K]() }

func (k *Key[K]) add(t reflect.Type, offset uintptr, path string) error {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != "_" {
				if err := k.add(f.Type, offset+f.Offset, path+"."+f.Name); err != nil {
					return err
				}
			}
		}
		return nil
	case reflect.Array:
		const longest = 1 << 10
		if t.Len() > longest {
			return fmt.Errorf("no key of %s: an array of %d elements is too long", path, t.Len())
		}
		for i := range t.Len() {
			if err := k.add(t.Elem(), offset+uintptr(i)*t.Elem().Size(), path+"[]"); err != nil {
				return err
			}
		}
		return nil
	case reflect.Float32, reflect.Float64:
		k.floats = true
	case reflect.String:
	default:
		if _, ok := scalars[t.Kind()]; !ok {
			return fmt.Errorf("no key of %s: a %s has no value that is the same in every process", path, kindName(t))
		}
	}
	k.parts = append(k.parts, keyPart{t.Kind(), offset})
	return nil
}

// Append appends the canonical encoding of v.
func (k *Key[K]) Append(dst []byte, v *K) []byte {
	p := unsafe.Pointer(v)
	for i := range k.parts {
		part := &k.parts[i]
		q := unsafe.Add(p, part.offset)
		switch part.kind {
		case reflect.String:
			s := *(*string)(q)
			if !k.whole {
				dst = binary.AppendUvarint(dst, uint64(len(s)))
			}
			dst = append(dst, s...)
		case reflect.Bool:
			dst = append(dst, *(*byte)(q))
		default:
			dst = binary.LittleEndian.AppendUint64(dst, word(part.kind, q))
		}
	}
	return dst
}

// word is the canonical 64 bits of a number.
func word(kind reflect.Kind, q unsafe.Pointer) uint64 {
	switch kind {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return *(*uint64)(q)
	case reflect.Int32:
		return uint64(*(*int32)(q))
	case reflect.Uint32:
		return uint64(*(*uint32)(q))
	case reflect.Int16:
		return uint64(*(*int16)(q))
	case reflect.Uint16:
		return uint64(*(*uint16)(q))
	case reflect.Int8:
		return uint64(*(*int8)(q))
	case reflect.Uint8:
		return uint64(*(*uint8)(q))
	case reflect.Float32:
		return floatWord(float64(*(*float32)(q)))
	default:
		return floatWord(*(*float64)(q))
	}
}

func floatWord(f float64) uint64 {
	switch {
	case f != f:
		return 0x7ff8000000000000
	case f == 0:
		return 0
	}
	return math.Float64bits(f)
}

// Same reports whether two keys are one: as ==, but a NaN is the same as any other.
func (k *Key[K]) Same(a, b *K) bool {
	if *a == *b || !k.floats {
		return *a == *b
	}
	return string(k.Append(nil, a)) == string(k.Append(nil, b))
}

// Hasher computes hashes of keys. It belongs to one goroutine.
type Hasher[K comparable] struct {
	key     *Key[K]
	kind    reflect.Kind // of a whole key
	word    bool         // the key is a number of 64 bits
	seed    maphash.Seed
	salt    uint64 // a seed for words
	scratch []byte
}

// Hasher returns a hasher for one goroutine.
func (k *Key[K]) Hasher() *Hasher[K] {
	h := &Hasher[K]{key: k, seed: maphash.MakeSeed(), salt: rand.Uint64()}
	if k.whole {
		h.kind = k.parts[0].kind
	}
	switch h.kind {
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		h.word = true
	}
	return h
}

// Hash returns plan.KeyHash of the key's canonical encoding: the same in every process, for ever.
func (h *Hasher[K]) Hash(v *K) uint32 {
	if h.word {
		return plan.KeyHash64(*(*uint64)(unsafe.Pointer(v)))
	}
	switch h.kind {
	case reflect.String:
		s := *(*string)(unsafe.Pointer(v))
		return plan.KeyHash(unsafe.Slice(unsafe.StringData(s), len(s)))
	case reflect.Int32:
		return plan.KeyHash64(uint64(*(*int32)(unsafe.Pointer(v))))
	}
	return plan.KeyHash(h.canonical(v))
}

// group returns the key group of a key.
func (h *Hasher[K]) group(v *K, maxParallelism int) int {
	switch {
	case h.word:
		return plan.WordGroup(*(*uint64)(unsafe.Pointer(v)), maxParallelism)
	case h.kind == reflect.String:
		return plan.TextGroup(*(*string)(unsafe.Pointer(v)), maxParallelism)
	}
	return plan.KeyGroup(h.Hash(v), maxParallelism)
}

// canonical returns the canonical encoding, until the next call.
func (h *Hasher[K]) canonical(v *K) []byte {
	b := h.key.Append(h.scratch[:0], v)
	if h.scratch = b; cap(b) > maxScratch {
		h.scratch = nil
	}
	return b
}

// Local returns a hash for tables of this hasher's owner: cheaper than Hash, and another one with every hasher, so that nobody can make
// keys that collide. Its upper bits are the better ones.
func (h *Hasher[K]) Local(k K) uint32 {
	if h.word {
		// A multiple of the golden ratio puts numbers in a row as far apart as can be.
		return uint32((*(*uint64)(unsafe.Pointer(&k)) ^ h.salt) * 0x9e3779b97f4a7c15 >> 32)
	}
	return h.local(k)
}

func (h *Hasher[K]) local(k K) uint32 {
	if h.key.floats { // which can be the same and not be ==
		return uint32(maphash.Bytes(h.seed, h.canonical(&k)))
	}
	return uint32(maphash.Comparable(h.seed, k))
}

// Text reports whether a key is a string, for which package state has a hash of its own.
func (h *Hasher[K]) Text() bool { return h.kind == reflect.String }

// Exact reports whether keys are the same only when they are ==.
func (h *Hasher[K]) Exact() bool { return !h.key.floats }

// Same is Key.Same.
func (h *Hasher[K]) Same(a, b *K) bool { return h.key.Same(a, b) }
