package state

import "unsafe"

// Window is how many keys Find looks for at once.
const Window = 32

// Find looks for up to Window keys and puts into found what Update returns for those that are there and that no snapshot can see, else nil.
// It holds until a key is deleted or the table is cleared, or until the next snapshot.
//
// In a table larger than the processor's caches, a lookup is a few waits for memory. Here the waits of all keys pass at the same time,
// because none of the loops depends on what its earlier rounds have read.
func (t *Table[K, V]) Find(keys []K, found *[Window]*V) {
	keys = keys[:min(len(keys), Window)]
	var numbers, hashes [Window]uint32
	if t.texts != nil {
		t.texts.find(unsafe.Slice((*string)(unsafe.Pointer(unsafe.SliceData(keys))), len(keys)), &t.index, &numbers, &hashes)
	} else {
		t.first(keys, &numbers, &hashes)
	}
	for i, n := range numbers[:len(keys)] {
		if n == 0 {
			n = t.find(keys[i], hashes[i])
		}
		found[i] = nil
		if n != 0 {
			if p := t.pages[n/pageSize]; p.version == t.version {
				found[i] = &p.entries[n%pageSize].value
			}
		}
	}
}

// first is texts.find for other keys.
func (t *Table[K, V]) first(keys []K, numbers, hashes *[Window]uint32) {
	for i, k := range keys {
		hashes[i] = t.cfg.Key.Local(k)
	}
	slots, shift := t.index.slots, t.index.shift
	mask := uint32(len(slots) - 1)
	var first [Window]slot
	for i, hash := range hashes[:len(keys)] {
		first[i] = slots[hash>>shift&mask]
	}
	for i, k := range keys {
		if s := first[i]; s.hash == hashes[i] && s.number != 0 && t.pages[s.number/pageSize].entries[s.number%pageSize].key == k {
			numbers[i] = s.number
		}
	}
}
