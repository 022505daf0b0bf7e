package dfs

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

const (
	// readTries bounds how often a reader reopens without having got a byte in between.
	readTries = 5
	// readerMaxAge: block locations and their tokens are cached per open file and never refreshed by the byte client.
	readerMaxAge = time.Hour
	// checksumChunk is the least number of bytes that HDFS protects by one checksum.
	checksumChunk = 512
)

// Open implements FS. getBlockLocations comes first, because it also checks the permission to read and refuses directories.
func (h *HDFS) Open(ctx context.Context, p string, offset int64) (io.ReadCloser, error) {
	p, err := cleanPath("open", p)
	if err != nil {
		return nil, err
	}
	l, err := h.locate(ctx, p, max(offset, 0), 1)
	if err == nil {
		err = supported(l.GetEcPolicy(), l.GetFileEncryptionInfo())
	}
	if size := int64(l.GetFileLength()); err == nil && (offset < 0 || offset > size) {
		err = fmt.Errorf("offset %d of %d bytes: %w", offset, size, fs.ErrInvalid)
	}
	if err != nil {
		return nil, h.fail("open", p, "", err)
	}
	return &hdfsReader{h: h, ctx: ctx, path: p, pos: offset, size: int64(l.GetFileLength())}, nil
}

// hdfsReader reads forward. It takes a byte client when the first byte is wanted and gives it back at the end.
type hdfsReader struct {
	h         *HDFS
	ctx       context.Context
	path      string
	pos, size int64 // next byte; length when opened

	b      *byteClient
	f      *hdfs.FileReader
	stop   func() bool
	opened time.Time
	chunk  [checksumChunk - 1]byte
	rest   []byte // of chunk
	closed bool
}

// Read fills p with verified bytes. A broken connection is replaced at the place where it stopped.
func (r *hdfsReader) Read(p []byte) (n int, err error) {
	switch {
	case r.closed:
		return 0, r.h.fail("read", r.path, "", ErrClosed)
	case r.pos >= r.size:
		r.end(true)
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	for try := 1; ; try++ {
		n, err = r.fill(p)
		if n > 0 || err == nil {
			return n, nil
		}
		if cause := context.Cause(r.ctx); cause != nil {
			return 0, r.h.fail("read", r.path, "", cause)
		}
		if !retriable(err) || try == readTries {
			return 0, r.h.fail("read", r.path, "", fmt.Errorf("at offset %d, try %d: %w", r.pos, try, err))
		}
		r.h.cfg.Log.Debug("reopening file after read error", "path", r.path, "offset", r.pos, "try", try, "error", err)
		wait := 50 * time.Millisecond << try
		if err := sleep(r.ctx, wait/2+rand.N(wait)); err != nil {
			return 0, r.h.fail("read", r.path, "", err)
		}
	}
}

// fill reads until p is full, the file ends or something fails.
func (r *hdfsReader) fill(p []byte) (n int, err error) {
	if err := context.Cause(r.ctx); err != nil {
		r.end(false)
		return 0, err
	}
	if r.f != nil && time.Since(r.opened) > readerMaxAge {
		r.end(true)
	}
	for n < len(p) && r.pos < r.size {
		if len(r.rest) == 0 {
			if r.f == nil {
				if err := r.open(); err != nil {
					return n, err
				}
			}
			// Less than one checksum chunk at a time: with a larger buffer the byte client delivers bytes whose
			// checksum is wrong, or was never looked at, and forgets the error.
			k, err := r.f.Read(r.chunk[:])
			r.rest = r.chunk[:k]
			if k == 0 {
				if err == nil || err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				err = r.b.explain(err)
				r.end(false)
				return n, err
			}
		}
		k := copy(p[n:min(int64(len(p)), int64(n)+r.size-r.pos)], r.rest)
		r.rest = r.rest[k:]
		n, r.pos = n+k, r.pos+int64(k)
	}
	return n, nil
}

// open takes a byte client and goes to the place where reading stopped.
func (r *hdfsReader) open() (err error) {
	if r.b, err = r.h.bytes.get(r.ctx); err != nil {
		return err
	}
	b := r.b
	r.stop = context.AfterFunc(r.ctx, func() { b.kill(context.Cause(r.ctx)) })
	r.f, err = b.client.Open(r.path)
	if err == nil {
		if size := r.f.Stat().Size(); size < r.size {
			err = fmt.Errorf("the file shrank from %d to %d bytes while being read: %w", r.size, size, ErrLength)
		} else {
			_, err = r.f.Seek(r.pos, io.SeekStart)
		}
	}
	if err != nil {
		err = b.explain(err)
		r.end(false)
		return err
	}
	r.opened = time.Now()
	return nil
}

// end gives the byte client back; ok says that it may serve another file.
func (r *hdfsReader) end(ok bool) {
	if r.b == nil {
		return
	}
	if r.stop != nil {
		r.stop()
	}
	if r.f != nil {
		_ = r.f.Close()
	}
	r.h.bytes.put(r.b, ok)
	r.b, r.f, r.stop, r.rest = nil, nil, nil, nil
}

// Close gives everything back.
func (r *hdfsReader) Close() error {
	if r.closed {
		return r.h.fail("close", r.path, "", ErrClosed)
	}
	r.closed = true
	r.end(true)
	return nil
}
