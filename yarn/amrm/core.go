package amrm

import (
	"slices"
	"time"

	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Pacing of the heartbeat that nobody needs to set.
const (
	minGap         = 15 * time.Millisecond  // between the starts of two allocates
	fastInterval   = 200 * time.Millisecond // at most, for fastDuration after something began to be awaited
	fastDuration   = 5 * time.Second
	waitShare      = 10                     // the pause is this part of the time waited so far
	retryFirst     = 100 * time.Millisecond // after a failed call, doubling
	retryMax       = 2 * time.Second
	finishInterval = 100 * time.Millisecond // between finish calls until isUnregistered
	releaseMemory  = 15 * time.Minute       // an unconfirmed release older than this is no longer resent
)

type phase int

const (
	phaseIdle      phase = iota // nothing sent yet
	phaseActive                 // registering or heartbeating
	phaseFinishing              // unregistering
	phaseEnded                  // terminated or unregistered
)

type callKind int

const (
	callNone callKind = iota
	callRegister
	callAllocate
	callFinish
)

// core is the session's state. Step and the methods it calls are the only code that touches it.
type core struct {
	heartbeat, request time.Duration // the two configured intervals

	phase      phase
	registered bool     // the YARN RM answering now knows us
	everJoined bool     // a registration succeeded once
	inFlight   callKind // at most one call at a time
	tok        *token.Token
	reloading  bool // waiting for tokenReloaded

	register registerRequest
	finish   finishRequest
	// Outcomes unknown: an earlier call of the kind may have been processed though no answer came.
	registerUnknown, finishUnknown bool

	responseID   int32
	sent         *allocateRequest // in flight, or failed with an unknown outcome: goes out again unchanged
	progress     float32
	asks         map[AskKey]*askState
	suspects     []AskKey // asks of a refused allocate, tried one at a time
	live         map[yarnid.ContainerID]struct{}
	releases     []yarnid.ContainerID             // of the next allocate
	unconfirmed  map[yarnid.ContainerID]time.Time // released, no completed status yet
	expected     map[yarnid.ContainerID]time.Time // live, but the owner has reason to think that it has ended
	blacklist    map[string]struct{}              // whole
	blackAdd     map[string]struct{}              // of the next allocate
	blackRemove  map[string]struct{}              // of the next allocate
	allocatedSeq uint64
	clusterNodes int

	lastSend    time.Time // of the last allocate
	notBefore   time.Time // no call earlier: retry or finish pause
	failures    int       // consecutive failed calls
	askingSince time.Time

	out []effect
}

func newCore(heartbeat, request time.Duration, tok *token.Token) *core {
	return &core{
		heartbeat:   heartbeat,
		request:     request,
		tok:         tok,
		asks:        map[AskKey]*askState{},
		live:        map[yarnid.ContainerID]struct{}{},
		unconfirmed: map[yarnid.ContainerID]time.Time{},
		expected:    map[yarnid.ContainerID]time.Time{},
		blacklist:   map[string]struct{}{},
		blackAdd:    map[string]struct{}{},
		blackRemove: map[string]struct{}{},
	}
}

// Inputs of Step: commands of the owner, ends of calls, and the clock.
type (
	cmdRegister   struct{ req registerRequest }
	cmdAsk        struct{ ask Ask }
	cmdRelease    struct{ ids []yarnid.ContainerID }
	cmdExpect     struct{ id yarnid.ContainerID }
	cmdBlacklist  struct{ add, remove []string }
	cmdProgress   struct{ value float32 }
	cmdUnregister struct{ req finishRequest }

	registerDone struct {
		resp registerResponse
		fail *failure
	}
	allocateDone struct {
		resp allocateResponse
		fail *failure
	}
	finishDone struct {
		unregistered bool
		fail         *failure
	}
	tokenReloaded struct {
		tok *token.Token
		ok  bool
	}
	tick struct{}
)

// Effects of Step: at most one call, and events for the owner.
type (
	effect interface{ effect() }

	callEffect struct {
		tok      *token.Token
		register *registerRequest // exactly one of the three is set
		allocate *allocateRequest
		finish   *finishRequest
	}
	reloadToken struct{}
	joined      struct{ reg Registration } // completes Register
	storeTokens struct{ tokens []nmToken }
	notify      struct{ event Event }
)

func (callEffect) effect()  {}
func (reloadToken) effect() {}
func (joined) effect()      {}
func (storeTokens) effect() {}
func (notify) effect()      {}

// Step applies one event and returns what to do, in order.
func (c *core) Step(now time.Time, event any) []effect {
	c.out = nil
	if c.phase == phaseEnded {
		return nil
	}
	switch e := event.(type) {
	case cmdRegister:
		if c.phase == phaseIdle {
			c.phase, c.register = phaseActive, e.req
		}
	case cmdAsk:
		c.setAsk(now, e.ask)
	case cmdRelease:
		c.release(now, e.ids)
	case cmdExpect:
		if _, live := c.live[e.id]; live {
			c.expected[e.id] = now
		}
	case cmdBlacklist:
		c.changeBlacklist(e.add, e.remove)
	case cmdProgress:
		c.progress = clampProgress(e.value)
	case cmdUnregister:
		c.phase, c.finish = phaseFinishing, e.req
	case registerDone:
		c.onRegister(now, e)
	case allocateDone:
		c.onAllocate(now, e)
	case finishDone:
		c.onFinish(now, e)
	case tokenReloaded:
		c.onTokenReloaded(e)
	case tick:
	}
	c.pump(now)
	return c.out
}

// Deadline returns when the next tick is due; false when only an event can make progress.
func (c *core) Deadline() (time.Time, bool) {
	if c.inFlight != callNone || c.reloading {
		return time.Time{}, false
	}
	switch c.phase {
	case phaseActive:
		if !c.registered {
			return c.notBefore, true
		}
		return c.nextAllocate(), true
	case phaseFinishing:
		return c.notBefore, true
	}
	return time.Time{}, false
}

// pump starts the next call when none is in flight and its time has come.
func (c *core) pump(now time.Time) {
	due, ok := c.Deadline()
	if !ok || now.Before(due) {
		return
	}
	call := callEffect{tok: c.tok}
	switch {
	case !c.registered:
		req := c.register
		c.inFlight, call.register = callRegister, &req
	case c.phase == phaseFinishing:
		req := c.finish
		c.inFlight, call.finish = callFinish, &req
	default:
		if c.sent == nil {
			c.sent = c.buildDelta()
		}
		c.inFlight, call.allocate = callAllocate, c.sent
		c.lastSend = now
	}
	c.out = append(c.out, call)
}

// nextAllocate is when the next allocate may and should go out.
func (c *core) nextAllocate() time.Time {
	due := c.lastSend.Add(c.interval())
	if c.sent != nil || c.changed() {
		due = c.lastSend.Add(minGap)
	}
	if due.Before(c.notBefore) {
		return c.notBefore
	}
	return due
}

// interval is the pause between heartbeats that carry no change, counted from the last one. What is awaited comes with the heartbeat of
// some node, which the YARN RM does not tell us of: so the first pauses are short, and each is a share of the time waited so far, which
// bounds both what a pause adds to the wait and the number of calls (some 40 in the first 2 seconds).
func (c *core) interval() time.Duration {
	since, awaiting := c.awaiting()
	if waited := c.lastSend.Sub(since); awaiting && waited < fastDuration {
		return min(max(minGap, waited/waitShare), fastInterval, c.request)
	}
	if c.asking() {
		return c.request
	}
	return c.heartbeat
}

// awaiting returns since when something is awaited that comes with a later allocate: containers, the end of released ones, for which
// who stops workers waits, or of expected ones.
func (c *core) awaiting() (since time.Time, ok bool) {
	if c.asking() {
		since, ok = c.askingSince, true
	}
	for _, ends := range []map[yarnid.ContainerID]time.Time{c.unconfirmed, c.expected} {
		for _, at := range ends {
			if !ok || at.After(since) {
				since, ok = at, true
			}
		}
	}
	return since, ok
}

func (c *core) emit(e Event) { c.out = append(c.out, notify{e}) }

func (c *core) terminate(cause error) {
	c.phase = phaseEnded
	c.emit(Terminated{Cause: cause})
}

// backOff delays the next call after a failed one.
func (c *core) backOff(now time.Time, cause error) {
	if c.failures == 0 {
		c.emit(Trouble{Cause: cause})
	}
	c.notBefore = now.Add(min(retryFirst<<min(c.failures, 10), retryMax))
	c.failures++
}

// answered notes that the YARN RM processed a call.
func (c *core) answered(now time.Time) {
	if c.failures > 0 {
		c.emit(Recovered{})
	}
	c.failures, c.notBefore = 0, now
}

// changed reports whether the next allocate has something to say.
func (c *core) changed() bool {
	if len(c.releases)+len(c.blackAdd)+len(c.blackRemove)+len(c.suspects) > 0 {
		return true
	}
	for _, st := range c.asks {
		if st.dirty {
			return true
		}
	}
	return false
}

// buildDelta takes what is pending. While asks are suspects, it carries one of them.
func (c *core) buildDelta() *allocateRequest {
	req := &allocateRequest{
		responseID:  c.responseID,
		progress:    c.progress,
		releases:    c.releases,
		blackAdd:    sortedKeys(c.blackAdd),
		blackRemove: sortedKeys(c.blackRemove),
	}
	c.releases = nil
	clear(c.blackAdd)
	clear(c.blackRemove)
	for _, key := range c.nextAsks() {
		st := c.asks[key]
		st.dirty = false
		ask := st.ask
		ask.Count, ask.AsOf = st.outstanding, 0
		req.asks = append(req.asks, ask)
	}
	return req
}

// restore puts a refused delta back: nothing of it was applied.
func (c *core) restore(req *allocateRequest) {
	for _, a := range req.asks {
		c.asks[a.AskKey].dirty = true
	}
	c.releases = append(slices.Clone(req.releases), c.releases...)
	for _, h := range req.blackAdd {
		if _, ok := c.blacklist[h]; ok {
			c.blackAdd[h] = struct{}{}
		}
	}
	for _, h := range req.blackRemove {
		if _, ok := c.blacklist[h]; !ok {
			c.blackRemove[h] = struct{}{}
		}
	}
}

// resync makes everything pending again for a YARN RM that knows nothing: absolute outstanding counts, unconfirmed
// releases, the whole blacklist.
func (c *core) resync(now time.Time) {
	c.responseID, c.sent = 0, nil
	for _, st := range c.asks {
		st.dirty, st.accepted = st.outstanding > 0, nil
	}
	c.askingSince = now
	c.releases = nil
	for id, at := range c.unconfirmed {
		if now.Sub(at) > releaseMemory {
			delete(c.unconfirmed, id)
			continue
		}
		c.releases = append(c.releases, id)
	}
	slices.SortFunc(c.releases, yarnid.ContainerID.Compare)
	clear(c.blackRemove)
	for h := range c.blacklist {
		c.blackAdd[h] = struct{}{}
	}
}
