package tfile

import (
	"bufio"
	"fmt"
	"io"
	"math"
)

// readVLong reads a number of variable length. Java: org.apache.hadoop.io.file.tfile.Utils.readVLong, which is not WritableUtils'.
func readVLong(r *bufio.Reader) (int64, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, malformed("a number is missing: %v", err)
	}
	b := int64(int8(first))
	more, base := 0, int64(0)
	switch {
	case b >= -32:
		return b, nil
	case b >= -72: // one byte follows
		more, base = 1, b+52
	case b >= -104: // two
		more, base = 2, b+88
	case b >= -120: // three
		more, base = 3, b+112
	default: // the byte says how many
		more = int(b) + 129
		if more < 4 || more > 8 {
			return 0, malformed("a number of %d bytes", more)
		}
	}
	v := base
	for i := range more {
		next, err := r.ReadByte()
		if err != nil {
			return 0, malformed("a number ends early: %v", err)
		}
		if i == 0 && b < -120 { // Java reads these as signed
			v = int64(int8(next))
			continue
		}
		v = v<<8 | int64(next)
	}
	return v, nil
}

// readVInt is readVLong for what must fit 32 bits.
func readVInt(r *bufio.Reader) (int64, error) {
	n, err := readVLong(r)
	if err == nil && (n < math.MinInt32 || n > math.MaxInt32) {
		err = malformed("number %d is too large", n)
	}
	return n, err
}

// readText reads a text with its length before it. Java: Utils.readString.
func readText(r *bufio.Reader) (string, error) {
	n, err := readVInt(r)
	if err != nil {
		return "", err
	}
	if n < 0 || n > maxName {
		return "", malformed("a text has %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return "", malformed("a text ends early: %v", err)
	}
	return string(b), nil
}

// readUTF reads what Java's DataOutputStream.writeUTF wrote: two bytes of length and text. The text is returned as its bytes; names
// beyond ASCII are in Java's modified UTF-8, which is UTF-8 but for NUL and for characters beyond 16 bits.
func readUTF(r io.Reader) (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	b := make([]byte, int(head[0])<<8|int(head[1]))
	if _, err := io.ReadFull(r, b); err != nil {
		return "", fmt.Errorf("text: %w", io.ErrUnexpectedEOF)
	}
	return string(b), nil
}
