package operator

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"
)

// decode reads the value at p from the front of src. Strings and byte slices refer to src.
func (l *layout) decode(src []byte, p unsafe.Pointer, depth int) ([]byte, error) {
	if len(src) < l.min {
		return nil, ErrTruncated
	}
	var u uint64
	var ok bool
	for i := range l.fields {
		f := &l.fields[i]
		q := unsafe.Add(p, f.offset)
		switch f.form {
		case formInt64:
			if u, src, ok = uvarint(src); !ok {
				return nil, ErrCorrupt
			}
			*(*int64)(q) = int64(u>>1) ^ -int64(u&1)
		case formUint64:
			if u, src, ok = uvarint(src); !ok {
				return nil, ErrCorrupt
			}
			*(*uint64)(q) = u
		case formInt32:
			if u, src, ok = uvarint(src); !ok || u>>32 != 0 {
				return nil, ErrCorrupt
			}
			*(*int32)(q) = int32(uint32(u)>>1) ^ -int32(u&1)
		case formUint32:
			if u, src, ok = uvarint(src); !ok || u>>32 != 0 {
				return nil, ErrCorrupt
			}
			*(*uint32)(q) = uint32(u)
		case formString:
			if u, src, ok = uvarint(src); !ok {
				return nil, ErrCorrupt
			}
			if u > uint64(len(src)) {
				return nil, ErrTruncated
			}
			*(*string)(q) = unsafe.String(unsafe.SliceData(src), int(u))
			src = src[u:]
		case formRaw:
			if len(src) < f.n {
				return nil, ErrTruncated
			}
			copy(unsafe.Slice((*byte)(q), f.n), src)
			src = src[f.n:]
		default:
			var err error
			if src, err = f.decode(src, q, depth); err != nil {
				return nil, err
			}
		}
	}
	return src, nil
}

// uvarint reads one varint in its shortest form or any other, as long as it fits.
func uvarint(src []byte) (uint64, []byte, bool) {
	if len(src) > 0 && src[0] < 0x80 {
		return uint64(src[0]), src[1:], true
	}
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, nil, false
	}
	return v, src[n:], true
}

// decode reads the less frequent forms.
func (f *field) decode(src []byte, q unsafe.Pointer, depth int) ([]byte, error) {
	switch f.form {
	case formBool, formInt8:
		if len(src) < 1 {
			return nil, ErrTruncated
		}
		if f.form == formBool && src[0] > 1 {
			return nil, ErrCorrupt
		}
		*(*byte)(q) = src[0]
		return src[1:], nil
	case formFix16:
		if len(src) < 2 {
			return nil, ErrTruncated
		}
		*(*uint16)(q) = binary.LittleEndian.Uint16(src)
		return src[2:], nil
	case formFix32:
		if len(src) < 4 {
			return nil, ErrTruncated
		}
		*(*uint32)(q) = binary.LittleEndian.Uint32(src)
		return src[4:], nil
	case formFix64:
		if len(src) < 8 {
			return nil, ErrTruncated
		}
		*(*uint64)(q) = binary.LittleEndian.Uint64(src)
		return src[8:], nil
	case formBytes:
		n, rest, err := length(src, 1, 1)
		if err != nil || n < 0 {
			*(*[]byte)(q) = nil
			return rest, err
		}
		*(*[]byte)(q) = rest[:n:n]
		return rest[n:], nil
	}
	if depth == 0 {
		return nil, ErrTooDeep
	}
	switch f.form {
	case formArray:
		return f.decodeElems(src, q, f.n, depth-1)
	case formSlice:
		return f.decodeSlice(src, q, depth-1)
	case formPointer:
		return f.decodePointer(src, q, depth-1)
	case formMap:
		return f.decodeMap(src, q, depth-1)
	case formBinary:
		return f.decodeBinary(src, q)
	}
	return nil, ErrCorrupt
}

// maxDecoded bounds what the elements of one slice or map may take in memory before they have been read.
const maxDecoded = 64 << 20

// length reads a length+1 or 0 for nil (-1) and checks it against what the rest can hold, least bytes an element, and what its elements
// of size bytes would take.
func length(src []byte, least, size int) (int, []byte, error) {
	u, rest, ok := uvarint(src)
	if !ok {
		return 0, nil, ErrCorrupt
	}
	if u == 0 {
		return -1, rest, nil
	}
	u--
	if least > 0 && u > uint64(len(rest)/least) {
		return 0, nil, ErrTruncated
	}
	if u > maxDecoded || size > 0 && u > uint64(maxDecoded/size) {
		return 0, nil, fmt.Errorf("%w: %d elements of %d bytes", ErrCorrupt, u, size)
	}
	return int(u), rest, nil
}

func (f *field) decodeElems(src []byte, p unsafe.Pointer, n, depth int) ([]byte, error) {
	size := f.elem.typ.Size()
	if f.elem.raw {
		b := uintptr(n) * size
		if uintptr(len(src)) < b {
			return nil, ErrTruncated
		}
		copy(unsafe.Slice((*byte)(p), b), src)
		return src[b:], nil
	}
	var err error
	for i := range n {
		if src, err = f.elem.decode(src, unsafe.Add(p, uintptr(i)*size), depth); err != nil {
			return nil, err
		}
	}
	return src, nil
}

func (f *field) decodeSlice(src []byte, q unsafe.Pointer, depth int) ([]byte, error) {
	s := reflect.NewAt(f.typ, q).Elem()
	n, rest, err := length(src, f.elem.min, int(f.elem.typ.Size()))
	if err != nil || n < 0 {
		s.SetZero()
		return rest, err
	}
	s.Set(reflect.MakeSlice(f.typ, n, n))
	return f.decodeElems(rest, s.UnsafePointer(), n, depth)
}

func (f *field) decodePointer(src []byte, q unsafe.Pointer, depth int) ([]byte, error) {
	p := reflect.NewAt(f.typ, q).Elem()
	if len(src) < 1 {
		return nil, ErrTruncated
	}
	switch src[0] {
	case 0:
		p.SetZero()
		return src[1:], nil
	case 1:
		v := reflect.New(f.typ.Elem())
		rest, err := f.elem.decode(src[1:], v.UnsafePointer(), depth)
		if err != nil {
			return nil, err
		}
		p.Set(v.Convert(f.typ))
		return rest, nil
	}
	return nil, ErrCorrupt
}

func (f *field) decodeMap(src []byte, q unsafe.Pointer, depth int) ([]byte, error) {
	m := reflect.NewAt(f.typ, q).Elem()
	n, rest, err := length(src, f.key.min+f.elem.min, int(f.typ.Key().Size()+f.typ.Elem().Size()))
	if err != nil || n < 0 {
		m.SetZero()
		return rest, err
	}
	m.Set(reflect.MakeMap(f.typ))
	for range n {
		k, v := reflect.New(f.typ.Key()), reflect.New(f.typ.Elem())
		if rest, err = f.key.decode(rest, k.UnsafePointer(), depth); err != nil {
			return nil, err
		}
		if rest, err = f.elem.decode(rest, v.UnsafePointer(), depth); err != nil {
			return nil, err
		}
		if !k.Elem().Comparable() {
			return nil, fmt.Errorf("%w: map key cannot be compared", ErrCorrupt)
		}
		m.SetMapIndex(k.Elem(), v.Elem())
	}
	return rest, nil
}

func (f *field) decodeBinary(src []byte, q unsafe.Pointer) ([]byte, error) {
	n, rest, ok := uvarint(src)
	if !ok {
		return nil, ErrCorrupt
	}
	if n > uint64(len(rest)) {
		return nil, ErrTruncated
	}
	v := reflect.NewAt(f.typ, q)
	v.Elem().SetZero()
	if err := v.Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(rest[:n:n]); err != nil {
		return nil, fmt.Errorf("decode %s: %w", f.typ, err)
	}
	return rest[n:], nil
}
