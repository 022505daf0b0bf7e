package yarntest

import (
	"fmt"

	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

type app struct {
	id          yarnid.ApplicationID
	user        string
	context     *yarnpb.ApplicationSubmissionContextProto
	state       yarnpb.YarnApplicationStateProto
	final       yarnpb.FinalApplicationStatusProto
	diagnostics string
	started     int64
	finished    int64
	attempt     *attempt // newest
	wantsAM     bool     // waits for room for the AM's container
	live        map[yarnid.ContainerID]*container
}

func (a *app) unmanaged() bool { return a.context.GetUnmanagedAm() }

func (a *app) ended() bool {
	switch a.state {
	case yarnpb.YarnApplicationStateProto_FINISHED, yarnpb.YarnApplicationStateProto_FAILED, yarnpb.YarnApplicationStateProto_KILLED:
		return true
	}
	return false
}

// askKey is a scheduler key. Locality is ignored, so asks are told apart by it alone.
type askKey struct {
	priority  int32
	requestID int64
}

type ask struct {
	key      askKey
	resource *yarnpb.ResourceProto
	count    int32
}

type attempt struct {
	id          yarnid.AttemptID
	app         *app
	am          *container // nil for an unmanaged one
	registered  bool
	unregisters int // finish calls so far
	finished    bool
	host        string
	rpcPort     int32
	trackingURL string
	progress    float32
	sequence    int64 // of the last container
	keyID       int32 // newest AMRM key given out
	responseID  int32
	cached      *yarnpb.AllocateResponseProto

	asks      []*ask // by priority
	nmTokens  map[yarnid.NodeID]bool
	blacklist map[string]bool
	// For the next allocate.
	granted   []*container
	completed []*yarnpb.ContainerStatusProto
	previous  []*container
	updated   []*node
	preempt   []yarnid.ContainerID
}

// pending is the number of containers outstanding.
func (a *attempt) pending() int {
	n := 0
	for _, k := range a.asks {
		n += int(k.count)
	}
	return n
}

type node struct {
	id         yarnid.NodeID
	server     *ipctest.Server
	usedMB     int64
	lost       bool
	notReady   bool
	containers map[yarnid.ContainerID]*container
	ended      map[yarnid.ContainerID]*yarnpb.ContainerStatusProto
}

type container struct {
	id           yarnid.ContainerID
	app          *app
	node         *node
	resource     *yarnpb.ResourceProto
	key          askKey
	token        *token.Token
	rmIdentifier int64
	isAM         bool
	started      bool
	process      Process // nil while simulated
	killedAs     int32   // exit status that a kill under way will have, 0 for none
	killedWhy    string
}

// newContainer takes room on a node. The caller checked that there is some.
func (c *Cluster) newContainer(a *attempt, n *node, key askKey, res *yarnpb.ResourceProto, isAM bool) *container {
	a.sequence++
	ct := &container{
		id:  yarnid.ContainerID{Attempt: a.id, ID: c.epoch<<40 | a.sequence},
		app: a.app, node: n, resource: res, key: key, rmIdentifier: c.rmIdentifier, isAM: isAM,
	}
	ct.token = c.containerToken(ct)
	n.usedMB += res.GetMemory()
	c.containers[ct.id] = ct
	a.app.live[ct.id] = ct
	return ct
}

// complete ends a container for the YARN RM and its node, and what follows from it.
func (c *Cluster) complete(ct *container, exitStatus int32, diagnostics string) {
	if c.containers[ct.id] != ct {
		return
	}
	delete(c.containers, ct.id)
	delete(ct.app.live, ct.id)
	delete(ct.node.containers, ct.id)
	ct.node.usedMB -= ct.resource.GetMemory()
	status := yarnpb.ContainerStatusProto_builder{
		ContainerId: ct.id.Proto(), State: yarnpb.ContainerStateProto_C_COMPLETE.Enum(),
		ExitStatus: &exitStatus, Diagnostics: &diagnostics, Capability: ct.resource,
	}.Build()
	if ct.started {
		ct.node.ended[ct.id] = status
	}
	switch a := ct.app.attempt; {
	case !ct.isAM:
		a.completed = append(a.completed, status)
	case a.am == ct:
		c.amEnded(ct.app, exitStatus, diagnostics)
	}
	c.grantNow()
	c.touch()
}

// amEnded follows the end of an AM's container: the application ends, or another attempt begins.
func (c *Cluster) amEnded(a *app, exitStatus int32, diagnostics string) {
	if a.attempt.finished {
		c.endApp(a, yarnpb.YarnApplicationStateProto_FINISHED, a.final, a.diagnostics)
		return
	}
	a.attempt.asks = nil
	limit := int(a.context.GetMaxAppAttempts())
	if limit == 0 || limit > c.cfg.MaxAttempts {
		limit = c.cfg.MaxAttempts
	}
	cause := fmt.Sprintf("AM Container for %s exited with  exitCode: %d\n%s", a.attempt.id, exitStatus, diagnostics)
	if int(a.attempt.id.Attempt) >= limit {
		c.endApp(a, yarnpb.YarnApplicationStateProto_FAILED, yarnpb.FinalApplicationStatusProto_APP_FAILED,
			fmt.Sprintf("Application %s failed %d times due to %s", a.id, limit, cause))
		return
	}
	if !a.context.GetKeepContainersAcrossApplicationAttempts() {
		c.killAll(a)
	}
	c.newAttempt(a)
}

// newAttempt begins an application's next attempt; a managed one waits for room.
func (c *Cluster) newAttempt(a *app) {
	number := int32(1)
	var old []*yarnpb.ContainerStatusProto
	if a.attempt != nil {
		number = a.attempt.id.Attempt + 1
		old = a.attempt.completed
	}
	a.attempt = &attempt{
		id:        yarnid.AttemptID{Application: a.id, Attempt: number},
		app:       a,
		nmTokens:  map[yarnid.NodeID]bool{},
		blacklist: map[string]bool{},
		completed: old,
	}
	a.state = yarnpb.YarnApplicationStateProto_ACCEPTED
	a.wantsAM = !a.unmanaged()
	c.grantNow()
}

// endApp ends an application for good and kills what it left.
func (c *Cluster) endApp(a *app, state yarnpb.YarnApplicationStateProto, final yarnpb.FinalApplicationStatusProto, diagnostics string) {
	if a.ended() {
		return
	}
	a.state, a.final, a.diagnostics, a.finished = state, final, diagnostics, c.cfg.Now().UnixMilli()
	a.wantsAM = false
	a.attempt.asks = nil
	for i, o := range c.order {
		if o == a {
			c.order = append(c.order[:i:i], c.order[i+1:]...)
			break
		}
	}
	c.killAll(a)
	c.touch()
}

func (c *Cluster) killAll(a *app) {
	for _, ct := range a.live {
		c.kill(ct, exitKilledAfterApp, "Container killed by the ResourceManager: application ended")
	}
}

// Exit statuses of kills.
const (
	exitAborted        = -100
	exitKilledByAM     = -105
	exitKilledAfterApp = -107
)

// kill ends a container: a simulated one now, a process when it has gone.
func (c *Cluster) kill(ct *container, exitStatus int32, why string) {
	if ct.process == nil {
		c.complete(ct, exitStatus, why)
		return
	}
	if ct.killedAs == 0 {
		ct.killedAs, ct.killedWhy = exitStatus, why
	}
	ct.process.Kill()
}

// liveAttempt is the attempt if the scheduler port still knows it.
func (c *Cluster) liveAttempt(id yarnid.AttemptID) *attempt {
	a := c.apps[id.Application]
	if a == nil || a.ended() || a.attempt.id != id {
		return nil
	}
	return a.attempt
}
