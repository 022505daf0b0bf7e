package state_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/flott-dev/flott/taskrunner/state"
)

// add counts keys as an operator does: those that Find knows in place, the others by Update.
func add(t testing.TB, tb *state.Table[string, int], keys []string) {
	var found [state.Window]*int
	for len(keys) > 0 {
		n := min(len(keys), state.Window)
		tb.Find(keys[:n], &found)
		for i, k := range keys[:n] {
			at := found[i]
			if at == nil {
				var err error
				if at, err = tb.Update(k); err != nil {
					t.Fatal(err)
				}
			}
			*at++
		}
		keys = keys[n:]
	}
}

// TestTextKeys counts texts of all lengths that are as alike as can be: with zeros at their ends, with one byte that differs, with equal
// beginnings and ends.
func TestTextKeys(t *testing.T) {
	var keys []string
	for n := range 40 {
		base := make([]byte, n)
		for _, fill := range []byte{0, 'a', 0xff} {
			for i := range base {
				base[i] = fill
			}
			keys = append(keys, string(base))
			for i := range base {
				base[i] ^= 1
				keys = append(keys, string(base))
				base[i] ^= 1
			}
		}
	}
	for i := range 3000 {
		keys = append(keys, fmt.Sprint("key", i), fmt.Sprint("a key that does not fit, ", i, ", and ends like others"))
	}
	r := rand.New(rand.NewPCG(1, 2))
	tb, want := table[string, int](t, 0, 127), make(map[string]int)
	for range 20 {
		r.Shuffle(len(keys), func(i, k int) { keys[i], keys[k] = keys[k], keys[i] })
		if err := deleteSome(tb, want, keys[:50]); err != nil {
			t.Fatal(err)
		}
		add(t, tb, keys)
		for _, k := range keys {
			want[k]++
		}
	}
	if got := content(tb); !maps.Equal(got, want) {
		t.Errorf("%d keys differ from the map's %d", len(got), len(want))
	}
}

func deleteSome(tb *state.Table[string, int], model map[string]int, keys []string) error {
	for _, k := range keys {
		delete(model, k)
		if _, err := tb.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkFind counts words of 3 to 12 letters, of which there are 25,000, by Zipf's law; an op is a word.
func BenchmarkFind(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.01, 1, 25_000)
	letters := make([]byte, 1<<20) // the words lie in one piece of memory, as those of a frame
	for i := range letters {
		letters[i] = byte('a' + r.IntN(26))
	}
	text := string(letters)
	words := make([]string, 1<<16)
	for i := range words {
		w := zipf.Uint64()
		at := w * 40 % (1 << 20)
		words[i] = text[at : at+3+w*7%10]
	}
	tb := table[string, int](b, 0, 127)
	add(b, tb, words)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += 64 {
		at := n % len(words)
		add(b, tb, words[at:at+64])
	}
}
