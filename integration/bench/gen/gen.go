// Package gen makes the text that benchmarks read: lines of words whose frequencies follow Zipf's law, from a seed.
//
// Command bench calls it. A Text belongs to one goroutine. What always holds: the same Config gives the same bytes on every machine and
// with every version of Go, since all that decides is whole numbers and the PCG generator, whose output Go does not change; every line ends
// with a line feed.
// The package knows nothing of files.
package gen

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
)

const (
	// Words is how many distinct words there are.
	Words = 50_000
	// lineWords is the greatest number of words in a line; each number from 1 on is equally probable.
	lineWords = 20
	// unit is the weight of the commonest word; the word of rank r has unit/r.
	unit = 1 << 32
)

// Config says which text it is.
type Config struct {
	Seed uint64
	// Bytes is the size of the text, at least; it ends with the line that reaches it.
	Bytes int64
}

// Stats says what has been written.
type Stats struct{ Bytes, Lines, Words int64 }

// Write writes the text.
func Write(w io.Writer, c Config) (Stats, error) {
	if c.Bytes < 0 {
		return Stats{}, errors.New("generate text: the size is negative")
	}
	words, pick := vocabulary(c.Seed), newPicker()
	r := rand.New(rand.NewPCG(c.Seed, 2))
	out := bufio.NewWriterSize(w, 1<<20)
	var s Stats
	var line []byte
	for s.Bytes < c.Bytes {
		line = line[:0]
		for range 1 + below(r, lineWords) {
			line = append(append(line, words[pick.rank(r)]...), ' ')
			s.Words++
		}
		line[len(line)-1] = '\n'
		if _, err := out.Write(line); err != nil {
			return s, fmt.Errorf("write generated text: %w", err)
		}
		s.Lines++
		s.Bytes += int64(len(line))
	}
	if err := out.Flush(); err != nil {
		return s, fmt.Errorf("write generated text: %w", err)
	}
	return s, nil
}

// below returns a number from 0 to n-1. It is written here because rand.IntN does not promise to stay as it is.
func below(r *rand.Rand, n uint64) uint64 { return (r.Uint64() >> 32) * n >> 32 }

// vocabulary makes the words by rank: 3 to 12 lower-case letters, vowels and consonants in turn.
func vocabulary(seed uint64) []string {
	const vowels, consonants = "aeiou", "bcdfghjklmnpqrstvwxz"
	r := rand.New(rand.NewPCG(seed, 1))
	made := make(map[string]bool, Words)
	words := make([]string, 0, Words)
	var b []byte
	for len(words) < Words {
		b = b[:0]
		vowel := below(r, 2)
		for i := range 3 + below(r, 10) {
			letters := consonants
			if (i+vowel)%2 == 0 {
				letters = vowels
			}
			b = append(b, letters[below(r, uint64(len(letters)))])
		}
		if w := string(b); !made[w] {
			made[w] = true
			words = append(words, w)
		}
	}
	return words
}

// picker draws ranks by Walker's alias method: one draw of a column, one of what is in it.
type picker struct {
	keep  []uint64 // of total, how much of column i is rank i
	alias []uint32 // the rank that the rest of it is
	total uint64
}

func newPicker() *picker {
	p := &picker{keep: make([]uint64, Words), alias: make([]uint32, Words)}
	for i := range p.keep {
		p.total += unit / uint64(i+1)
	}
	// Each weight is scaled by the number of columns, so that a column holds exactly total.
	var small, large []uint32
	for i := range p.keep {
		p.keep[i], p.alias[i] = unit/uint64(i+1)*Words, uint32(i)
		if p.keep[i] < p.total {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		p.alias[s] = l
		if p.keep[l] -= p.total - p.keep[s]; p.keep[l] < p.total {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return p
}

func (p *picker) rank(r *rand.Rand) uint64 {
	i := below(r, Words)
	if r.Uint64()%p.total < p.keep[i] {
		return i
	}
	return uint64(p.alias[i])
}
