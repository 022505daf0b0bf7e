package state

// index finds the numbers of entries by the hash of their key: an open-addressed table, at most two thirds full, with linear probing from
// the place that the hash's upper bits name. So what lies side by side stays so when the index grows, which is one pass through memory.
type index struct {
	slots []slot
	shift uint8 // 32 - log2(len(slots))
}

// slot is the hash and the number of an entry; number 0: it is empty.
type slot struct{ hash, number uint32 }

const (
	firstSlots = 8
	firstShift = 32 - 3
)

func newIndex() index { return index{slots: make([]slot, firstSlots), shift: firstShift} }

// add puts in an entry that is not there; n is how many there are with it.
func (x *index) add(s slot, n int) {
	if 3*n > 2*len(x.slots) {
		old := x.slots
		x.slots = make([]slot, 2*len(old))
		x.shift--
		for _, o := range old {
			if o.number != 0 {
				x.put(o)
			}
		}
	}
	x.put(s)
}

func (x *index) put(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash >> x.shift
	for x.slots[i&mask].number != 0 {
		i++
	}
	x.slots[i&mask] = s
}

// remove takes out an entry that is there. Those behind it that a search would no longer reach move up into the gap.
func (x *index) remove(s slot) {
	mask := uint32(len(x.slots) - 1)
	gap := s.hash >> x.shift & mask
	for x.slots[gap] != s {
		gap = (gap + 1) & mask
	}
	for i := (gap + 1) & mask; x.slots[i].number != 0; i = (i + 1) & mask {
		if from := x.slots[i].hash >> x.shift; (i-from)&mask >= (i-gap)&mask {
			x.slots[gap], gap = x.slots[i], i
		}
	}
	x.slots[gap] = slot{}
}
