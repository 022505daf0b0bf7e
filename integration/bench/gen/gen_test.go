package gen_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/integration/bench/gen"
)

// TestSameBytes holds the text against its hash: results of different days and machines are about the same input.
func TestSameBytes(t *testing.T) {
	const want = "f0ea4a8ca2417b1b2ab3524d60c2ff8e8dd70d2836ef081c0031a1b6f8f04ed7"
	h := sha256.New()
	s, err := gen.Write(h, gen.Config{Seed: 1, Bytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("4 MiB of seed 1 have the hash %s, want %s", got, want)
	}
	if s.Bytes < 4<<20 || s.Bytes > 4<<20+300 {
		t.Errorf("%d bytes, want 4 MiB and less than a line", s.Bytes)
	}
	other := sha256.New()
	if _, err := gen.Write(other, gen.Config{Seed: 2, Bytes: 4 << 20}); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(other.Sum(nil), h.Sum(nil)) {
		t.Error("seeds 1 and 2 give the same text")
	}
}

// TestFrequencies compares what comes out with Zipf's law: the word of rank r is r times rarer than the first.
func TestFrequencies(t *testing.T) {
	var b strings.Builder
	s, err := gen.Write(&b, gen.Config{Seed: 7, Bytes: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != s.Bytes || int64(strings.Count(b.String(), "\n")) != s.Lines || !strings.HasSuffix(b.String(), "\n") {
		t.Errorf("%d bytes and %d lines, said %+v", b.Len(), strings.Count(b.String(), "\n"), s)
	}
	counts := map[string]int64{}
	total := int64(0)
	for w := range strings.FieldsSeq(b.String()) {
		counts[w]++
		total++
	}
	if total != s.Words {
		t.Errorf("%d words, said %d", total, s.Words)
	}
	var sorted []int64
	for _, n := range counts {
		sorted = append(sorted, n)
	}
	slices.SortFunc(sorted, func(a, b int64) int { return int(b - a) })
	if len(sorted) > gen.Words || len(sorted) < gen.Words*99/100 {
		t.Errorf("%d distinct words, want nearly %d", len(sorted), gen.Words)
	}
	for _, rank := range []int64{2, 10, 100, 1000} {
		want := sorted[0] / rank
		if got := sorted[rank-1]; got < want*9/10 || got > want*11/10 {
			t.Errorf("the word of rank %d occurs %d times, want about %d", rank, got, want)
		}
	}
	if mean := float64(s.Bytes) / float64(s.Words); mean < 7 || mean > 10 {
		t.Errorf("a word takes %.1f bytes, want 7 to 10", mean)
	}
}

type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestErrors(t *testing.T) {
	if _, err := gen.Write(full{}, gen.Config{Bytes: 1}); !errors.Is(err, errFull) {
		t.Errorf("writing to a full disk: %v, want %v", err, errFull)
	}
	if _, err := gen.Write(full{}, gen.Config{Bytes: -1}); err == nil {
		t.Error("a negative size was accepted")
	}
	if s, err := gen.Write(full{}, gen.Config{}); err != nil || s != (gen.Stats{}) {
		t.Errorf("no bytes: %+v, %v", s, err)
	}
}
