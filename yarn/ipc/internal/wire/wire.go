// Package wire holds the frames of Hadoop IPC version 9, for both halves: yarn/ipc (client) and yarn/ipc/ipctest (server).
//
// It is called on each connection's reader and writer goroutine and keeps no state but a Reader's and a Writer's. A length that a peer claims never
// makes it allocate: memory grows as bytes arrive, up to the caller's limit.
//
//	connection:  "hrpc" 09, service class 00, auth (00 none, df SASL); then frames
//	frame:       length (4, big-endian, not counting itself) | delimited header | delimited messages
//	protection:  an outer frame with call id -33 and state WRAP, whose token opens to bytes of the inner frame stream
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Preamble of a connection, without its last byte, which is AuthNone or AuthSASL.
const (
	Preamble = "hrpc\x09\x00"
	AuthNone = 0x00
	AuthSASL = 0xdf
)

// Call ids that are no calls. Requests carry them zig-zag, responses as 32-bit two's complement.
const (
	CallRefused = -1 // connection refused: authorisation or version
	CallInvalid = -2
	CallContext = -3
	CallPing    = -4
	CallSASL    = -33
)

// ErrFrame is wrapped by every error about bytes that are no valid frame.
var ErrFrame = errors.New("malformed frame")

const firstChunk = 64 << 10

// ReadFrame reads one frame's content into buf's capacity, or a new slice.
func ReadFrame(r *bufio.Reader, limit int, buf []byte) ([]byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		if errors.Is(err, io.EOF) && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head)))
	if n < 0 || n > limit {
		return nil, badLength(head, n, limit)
	}
	_, _ = r.Discard(4)
	buf = buf[:0]
	for len(buf) < n {
		if cap(buf) == len(buf) {
			grown := make([]byte, len(buf), min(n, max(firstChunk, 2*cap(buf))))
			copy(grown, buf)
			buf = grown
		}
		more := buf[len(buf):min(n, cap(buf))]
		got, err := io.ReadFull(r, more)
		buf = buf[:len(buf)+got]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return buf, nil
}

func badLength(head []byte, n, limit int) error {
	switch {
	case string(head) == "HTTP":
		return fmt.Errorf("%w: this address answers HTTP, not Hadoop RPC", ErrFrame)
	case n == -1:
		return fmt.Errorf("%w: the server speaks a Hadoop RPC version before 9", ErrFrame)
	default:
		return fmt.Errorf("%w: length %d is not in 0 to %d", ErrFrame, n, limit)
	}
}

// AppendFrame appends one frame of delimited messages.
func AppendFrame(b []byte, messages ...proto.Message) ([]byte, error) {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	for _, m := range messages {
		var err error
		if b, err = appendDelimited(b, m); err != nil {
			return b[:start], err
		}
	}
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-4))
	return b, nil
}

func appendDelimited(b []byte, m proto.Message) ([]byte, error) {
	size := proto.Size(m)
	b = slices.Grow(protowire.AppendVarint(b, uint64(size)), size)
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
}

// CutDelimited unmarshals the delimited message that b begins with and returns what follows. Everything is copied.
func CutDelimited(b []byte, m proto.Message) ([]byte, error) {
	content, rest, err := CutBytes(b)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(content, m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return rest, nil
}

// CutBytes splits b behind the delimited message it begins with.
func CutBytes(b []byte) (content, rest []byte, err error) {
	size, n := protowire.ConsumeVarint(b)
	if n < 0 || size > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: message is longer than its frame", ErrFrame)
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}
