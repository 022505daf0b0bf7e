package amrm

import (
	"fmt"
	"time"

	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// The three calls as plain values; session converts them to and from messages.
type (
	registerRequest struct {
		host        string
		rpcPort     int32
		trackingURL string
	}
	registerResponse struct {
		reg      Registration
		nmTokens []nmToken
	}

	allocateRequest struct {
		responseID            int32
		progress              float32
		asks                  []Ask // Count is the absolute number
		releases              []yarnid.ContainerID
		blackAdd, blackRemove []string
	}
	allocateResponse struct {
		responseID   int32
		command      amCommand
		allocated    []Container
		completed    []Status
		previous     []Container
		nodes        []NodeReport
		clusterNodes int
		preemptions  []Preemption
		nmTokens     []nmToken
		amrmToken    *token.Token
	}

	finishRequest struct {
		status      FinalStatus
		diagnostics string
		trackingURL string
	}

	nmToken struct {
		node yarnid.NodeID
		tok  *token.Token
	}
)

// amCommand is the legacy way (before Hadoop 2.6) to say what exceptions say now.
type amCommand int

const (
	commandNone amCommand = iota
	commandResync
	commandShutdown
)

// failure is a failed call, classified by what must follow.
type failure struct {
	kind    failureKind
	unknown bool // the call may have been processed
	message string
	err     error
}

type failureKind int

const (
	failRetry             failureKind = iota // no answer, standby, retriable, anything unheard of
	failNotRegistered                        // ApplicationMasterNotRegisteredException
	failAttemptGone                          // ApplicationAttemptNotFoundException; InvalidToken "… not found …"
	failToken                                // other InvalidToken
	failAsk                                  // InvalidResourceRequestException, InvalidLabelResourceRequestException
	failRelease                              // InvalidContainerReleaseException
	failBlacklist                            // InvalidResourceBlacklistRequestException
	failAlreadyRegistered                    // InvalidApplicationMasterRequestException "… already registered"
	failOutOfSync                            // InvalidApplicationMasterRequestException, otherwise
)

func (c *core) onRegister(now time.Time, e registerDone) {
	c.inFlight = callNone
	resp := e.resp
	if f := e.fail; f != nil {
		if f.kind != failAlreadyRegistered || !c.registerUnknown {
			c.registerUnknown = c.registerUnknown || f.unknown
			c.callFailed(now, f)
			return
		}
		resp.reg.Partial = true
	}
	c.answered(now)
	c.registered, c.registerUnknown = true, false
	c.storeTokens(resp.nmTokens)
	resp.reg.PreviousContainers = c.adopt(resp.reg.PreviousContainers)
	if !c.everJoined {
		c.everJoined = true
		c.resync(now)
		c.out = append(c.out, joined{resp.reg})
		return
	}
	c.resync(now)
	c.emit(Reregistered{})
	if known := resp.reg.PreviousContainers; len(known) > 0 {
		c.emit(PreviousContainers{known})
	}
}

func (c *core) onAllocate(now time.Time, e allocateDone) {
	c.inFlight = callNone
	if c.phase == phaseFinishing && e.fail != nil {
		// What the allocate wanted does not matter any more; only the registration does.
		if e.fail.kind != failAsk && e.fail.kind != failRelease && e.fail.kind != failBlacklist {
			c.callFailed(now, e.fail)
		}
		return
	}
	if f := e.fail; f != nil {
		c.allocateFailed(now, f)
		return
	}
	c.answered(now)
	req := c.sent
	c.sent = nil
	c.accepted(req)
	c.responseID = e.resp.responseID
	c.deliver(e.resp, req)
	switch e.resp.command {
	case commandResync:
		c.registered = false
	case commandShutdown:
		c.terminate(ErrShutdown)
	}
}

// allocateFailed decides what becomes of a delta that was not answered. One with an unknown outcome stays as it is:
// if it was processed, the same response id makes the YARN RM repeat its answer and ignore the content.
func (c *core) allocateFailed(now time.Time, f *failure) {
	req := c.sent
	refused := map[failureKind]func(*allocateRequest, string){
		failAsk: c.refuseAsks, failRelease: c.refuseReleases, failBlacklist: c.refuseBlacklist,
	}
	carries := map[failureKind]int{
		failAsk: len(req.asks), failRelease: len(req.releases), failBlacklist: len(req.blackAdd),
	}
	if carries[f.kind] > 0 {
		c.answered(now)
		c.sent = nil
		refused[f.kind](req, f.message)
		return
	}
	c.callFailed(now, f)
}

func (c *core) onFinish(now time.Time, e finishDone) {
	c.inFlight = callNone
	if f := e.fail; f != nil {
		if c.finishUnknown && (f.kind == failAttemptGone || f.kind == failToken) {
			// An earlier finish was processed and the YARN RM has forgotten the application since.
			c.end()
			return
		}
		c.finishUnknown = c.finishUnknown || f.unknown
		c.callFailed(now, f)
		return
	}
	c.answered(now)
	if e.unregistered {
		c.end()
		return
	}
	c.finishUnknown = true // the final state is being stored
	c.notBefore = now.Add(finishInterval)
}

func (c *core) end() {
	c.phase = phaseEnded
	c.emit(Unregistered{})
}

// callFailed applies what the kinds of failure mean for any call.
func (c *core) callFailed(now time.Time, f *failure) {
	switch f.kind {
	case failNotRegistered:
		c.answered(now)
		c.registered = false
	case failAttemptGone:
		c.terminate(fmt.Errorf("%w: %s", ErrAttemptGone, firstLine(f.message)))
	case failToken:
		c.reloading = true
		c.out = append(c.out, reloadToken{})
	case failAlreadyRegistered, failOutOfSync:
		c.terminate(fmt.Errorf("%w: %s", ErrOutOfSync, firstLine(f.message)))
	default:
		c.backOff(now, f.err)
	}
}

func (c *core) onTokenReloaded(e tokenReloaded) {
	c.reloading = false
	if !e.ok || e.tok.Equal(c.tok) {
		c.terminate(ErrTokenRejected)
		return
	}
	c.roll(e.tok)
}

// roll fills the one token slot; the newest wins.
func (c *core) roll(tok *token.Token) {
	if tok.Equal(c.tok) {
		return
	}
	c.tok = tok
	c.emit(TokenRolled{tok})
}

// deliver turns an answer into events, tokens first.
func (c *core) deliver(resp allocateResponse, req *allocateRequest) {
	if resp.amrmToken != nil {
		c.roll(resp.amrmToken)
	}
	c.storeTokens(resp.nmTokens)
	if resp.clusterNodes != c.clusterNodes {
		c.clusterNodes = resp.clusterNodes
		c.emit(ClusterNodes{resp.clusterNodes})
	}
	if len(resp.nodes) > 0 {
		c.emit(NodeUpdates{resp.nodes})
	}
	if previous := c.adopt(resp.previous); len(previous) > 0 {
		c.emit(PreviousContainers{previous})
	}
	if allocated := c.adopt(resp.allocated); len(allocated) > 0 {
		c.allocatedSeq++
		c.delivered(c.allocatedSeq, allocated, req)
		c.emit(Allocated{Seq: c.allocatedSeq, Containers: allocated})
	}
	if ended := c.complete(resp.completed); len(ended) > 0 {
		c.emit(Completed{ended})
	}
	for _, p := range resp.preemptions {
		c.emit(p)
	}
}

// adopt notes containers as live and returns those that were not known yet.
func (c *core) adopt(containers []Container) []Container {
	var fresh []Container
	for _, ct := range containers {
		if _, known := c.live[ct.ID]; known {
			continue
		}
		c.live[ct.ID] = struct{}{}
		fresh = append(fresh, ct)
	}
	return fresh
}

// complete returns the statuses of containers that were live: repeated ones, and those of containers never
// announced, are dropped.
func (c *core) complete(statuses []Status) []Status {
	var ended []Status
	for _, s := range statuses {
		_, s.Released = c.unconfirmed[s.ID]
		delete(c.unconfirmed, s.ID)
		delete(c.expected, s.ID)
		if _, known := c.live[s.ID]; !known {
			continue
		}
		delete(c.live, s.ID)
		ended = append(ended, s)
	}
	return ended
}

func (c *core) storeTokens(tokens []nmToken) {
	if len(tokens) == 0 {
		return
	}
	nodes := make([]yarnid.NodeID, len(tokens))
	for i, t := range tokens {
		nodes[i] = t.node
	}
	c.out = append(c.out, storeTokens{tokens})
	c.emit(NMTokens{nodes})
}
