package plan

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/rpc/ids"

	"github.com/google/go-cmp/cmp"
)

// op and edge make test plans short; ids are a single byte.
func op(k Kind, name string, i byte, change ...func(*Operator)) Operator {
	o := Operator{ID: ids.OperatorID{i}, Name: name, Kind: k, Func: "main." + name, Bounded: k == Source}
	for _, f := range change {
		f(&o)
	}
	return o
}

func edge(i, from, to byte, s Ship) Edge {
	return Edge{ID: ids.EdgeID{i}, From: ids.OperatorID{from}, To: ids.OperatorID{to}, Ship: s, Type: "string", Codec: "flott-1:string"}
}

func parallelism(n int) func(*Operator) { return func(o *Operator) { o.Parallelism = n } }

func wordCount() *Plan {
	return &Plan{Version: Version, Name: "words", Operators: []Operator{
		op(Source, "lines", 1), op(Transform, "split", 2), op(Transform, "count", 3, func(o *Operator) { o.Keyed = true }),
		op(Sink, "files", 4, func(o *Operator) { o.UID, o.Coordinated = "out", true })},
		Edges:  []Edge{edge(1, 1, 2, Natural), edge(2, 2, 3, Hash), edge(3, 3, 4, Natural)},
		Params: []Param{{"input", `"hdfs:///in"`}}}
}

// union joins two sources into one sink; the second has its own parallelism.
func union() *Plan {
	return &Plan{Version: Version, Name: "union", Operators: []Operator{
		op(Source, "a", 1), op(Source, "b", 2, parallelism(1)), op(Sink, "out", 3)},
		Edges: []Edge{edge(1, 1, 3, Natural), edge(2, 2, 3, Natural)}}
}

func resolve(t *testing.T, p *Plan, n int) *Plan {
	t.Helper()
	r, err := p.Resolve(n, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResolve(t *testing.T) {
	p := wordCount()
	p.Operators[1].Parallelism = 100
	r := resolve(t, p, 4)
	for i, want := range [][2]int{{4, 128}, {100, 256}, {4, 128}, {4, 128}} {
		if got := [2]int{r.Operators[i].Parallelism, r.Operators[i].MaxParallelism}; got != want {
			t.Errorf("operator %q: parallelism and max %v, want %v", r.Operators[i].Name, got, want)
		}
	}
	if p.Operators[0].Parallelism != 0 {
		t.Error("Resolve changed the plan it was called on")
	}
	if r.Digest() != p.Digest() {
		t.Error("the digest depends on the parallelism")
	}
	p.Parallelism, p.MaxParallelism = 3, 16
	p.Operators[1].Parallelism = 0
	if r = resolve(t, p, 4); r.Operators[2].Parallelism != 3 || r.Operators[2].MaxParallelism != 16 || r.Mode != Automatic {
		t.Errorf("the plan's own defaults were not taken: %+v", r.Operators[2])
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Plan)
		want   []string
	}{
		{"above max", func(p *Plan) { p.Operators[1].Parallelism, p.Operators[1].MaxParallelism = 5, 4 }, []string{`"split": parallelism 5 is above its max parallelism 4`}},
		{"max too great", func(p *Plan) { p.Operators[1].MaxParallelism = 32769 }, []string{"must be within 1 and 32768"}},
		{"negative", func(p *Plan) { p.Operators[1].Parallelism = -1 }, []string{`"split": parallelism -1`}},
		{"forward", func(p *Plan) { p.Edges[0].Ship, p.Operators[1].Parallelism = Forward, 2 }, []string{`forward from "lines" to "split": parallelism 1 and 2 differ`}},
		{"two at once", func(p *Plan) { p.Operators[1].Parallelism, p.Operators[2].Parallelism = -1, -2 }, []string{`"split"`, `"count"`}},
		{"unknown operator", func(p *Plan) { p.Edges[0].From = ids.OperatorID{9} }, []string{"unknown operator"}},
		{"cycle", func(p *Plan) { p.Edges = append(p.Edges, edge(9, 3, 2, Natural)) }, []string{"cycle"}},
		{"same id", func(p *Plan) { p.Operators[1].ID = ids.OperatorID{3} }, []string{`"split" and "count" have the same id`}},
		{"same uid", func(p *Plan) { p.Operators[1].UID = "out" }, []string{`"split" and "files" have the same UID "out"`}},
		{"input of a source", func(p *Plan) { p.Edges = append(p.Edges, edge(9, 2, 1, Natural)) }, []string{`source "lines" has an input`}},
		{"no input", func(p *Plan) { p.Edges = p.Edges[:2] }, []string{`sink "files" has no input`}},
		{"empty", func(p *Plan) { p.Operators, p.Edges = nil, nil }, []string{"no operators"}},
		{"ship", func(p *Plan) { p.Edges[0].Ship = 77 }, []string{"unknown way"}},
	} {
		p := wordCount()
		c.change(p)
		_, err := p.Resolve(1, 0)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: error %v, want one with %q", c.name, err, w)
			}
		}
	}
	if _, err := wordCount().Resolve(0, 0); err == nil {
		t.Error("a parallelism of 0 was accepted")
	}
}

func TestChain(t *testing.T) {
	never := func(o *Operator) { o.Chaining = ChainNever }
	head := func(o *Operator) { o.Chaining = ChainHead }
	line := func(change ...func(*Operator)) *Plan {
		return &Plan{Operators: []Operator{op(Source, "a", 1), op(Transform, "b", 2, change...), op(Sink, "c", 3)},
			Edges: []Edge{edge(1, 1, 2, Natural), edge(2, 2, 3, Natural)}}
	}
	for _, c := range []struct {
		name string
		plan *Plan
		p    int
		want []string
	}{
		{"word count", wordCount(), 2, []string{"Source: lines -> split 2", "count -> Sink: files 2", "hash"}},
		{"all in one", line(), 2, []string{"Source: a -> b -> Sink: c 2"}},
		{"other parallelism", line(parallelism(3)), 2, []string{"Source: a 2", "b 3", "Sink: c 2", "rebalance", "rebalance"}},
		{"never", line(never), 2, []string{"Source: a 2", "b 2", "Sink: c 2", "forward", "forward"}},
		{"head", line(head), 2, []string{"Source: a 2", "b -> Sink: c 2", "forward"}},
		{"max parallelism", line(func(o *Operator) { o.MaxParallelism = 7 }), 2, []string{"Source: a 2", "b 2", "Sink: c 2", "forward", "forward"}},
		{"union", union(), 1, []string{"Source: a 1", "Source: b 1", "Sink: out 1", "forward", "forward"}},
		{"union of different parallelism", union(), 2, []string{"Source: a 2", "Source: b 1", "Sink: out 2", "forward", "rebalance"}},
		{"two sinks in a chain", &Plan{Operators: []Operator{op(Source, "a", 1), op(Sink, "b", 2), op(Sink, "c", 3)},
			Edges: []Edge{edge(1, 1, 2, Natural), edge(2, 1, 3, Natural)}}, 1, []string{"Source: a -> Sink: b -> Sink: c 1"}},
		{"rebalance", &Plan{Operators: []Operator{op(Source, "a", 1), op(Sink, "b", 2)}, Edges: []Edge{edge(1, 1, 2, Rebalance)}}, 1,
			[]string{"Source: a 1", "Sink: b 1", "rebalance"}},
	} {
		g, err := Chain(resolve(t, c.plan, c.p))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var got []string
		for _, v := range g.Vertices {
			got = append(got, fmt.Sprintf("%s %d", v.Name, v.Parallelism))
		}
		for _, e := range g.Edges {
			got = append(got, e.Ship.String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
		for i, v := range g.Vertices {
			for _, e := range v.In {
				if j := slices.IndexFunc(g.Vertices, func(o Vertex) bool { return o.ID == g.Edges[e].From }); j >= i {
					t.Errorf("%s: vertex %d reads from vertex %d", c.name, i, j)
				}
			}
			if v.ID != ids.VertexID(v.Operators[0]) || len(v.Chained) != len(v.Operators)-1 {
				t.Errorf("%s: vertex %+v", c.name, v)
			}
		}
	}
	if _, err := Chain(wordCount()); err == nil || !strings.Contains(err.Error(), "not resolved") {
		t.Errorf("chaining an unresolved plan: %v", err)
	}
}

func TestChannels(t *testing.T) {
	g, err := Chain(resolve(t, wordCount(), 2))
	if err != nil {
		t.Fatal(err)
	}
	hash, forward := g.Edges[0], g.Edges[0]
	forward.Ship = Forward
	for _, c := range []struct {
		edge        JobEdge
		at          int
		first, last int
	}{{hash, 0, 0, 1}, {hash, 1, 0, 1}, {forward, 0, 0, 0}, {forward, 1, 1, 1}} {
		if first, last := Consumers(g, c.edge, c.at); first != c.first || last != c.last {
			t.Errorf("%s from %d: consumers %d to %d, want %d to %d", c.edge.Ship, c.at, first, last, c.first, c.last)
		}
		if first, last := Producers(g, c.edge, c.at); first != c.first || last != c.last {
			t.Errorf("%s to %d: producers %d to %d, want %d to %d", c.edge.Ship, c.at, first, last, c.first, c.last)
		}
	}
}

func TestRegions(t *testing.T) {
	p := wordCount()
	p.Operators = append(p.Operators, op(Source, "x", 11), op(Transform, "y", 12), op(Sink, "z", 13))
	p.Edges = append(p.Edges, edge(11, 11, 12, Rebalance), edge(12, 12, 13, Rebalance))
	g, err := Chain(resolve(t, p, 1))
	if err != nil {
		t.Fatal(err)
	}
	got := Regions(g)
	want := [][]ids.VertexID{{{1}, {3}}, {{11}, {12}, {13}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMarshal(t *testing.T) {
	p := resolve(t, wordCount(), 3)
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unmarshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got); d != "" {
		t.Error(d)
	}
	again, err := got.Marshal()
	if err != nil || !bytes.Equal(b, again) {
		t.Errorf("marshalling twice differs (%v)", err)
	}
	for _, c := range []struct{ name, in, want string }{
		{"version", strings.Replace(string(b), `"version":1`, `"version":2`, 1), "version 2"},
		{"id", strings.Replace(string(b), `"id":"01`, `"id":"x1`, 1), "hexadecimal"},
		{"edge", strings.Replace(string(b), `"from":"01`, `"from":"77`, 1), "unknown operator"},
		{"text", "plan", "unmarshal plan"},
		{"size", string(bytes.Repeat([]byte(" "), MaxBytes+1)), "above the limit"},
	} {
		if _, err := Unmarshal([]byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	b, err := wordCount().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Unmarshal(b)
		if err != nil {
			return
		}
		if _, err := p.Marshal(); err != nil {
			t.Fatal(err)
		}
		if r, err := p.Resolve(2, 0); err == nil {
			if _, err := Chain(r); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDigestAndDiff(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Plan)
		want   string // empty: the digest stays
	}{
		{"name", func(p *Plan) { p.Name, p.Operators[0].Name = "other", "other" }, ""},
		{"parallelism", func(p *Plan) { p.Parallelism, p.MaxParallelism, p.Operators[0].Parallelism = 7, 9, 8 }, ""},
		{"mode and chaining", func(p *Plan) { p.Mode, p.Operators[1].Chaining = Streaming, ChainNever }, ""},
		{"function", func(p *Plan) { p.Operators[1].Func = "main.other" }, `the function of operator 2 (split) differs: "main.split" and "main.other"`},
		{"type", func(p *Plan) { p.Edges[1].Type = "int" }, `the record type of edge 2 differs: "string" and "int"`},
		{"uid", func(p *Plan) { p.Operators[3].UID = "in" }, `the UID of operator 4 (files) differs: "out" and "in"`},
		{"operator", func(p *Plan) { p.Operators = p.Operators[:3] }, `the number of operators differs: "4" and "3"`},
		{"parameter", func(p *Plan) { p.Params[0].Value = "2" }, `the value of parameter input differs: "\"hdfs:///in\"" and "2"`},
		{"ship", func(p *Plan) { p.Edges[0].Ship = Rebalance }, `the shipping of edge 1 differs: "natural" and "rebalance"`},
	} {
		a, b := wordCount(), wordCount()
		c.change(b)
		if got := Diff(a, b); got != c.want || (a.Digest() == b.Digest()) != (c.want == "") {
			t.Errorf("%s: difference %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBoundedAndBatch(t *testing.T) {
	p := wordCount()
	for _, c := range []struct {
		bounded bool
		mode    RuntimeMode
		want    bool
	}{{true, 0, true}, {true, Automatic, true}, {false, Automatic, false}, {true, Streaming, false}, {false, Batch, true}} {
		p.Operators[0].Bounded, p.Mode = c.bounded, c.mode
		if got := p.Batch(); got != c.want {
			t.Errorf("bounded %v, mode %s: batch %v, want %v", c.bounded, c.mode, got, c.want)
		}
	}
}

// TestMurmur has the vectors of Flink's own placement: key group of 128 for a hashCode.
func TestMurmur(t *testing.T) {
	javaString := func(s string) (h uint32) {
		for _, c := range s {
			h = 31*h + uint32(c)
		}
		return h
	}
	for _, c := range []struct {
		name string
		hash uint32
		want int
	}{
		{"0", 0, 94}, {"1", 1, 86}, {"2", 2, 127}, {"42", 42, 29}, {"-1", math.MaxUint32, 80}, {"int64 1000", 1000, 7}, {"int64 1<<40", 256, 54},
		{`"a"`, javaString("a"), 81}, {`"key"`, javaString("key"), 72}, {`"hello"`, javaString("hello"), 35},
	} {
		if got := KeyGroup(c.hash, 128); got != c.want {
			t.Errorf("%s: group %d, want %d", c.name, got, c.want)
		}
	}
	if got, want := KeyGroup(1, 100), int(Murmur(1)%100); got != want {
		t.Errorf("group of 100: %d, want %d", got, want)
	}
	for h := uint32(0); h < 1<<16; h++ {
		if m := Murmur(h * 65537); int32(m) < 0 {
			t.Fatalf("Murmur(%d) = %d is negative", h*65537, int32(m))
		}
	}
}

// TestKeyHash fixes flott-kg-1 for ever: these numbers must not change.
func TestKeyHash(t *testing.T) {
	for _, c := range []struct {
		key   string
		hash  uint32
		group int
	}{
		{"", 0xffecaf09, 99},
		{"a", 0x0cdb5012, 31},
		{"key", 0x6e275592, 109},
		{"hello", 0xee8e8497, 111},
		{"word count", 0x6ead5711, 80},
		{"12345678", 0x2f9a1f83, 90},
		{"123456789", 0xdc9dc997, 22},
		{"\x00", 0x60b10a0a, 84},
		{"\x00\x00", 0x68d93d1b, 101},
		{"grüße", 0xfb25a75f, 9},
	} {
		if got := KeyHash([]byte(c.key)); got != c.hash || KeyGroup(got, 128) != c.group {
			t.Errorf("%q: hash %#08x, group %d of 128; want %#08x, %d", c.key, got, KeyGroup(got, 128), c.hash, c.group)
		}
	}
	for _, w := range []uint64{0, 1, 1 << 40, math.MaxUint64} {
		b := []byte{byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24), byte(w >> 32), byte(w >> 40), byte(w >> 48), byte(w >> 56)}
		if KeyHash64(w) != KeyHash(b) {
			t.Errorf("KeyHash64(%d) differs from KeyHash of its bytes", w)
		}
	}
	if Scheme != "flott-kg-1" {
		t.Errorf("scheme %q", Scheme)
	}
}

// TestKeyHashSpreads checks that groups get keys evenly: no group of 128 more than twice its share of 100,000 keys.
func TestKeyHashSpreads(t *testing.T) {
	for name, key := range map[string]func(int) uint32{
		"numbers": func(i int) uint32 { return KeyHash64(uint64(i)) },
		"words":   func(i int) uint32 { return KeyHash(fmt.Appendf(nil, "word%d", i)) },
		"steps":   func(i int) uint32 { return KeyHash64(uint64(i) << 20) },
	} {
		const keys = 100_000
		var groups [128]int
		hashes := make(map[uint32]bool, keys)
		for i := range keys {
			h := key(i)
			hashes[h] = true
			groups[KeyGroup(h, 128)]++
		}
		if m := slices.Max(groups[:]); m > 2*keys/128 {
			t.Errorf("%s: a group has %d of %d keys", name, m, keys)
		}
		if len(hashes) < keys-20 {
			t.Errorf("%s: only %d hashes for %d keys", name, len(hashes), keys)
		}
	}
}

func TestKeyGroupRanges(t *testing.T) {
	for _, c := range []struct {
		m, p int
		want [][2]int
	}{
		{128, 3, [][2]int{{0, 42}, {43, 85}, {86, 127}}},
		{128, 5, [][2]int{{0, 25}, {26, 51}, {52, 76}, {77, 102}, {103, 127}}},
		{4, 4, [][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}}},
	} {
		for i, want := range c.want {
			first, last := KeyGroupRange(i, c.m, c.p)
			if first != want[0] || last != want[1] {
				t.Errorf("range %d of %d/%d: %d to %d, want %v", i, c.p, c.m, first, last, want)
			}
			for g := first; g <= last; g++ {
				if o := KeyGroupOwner(g, c.m, c.p); o != i {
					t.Errorf("owner of group %d of %d/%d: %d, want %d", g, c.p, c.m, o, i)
				}
			}
		}
	}
	for _, c := range [][2]int{{1, 128}, {85, 128}, {86, 256}, {170, 256}, {171, 256}, {172, 512}, {1000, 2048}, {10924, 32768}, {32768, 32768}} {
		if got := DefaultMaxParallelism(c[0]); got != c[1] {
			t.Errorf("DefaultMaxParallelism(%d) = %d, want %d", c[0], got, c[1])
		}
	}
}

// TestKeyHashReadsEveryByte holds KeyHash against its definition, byte by byte, for keys of every length.
func TestKeyHashReadsEveryByte(t *testing.T) {
	key := make([]byte, 40)
	for i := range key {
		key[i] = byte(201*i + 17)
	}
	for n := range key {
		for at := range key[n:] {
			b := key[at : at+n]
			var h uint64
			for i := 0; i < n; i += 8 {
				var w uint64
				for k, c := range b[i:min(i+8, n)] {
					w |= uint64(c) << (8 * k)
				}
				h = fold(h^w^hashSeed, hashMulA)
			}
			if got, want := KeyHash(b), finish(h, uint64(n)); got != want {
				t.Fatalf("KeyHash of %x is %08x, want %08x", b, got, want)
			}
		}
	}
}

func BenchmarkKeyHash(b *testing.B) {
	words := []string{"a", "of", "the", "word", "other", "stream", "records", "exchange", "parallelism", "checkpointing"}
	keys := make([][]byte, 1<<15) // more than a branch predictor learns by heart
	for i := range keys {
		keys[i] = []byte(words[Murmur(uint32(i))%uint32(len(words))])
	}
	var sum uint32
	for i := range b.N {
		sum += KeyHash(keys[i&(1<<15-1)])
	}
	if sum == 1 {
		b.Log("the sum is used")
	}
}
