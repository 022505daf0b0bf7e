package staging

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
)

// aged is a world with one unused binary of 8 days.
func aged(t *testing.T) (*world, Source, Digest) {
	w := newWorld(t)
	src, d := binary(t, "the job")
	w.ok(w.area.Create(t.Context(), app1, rm))
	_, err := w.area.Publish(t.Context(), app1, d, src, nil)
	w.ok(err)
	w.ok(w.area.Clean(t.Context(), app1))
	w.now = w.now.Add(8 * 24 * time.Hour)
	return w, src, d
}

func TestCollectTable(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(w *world, src Source, d Digest)
		gone  int
	}{
		{"old and unused", func(*world, Source, Digest) {}, 1},
		{"young", func(w *world, _ Source, _ Digest) { w.now = w.now.Add(-2 * 24 * time.Hour) }, 0},
		{"used", func(w *world, src Source, d Digest) {
			w.ok(w.area.Create(w.Context(), app2, rm))
			_, err := w.area.Publish(w.Context(), app2, d, src, nil)
			w.ok(err)
			w.now = w.now.Add(30 * 24 * time.Hour) // an application may run for long
		}, 0},
		{"young reference without application", func(w *world, _ Source, d Digest) { w.ok(w.area.reference(w.Context(), d, app2)) }, 0},
		{"old reference without application", func(w *world, _ Source, d Digest) {
			w.ok(w.area.reference(w.Context(), d, app2))
			w.now = w.now.Add(8 * 24 * time.Hour)
		}, 1},
		{"left in the trash", func(w *world, _ Source, d Digest) {
			w.ok(w.mem.Mkdir(w.Context(), w.area.path(trashDir), 0o700))
			w.ok(w.mem.Rename(w.Context(), w.area.path(cacheDir, d.String()), w.area.path(trashDir, d.String()+".x")))
		}, 1},
		{"left in the trash but used", func(w *world, _ Source, d Digest) {
			w.ok(w.mem.Mkdir(w.Context(), w.area.path(trashDir), 0o700))
			w.ok(w.mem.Rename(w.Context(), w.area.path(cacheDir, d.String()), w.area.path(trashDir, d.String()+".x")))
			w.ok(w.area.reference(w.Context(), d, app2))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, src, d := aged(t)
			w.T = t
			c.setup(w, src, d)
			n, err := w.area.Collect(t.Context())
			w.ok(err)
			if n != c.gone {
				t.Errorf("collected: got %d, want %d", n, c.gone)
			}
			tree := w.tree()
			if there := strings.Contains(tree, "cache/"+d.String()); there != (c.gone == 0) {
				t.Errorf("binary there: got %v; tree %s", there, tree)
			}
			if strings.Contains(tree, "trash/") || c.gone == 1 && strings.Contains(tree, "refs/") {
				t.Errorf("remains: %s", tree)
			}
		})
	}
}

// submitter goes the way of bin/cli: publish, verify, and publish again when the binary went in between.
type submitter struct {
	w   *world
	src Source
	d   Digest
	res Resource
}

func (s *submitter) publish() {
	s.w.Helper()
	var err error
	s.w.ok(s.w.area.Create(s.w.Context(), app2, rm))
	s.res, err = s.w.area.Publish(s.w.Context(), app2, s.d, s.src, nil)
	s.w.ok(err)
}

func (s *submitter) verify() {
	s.w.Helper()
	for {
		err := s.w.area.Verify(s.w.Context(), s.res)
		if err == nil {
			return
		}
		s.w.is(err, ErrGone)
		s.publish()
	}
}

// Every pair of points in a collection at which a submitter publishes and later verifies: when both are done, what was verified is
// there.
func TestReferenceAgainstCollection(t *testing.T) {
	points := countCalls(t)
	if points < 8 {
		t.Fatalf("got %d points in a collection, want several", points)
	}
	for i := 0; i <= points; i++ {
		for j := i; j <= points; j++ {
			t.Run(fmt.Sprintf("%d,%d", i, j), func(t *testing.T) {
				w, src, d := aged(t)
				w.T = t
				s := &submitter{w: w, src: src, d: d}
				n, busy := 0, false
				w.hook = func(c dfs.Call) error {
					if busy || c.After {
						return nil
					}
					busy = true
					if n == i {
						s.publish()
					}
					if n == j {
						s.verify()
					}
					busy = false
					n++
					return nil
				}
				_, err := w.area.Collect(t.Context())
				w.ok(err)
				w.hook = nil
				if n <= i {
					s.publish()
				}
				if n <= j {
					s.verify()
				}
				w.ok(w.area.Verify(t.Context(), s.res))
				if strings.Contains(w.tree(), "trash/") {
					t.Errorf("remains: %s", w.tree())
				}
			})
		}
	}
}

// The other way round: a whole collection at every point of a submission.
func TestCollectionAgainstReference(t *testing.T) {
	for i, hit := 0, true; hit; i++ {
		hit = false
		w, src, d := aged(t)
		s := &submitter{w: w, src: src, d: d}
		n, busy := 0, false
		w.hook = func(c dfs.Call) error {
			if busy || c.After {
				return nil
			}
			if n++; n-1 == i {
				busy, hit = true, true
				_, err := w.area.Collect(t.Context())
				w.ok(err)
				busy = false
			}
			return nil
		}
		s.publish()
		if err := w.area.Verify(t.Context(), s.res); err != nil {
			t.Errorf("point %d: a binary seen after the reference was written: got %v", i, err)
		}
		s.verify()
		w.hook = nil
		w.ok(w.area.Verify(t.Context(), s.res))
		if strings.Contains(w.tree(), "trash/") {
			t.Errorf("point %d: remains: %s", i, w.tree())
		}
	}
}

// A collector that dies at any step while a submitter is about leaves what the next collector repairs.
func TestCollectorDies(t *testing.T) {
	points := countCalls(t)
	for k := 0; k < points; k++ {
		for i := 0; i <= k; i++ {
			for _, after := range []bool{false, true} {
				w, src, d := aged(t)
				s := &submitter{w: w, src: src, d: d}
				n, busy := 0, false
				died := errors.New("killed")
				w.hook = func(c dfs.Call) error {
					if busy {
						return nil
					}
					if n > k || n == k && c.After == after {
						return died
					}
					if !c.After && n == i {
						busy = true
						s.publish()
						s.verify()
						busy = false
					}
					if c.After {
						n++
					}
					return nil
				}
				_, err := w.area.Collect(t.Context())
				w.hook = nil
				if err != nil && !errors.Is(err, died) {
					t.Fatalf("%d,%d,%v: got %v", k, i, after, err)
				}
				_, err = w.area.Collect(t.Context())
				w.ok(err)
				if s.res == (Resource{}) {
					s.publish()
				}
				if err := w.area.Verify(t.Context(), s.res); err != nil || strings.Contains(w.tree(), "trash/") {
					t.Fatalf("died at %d (after: %v), submitter at %d: got %v, tree %s", k, after, i, err, w.tree())
				}
			}
		}
	}
}

func countCalls(t *testing.T) int {
	w, _, _ := aged(t)
	w.calls = nil
	_, err := w.area.Collect(t.Context())
	w.ok(err)
	return len(w.calls)
}

func TestCollectorsAtOnce(t *testing.T) {
	points := countCalls(t)
	for i := range points {
		w, _, d := aged(t)
		n, busy := 0, false
		w.hook = func(c dfs.Call) error {
			if busy || c.After {
				return nil
			}
			if n++; n-1 == i {
				busy = true
				_, err := w.area.Collect(t.Context())
				w.ok(err)
				busy = false
			}
			return nil
		}
		_, err := w.area.Collect(t.Context())
		w.ok(err)
		if strings.Contains(w.tree(), d.String()) {
			t.Errorf("point %d: remains: %s", i, w.tree())
		}
	}
}
