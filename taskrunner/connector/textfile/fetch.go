package textfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/flott-dev/flott/yarn/dfs"
)

const (
	// chunkSize is how much is read at once. Chunks are not used again: lines refer to them.
	chunkSize = 256 << 10
	// maxLine is the longest line.
	maxLine = 64 << 20
	// lookAhead is how far is read beyond a split at first, for the line that crosses its end.
	lookAhead = 4 << 10
	// fetchers is how many splits a subtask reads at once, as long as they have no more than fetchBytes in all: opening a small file takes
	// longer than reading it. Of large splits it reads fetchLarge at once.
	fetchers   = 8
	fetchBytes = 4 << 20
	fetchLarge = 2
	// chunksAhead is how many chunks wait for the task.
	chunksAhead = 2
	// askBelow is the cost (costOf) of the splits not yet begun below which a subtask asks for more.
	askBelow = 4 << 20
)

var errLineTooLong = errors.New("line is too long")

// chunk is whole lines of a split, the last maybe without its end; err is why there are no more.
type chunk struct {
	split splitID
	data  []byte
	next  int64 // position behind data
	last  bool  // of the split
	err   error
}

// fetcher reads splits on goroutines of its own. The task's goroutine adds splits and takes chunks.
type fetcher struct {
	fs     dfs.Resolver
	size   int // of chunks
	line   int // length of the longest line
	chunks chan chunk
	ready  chan struct{} // has a value when a chunk has come or a split has been begun
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	cond   sync.Cond
	todo   []progress // splits not yet begun
	cost   int64      // of todo
	active int        // splits being read
	bytes  int64      // of these, when they were begun
	closed bool
}

// startFetcher begins n goroutines, which live until stop, or until ctx ends.
func startFetcher(ctx context.Context, r dfs.Resolver, size, line, n int) *fetcher {
	f := &fetcher{fs: r, size: size, line: line, chunks: make(chan chunk, chunksAhead), ready: make(chan struct{}, 1)}
	f.cond.L = &f.mu
	ctx, f.cancel = context.WithCancel(ctx)
	for range n {
		f.wg.Go(func() { f.run(ctx) })
	}
	return f
}

// stop ends the goroutines and waits for them.
func (f *fetcher) stop() {
	f.cancel()
	f.mu.Lock()
	f.closed = true
	f.cond.Broadcast()
	f.mu.Unlock()
	f.wg.Wait()
}

func (f *fetcher) add(p []progress) {
	f.mu.Lock()
	f.todo = append(f.todo, p...)
	for i := range p {
		f.cost += costOf(&p[i].Split)
	}
	f.cond.Broadcast()
	f.mu.Unlock()
}

// low reports whether there will soon be nothing to begin.
func (f *fetcher) low() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cost < askBelow
}

// take waits for a split that may be begun.
func (f *fetcher) take() (progress, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.closed && !f.roomLocked() {
		f.cond.Wait()
	}
	if f.closed {
		return progress{}, false
	}
	p := f.todo[0]
	f.todo = f.todo[1:]
	f.cost -= costOf(&p.Split)
	f.active++
	f.bytes += p.Split.Length
	return p, true
}

func (f *fetcher) roomLocked() bool {
	return len(f.todo) > 0 && (f.active < fetchLarge || f.bytes+f.todo[0].Split.Length <= fetchBytes)
}

// ended makes room for another split.
func (f *fetcher) ended(p *progress) {
	f.mu.Lock()
	f.active--
	f.bytes -= p.Split.Length
	f.cond.Broadcast()
	f.mu.Unlock()
}

func (f *fetcher) notify() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

func (f *fetcher) run(ctx context.Context) {
	for {
		p, ok := f.take()
		if !ok {
			return
		}
		f.notify()
		err := f.split(ctx, &p.Split, p.Position)
		f.ended(&p)
		if err != nil {
			err = fmt.Errorf("read %s from byte %d: %w", p.Split.URI, p.Split.Offset, err)
			if f.send(ctx, chunk{split: p.Split.ID, err: err}) != nil {
				return
			}
		}
	}
}

// send hands a chunk over; it fails when the task has ended.
func (f *fetcher) send(ctx context.Context, c chunk) error {
	select {
	case f.chunks <- c:
		f.notify()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// split reads one split from a position that is its offset or the start of a line.
func (f *fetcher) split(ctx context.Context, s *split, position int64) error {
	fsys, p, err := f.fs.For(ctx, s.URI)
	if err != nil {
		return err
	}
	if s.Gzip {
		return f.compressed(ctx, s, fsys, p, position)
	}
	skip := position == s.Offset && position > 0
	from := position
	if skip {
		from-- // the byte before says whether a line starts at the offset
	}
	r, err := fsys.Open(ctx, p, from)
	if err != nil {
		return err
	}
	defer r.Close()
	c := chunker{r: r, base: from, end: s.end(), size: s.Size, limit: f.size, line: f.line, send: func(c chunk) error {
		c.split = s.ID
		return f.send(ctx, c)
	}}
	if skip {
		return c.skipAndRun()
	}
	return c.run()
}

// compressed reads a gzip file from its start; positions count decompressed bytes.
func (f *fetcher) compressed(ctx context.Context, s *split, fsys dfs.FS, p string, position int64) error {
	r, err := fsys.Open(ctx, p, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	z, err := gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	if _, err := io.CopyN(io.Discard, z, position); err != nil {
		return fmt.Errorf("decompress up to byte %d: %w", position, err)
	}
	c := chunker{r: z, base: position, end: math.MaxInt64 / 2, size: math.MaxInt64 / 2, limit: f.size, line: f.line, send: func(c chunk) error {
		c.split = s.ID
		return f.send(ctx, c)
	}}
	return c.run()
}

// chunker cuts a reader into chunks of whole lines: those that start before end.
type chunker struct {
	r     io.Reader
	buf   []byte // what has been read and not sent
	base  int64  // position of buf[0]
	end   int64
	size  int64 // of the file, as it was listed
	limit int   // size of a chunk
	line  int   // length of the longest line
	eof   bool
	send  func(chunk) error
}

// skipAndRun drops everything up to the first end of line, which belongs to the split before.
func (c *chunker) skipAndRun() error {
	for {
		if err := c.fill(); err != nil {
			return err
		}
		i := bytes.IndexByte(c.buf, '\n')
		if i >= 0 {
			c.base += int64(i + 1)
			c.buf = append([]byte(nil), c.buf[i+1:]...)
			break
		}
		c.base += int64(len(c.buf))
		c.buf = c.buf[:0]
		if c.eof || c.base >= c.end {
			break
		}
	}
	return c.run()
}

func (c *chunker) run() error {
	for {
		if c.base >= c.end {
			return c.send(chunk{next: c.base, last: true})
		}
		if err := c.fill(); err != nil {
			return err
		}
		n, last := c.lines()
		if n == 0 && !last {
			if len(c.buf) > c.line {
				return fmt.Errorf("%w: the one that starts at byte %d has more than %d bytes", errLineTooLong, c.base, c.line)
			}
			continue
		}
		data := c.buf[:n:n]
		c.buf = c.buf[n:] // moved by fill
		c.base += int64(n)
		if err := c.send(chunk{data: data, next: c.base, last: last}); err != nil || last {
			return err
		}
	}
}

// lines returns how much of the buffer is whole lines of the split, and whether these are the last ones.
func (c *chunker) lines() (n int, last bool) {
	if at := c.end - c.base - 1; at < int64(len(c.buf)) {
		// The last line of the split ends with the first line end at or behind the split's last byte.
		if i := bytes.IndexByte(c.buf[at:], '\n'); i >= 0 {
			return int(at) + i + 1, true
		}
	}
	if c.eof {
		return len(c.buf), true
	}
	return bytes.LastIndexByte(c.buf, '\n') + 1, false
}

// fill reads into a new buffer, which begins with what is left of the old one. A line that fills its buffer gets one of twice the size.
func (c *chunker) fill() error {
	if c.eof {
		return nil
	}
	room := int64(max(c.limit, 2*len(c.buf)))
	if known := min(c.size, c.end+lookAhead) - c.base + 1; known > int64(len(c.buf)) && known < room {
		room = known // one byte more than the file has, to see its end
	}
	buf := make([]byte, min(room, int64(c.line)+1))
	n := copy(buf, c.buf)
	for n < len(buf) {
		m, err := c.r.Read(buf[n:])
		n += m
		if errors.Is(err, io.EOF) {
			c.eof = true
			break
		}
		if err != nil { // also io.ErrUnexpectedEOF: a compressed file that ends too early
			return err
		}
	}
	c.buf = buf[:n]
	return nil
}
