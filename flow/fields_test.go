package flow_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/flow"
	"github.com/flott-dev/flott/flow/flowtest"
)

// fields is what flow.Fields emits for each line, in order.
func fields(t testing.TB, lines ...string) []string {
	return flowtest.Run(t, lines, func(s flow.Stream[string]) flow.Stream[string] { return flow.FlatMap(s, flow.Fields) })
}

func TestFields(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for line, want := range map[string][]string{
		"":                       nil,
		" ":                      nil,
		" a  b\t\v\f\rc ":        {"a", "b", "c"},
		"\xff\xfe a\xc3":         {"\xff\xfe", "a\xc3"},
		"\u00a0x\u2003y\u0085":   {"\u00a0x\u2003y\u0085"}, // white space of Unicode's
		"a\x00b\x1fc d\x08\x0ee": {"a\x00b\x1fc", "d\x08\x0ee"},
		long:                     {long},
	} {
		if got := fields(t, line); !slices.Equal(got, want) {
			t.Errorf("%.40q: got %.80q, want %.80q", line, got, want)
		}
	}
}

// TestFieldsAsDefined holds Fields against its definition, at every place of a word in a line.
func TestFieldsAsDefined(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	bytes := []byte("ab\x00\x08\x09\x0a\x0b\x0c\x0d\x0e\x1f\x20\x21\x7f\x80\x89\xa0\xff")
	var lines, want []string
	for n := range 5000 {
		line := make([]byte, n%67)
		for i := range line {
			if line[i] = ' '; r.IntN(8) > 0 {
				line[i] = bytes[r.IntN(len(bytes))]
			}
		}
		lines = append(lines, string(line))
		word := ""
		for i := range len(line) + 1 {
			if i < len(line) && !strings.Contains(" \t\n\v\f\r", string(line[i:i+1])) {
				word += string(line[i : i+1])
				continue
			}
			if word != "" {
				want = append(want, word)
			}
			word = ""
		}
	}
	got := fields(t, lines...)
	slices.Sort(got) // lines come in no order
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d words differ from the %d by definition", len(got), len(want))
	}
}
