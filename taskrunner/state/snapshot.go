package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrCorrupt: bytes are no snapshot of such a table.
var ErrCorrupt = errors.New("state: snapshot is corrupt")

// snapshotVersion is the first byte of an encoded snapshot: then, for each key group with entries, its number, the number of bytes that
// follow for it, the number of entries (all uvarints), and keys and values by their codecs.
const snapshotVersion = 1

// Snapshot is a table as it was at one moment. It may be used on any goroutine, one at a time.
type Snapshot[K comparable, V any] struct {
	cfg   Config[K, V]
	pages []*page[K, V]
}

// Snapshot freezes the table. It takes time in proportion to the number of pages; what changes afterwards copies its page once.
func (t *Table[K, V]) Snapshot() *Snapshot[K, V] {
	t.version++
	return &Snapshot[K, V]{cfg: t.cfg, pages: slices.Clone(t.pages)}
}

// Append appends the encoding of the snapshot.
func (s *Snapshot[K, V]) Append(dst []byte) ([]byte, error) {
	dst = append(dst, snapshotVersion)
	order, ends := s.byGroup()
	var body []byte
	at := 0
	for i, end := range ends {
		if at == end {
			continue
		}
		body = binary.AppendUvarint(body[:0], uint64(end-at))
		for ; at < end; at++ {
			e := &s.pages[order[at]/pageSize].entries[order[at]%pageSize]
			var err error
			if body, err = s.cfg.KeyCodec.Append(body, &e.key); err != nil {
				return dst, fmt.Errorf("encode key %v: %w", e.key, err)
			}
			if body, err = s.cfg.ValueCodec.Append(body, &e.value); err != nil {
				return dst, fmt.Errorf("encode the value of key %v: %w", e.key, err)
			}
		}
		dst = binary.AppendUvarint(dst, uint64(i+s.cfg.FirstKeyGroup))
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	return dst, nil
}

// byGroup returns the numbers of all entries, by key group, and where in them each group of the table ends.
func (s *Snapshot[K, V]) byGroup() (order []uint32, ends []int) {
	ends = make([]int, s.cfg.LastKeyGroup-s.cfg.FirstKeyGroup+1)
	s.each(func(_ uint32, group int) { ends[group]++ })
	n := 0
	for g, size := range ends {
		ends[g] = n // where the group begins, until its entries have been put in
		n += size
	}
	order = make([]uint32, n)
	s.each(func(number uint32, group int) {
		order[ends[group]] = number
		ends[group]++
	})
	return order, ends
}

// each calls f with the number and the key group, counted from the table's first, of each entry.
func (s *Snapshot[K, V]) each(f func(number uint32, group int)) {
	for i, p := range s.pages {
		for k, g := range &p.groups {
			if g != 0 {
				f(uint32(i*pageSize+k), int(g)-1-s.cfg.FirstKeyGroup)
			}
		}
	}
}

// Restore adds the entries of an encoded snapshot that belong to the table's key groups. A subtask that took over groups of several others
// restores each of their snapshots.
func (t *Table[K, V]) Restore(src []byte) error {
	if len(src) == 0 || src[0] != snapshotVersion {
		return fmt.Errorf("%w: unknown version", ErrCorrupt)
	}
	src = src[1:]
	for len(src) > 0 {
		group, n := binary.Uvarint(src)
		if n <= 0 || group >= uint64(t.cfg.MaxParallelism) {
			return fmt.Errorf("%w: key group", ErrCorrupt)
		}
		src = src[n:]
		size, n := binary.Uvarint(src)
		if n <= 0 || size > uint64(len(src)-n) {
			return fmt.Errorf("%w: size of key group %d", ErrCorrupt, group)
		}
		body := src[n : n+int(size)]
		src = src[n+int(size):]
		if group < uint64(t.cfg.FirstKeyGroup) || group > uint64(t.cfg.LastKeyGroup) {
			continue
		}
		if err := t.restoreGroup(body); err != nil {
			return fmt.Errorf("restore key group %d: %w", group, err)
		}
	}
	return nil
}

func (t *Table[K, V]) restoreGroup(body []byte) error {
	count, n := binary.Uvarint(body)
	if n <= 0 {
		return ErrCorrupt
	}
	if t.cfg.KeyCodec.References() || t.cfg.ValueCodec.References() {
		body = append([]byte(nil), body...) // keys and values refer to it
	}
	body = body[n:]
	for range count {
		var k K
		var v V
		var err error
		if body, err = t.cfg.KeyCodec.Decode(body, &k); err != nil {
			return err
		}
		if body, err = t.cfg.ValueCodec.Decode(body, &v); err != nil {
			return err
		}
		at, err := t.Update(k)
		if err != nil {
			return err
		}
		*at = v
	}
	if len(body) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrCorrupt, len(body))
	}
	return nil
}
