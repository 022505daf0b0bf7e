package operator

import (
	"fmt"
	"reflect"
	"sync"
	"unsafe"
)

// Codec turns records of type T into bytes and back. It is used by several goroutines at once and keeps no state between calls.
// Every value takes at least one byte.
//
// CodecOf makes one for most types. A type that it refuses, or that has a better form, implements encoding.BinaryAppender (or
// BinaryMarshaler) and encoding.BinaryUnmarshaler, on the value or its pointer; or the edge is given a Codec.
type Codec[T any] interface {
	// Append appends the encoding of v.
	Append(dst []byte, v *T) ([]byte, error)
	// Decode reads one value from the front of src into v, all of which it overwrites, and returns the rest. It never writes to what v
	// referred to before. If References, what v refers to may lie in src; else src may be used again afterwards. It allocates no more
	// than a small multiple of len(src).
	Decode(src []byte, v *T) (rest []byte, err error)
	// Extra returns how many bytes v refers to, outside of T itself, roughly.
	Extra(v *T) int
	// References reports whether values of T refer to other memory: strings, slices, pointers, maps.
	References() bool
	// Name identifies the encoding in the plan.
	Name() string
}

// TypeName is how a type is called in plans and errors.
func TypeName[T any]() string { return reflect.TypeFor[T]().String() }

// codecScheme is the version of the compiled encoding; it is part of every name.
const codecScheme = "flott-1"

// CodecOf returns the codec for T, compiled once from the type: booleans, numbers, strings, structs with all their fields (also
// unexported ones), arrays, slices, maps and pointers of these, and types that encode themselves. Integers of 32 bits and more are
// varints. The error names the field that cannot be encoded.
func CodecOf[T any]() (Codec[T], error) {
	t := reflect.TypeFor[T]()
	p, err := compile(t)
	if err != nil {
		return nil, err
	}
	return &compiled[T]{p: p, name: codecScheme + ":" + t.String(), text: p.text()}, nil
}

// MustCodec is CodecOf for types known to have one, such as string; it panics for others.
func MustCodec[T any]() Codec[T] {
	c, err := CodecOf[T]()
	if err != nil {
		panic(fmt.Sprintf("operator.MustCodec: %v", err))
	}
	return c
}

type compiled[T any] struct {
	p    *layout
	name string
	text bool // a value is a string
}

func (c *compiled[T]) Append(dst []byte, v *T) ([]byte, error) {
	if c.p.min == 0 {
		dst = append(dst, 0) // a value takes at least a byte, so that a frame knows how many it holds
	}
	return c.p.append(dst, unsafe.Pointer(v), maxDepth)
}

func (c *compiled[T]) Decode(src []byte, v *T) ([]byte, error) {
	if c.p.min == 0 {
		if len(src) == 0 {
			return nil, ErrTruncated
		}
		src = src[1:]
	}
	return c.p.decode(src, unsafe.Pointer(v), maxDepth)
}

func (c *compiled[T]) Extra(v *T) int { return c.p.size(unsafe.Pointer(v), maxDepth) }

// texts returns the offsets of the strings in T; nil when there is none, or something else refers to memory too.
func (c *compiled[T]) texts() []uintptr {
	var at []uintptr
	for _, f := range c.p.extra {
		if f.form != formString {
			return nil
		}
		at = append(at, f.offset)
	}
	return at
}

func (c *compiled[T]) References() bool { return c.p.refs }

func (c *compiled[T]) Name() string { return c.name }

// immutable reports whether everything values refer to is read-only, as strings are.
func (c *compiled[T]) immutable() bool { return !c.p.mutable }

// sharesWritable reports whether two copies of a value of T may share memory that can be written to. Strings cannot.
func sharesWritable[T any](c Codec[T]) bool {
	if im, ok := c.(interface{ immutable() bool }); ok && im.immutable() {
		return false
	}
	return c.References()
}

// Cloner makes deep copies through a codec. It belongs to one goroutine.
type Cloner[T any] struct {
	codec   Codec[T]
	refs    bool
	scratch []byte
	in, out T
}

// NewCloner returns a cloner.
func NewCloner[T any](c Codec[T]) *Cloner[T] { return &Cloner[T]{codec: c, refs: c.References()} }

// Clone returns a copy of v that shares no memory with it.
func (c *Cloner[T]) Clone(v T) (T, error) {
	if !c.refs {
		return v, nil
	}
	return c.clone(v)
}

func (c *Cloner[T]) clone(v T) (T, error) {
	var zero T
	c.in, c.out = v, zero
	b, err := c.codec.Append(c.scratch[:0], &c.in)
	c.in = zero
	if err != nil {
		return zero, fmt.Errorf("copy a value of type %s: %w", TypeName[T](), err)
	}
	chunk := append(make([]byte, 0, len(b)), b...)
	if c.scratch = b[:0]; cap(b) > maxScratch {
		c.scratch = nil
	}
	if _, err := c.codec.Decode(chunk, &c.out); err != nil {
		return zero, fmt.Errorf("copy a value of type %s: %w", TypeName[T](), err)
	}
	v, c.out = c.out, zero
	return v, nil
}

// maxScratch is how much memory a cloner or hasher keeps between two values.
const maxScratch = 64 << 10

// copier is the Output that hands deep copies on.
type copier[T any] struct {
	cloner *Cloner[T]
	next   Output[T]
}

func (c *copier[T]) Collect(v T, t Time) error {
	v, err := c.cloner.Clone(v)
	if err != nil {
		return err
	}
	return c.next.Collect(v, t)
}

func (c *copier[T]) Control(ev Event) error { return c.next.Control(ev) }

// fanout is the Output that hands everything to several.
type fanout[T any] []Output[T]

func (f fanout[T]) Collect(v T, t Time) error {
	for _, o := range f {
		if err := o.Collect(v, t); err != nil {
			return err
		}
	}
	return nil
}

func (f fanout[T]) Control(ev Event) error {
	for _, o := range f {
		if err := o.Control(ev); err != nil {
			return err
		}
	}
	return nil
}

// layouts keeps what compile made, by type: compiling is a pure function of the type.
var layouts sync.Map // reflect.Type -> *layout
