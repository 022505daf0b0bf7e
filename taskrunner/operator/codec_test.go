package operator

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	A int8
	b string
	_ [3]byte
	C []byte
}

type everything struct {
	Bool       bool
	I8         int8
	U8         uint8
	I16        int16
	U16        uint16
	I32        int32
	U32        uint32
	I64        int64
	U64        uint64
	I          int
	U          uint
	F32        float32
	F64        float64
	C64        complex64
	C128       complex128
	S          string
	B          []byte
	In         inner
	Arr        [3]int16
	Long       [20]uint64
	LongString [17]string
	Slice      []inner
	Strings    []string
	Map        map[string][]int
	Ptr        *inner
	Nil        *inner
	Time       time.Time
	Next       *everything
	NilB       []byte
	EmptyB     []byte
	NilMap     map[int]int
	Floats     []float64
	Shorts     [40]int16
}

func sample() everything {
	in := inner{A: -3, b: "unexported", C: []byte{1, 2}}
	e := everything{Bool: true, I8: -8, U8: 200, I16: -1600, U16: 60000, I32: math.MinInt32, U32: math.MaxUint32, I64: math.MinInt64,
		U64: math.MaxUint64, I: -1, U: 1, F32: 1.5, F64: -2.5, C64: 1 + 2i, C128: 3 - 4i, S: "héllo", B: []byte("bytes"), In: in,
		Arr: [3]int16{1, -2, 3}, Slice: []inner{in, {}}, Strings: []string{"", "x"}, Map: map[string][]int{"a": {1}, "b": nil},
		Ptr: &in, Time: time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC), EmptyB: []byte{}, Floats: []float64{1, -2}, Shorts: [40]int16{39: -7}}
	e.Long[19], e.LongString[16] = 7, "last"
	next := e
	e.Next = &next
	return e
}

var compareInner = cmp.AllowUnexported(inner{}, own{})

func TestCodecRoundTrip(t *testing.T) {
	roundTrip(t, sample())
	roundTrip(t, everything{})
	roundTrip(t, "text")
	roundTrip(t, []byte("bytes"))
	roundTrip(t, int64(-5))
	roundTrip(t, uint8(5))
	roundTrip(t, 1.25)
	roundTrip(t, struct{}{})
	roundTrip(t, [0]int{})
	roundTrip(t, []struct{}{{}, {}})
	roundTrip(t, map[[2]string]*int{{"a", "b"}: nil})
	roundTrip(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	roundTrip(t, [][]string{{"a"}, nil, {}})
}

func roundTrip[T any](t *testing.T, v T) {
	t.Helper()
	c, err := CodecOf[T]()
	if err != nil {
		t.Fatalf("CodecOf[%T]: %v", v, err)
	}
	b, err := c.Append([]byte("before"), &v)
	if err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	if len(b) == len("before") {
		t.Errorf("%T takes no bytes", v)
	}
	var got T
	rest, err := c.Decode(append(b, "after"...)[len("before"):], &got)
	if err != nil || string(rest) != "after" {
		t.Fatalf("%T: rest %q, error %v", v, rest, err)
	}
	if d := cmp.Diff(v, got, compareInner); d != "" {
		t.Errorf("%T differs after a round trip:\n%s", v, d)
	}
	for n := range len(b) - len("before") {
		if _, err := c.Decode(b[len("before"):][:n:n], &got); err == nil {
			t.Errorf("%T: %d of %d bytes were decoded without an error", v, n, len(b))
		}
	}
}

func TestCodecGolden(t *testing.T) {
	type rec struct {
		W string
		N int
		F float32
		P *int16
		R [2]int16
		G []float32
	}
	c := MustCodec[rec]()
	n := int16(-2)
	v := rec{"ab", -1, 1, &n, [2]int16{1, -1}, []float32{1}}
	got, err := c.Append(nil, &v)
	if want := []byte{2, 'a', 'b', 1, 0, 0, 0x80, 0x3f, 1, 0xfe, 0xff, 1, 0, 0xff, 0xff, 2, 0, 0, 0x80, 0x3f}; err != nil || !bytes.Equal(got, want) {
		t.Errorf("encoded %x (%v), want %x: the encoding is part of stored snapshots", got, err, want)
	}
	if want := "flott-1:operator.rec"; c.Name() != want {
		t.Errorf("name %q, want %q", c.Name(), want)
	}
}

func TestCodecProperties(t *testing.T) {
	type flat struct {
		A, B int64
		C    [4]float64
	}
	type text struct {
		N int
		S string
	}
	for _, c := range []struct {
		name             string
		references, safe bool
		got, share       bool
		extra, want      int
	}{
		{"flat", false, false, MustCodec[flat]().References(), sharesWritable(MustCodec[flat]()), MustCodec[flat]().Extra(&flat{}), 0},
		{"string", true, false, MustCodec[text]().References(), sharesWritable(MustCodec[text]()), MustCodec[text]().Extra(&text{S: "four"}), 4},
		{"bytes", true, true, MustCodec[[]byte]().References(), sharesWritable(MustCodec[[]byte]()), MustCodec[[]byte]().Extra(&[]byte{1, 2}), 2},
		{"strings", true, false, MustCodec[[20]string]().References(), sharesWritable(MustCodec[[20]string]()), MustCodec[[20]string]().Extra(&[20]string{3: "abc"}), 3},
		{"slice", true, true, MustCodec[[]int64]().References(), sharesWritable(MustCodec[[]int64]()), MustCodec[[]int64]().Extra(&[]int64{1, 2}), 16},
		{"pointer", true, true, MustCodec[*int64]().References(), sharesWritable(MustCodec[*int64]()), MustCodec[*int64]().Extra(new(*int64)), 0},
	} {
		if c.got != c.references || c.share != c.safe || c.extra != c.want {
			t.Errorf("%s: references %v, shares writable memory %v, extra %d; want %v, %v, %d", c.name, c.got, c.share, c.extra, c.references, c.safe, c.want)
		}
	}
}

func TestCodecRefuses(t *testing.T) {
	type deep struct {
		Ok  int
		Bad struct{ List []map[string]func() }
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errOf[deep](), "no codec for operator.deep.Bad.List[][]: a func"},
		{errOf[any](), "interface"},
		{errOf[struct{ C chan int }](), ".C: a chan"},
		{errOf[struct{ M sync.Mutex }](), ".M: a sync.Mutex"},
		{errOf[map[any]int](), "(key)"},
		{errOf[uintptr](), "uintptr"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", c.err, c.want)
		}
	}
}

func errOf[T any]() error {
	_, err := CodecOf[T]()
	return err
}

func TestCodecCyclicValue(t *testing.T) {
	type node struct{ Next *node }
	n := &node{}
	n.Next = n
	if _, err := MustCodec[*node]().Append(nil, &n); !errors.Is(err, ErrTooDeep) {
		t.Errorf("error %v, want %v", err, ErrTooDeep)
	}
}

// own is a type with its own encoding, which may fail.
type own struct{ fail bool }

func (o own) AppendBinary(b []byte) ([]byte, error) {
	if o.fail {
		return b, errors.New("no wish to be encoded")
	}
	return append(b, "own"...), nil
}

func (o *own) UnmarshalBinary(b []byte) error {
	if string(b) != "own" {
		return errors.New("not mine")
	}
	return nil
}

func TestCodecOfTypeThatEncodesItself(t *testing.T) {
	roundTrip(t, struct{ O own }{})
	c := MustCodec[own]()
	if _, err := c.Append(nil, &own{fail: true}); err == nil || !strings.Contains(err.Error(), "no wish") {
		t.Errorf("error %v", err)
	}
	var o own
	if _, err := c.Decode([]byte{2, 'n', 'o'}, &o); err == nil || !strings.Contains(err.Error(), "not mine") {
		t.Errorf("error %v", err)
	}
}

func TestDecodeBounds(t *testing.T) {
	var s []int64
	if _, err := MustCodec[[]int64]().Decode([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, &s); !errors.Is(err, ErrTruncated) {
		t.Errorf("slice longer than its bytes: %v", err)
	}
	type pad struct{ _ [1 << 20]byte }
	var p []pad
	if _, err := MustCodec[[]pad]().Decode([]byte{0xff, 0x01}, &p); !errors.Is(err, ErrCorrupt) {
		t.Errorf("slice of 254 MiB in two bytes: %v", err)
	}
	var m map[int8]int8
	if _, err := MustCodec[map[int8]int8]().Decode([]byte{100, 1, 1}, &m); !errors.Is(err, ErrTruncated) {
		t.Errorf("map longer than its bytes: %v", err)
	}
	var u uint32
	if _, err := MustCodec[uint32]().Decode([]byte{0xff, 0xff, 0xff, 0xff, 0x7f}, &u); !errors.Is(err, ErrCorrupt) {
		t.Errorf("uint32 out of range: %v", err)
	}
	var b bool
	if _, err := MustCodec[bool]().Decode([]byte{2}, &b); !errors.Is(err, ErrCorrupt) {
		t.Errorf("bool of 2: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	v := sample()
	c := MustCodec[everything]()
	b, err := c.Append(nil, &v)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var v everything
		rest, err := c.Decode(b, &v)
		if err != nil {
			return
		}
		again, err := c.Append(nil, &v)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		var w everything
		if left, err := c.Decode(again, &w); err != nil || len(left) != 0 || len(rest) > len(b) {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
	})
}

func TestCloner(t *testing.T) {
	type rec struct {
		S string
		B []byte
	}
	v := rec{"text", []byte("abc")}
	got, err := NewCloner(MustCodec[rec]()).Clone(v)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Fatalf("clone %v (%v), want %v", got, err, v)
	}
	if v.B[0] = 'x'; got.B[0] != 'a' {
		t.Error("the clone shares the bytes of the original")
	}
	if got.B = append(got.B, 'y'); got.S != "text" {
		t.Error("appending to one field changed another")
	}
}

func TestFrameOfReferencesIsCopied(t *testing.T) {
	c := MustCodec[string]()
	s := "a string"
	frame, err := c.Append(nil, &s)
	if err != nil {
		t.Fatal(err)
	}
	var got collected[string]
	h, err := Edge[string]{Codec: c}.Reader(&got)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Frame(frame, false); err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if len(got.values) != 1 || got.values[0] != s {
		t.Errorf("got %q after the frame's memory was used again, want %q", got.values, s)
	}
	if err := h.Frame([]byte{200}, false); err == nil {
		t.Error("a corrupt frame was accepted")
	}
	if err := h.Frame([]byte{1, 2, 3}, true); !errors.Is(err, ErrTruncated) {
		t.Errorf("a frame that ends in a time: %v", err)
	}
	if err := h.Batch(&Batch[int]{}); err == nil {
		t.Error("a batch of another type was accepted")
	}
}

// collected is an Output that remembers.
type collected[T any] struct {
	values []T
	times  []Time
	events []Event
	err    error
}

func (c *collected[T]) Collect(v T, t Time) error {
	c.values, c.times = append(c.values, v), append(c.times, t)
	return c.err
}

func (c *collected[T]) Control(ev Event) error {
	c.events = append(c.events, ev)
	return c.err
}

type benchRecord struct {
	Key     string
	A, B    int64
	Payload [72]byte
}

func BenchmarkCodec(b *testing.B) {
	v := benchRecord{Key: "01234567890", A: 1 << 40, B: 7}
	c := MustCodec[benchRecord]()
	buf, err := c.Append(nil, &v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = c.Append(buf[:0], &v)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(buf, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
