package main

import "testing"

// TestRun compares with the sum of all numbers, which the last running sums add up to.
func TestRun(t *testing.T) {
	for _, p := range []int{1, 2, 3} {
		for _, n := range []int64{0, 1, 1000, 123_457} {
			if got, want := run(n, 100, p), n*(n-1)/2; got != want {
				t.Errorf("%d records at parallelism %d give %d, want %d", n, p, got, want)
			}
		}
	}
}
