package operator

import (
	"slices"
	"strings"
	"testing"
)

// TestRunsOfTexts holds the runs of compiled codecs against single values.
func TestRunsOfTexts(t *testing.T) {
	values := []string{"", "a", "word", strings.Repeat("x", 127), strings.Repeat("y", 128), strings.Repeat("z", 400), "last"}
	type name string
	names := make([]name, len(values))
	for i, v := range values {
		names[i] = name(v)
	}
	checkRuns(t, MustCodec[string](), values)
	checkRuns(t, MustCodec[name](), names)
	checkRuns(t, MustCodec[struct{ S string }](), []struct{ S string }{{"a"}, {""}, {"word"}})
	checkRuns(t, MustCodec[struct{ N, M int64 }](), []struct{ N, M int64 }{{1, 2}, {-300, 4}})
	checkRuns(t, MustCodec[struct{}](), make([]struct{}, 3))
}

func checkRuns[T comparable](t *testing.T, c Codec[T], values []T) {
	t.Helper()
	for limit := range 800 {
		for _, one := range []bool{false, true} {
			got, n, err := runs(c).appendRun([]byte("head"), values, limit, one)
			want, wantN, wantErr := oneByOne[T]{c}.appendRun([]byte("head"), values, limit, one)
			if string(got) != string(want) || n != wantN || err != nil || wantErr != nil {
				t.Fatalf("%s, limit %d, one %v: %d values (%v), one by one %d (%v)", c.Name(), limit, one, n, err, wantN, wantErr)
			}
			if n == 0 && one || n > 1 && len(got)-4 > limit {
				t.Fatalf("%s, limit %d, one %v: %d values in %d bytes", c.Name(), limit, one, n, len(got)-4)
			}
		}
	}
	all, _, err := runs(c).appendRun(nil, values, 1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	for end := range len(all) + 1 {
		for room := range len(values) + 2 {
			got, want := make([]T, room), make([]T, room)
			rest, n, err := runs(c).decodeRun(all[:end], got)
			wantRest, wantN, wantErr := oneByOne[T]{c}.decodeRun(all[:end], want)
			if string(rest) != string(wantRest) || n != wantN || !slices.Equal(got[:n], want[:n]) || (err == nil) != (wantErr == nil) {
				t.Fatalf("%s, %d of %d bytes, room for %d: %d values (%v), one by one %d (%v)", c.Name(), end, len(all), room, n, err, wantN, wantErr)
			}
		}
	}
}

// BenchmarkRun encodes and decodes runs of words; an op is a word.
func BenchmarkRun(b *testing.B) {
	texts := []string{"a", "of", "the", "word", "other", "stream", "records", "exchange", "parallelism", "checkpointing"}
	words := make([]string, 1<<12)
	for i := range words {
		words[i] = texts[i*7919%101%len(texts)]
	}
	c := runs(MustCodec[string]())
	var frame []byte
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; n += len(words) {
			frame, _, _ = c.appendRun(frame[:0], words, 1<<20, true)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		got := make([]string, decoded)
		for n := 0; n < b.N; {
			for rest := frame; len(rest) > 0; {
				r, k, err := c.decodeRun(rest, got)
				if err != nil {
					b.Fatal(err)
				}
				rest, n = r, n+k
			}
		}
	})
}

// FuzzDecodeTexts holds decodeTexts against single values, on bytes that nobody has encoded.
func FuzzDecodeTexts(f *testing.F) {
	f.Add([]byte("\x01a\x00\x03abc"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, src []byte) {
		var got, want [3]string
		rest, n, err := decodeTexts(src, got[:])
		wantRest, wantN, wantErr := oneByOne[string]{MustCodec[string]()}.decodeRun(src, want[:])
		if string(rest) != string(wantRest) || n != wantN || !slices.Equal(got[:n], want[:n]) || (err == nil) != (wantErr == nil) {
			t.Errorf("%x: %d values, rest %x (%v); one by one %d, rest %x (%v)", src, n, rest, err, wantN, wantRest, wantErr)
		}
	})
}
