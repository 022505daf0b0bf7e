package ha

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/ids"
)

// memFiles is Files in a map, with faults.
type memFiles struct {
	m    map[string][]byte
	lost error // CreateOnce creates, then returns this
}

func (f *memFiles) CreateOnce(_ context.Context, path string, data []byte) error {
	if _, ok := f.m[path]; ok {
		return fs.ErrExist
	}
	f.m[path] = bytes.Clone(data)
	return f.lost
}

func (f *memFiles) Read(_ context.Context, path string, limit int) ([]byte, error) {
	b, ok := f.m[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if len(b) > limit {
		return nil, errors.New("too long")
	}
	return bytes.Clone(b), nil
}

func (f *memFiles) Delete(_ context.Context, path string) error {
	delete(f.m, path)
	return nil
}

var (
	_ ResultStore = (*StandaloneResultStore)(nil)
	_ JobStore    = (*StandaloneJobStore)(nil)
	_ Election    = (*Standalone)(nil)
	_ Retrieval   = (*Standalone)(nil)
)

func TestResultStore(t *testing.T) {
	files := &memFiles{m: map[string][]byte{}}
	var guard error
	s := NewStandaloneResultStore(files, "/staging/app", func(context.Context) error { return guard })
	job, ctx := ids.NewJobID(), t.Context()
	load := func(want string, found bool) {
		t.Helper()
		if got, ok, err := s.Load(ctx, job); err != nil || ok != found || string(got) != want {
			t.Errorf("load: %q, %v, %v, want %q, %v", got, ok, err, want, found)
		}
	}
	load("", false)
	guard = rpc.ErrOnHold
	if err := s.Store(ctx, job, []byte("end")); !errors.Is(err, rpc.ErrOnHold) || len(files.m) != 0 {
		t.Errorf("store on hold: %v, %d files", err, len(files.m))
	}
	guard = nil
	if err := s.Store(ctx, job, []byte("end")); err != nil {
		t.Errorf("store: %v", err)
	}
	if files.m["/staging/app/"+job.String()+".result"] == nil {
		t.Errorf("stored as %v", files.m)
	}
	load("end", true)
	if err := s.Store(ctx, job, []byte("end")); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := s.Store(ctx, job, []byte("other")); !errors.Is(err, ErrStored) {
		t.Errorf("another end: %v", err)
	}
	guard = rpc.ErrFenced
	if err := s.Remove(ctx, job); !errors.Is(err, rpc.ErrFenced) {
		t.Errorf("remove without leading: %v", err)
	}
	load("end", true)
	guard = nil
	for range 2 {
		if err := s.Remove(ctx, job); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	load("", false)
}

// TestLostAnswer: creating succeeded, but its answer was lost; the store finds out.
func TestLostAnswer(t *testing.T) {
	files := &memFiles{m: map[string][]byte{}, lost: errors.New("connection reset")}
	s := NewStandaloneResultStore(files, "/d", nil)
	if err := s.Store(t.Context(), ids.NewJobID(), []byte("end")); err != nil {
		t.Errorf("store: %v", err)
	}
}

func TestJobStore(t *testing.T) {
	job := ids.NewJobID()
	s := NewStandaloneJobStore(&memFiles{m: map[string][]byte{}}, "/d", job, nil)
	if jobs, err := s.Jobs(t.Context()); err != nil || len(jobs) != 0 {
		t.Errorf("empty: %v, %v", jobs, err)
	}
	if err := s.Store(t.Context(), job, nil); err != nil {
		t.Errorf("store nothing: %v", err)
	}
	if jobs, err := s.Jobs(t.Context()); err != nil || len(jobs) != 1 || jobs[0] != job {
		t.Errorf("jobs: %v, %v", jobs, err)
	}
}

func TestDamage(t *testing.T) {
	whole := encodeRecord([]byte("some data"))
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x40
		if _, err := decodeRecord(b); err == nil {
			t.Errorf("byte %d changed: not noticed", i)
		}
		if _, err := decodeRecord(whole[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	files := &memFiles{m: map[string][]byte{}}
	s := NewStandaloneResultStore(files, "/d", nil)
	job := ids.NewJobID()
	files.m["/d/"+job.String()+".result"] = whole[:20]
	if _, _, err := s.Load(t.Context(), job); !errors.Is(err, ErrCorrupt) {
		t.Errorf("load: %v", err)
	}
	if err := s.Store(t.Context(), job, []byte("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("store over a damaged file: %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(encodeRecord([]byte("x")))
	f.Add([]byte(recordMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if data, err := decodeRecord(b); err == nil && !bytes.Equal(encodeRecord(data), b) {
			t.Errorf("%x reads as %x", b, data)
		}
	})
}
