package state

// Window is how many keys Find looks for at once.
const Window = 16

// Find looks for up to Window keys and puts into found what Update returns for those that are there and that no snapshot can see, else nil.
// It holds until a key is deleted or the table is cleared, or until the next snapshot.
//
// In a table larger than the processor's caches, a lookup is a few waits for memory. Here the waits of all keys pass at the same time,
// because none of the loops depends on what its earlier rounds have read.
func (t *Table[K, V]) Find(keys []K, found *[Window]*V) {
	n := min(len(keys), Window)
	keys = keys[:n]
	var hashes [Window]uint32
	for i, k := range keys {
		hashes[i] = t.cfg.Key.Local(k)
	}
	slots, shift := t.index.slots, t.index.shift
	mask := uint32(len(slots) - 1)
	var first [Window]slot
	for i, hash := range hashes[:n] {
		first[i] = slots[hash>>shift&mask]
	}
	for i, k := range keys {
		s := first[i]
		if s.hash != hashes[i] || s.number == 0 || t.pages[s.number/pageSize].entries[s.number%pageSize].key != k {
			s.number = t.find(k, hashes[i])
		}
		found[i] = nil
		if s.number != 0 {
			if p := t.pages[s.number/pageSize]; p.version == t.version {
				found[i] = &p.entries[s.number%pageSize].value
			}
		}
	}
}
