package state

// Window is how many keys Find looks for at once.
const Window = 16

// Find looks for up to Window keys and puts the numbers of their entries into found, 0 where there is none. The numbers are for At, and
// hold until a key is deleted.
//
// In a table larger than the processor's caches, a lookup is a few waits for memory. Here the waits of all keys pass at the same time,
// because none of the loops depends on what its earlier rounds have read.
func (t *Table[K, V]) Find(keys []K, found *[Window]uint32) {
	n := min(len(keys), Window)
	keys = keys[:n]
	for i, k := range keys {
		found[i] = t.cfg.Key.Local(k)
	}
	slots, shift := t.index.slots, t.index.shift
	mask := uint32(len(slots) - 1)
	var first [Window]slot
	for i, hash := range found[:n] {
		first[i] = slots[hash>>shift&mask]
	}
	for i, k := range keys {
		s := first[i]
		if s.hash == found[i] && s.number != 0 && t.pages[s.number/pageSize].entries[s.number%pageSize].key == k {
			found[i] = s.number
		} else {
			found[i] = t.find(k, found[i])
		}
	}
}

// Entry returns the value of an entry that Find has found, and whether it is owned, as Get does.
func (t *Table[K, V]) Entry(number uint32) (v *V, owned bool) {
	p := t.pages[number/pageSize]
	return &p.entries[number%pageSize].value, p.version == t.version
}

// At returns the value of an entry that Find has found, as Update does.
func (t *Table[K, V]) At(number uint32) (*V, error) {
	p := t.pages[number/pageSize]
	if p.version != t.version {
		var err error
		if p, err = t.own(number); err != nil {
			return nil, err
		}
	}
	return &p.entries[number%pageSize].value, nil
}
