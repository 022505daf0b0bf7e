package roles

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// rollSize is when a log file is rolled, in bytes.
const rollSize = 100 << 20

// rollingFile is a log file that is renamed to name.1, name.1 to name.2 and so on when it has grown.
type rollingFile struct {
	mu   sync.Mutex
	path string
	keep int // rolled files
	f    *os.File
	size int64
}

func openRolling(path string, keep int) (*rollingFile, error) {
	r := &rollingFile{path: path, keep: keep}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rollingFile) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open log file: %w", err)
	}
	r.f, r.size = f, fi.Size()
	return nil
}

func (r *rollingFile) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+int64(len(b)) > rollSize && r.size > 0 {
		r.roll()
	}
	n, err := r.f.Write(b)
	r.size += int64(n)
	return n, err
}

// roll keeps writing to the old file when the new one cannot be made: a full directory must not end a job.
func (r *rollingFile) roll() {
	for i := r.keep; i > 1; i-- {
		os.Rename(fmt.Sprintf("%s.%d", r.path, i-1), fmt.Sprintf("%s.%d", r.path, i))
	}
	os.Rename(r.path, r.path+".1")
	old := r.f
	if r.open() == nil {
		old.Close()
	}
}

func (r *rollingFile) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.f.Close()
}

// layout writes records as log4j's pattern does in Flink, so that eyes and scripts find time and level where they expect them:
//
//	2026-01-02 15:04:05,678 INFO  message [key=value key=value]
type layout struct {
	mu    *sync.Mutex
	w     io.Writer
	level slog.Level
	attrs string
	group string
}

func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(&layout{mu: &sync.Mutex{}, w: w, level: level})
}

func (h *layout) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *layout) Handle(_ context.Context, rec slog.Record) error {
	var b strings.Builder
	b.WriteString(rec.Time.Format("2006-01-02 15:04:05,000"))
	fmt.Fprintf(&b, " %-5s %s", rec.Level, rec.Message)
	b.WriteString(h.attrs)
	rec.Attrs(func(a slog.Attr) bool {
		b.WriteString(h.attr(a))
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

func (h *layout) attr(a slog.Attr) string {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindTime {
		return fmt.Sprintf(" %s%s=%s", h.group, a.Key, v.Time().Format(time.RFC3339Nano))
	}
	s := v.String()
	if strings.ContainsAny(s, " \n\"") {
		s = fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf(" %s%s=%s", h.group, a.Key, s)
}

func (h *layout) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	for _, a := range attrs {
		n.attrs += h.attr(a)
	}
	return &n
}

func (h *layout) WithGroup(name string) slog.Handler {
	n := *h
	n.group += name + "."
	return &n
}

// containerLog opens the process's log in its container's log directory; without one it goes to standard error.
func containerLog(dir, name string, level slog.Level, keep int) (*slog.Logger, io.Closer, error) {
	if dir == "" {
		return newLogger(os.Stderr, level), io.NopCloser(nil), nil
	}
	f, err := openRolling(filepath.Join(dir, name), keep)
	if err != nil {
		return nil, nil, err
	}
	return newLogger(f, level), f, nil
}
