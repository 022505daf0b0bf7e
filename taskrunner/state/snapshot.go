package state

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt: bytes are no snapshot of such a table.
var ErrCorrupt = errors.New("state: snapshot is corrupt")

// snapshotVersion is the first byte of an encoded snapshot: then, for each key group with entries, its number, the number of bytes that
// follow for it, the number of entries (all uvarints), and keys and values by their codecs.
const snapshotVersion = 1

// Snapshot is a table as it was at one moment. It may be used on any goroutine, one at a time.
type Snapshot[K comparable, V any] struct {
	cfg    Config[K, V]
	groups []frozen[K, V]
}

type frozen[K comparable, V any] struct {
	pages []*page[K, V]
	len   int
}

// Snapshot freezes the table. It takes time in proportion to the number of pages; what changes afterwards copies its page once.
func (t *Table[K, V]) Snapshot() *Snapshot[K, V] {
	s := &Snapshot[K, V]{cfg: t.cfg, groups: make([]frozen[K, V], len(t.groups))}
	for i := range t.groups {
		g := &t.groups[i]
		s.groups[i] = frozen[K, V]{pages: append([]*page[K, V](nil), g.pages...), len: g.len}
	}
	t.version++
	return s
}

// Append appends the encoding of the snapshot.
func (s *Snapshot[K, V]) Append(dst []byte) ([]byte, error) {
	dst = append(dst, snapshotVersion)
	var body []byte
	for i := range s.groups {
		g := &s.groups[i]
		if g.len == 0 {
			continue
		}
		body = binary.AppendUvarint(body[:0], uint64(g.len))
		for _, p := range g.pages {
			for k := range p.entries {
				e := &p.entries[k]
				if !e.live {
					continue
				}
				var err error
				if body, err = s.cfg.KeyCodec.Append(body, &e.key); err != nil {
					return dst, fmt.Errorf("encode key %v: %w", e.key, err)
				}
				if body, err = s.cfg.ValueCodec.Append(body, &e.value); err != nil {
					return dst, fmt.Errorf("encode the value of key %v: %w", e.key, err)
				}
			}
		}
		dst = binary.AppendUvarint(dst, uint64(i+s.cfg.FirstKeyGroup))
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	return dst, nil
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
