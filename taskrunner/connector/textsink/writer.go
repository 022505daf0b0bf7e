package textsink

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/flott-dev/flott/taskrunner/operator"
	"github.com/flott-dev/flott/yarn/dfs"
)

// bufferSize is how much is written at once.
const bufferSize = 128 << 10

// writer writes the file of one subtask. The file is made with the first record.
type writer[T any] struct {
	operator.SinkBase
	dir    string
	format func([]byte, T) []byte

	create func() (dfs.Writer, error) // bound to the life of the task
	place  string                     // of the file, below tmp
	out    dfs.Writer
	buf    []byte
	length int64
	ended  bool
}

// Open implements operator.Operator.
func (w *writer[T]) Open(ctx context.Context, c operator.Context) error {
	l, err := newLayout(ctx, c.FS, w.dir, c.Job)
	if err != nil {
		return fmt.Errorf("write text files to %q: %w", w.dir, err)
	}
	execution := c.Attempt.String()
	w.place = path.Join(execution, written)
	w.create = func() (dfs.Writer, error) {
		// No parents: tmp is gone when the job has ended without this task knowing.
		if err := l.fsys.Mkdir(ctx, path.Join(l.tmp(), execution), 0o755); err != nil {
			return nil, err
		}
		return l.fsys.Create(ctx, path.Join(l.tmp(), w.place), dfs.CreateOptions{})
	}
	return w.SinkBase.Open(ctx, c)
}

// Collect implements operator.Collector.
func (w *writer[T]) Collect(v T, _ operator.Time) error {
	n := len(w.buf)
	w.buf = w.format(w.buf, v)
	if len(w.buf) < n {
		return fmt.Errorf("write text files to %q: the format function returned %d bytes, fewer than the %d it got: it has to append to its argument",
			w.dir, len(w.buf), n)
	}
	w.buf = append(w.buf, '\n')
	if len(w.buf) < bufferSize {
		return nil
	}
	return w.flush()
}

// flush writes the buffer out.
func (w *writer[T]) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	var err error
	if w.out == nil {
		if w.out, err = w.create(); err != nil {
			return fmt.Errorf("write text files to %q: %w", w.dir, err)
		}
	}
	n, err := w.out.Write(w.buf)
	w.length += int64(n)
	if err != nil {
		return fmt.Errorf("write text files to %q: %w", w.dir, err)
	}
	w.buf = w.buf[:0]
	if cap(w.buf) > 8*bufferSize {
		w.buf = nil // one very long line
	}
	return nil
}

// Control implements operator.Operator: the file is finished at the end of the data.
func (w *writer[T]) Control(ev operator.Event) error {
	if ev.Kind != operator.EndOfData {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if w.out != nil {
		if err := w.out.Close(); err != nil {
			return fmt.Errorf("write text files to %q: %w", w.dir, err)
		}
	}
	w.ended = true
	return nil
}

var errOpen = errors.New("textsink: the file has not been finished")

// Final implements operator.Finalizer.
func (w *writer[T]) Final() ([]byte, error) {
	if !w.ended {
		return nil, errOpen
	}
	c := committable{Version: committableVersion}
	if w.out != nil {
		c.Parts = []part{{w.place, w.length}}
	}
	return encode(c)
}

// Close implements operator.Operator. A file that has not been finished is removed.
func (w *writer[T]) Close() error {
	if w.out == nil || w.ended {
		return nil
	}
	return w.out.Abort()
}

var _ operator.Finalizer = (*writer[int])(nil)
