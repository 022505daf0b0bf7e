package operator

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
)

// maxDepth bounds how deep values may be nested; a cyclic value ends there with an error.
const maxDepth = 200

// form is how one field of a flattened type is encoded.
type form uint8

const (
	formBool    form = iota + 1
	formInt8         // one byte
	formFix16        // little endian
	formFix32        // float32
	formFix64        // float64
	formInt32        // zigzag varint
	formInt64        // zigzag varint
	formUint32       // varint
	formUint64       // varint
	formString       // varint length, bytes
	formBytes        // varint length+1 or 0 for nil, bytes
	formSlice        // varint length+1 or 0 for nil, elements
	formArray        // elements
	formRaw          // array of fixed-width numbers: their bytes as in memory, which is little endian wherever this runs
	formMap          // varint length+1 or 0 for nil, keys and values in no order
	formPointer      // 1 and the value, or 0 for nil
	formBinary       // varint length, the type's own encoding
)

// field is a part of a type at an offset, encoded in one form.
type field struct {
	form   form
	offset uintptr
	n      int          // formArray: elements; formRaw: bytes
	typ    reflect.Type // of the field, for forms that need reflection
	elem   *layout      // element, pointed-to or map value
	key    *layout      // formMap
}

// layout is a compiled type: its fields flattened, in order.
type layout struct {
	typ     reflect.Type
	fields  []field
	extra   []field // those that refer to memory outside
	refs    bool
	mutable bool // refers to memory that can be written to
	min     int  // least number of encoded bytes
	raw     bool // a number whose encoding is its memory
	done    bool
}

// compile returns the layout of t.
func compile(t reflect.Type) (*layout, error) {
	if l, ok := layouts.Load(t); ok {
		return l.(*layout), nil
	}
	c := compiler{made: make(map[reflect.Type]*layout)}
	l, err := c.layout(t, t.String())
	if err != nil {
		return nil, err
	}
	got, _ := layouts.LoadOrStore(t, l)
	return got.(*layout), nil
}

type compiler struct{ made map[reflect.Type]*layout }

func (c *compiler) layout(t reflect.Type, path string) (*layout, error) {
	if l := c.made[t]; l != nil {
		if !l.done {
			l.refs, l.mutable = true, true // a type that contains itself does so through a reference
		}
		return l, nil
	}
	l := &layout{typ: t}
	c.made[t] = l
	if err := c.add(l, t, 0, path); err != nil {
		return nil, err
	}
	l.raw = fixedWidth(t)
	l.done = true
	return l, nil
}

var (
	appender    = reflect.TypeFor[encoding.BinaryAppender]()
	marshaler   = reflect.TypeFor[encoding.BinaryMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// encodesItself reports whether t or *t has its own binary form.
func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return (p.Implements(appender) || p.Implements(marshaler)) && p.Implements(unmarshaler)
}

// scalars maps the kinds that are encoded as they are.
var scalars = map[reflect.Kind]form{
	reflect.Bool: formBool, reflect.Int8: formInt8, reflect.Uint8: formInt8, reflect.Int16: formFix16, reflect.Uint16: formFix16,
	reflect.Int32: formInt32, reflect.Int64: formInt64, reflect.Int: formInt64, reflect.Uint32: formUint32, reflect.Uint64: formUint64,
	reflect.Uint: formUint64, reflect.Float32: formFix32, reflect.Float64: formFix64,
}

var scalarSize = map[form]int{formBool: 1, formInt8: 1, formFix16: 2, formFix32: 4, formFix64: 8, formInt32: 1, formInt64: 1, formUint32: 1, formUint64: 1}

// fixedWidth reports whether values of t are numbers that are encoded as they lie in memory.
func fixedWidth(t reflect.Type) bool {
	switch scalars[t.Kind()] {
	case formInt8, formFix16, formFix32, formFix64:
		return !encodesItself(t)
	}
	return false
}

// add appends the fields of t at an offset; path names the field for errors.
func (c *compiler) add(l *layout, t reflect.Type, offset uintptr, path string) error {
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && encodesItself(t) {
		l.put(field{form: formBinary, offset: offset, typ: t}, 1, true)
		return nil
	}
	if f, ok := scalars[t.Kind()]; ok {
		l.put(field{form: f, offset: offset}, scalarSize[f], false)
		return nil
	}
	switch t.Kind() {
	case reflect.Complex64:
		l.put(field{form: formFix32, offset: offset}, 4, false)
		l.put(field{form: formFix32, offset: offset + 4}, 4, false)
		return nil
	case reflect.Complex128:
		l.put(field{form: formFix64, offset: offset}, 8, false)
		l.put(field{form: formFix64, offset: offset + 8}, 8, false)
		return nil
	case reflect.String:
		l.put(field{form: formString, offset: offset}, 1, false)
		l.refs = true
		l.extra = append(l.extra, l.fields[len(l.fields)-1])
		return nil
	case reflect.Struct:
		return c.addStruct(l, t, offset, path)
	case reflect.Array:
		return c.addArray(l, t, offset, path)
	case reflect.Slice:
		if e := t.Elem(); e.Kind() == reflect.Uint8 && !encodesItself(e) {
			l.put(field{form: formBytes, offset: offset}, 1, true)
			return nil
		}
		return c.addElem(l, t, field{form: formSlice, offset: offset, typ: t}, path+"[]")
	case reflect.Pointer:
		return c.addElem(l, t, field{form: formPointer, offset: offset, typ: t}, path)
	case reflect.Map:
		k, err := c.layout(t.Key(), path+" (key)")
		if err != nil {
			return err
		}
		return c.addElem(l, t, field{form: formMap, offset: offset, typ: t, key: k}, path+"[]")
	}
	return fmt.Errorf("no codec for %s: a %s cannot be encoded; use another type, or give the type MarshalBinary and UnmarshalBinary", path, kindName(t))
}

func kindName(t reflect.Type) string {
	if t.Kind() == reflect.Interface {
		return "value of interface type " + t.String()
	}
	return t.Kind().String()
}

func (l *layout) put(f field, least int, refers bool) {
	l.fields = append(l.fields, f)
	l.min += least
	if refers {
		l.refs, l.mutable = true, true
		l.extra = append(l.extra, f)
	}
}

func (c *compiler) addElem(l *layout, t reflect.Type, f field, path string) error {
	e, err := c.layout(t.Elem(), path)
	if err != nil {
		return err
	}
	f.elem = e
	l.put(f, 1, true)
	return nil
}

func (c *compiler) addStruct(l *layout, t reflect.Type, offset uintptr, path string) error {
	if p := t.PkgPath(); p == "sync" || p == "sync/atomic" {
		return fmt.Errorf("no codec for %s: a %s belongs to one process and cannot be encoded", path, t)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		if err := c.add(l, f.Type, offset+f.Offset, path+"."+f.Name); err != nil {
			return err
		}
	}
	return nil
}

// addArray flattens small arrays and keeps a loop for others.
func (c *compiler) addArray(l *layout, t reflect.Type, offset uintptr, path string) error {
	if fixedWidth(t.Elem()) {
		l.put(field{form: formRaw, offset: offset, n: int(t.Size())}, int(t.Size()), false)
		return nil
	}
	const flat = 16
	if t.Len() <= flat {
		for i := range t.Len() {
			if err := c.add(l, t.Elem(), offset+uintptr(i)*t.Elem().Size(), path+"[]"); err != nil {
				return err
			}
		}
		return nil
	}
	e, err := c.layout(t.Elem(), path+"[]")
	if err != nil {
		return err
	}
	f := field{form: formArray, offset: offset, n: t.Len(), typ: t, elem: e}
	l.put(f, t.Len()*e.min, false)
	if e.refs {
		l.refs, l.mutable = true, l.mutable || e.mutable
		l.extra = append(l.extra, f)
	}
	return nil
}

// Errors of decoding.
var (
	// ErrTruncated: the bytes end inside a value.
	ErrTruncated = errors.New("operator: encoded value is truncated")
	// ErrCorrupt: the bytes are no encoding of the type.
	ErrCorrupt = errors.New("operator: encoded value is corrupt")
	// ErrTooDeep: a value is nested too deep to be encoded, or refers to itself.
	ErrTooDeep = errors.New("operator: value is nested too deep, or refers to itself")
)
