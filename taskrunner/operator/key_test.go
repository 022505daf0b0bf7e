package operator

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/flott-dev/flott/rpc/plan"
)

func TestKeyEncoding(t *testing.T) {
	type pair struct {
		S string
		N int32
	}
	for _, c := range []struct{ name, got, want string }{
		{"int", hexKey(int(-2)), "feffffffffffffff"},
		{"int8", hexKey(int8(-2)), "feffffffffffffff"},
		{"int32", hexKey(int32(-2)), "feffffffffffffff"},
		{"uint8", hexKey(uint8(254)), "fe00000000000000"},
		{"bool", hexKey(true), "01"},
		{"string", hexKey("ab"), "6162"},
		{"struct", hexKey(pair{"ab", 1}), "0261620100000000000000"},
		{"array", hexKey([2]bool{true, false}), "0100"},
		{"negative zero", hexKey(math.Copysign(0, -1)), "0000000000000000"},
		{"NaN", hexKey(math.Float64frombits(0x7ff0dead00000001)), "000000000000f87f"},
		{"float32", hexKey(float32(1.5)), "000000000000f83f"},
	} {
		if c.got != c.want {
			t.Errorf("%s: encoded %s, want %s", c.name, c.got, c.want)
		}
	}
}

func hexKey[K comparable](k K) string {
	key, err := KeyOf[K]()
	if err != nil {
		return err.Error()
	}
	b := key.Append(nil, &k)
	if got, want := key.Hasher().Hash(&k), plan.KeyHash(b); got != want {
		return fmt.Sprintf("hash %08x, want that of the encoding %08x", got, want)
	}
	return fmt.Sprintf("%x", b)
}

func TestKeyRefuses(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{keyErr[*int](), "ptr"},
		{keyErr[any](), "interface"},
		{keyErr[struct{ A struct{ C chan int } }](), ".A.C: a chan"},
		{keyErr[complex128](), "complex128"},
		{keyErr[[2000]byte](), "too long"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", c.err, c.want)
		}
	}
}

func keyErr[K comparable]() error {
	_, err := KeyOf[K]()
	return err
}

func TestSameKey(t *testing.T) {
	key, err := KeyOf[[2]float64]()
	if err != nil {
		t.Fatal(err)
	}
	nan, other := math.NaN(), math.Float64frombits(0x7ff0000000000001)
	for _, c := range []struct {
		a, b [2]float64
		want bool
	}{
		{[2]float64{1, nan}, [2]float64{1, other}, true},
		{[2]float64{0, 1}, [2]float64{math.Copysign(0, -1), 1}, true},
		{[2]float64{1, nan}, [2]float64{2, nan}, false},
	} {
		if got := key.Same(&c.a, &c.b); got != c.want {
			t.Errorf("Same(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestHashAllocatesNothing(t *testing.T) {
	type pair struct {
		S string
		N int
	}
	key, err := KeyOf[pair]()
	if err != nil {
		t.Fatal(err)
	}
	h, k := key.Hasher(), &pair{"text", 1}
	if n := testing.AllocsPerRun(100, func() { h.Hash(k) }); n != 0 {
		t.Errorf("%v allocations a hash", n)
	}
}
