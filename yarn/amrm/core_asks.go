package amrm

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/yarn/yarnid"
)

// askState is one row of the table of outstanding asks.
type askState struct {
	ask         Ask
	outstanding int  // sent or to be sent, less what arrived since
	dirty       bool // the YARN RM must be told
	accepted    *Ask // what the YARN RM last took, nil after a resync: lets a refused change cancel it
	deliveries  []delivery
}

// delivery notes how many containers an Allocated event carried for a key, until an Ask counts them (Ask.AsOf).
type delivery struct {
	seq   uint64
	count int
}

func (c *core) setAsk(now time.Time, a Ask) {
	st := c.asks[a.AskKey]
	if st == nil {
		if a.Count <= 0 {
			return
		}
		st = &askState{}
		c.asks[a.AskKey] = st
	}
	uncounted := 0
	if a.AsOf != 0 {
		st.deliveries = slices.DeleteFunc(st.deliveries, func(d delivery) bool { return d.seq <= a.AsOf })
		for _, d := range st.deliveries {
			uncounted += d.count
		}
	} else {
		st.deliveries = nil
	}
	outstanding := max(0, a.Count-uncounted)
	same := st.ask.Resource.Equal(a.Resource) && st.ask.NodeLabel == a.NodeLabel
	if outstanding == st.outstanding && (same || outstanding == 0) {
		return
	}
	if outstanding > st.outstanding || !same {
		c.askingSince = now
	}
	st.ask, st.outstanding, st.dirty = a, outstanding, true
}

// asking reports whether containers are outstanding.
func (c *core) asking() bool {
	for _, st := range c.asks {
		if st.outstanding > 0 {
			return true
		}
	}
	return false
}

// nextAsks chooses the asks of the next allocate: one suspect while there are any, else everything changed.
func (c *core) nextAsks() []AskKey {
	for len(c.suspects) > 0 {
		if key := c.suspects[0]; c.asks[key].dirty {
			return []AskKey{key}
		}
		c.suspects = c.suspects[1:]
	}
	var keys []AskKey
	for key, st := range c.asks {
		if st.dirty {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareAskKeys)
	return keys
}

// accepted notes that the YARN RM took the asks of a delta.
func (c *core) accepted(req *allocateRequest) {
	for _, a := range req.asks {
		c.asks[a.AskKey].accepted = &a
		if len(c.suspects) > 0 && c.suspects[0] == a.AskKey {
			c.suspects = c.suspects[1:]
		}
	}
}

// delivered lowers the outstanding numbers by newly allocated containers. A key whose ask went out with the very
// allocate that brought containers is told again: the YARN RM granted them before it overwrote its count with ours,
// so it holds that many too much.
func (c *core) delivered(seq uint64, containers []Container, req *allocateRequest) {
	counts := map[AskKey]int{}
	for _, ct := range containers {
		counts[ct.AskKey]++
	}
	for key, n := range counts {
		st := c.asks[key]
		if st == nil {
			continue
		}
		st.deliveries = append(st.deliveries, delivery{seq, n})
		before := st.outstanding
		st.outstanding = max(0, before-n)
		crossed := slices.ContainsFunc(req.asks, func(a Ask) bool { return a.AskKey == key && a.Count > 0 })
		if crossed && st.outstanding != before {
			st.dirty = true
		}
	}
}

// refuseAsks handles an allocate that was rejected because of its asks: a single one is dropped and surfaced, of
// several each is tried alone.
func (c *core) refuseAsks(req *allocateRequest, reason string) {
	c.restore(req)
	if len(req.asks) > 1 {
		c.suspects = c.suspects[:0]
		for _, a := range req.asks {
			c.suspects = append(c.suspects, a.AskKey)
		}
		return
	}
	a := req.asks[0]
	st := c.asks[a.AskKey]
	c.suspects = slices.DeleteFunc(c.suspects, func(k AskKey) bool { return k == a.AskKey })
	refused := st.ask
	st.outstanding, st.dirty, st.deliveries = 0, false, nil
	if st.accepted != nil && st.accepted.Count > 0 {
		// What was taken under this key earlier is still outstanding over there.
		st.ask, st.dirty = *st.accepted, true
	}
	c.emit(AskRejected{Ask: refused, Reason: firstLine(reason)})
}

func (c *core) release(now time.Time, ids []yarnid.ContainerID) {
	for _, id := range ids {
		if _, again := c.unconfirmed[id]; again {
			continue
		}
		c.unconfirmed[id] = now
		c.releases = append(c.releases, id)
	}
}

// refuseReleases drops the containers the YARN RM will not take back: those its message names, else all.
func (c *core) refuseReleases(req *allocateRequest, reason string) {
	c.restore(req)
	drop := func(id yarnid.ContainerID) bool {
		return slices.Contains(req.releases, id) && strings.Contains(reason, id.String())
	}
	if !slices.ContainsFunc(req.releases, drop) {
		drop = func(id yarnid.ContainerID) bool { return slices.Contains(req.releases, id) }
	}
	c.releases = slices.DeleteFunc(c.releases, func(id yarnid.ContainerID) bool {
		if !drop(id) {
			return false
		}
		delete(c.unconfirmed, id)
		return true
	})
}

func (c *core) changeBlacklist(add, remove []string) {
	for _, h := range add {
		if _, known := c.blacklist[h]; known || h == "" || h == "*" {
			continue
		}
		c.blacklist[h] = struct{}{}
		c.blackAdd[h] = struct{}{}
		delete(c.blackRemove, h)
	}
	for _, h := range remove {
		if _, known := c.blacklist[h]; !known {
			continue
		}
		delete(c.blacklist, h)
		delete(c.blackAdd, h)
		c.blackRemove[h] = struct{}{}
	}
}

// refuseBlacklist drops the additions of a refused allocate.
func (c *core) refuseBlacklist(req *allocateRequest, reason string) {
	c.restore(req)
	for _, h := range req.blackAdd {
		delete(c.blacklist, h)
		delete(c.blackAdd, h)
	}
	c.emit(BlacklistRejected{Hosts: req.blackAdd, Reason: firstLine(reason)})
}

func clampProgress(p float32) float32 {
	if math.IsNaN(float64(p)) {
		return 0
	}
	return min(max(p, 0), 1)
}

func compareAskKeys(a, b AskKey) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.AllocationRequestID, b.AllocationRequestID))
}

func sortedKeys(m map[string]struct{}) []string {
	return slices.Sorted(maps.Keys(m))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}
