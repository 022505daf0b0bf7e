package textfile

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/flott-dev/flott/taskrunner/operator"
)

// splitID names a split in every process.
type splitID [16]byte

// split is a piece of a file. Its fields and those of message are encoded in their order.
type split struct {
	ID     splitID
	URI    string
	Offset int64
	Length int64 // of the piece; a compressed file is one piece
	Size   int64 // of the file
	Mtime  int64 // Unix milliseconds
	Gzip   bool
	Hosts  []string
}

// end is where the split ends: lines that start there belong to the next one.
func (s *split) end() int64 { return s.Offset + s.Length }

// makeID sets the id from what the split is.
func (s *split) makeID() {
	h := sha256.New()
	h.Write([]byte(s.URI))
	var b []byte
	for _, n := range []int64{s.Offset, s.Length, s.Size, s.Mtime} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	h.Write(b)
	copy(s.ID[:], h.Sum(nil))
}

// progress is a split that a reader holds, with how far it is: Position bytes of the file are done. In a compressed file it is the number
// of decompressed bytes.
type progress struct {
	Split    split
	Position int64
}

type kind uint8

const (
	// register tells the enumerator that a reader has begun, on which host, what it holds and what it has finished.
	register kind = iota + 1
	// request asks for splits.
	request
	// assign brings splits.
	assign
	// noMore says that there are none left and will be none.
	noMore
)

// message is everything that travels between enumerator and readers.
type message struct {
	Kind   kind
	Host   string
	Held   []splitID // register: also those that it has finished
	Splits []split
}

// wire turns messages and states into bytes.
type wire[T any] struct{ codec operator.Codec[T] }

func newWire[T any]() wire[T] { return wire[T]{operator.MustCodec[T]()} }

func (w wire[T]) encode(v T) ([]byte, error) { return w.codec.Append(nil, &v) }

func (w wire[T]) decode(b []byte) (T, error) {
	var v T
	b = append([]byte(nil), b...) // strings refer to it
	rest, err := w.codec.Decode(b, &v)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d bytes too many", operator.ErrCorrupt, len(rest))
	}
	return v, err
}
