package measure

import (
	"math"
	"slices"
)

// Median returns the middle one of the samples, or the mean of the two in the middle; NaN without any.
func Median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return s[n/2]
	}
	return s[n/2-1] + (s[n/2]-s[n/2-1])/2
}

// exactPairs bounds for how many ways to divide the samples the test is exact: C(20, 10).
const exactPairs = 184756

// MannWhitney returns the probability that samples of one distribution differ in rank as much as a and b do, to either side. It is exact,
// ties included, for up to ten samples on each side, and above that the usual normal approximation.
func MannWhitney(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	ranks := ranksOf(append(slices.Clone(a), b...))
	sum := 0
	for _, r := range ranks[:len(a)] {
		sum += r
	}
	// Twice the rank sum that a would have by chance, on the average; ranks are doubled to be whole.
	expected := len(a) * (len(ranks) + 1)
	distance := max(sum-expected, expected-sum)
	if choose(len(ranks), len(a)) <= exactPairs {
		return exact(ranks, len(a), expected, distance)
	}
	return approximate(ranks, len(a), distance)
}

// ranksOf returns the doubled ranks from 1 on; equal values share the mean of theirs.
func ranksOf(v []float64) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, k int) int {
		switch {
		case v[i] < v[k]:
			return -1
		case v[i] > v[k]:
			return 1
		}
		return 0
	})
	ranks := make([]int, len(v))
	for i := 0; i < len(order); {
		k := i
		for k < len(order) && v[order[k]] == v[order[i]] {
			k++
		}
		for _, o := range order[i:k] {
			ranks[o] = i + k + 1 // twice the mean of i+1 … k
		}
		i = k
	}
	return ranks
}

// exact counts among all choices of n ranks those whose sum is at least so far from the expected one. It counts by a table: how many
// choices of so many ranks have that sum.
func exact(ranks []int, n, expected, distance int) float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	ways := make([][]float64, n+1)
	for i := range ways {
		ways[i] = make([]float64, total+1)
	}
	ways[0][0] = 1
	for _, r := range ranks {
		for k := n; k > 0; k-- {
			for s := total; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	far, all := 0.0, 0.0
	for s, w := range ways[n] {
		all += w
		if max(s-expected, expected-s) >= distance {
			far += w
		}
	}
	return far / all
}

// approximate is the normal approximation with the correction for ties and for continuity.
func approximate(ranks []int, n, distance int) float64 {
	total := float64(len(ranks))
	ties := 0.0
	counts := make(map[int]float64)
	for _, r := range ranks {
		counts[r]++
	}
	for _, c := range counts {
		ties += c*c*c - c
	}
	a, b := float64(n), total-float64(n)
	variance := a * b / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return 1
	}
	z := max(0, float64(distance)/2-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// choose returns n over k, or a number above exactPairs.
func choose(n, k int) int {
	k = min(k, n-k)
	c := 1
	for i := range k {
		if c = c * (n - i) / (i + 1); c > exactPairs {
			return exactPairs + 1
		}
	}
	return c
}
