package operator

import (
	"fmt"
	"unsafe"
)

// runCodec turns runs of records without times into bytes and back. Compiled codecs do it without a call for each field of each record;
// oneByOne does it with any other.
type runCodec[T any] interface {
	// appendRun appends values while the result stays within limit bytes beyond dst, and returns how many. With one set it is at least
	// one: a first value above the limit comes alone.
	appendRun(dst []byte, values []T, limit int, one bool) (_ []byte, n int, err error)
	// decodeRun reads values from the front of src as long as there are bytes and room, and returns how many came in front of an error.
	decodeRun(src []byte, values []T) (rest []byte, n int, err error)
}

func runs[T any](c Codec[T]) runCodec[T] {
	if c, ok := c.(runCodec[T]); ok {
		return c
	}
	return oneByOne[T]{c}
}

// within says what becomes of a run whose next value has just been appended behind mark: whether it is taken back, and whether the run ends.
func within(start, mark, end, limit int, one bool) (back, full bool) {
	size := end - start
	return size > limit && (mark > start || !one), size >= limit
}

// oneByOne makes runs of single values.
type oneByOne[T any] struct{ codec Codec[T] }

func (c oneByOne[T]) appendRun(dst []byte, values []T, limit int, one bool) ([]byte, int, error) {
	start := len(dst)
	for i := range values {
		mark := len(dst)
		var err error
		if dst, err = c.codec.Append(dst, &values[i]); err != nil {
			return dst[:mark], i, err
		}
		if back, full := within(start, mark, len(dst), limit, one); back {
			return dst[:mark], i, nil
		} else if full {
			return dst, i + 1, nil
		}
	}
	return dst, len(values), nil
}

func (c oneByOne[T]) decodeRun(src []byte, values []T) ([]byte, int, error) {
	n := 0
	for ; n < len(values) && len(src) > 0; n++ {
		rest, err := c.codec.Decode(src, &values[n])
		if err == nil && len(rest) == len(src) {
			err = fmt.Errorf("%w: it takes no bytes", ErrCorrupt)
		}
		if err != nil {
			return nil, n, err
		}
		src = rest
	}
	return src, n, nil
}

// text reports whether a value is nothing but a string.
func (l *layout) text() bool {
	return len(l.fields) == 1 && l.fields[0].form == formString && l.typ.Size() == unsafe.Sizeof("")
}

// appendRun implements runCodec.
func (c *compiled[T]) appendRun(dst []byte, values []T, limit int, one bool) ([]byte, int, error) {
	if c.text {
		dst, n := appendTexts(dst, unsafe.Slice((*string)(unsafe.Pointer(unsafe.SliceData(values))), len(values)), limit, one)
		return dst, n, nil
	}
	if c.p.min == 0 {
		return oneByOne[T]{c}.appendRun(dst, values, limit, one)
	}
	return c.p.appendRun(dst, unsafe.Pointer(unsafe.SliceData(values)), len(values), limit, one)
}

// decodeRun implements runCodec.
func (c *compiled[T]) decodeRun(src []byte, values []T) ([]byte, int, error) {
	if c.text {
		return decodeTexts(src, unsafe.Slice((*string)(unsafe.Pointer(unsafe.SliceData(values))), len(values)))
	}
	if c.p.min == 0 {
		return oneByOne[T]{c}.decodeRun(src, values)
	}
	return c.p.decodeRun(src, unsafe.Pointer(unsafe.SliceData(values)), len(values))
}

// appendRun is runCodec's for count values that lie at p, each of which takes at least a byte.
func (l *layout) appendRun(dst []byte, p unsafe.Pointer, count, limit int, one bool) ([]byte, int, error) {
	start, size := len(dst), l.typ.Size()
	for i := range count {
		mark := len(dst)
		var err error
		if dst, err = l.append(dst, unsafe.Add(p, uintptr(i)*size), maxDepth); err != nil {
			return dst[:mark], i, err
		}
		if back, full := within(start, mark, len(dst), limit, one); back {
			return dst[:mark], i, nil
		} else if full {
			return dst, i + 1, nil
		}
	}
	return dst, count, nil
}

// decodeRun is runCodec's for room for count values at p, each of which takes at least a byte.
func (l *layout) decodeRun(src []byte, p unsafe.Pointer, count int) ([]byte, int, error) {
	n, size := 0, l.typ.Size()
	for ; n < count && len(src) > 0; n++ {
		var err error
		if src, err = l.decode(src, unsafe.Add(p, uintptr(n)*size), maxDepth); err != nil {
			return nil, n, err
		}
	}
	return src, n, nil
}

// appendTexts is appendRun for strings.
func appendTexts(dst []byte, values []string, limit int, one bool) ([]byte, int) {
	start := len(dst)
	for i, s := range values {
		mark := len(dst)
		dst = append(appendUvarint(dst, uint64(len(s))), s...)
		if back, full := within(start, mark, len(dst), limit, one); back {
			return dst[:mark], i
		} else if full {
			return dst, i + 1
		}
	}
	return dst, len(values)
}

// decodeTexts is decodeRun for strings, which refer to src.
func decodeTexts(src []byte, values []string) ([]byte, int, error) {
	n := 0
	for ; n < len(values) && len(src) > 0; n++ {
		size, rest, ok := uvarint(src)
		if !ok {
			return nil, n, ErrCorrupt
		}
		if size > uint64(len(rest)) {
			return nil, n, ErrTruncated
		}
		values[n] = unsafe.String(unsafe.SliceData(rest), int(size))
		src = rest[size:]
	}
	return src, n, nil
}
