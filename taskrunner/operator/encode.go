package operator

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"
)

// sliceHeader is the memory of a slice.
type sliceHeader struct {
	data unsafe.Pointer
	len  int
	cap  int
}

// append appends the encoding of the value at p. It keeps no reference to it.
func (l *layout) append(dst []byte, p unsafe.Pointer, depth int) ([]byte, error) {
	for i := range l.fields {
		f := &l.fields[i]
		q := unsafe.Add(p, f.offset)
		switch f.form {
		case formInt64:
			v := *(*int64)(q)
			dst = appendUvarint(dst, uint64(v)<<1^uint64(v>>63))
		case formUint64:
			dst = appendUvarint(dst, *(*uint64)(q))
		case formInt32:
			v := *(*int32)(q)
			dst = appendUvarint(dst, uint64(uint32(v)<<1^uint32(v>>31)))
		case formUint32:
			dst = appendUvarint(dst, uint64(*(*uint32)(q)))
		case formString:
			s := *(*string)(q)
			dst = appendUvarint(dst, uint64(len(s)))
			dst = append(dst, s...)
		case formRaw:
			dst = append(dst, unsafe.Slice((*byte)(q), f.n)...)
		case formBool, formInt8:
			dst = append(dst, *(*byte)(q))
		case formFix16:
			dst = binary.LittleEndian.AppendUint16(dst, *(*uint16)(q))
		case formFix32:
			dst = binary.LittleEndian.AppendUint32(dst, *(*uint32)(q))
		case formFix64:
			dst = binary.LittleEndian.AppendUint64(dst, *(*uint64)(q))
		case formBytes:
			b := *(*[]byte)(q)
			if b == nil {
				dst = append(dst, 0)
			} else {
				dst = append(appendUvarint(dst, uint64(len(b))+1), b...)
			}
		default:
			var err error
			if dst, err = f.append(dst, q, depth); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

func appendUvarint(dst []byte, v uint64) []byte {
	if v < 0x80 {
		return append(dst, byte(v))
	}
	return binary.AppendUvarint(dst, v)
}

// append appends the forms that contain other values.
func (f *field) append(dst []byte, q unsafe.Pointer, depth int) ([]byte, error) {
	if depth == 0 {
		return dst, ErrTooDeep
	}
	var err error
	switch f.form {
	case formArray:
		return f.appendElems(dst, q, f.n, depth-1)
	case formSlice:
		s := *(*sliceHeader)(q)
		if s.data == nil {
			return append(dst, 0), nil
		}
		return f.appendElems(appendUvarint(dst, uint64(s.len)+1), s.data, s.len, depth-1)
	case formPointer:
		v := *(*unsafe.Pointer)(q)
		if v == nil {
			return append(dst, 0), nil
		}
		return f.elem.append(append(dst, 1), v, depth-1)
	case formMap:
		m := reflect.NewAt(f.typ, q).Elem()
		if m.IsNil() {
			return append(dst, 0), nil
		}
		dst = appendUvarint(dst, uint64(m.Len())+1)
		k, v := reflect.New(f.typ.Key()), reflect.New(f.typ.Elem())
		for it := m.MapRange(); it.Next(); {
			k.Elem().SetIterKey(it)
			v.Elem().SetIterValue(it)
			if dst, err = f.key.append(dst, k.UnsafePointer(), depth-1); err != nil {
				return dst, err
			}
			if dst, err = f.elem.append(dst, v.UnsafePointer(), depth-1); err != nil {
				return dst, err
			}
		}
		return dst, nil
	case formBinary:
		return f.appendBinary(dst, q)
	}
	return dst, fmt.Errorf("%w: form %d", ErrCorrupt, f.form)
}

func (f *field) appendElems(dst []byte, p unsafe.Pointer, n, depth int) ([]byte, error) {
	size := f.elem.typ.Size()
	if f.elem.raw {
		return append(dst, unsafe.Slice((*byte)(p), uintptr(n)*size)...), nil
	}
	var err error
	for i := range n {
		if dst, err = f.elem.append(dst, unsafe.Add(p, uintptr(i)*size), depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendBinary lets the value encode itself. The length goes in front as four bytes' worth of varint, moved up when it is known.
func (f *field) appendBinary(dst []byte, q unsafe.Pointer) ([]byte, error) {
	v := reflect.NewAt(f.typ, q).Interface()
	var b []byte
	var err error
	if a, ok := v.(encoding.BinaryAppender); ok {
		b, err = a.AppendBinary(nil)
	} else {
		b, err = v.(encoding.BinaryMarshaler).MarshalBinary()
	}
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", f.typ, err)
	}
	return append(appendUvarint(dst, uint64(len(b))), b...), nil
}

// size returns roughly how many bytes the value at p refers to.
func (l *layout) size(p unsafe.Pointer, depth int) int {
	n := 0
	for i := range l.extra {
		f := &l.extra[i]
		q := unsafe.Add(p, f.offset)
		switch f.form {
		case formString:
			n += len(*(*string)(q))
		case formBytes:
			n += len(*(*[]byte)(q))
		case formBinary:
			n += 32
		default:
			if depth > 0 {
				n += f.size(q, depth-1)
			}
		}
	}
	return n
}

func (f *field) size(q unsafe.Pointer, depth int) int {
	switch f.form {
	case formArray:
		return f.sizeElems(q, f.n, depth)
	case formSlice:
		s := *(*sliceHeader)(q)
		return s.len*int(f.elem.typ.Size()) + f.sizeElems(s.data, s.len, depth)
	case formPointer:
		if v := *(*unsafe.Pointer)(q); v != nil {
			return int(f.elem.typ.Size()) + f.elem.size(v, depth)
		}
	case formMap:
		m := reflect.NewAt(f.typ, q).Elem()
		return m.Len() * int(f.typ.Key().Size()+f.typ.Elem().Size()+16)
	}
	return 0
}

func (f *field) sizeElems(p unsafe.Pointer, n, depth int) int {
	if len(f.elem.extra) == 0 {
		return 0
	}
	total, size := 0, f.elem.typ.Size()
	for i := range n {
		total += f.elem.size(unsafe.Add(p, uintptr(i)*size), depth)
	}
	return total
}
