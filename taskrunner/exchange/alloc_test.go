//go:build !race

package exchange

import (
	"fmt"
	"runtime"
	"testing"
)

// TestNoAllocationPerRecord counts what a long transfer allocates beyond a short one: per record nothing, and per batch nothing either.
func TestNoAllocationPerRecord(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		t.Run(fmt.Sprintf("tcp=%v", tcp), func(t *testing.T) {
			count := func(n int) int64 {
				from := side(t)
				to := from
				if tcp {
					to = side(t)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				if got, want := transfer(t, from, to, n, 512), uint64(n)*uint64(n-1)/2; got != want {
					t.Fatalf("the sum of %d numbers is %d, want %d", n, got, want)
				}
				runtime.ReadMemStats(&after)
				return int64(after.Mallocs - before.Mallocs)
			}
			const few, many = 100 * 512, 4100 * 512
			if more := count(many) - count(few); more > 400 {
				t.Errorf("%d allocations for %d more batches", more, (many-few)/512)
			}
		})
	}
}
