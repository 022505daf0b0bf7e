package flow

import "math/bits"

// Fields emits the words of a line in order: what stands between ASCII white space (space, \t, \n, \v, \f, \r), as parts of its memory. It
// is made for FlatMap. Other bytes, also those of other white space in UTF-8, belong to words.
func Fields(line string, out Emit[string]) {
	// Eight bytes at a time: a loop over the few bytes of a word would be mispredicted at the end of every one.
	start := 0
	for i := 0; i < len(line); i += 8 {
		for m := low(eight(line[i:])); m != 0; m &= m - 1 {
			end := i + bits.TrailingZeros64(m)/8
			if !whiteSpace[line[end]] {
				continue
			}
			if end > start {
				out.To(line[start:end])
			}
			start = end + 1
		}
	}
	if start < len(line) {
		out.To(line[start:])
	}
}

var whiteSpace = [256]bool{' ': true, '\t': true, '\n': true, '\v': true, '\f': true, '\r': true}

// eight returns the first eight bytes of s as a little-endian number; those that s has not are 0xff.
func eight(s string) uint64 {
	if len(s) >= 8 { // one load
		return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	}
	w := ^uint64(0)
	for i := len(s) - 1; i >= 0; i-- {
		w = w<<8 | uint64(s[i])
	}
	return w
}

// low returns a number whose bytes have their highest bit where those of w are at most a space.
func low(w uint64) uint64 {
	const each = 0x0101010101010101
	above := (w&(0x7f*each) + (0x7f-' ')*each) | w // the highest bit, also of bytes that have it themselves
	return ^above & (0x80 * each)
}
