package tfile

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrFormat is wrapped by every error about a file's content.
var ErrFormat = errors.New("not a readable TFile")

// ErrCompression is wrapped too when the file needs a compression that is not known here.
var ErrCompression = errors.New("unknown compression")

// Opener opens the file from an offset (bytes) to its end.
type Opener func(ctx context.Context, offset int64) (io.ReadCloser, error)

// Limits of what is read into memory.
const (
	maxIndex  = 64 << 20 // bytes of the index of blocks
	maxBlocks = 1 << 20
	maxKey    = 64 << 10
	maxName   = 64 << 10
)

var magic = []byte{0xd1, 0x11, 0xd3, 0x68, 0x91, 0xb5, 0xd7, 0xb6, 0x39, 0xdf, 0x41, 0x40, 0x92, 0xba, 0xe1, 0x50}

// tailSize is the end of the file: the offset of the index, two numbers of the version, the magic bytes.
const tailSize = 8 + 4 + 16

const (
	apiMajor   = 1              // BCFile.API_VERSION's first number
	dataIndex  = "BCFile.index" // name of the block that lists the data blocks
	metaPrefix = "data:"        // before every name in the list of meta blocks
)

// region is a piece of the file. Java: BCFile.BlockRegion.
type region struct{ offset, compressed, raw int64 }

// File is an opened TFile.
type File struct {
	open        Opener
	size        int64
	compression string
	blocks      []region
}

// Open reads the index of a file of the given size (bytes).
func Open(ctx context.Context, size int64, open Opener) (*File, error) {
	f := &File{open: open, size: size}
	if err := f.readIndex(ctx); err != nil {
		return nil, fmt.Errorf("open TFile: %w", err)
	}
	return f, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

func (f *File) readIndex(ctx context.Context) error {
	if f.size < tailSize+int64(len(magic)) {
		return malformed("it has only %d bytes", f.size)
	}
	tail, err := f.bytes(ctx, f.size-tailSize, tailSize)
	if err != nil {
		return err
	}
	if !bytes.Equal(tail[12:], magic) {
		return malformed("it does not end with the magic bytes")
	}
	if major := binary.BigEndian.Uint16(tail[8:]); major != apiMajor {
		return malformed("version %d", major)
	}
	at := int64(binary.BigEndian.Uint64(tail))
	if at < 0 || at > f.size-tailSize || f.size-tailSize-at > maxIndex {
		return malformed("the index is said to be at %d", at)
	}
	list, err := f.bytes(ctx, at, f.size-tailSize-at)
	if err != nil {
		return err
	}
	where, compression, err := f.findDataIndex(bufio.NewReader(bytes.NewReader(list)))
	if err != nil {
		return err
	}
	return f.readBlocks(ctx, where, compression)
}

// findDataIndex looks through the list of meta blocks.
func (f *File) findDataIndex(r *bufio.Reader) (region, string, error) {
	n, err := readVInt(r)
	if err != nil || n < 0 || n > maxBlocks {
		return region{}, "", malformed("bad number of meta blocks")
	}
	for range n {
		name, err := readText(r)
		if err != nil {
			return region{}, "", err
		}
		compression, err := readText(r)
		if err != nil {
			return region{}, "", err
		}
		where, err := f.readRegion(r)
		if err != nil {
			return region{}, "", err
		}
		if name == metaPrefix+dataIndex {
			return where, compression, nil
		}
	}
	return region{}, "", malformed("it has no index of data blocks")
}

func (f *File) readBlocks(ctx context.Context, where region, compression string) error {
	if where.raw > maxIndex {
		return malformed("its index has %d bytes", where.raw)
	}
	block, err := f.block(ctx, where, compression)
	if err != nil {
		return err
	}
	defer block.Close()
	r := bufio.NewReader(io.LimitReader(block, maxIndex))
	if f.compression, err = readText(r); err != nil {
		return err
	}
	n, err := readVInt(r)
	if err != nil || n < 0 || n > maxBlocks {
		return malformed("bad number of data blocks")
	}
	for range n {
		b, err := f.readRegion(r)
		if err != nil {
			return err
		}
		f.blocks = append(f.blocks, b)
	}
	return nil
}

func (f *File) readRegion(r *bufio.Reader) (region, error) {
	var v [3]int64
	for i := range v {
		var err error
		if v[i], err = readVLong(r); err != nil {
			return region{}, err
		}
	}
	b := region{v[0], v[1], v[2]}
	if b.offset < 0 || b.compressed < 0 || b.raw < 0 || b.offset > f.size || b.compressed > f.size-b.offset {
		return region{}, malformed("a block is said to have %d bytes at %d", b.compressed, b.offset)
	}
	return b, nil
}

// bytes reads a piece of the file; n was compared with a limit.
func (f *File) bytes(ctx context.Context, offset, n int64) ([]byte, error) {
	r, err := f.open(ctx, offset)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, offset, err)
	}
	return b, nil
}

// block opens a block's uncompressed content.
func (f *File) block(ctx context.Context, where region, compression string) (io.ReadCloser, error) {
	raw, err := f.open(ctx, where.offset)
	if err != nil {
		return nil, err
	}
	limited := io.LimitReader(raw, where.compressed)
	switch compression {
	case "none":
		return readCloser{limited, raw}, nil
	case "gz": // Hadoop's DefaultCodec: a zlib stream
		z, err := zlib.NewReader(bufio.NewReader(limited))
		if err != nil {
			raw.Close()
			return nil, malformed("compressed block: %v", err)
		}
		return readCloser{z, raw}, nil
	}
	raw.Close()
	return nil, fmt.Errorf("%w: %w %.40q", ErrFormat, ErrCompression, compression)
}

type readCloser struct {
	io.Reader
	io.Closer
}

// Each calls do for every record in order. value is valid during the call; what do leaves of it is skipped. An error of do ends the
// reading and is returned as it is.
func (f *File) Each(ctx context.Context, do func(key []byte, value io.Reader) error) error {
	for _, b := range f.blocks {
		if err := f.eachOf(ctx, b, do); err != nil {
			return err
		}
	}
	return nil
}

func (f *File) eachOf(ctx context.Context, b region, do func(key []byte, value io.Reader) error) error {
	block, err := f.block(ctx, b, f.compression)
	if err != nil {
		return err
	}
	defer block.Close()
	r := bufio.NewReaderSize(block, 64<<10)
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		}
		n, err := readVInt(r)
		if err != nil {
			return err
		}
		if n < 0 || n > maxKey {
			return malformed("a key has %d bytes", n)
		}
		key := make([]byte, n)
		if _, err := io.ReadFull(r, key); err != nil {
			return malformed("a key ends early: %v", err)
		}
		value := &chunks{r: r}
		if err := do(key, value); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, value); err != nil {
			return err
		}
	}
}

// chunks is a value: pieces with their lengths before them, negative for all but the last. Java: Chunk.ChunkDecoder.
type chunks struct {
	r    *bufio.Reader
	left int64
	last bool
}

func (c *chunks) Read(p []byte) (int, error) {
	for c.left == 0 {
		if c.last {
			return 0, io.EOF
		}
		n, err := readVInt(c.r)
		if err != nil {
			return 0, err
		}
		if c.last = n >= 0; !c.last {
			n = -n
		}
		c.left = n
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if err == io.EOF {
		err = malformed("a value ends early")
	}
	return n, err
}
