package token

import (
	"fmt"
	"math"
	"math/bits"
)

// The primitives of Hadoop's Writable serialisation (org.apache.hadoop.io.WritableUtils, 3.5.0).
//
// VInt and VLong: one signed byte when it is in -112..127; else a first byte that tells sign and length (-113..-120: 1..8 bytes,
// positive; -121..-128: 1..8 bytes of the ones' complement), then the magnitude, big-endian. Text: VInt length, then UTF-8.

func appendVLong(b []byte, v int64) []byte {
	if v >= -112 && v <= 127 {
		return append(b, byte(v))
	}
	first := -112
	if v < 0 {
		v, first = ^v, -120
	}
	n := (bits.Len64(uint64(v)) + 7) / 8
	b = append(b, byte(first-n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

func appendBytes[T ~[]byte | ~string](b []byte, v T) []byte {
	return append(appendVLong(b, int64(len(v))), v...)
}

// reader takes Writable values off a buffer; after the first fault every further read yields zero values and err stays.
type reader struct {
	buf []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
		r.buf = nil
	}
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.buf) {
		r.fail("length %d, but %d bytes are left", n, len(r.buf))
		return nil
	}
	out := r.buf[:n:n]
	r.buf = r.buf[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) vlong() int64 {
	first := int8(r.byte())
	if first >= -112 {
		return int64(first)
	}
	n, negative := -112-int(first), false
	if first < -120 {
		n, negative = -120-int(first), true
	}
	var v int64
	for _, b := range r.take(n) {
		v = v<<8 | int64(b)
	}
	if negative {
		return ^v
	}
	return v
}

func (r *reader) vint() int32 {
	v := r.vlong()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.fail("number %d does not fit 32 bits", v)
		return 0
	}
	return int32(v)
}

// bytes reads a length and that many bytes; the result aliases the buffer.
func (r *reader) bytes() []byte { return r.take(int(r.vint())) }

func (r *reader) text() string { return string(r.bytes()) }
