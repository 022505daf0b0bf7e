package exchange

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// flushing runs a flusher and counts how often it flushes.
func flushing(t *testing.T, timeout time.Duration) (f *flusher, count *atomic.Int64) {
	f, count = &flusher{}, &atomic.Int64{}
	f.init(timeout)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.run(ctx, func() { count.Add(1) }) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return f, count
}

// TestFlusherRunsWhileBatchesAreOpen: it fires each timeout while a batch is open, once more at most after that, and not at all when the
// producer has rested in between.
func TestFlusherRunsWhileBatchesAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, count := flushing(t, time.Second)
		check := func(what string, after time.Duration, want int64) {
			t.Helper()
			<-time.After(after)
			synctest.Wait()
			if got := count.Swap(0); got != want {
				t.Errorf("%s: flushed %d times in %v, want %d", what, got, after, want)
			}
		}
		check("nothing open", 10*time.Second, 0)
		f.opened()
		check("open", 10*time.Second, 10)
		f.sealed()
		check("sealed", 10*time.Second, 1)
		f.opened()
		f.sealed()
		f.rest()
		check("at rest", 10*time.Second, 0)
		f.opened()
		f.opened()
		f.sealed()
		f.rest()
		check("one of two at rest", 3*time.Second, 3)
	})
}

// TestFlusherForgetsNoBatch: whatever producers do at the same time, a batch that stays open is flushed.
func TestFlusherForgetsNoBatch(t *testing.T) {
	f, count := flushing(t, 50*time.Microsecond)
	for round := range 200 {
		var wg sync.WaitGroup
		for p := range 4 {
			r := rand.New(rand.NewPCG(uint64(round), uint64(p)))
			wg.Go(func() {
				for range 50 {
					f.opened()
					f.sealed()
					if r.IntN(3) > 0 {
						f.rest()
					}
				}
				if p == 0 {
					f.opened()
				}
			})
		}
		wg.Wait()
		before := count.Load()
		for deadline := time.Now().Add(10 * time.Second); count.Load() == before; {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: an open batch was not flushed", round)
			}
			<-time.After(10 * time.Microsecond)
		}
		f.sealed()
	}
}
