package yarntest

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/ipc/ipctest"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// AddNode adds a NodeManager with an address of its own (127.0.x.y, so that nodes have distinct host names).
func (c *Cluster) AddNode() (yarnid.NodeID, error) {
	c.mu.Lock()
	number := len(c.nodes)
	c.mu.Unlock()
	n := &node{containers: map[yarnid.ContainerID]*container{}, ended: map[yarnid.ContainerID]*yarnpb.ContainerStatusProto{}}
	server, err := ipctest.New(ipctest.Config{
		Addr:     fmt.Sprintf("127.0.%d.%d:0", 1+number/200, 1+number%200),
		Password: func(identifier []byte) ([]byte, error) { return c.nmPassword(n, identifier) },
		Handle:   c.handler(fmt.Sprintf("node %d", number), c.containerMethods(n)),
		Log:      c.cfg.Log,
	})
	if err != nil {
		return yarnid.NodeID{}, fmt.Errorf("start fake node manager: %w", err)
	}
	id, err := yarnid.ParseNodeID(server.Addr())
	if err != nil {
		server.Close()
		return yarnid.NodeID{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.id, n.server = id, server
	c.nodes = append(c.nodes, n)
	c.byNode[id] = n
	c.tellOfNode(n)
	c.grantNow()
	c.touch()
	return id, nil
}

func (c *Cluster) tellOfNode(n *node) {
	for _, a := range c.order {
		a.attempt.updated = append(a.attempt.updated, n)
	}
}

// Nodes lists the NodeManagers in the order they were added.
func (c *Cluster) Nodes() []yarnid.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []yarnid.NodeID
	for _, n := range c.nodes {
		out = append(out, n.id)
	}
	return out
}

// LoseNode makes the YARN RM give a node up: its containers complete as aborted. Their processes live on and the node
// still answers, as behind a network partition.
func (c *Cluster) LoseNode(id yarnid.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.byNode[id]
	if n == nil || n.lost {
		return
	}
	n.lost = true
	for _, ct := range c.containers {
		if ct.node == n {
			c.complete(ct, exitAborted, "Container released on a *lost* node")
		}
	}
	c.tellOfNode(n)
	c.touch()
}

// SetNodeReady makes a node refuse calls about containers as one that still recovers them, or accept them again.
func (c *Cluster) SetNodeReady(id yarnid.NodeID, ready bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.byNode[id]; n != nil {
		n.notReady = !ready
	}
}

// NodeServer is a node's server, to hang up its connections or count them.
func (c *Cluster) NodeServer(id yarnid.NodeID) *ipctest.Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.byNode[id]; n != nil {
		return n.server
	}
	return nil
}

// RestartRM is a work-preserving restart: registrations, asks, response ids and blacklists are forgotten, containers
// that were not started are refused by their nodes, running ones are recovered and, those of earlier attempts, told
// again. New containers carry the next epoch. Connections break.
func (c *Cluster) RestartRM() {
	c.mu.Lock()
	c.epoch++
	c.rmIdentifier++
	for _, a := range c.order {
		at := a.attempt
		wasRegistered := at.registered
		at.registered, at.cached, at.responseID = false, nil, 0
		at.asks, at.granted, at.preempt, at.updated = nil, nil, nil, nil
		at.blacklist, at.nmTokens = map[string]bool{}, map[yarnid.NodeID]bool{}
		at.previous = nil
		at.sequence = 0 // ids begin anew under the new epoch
		for _, ct := range a.live {
			switch {
			case !ct.started:
				delete(c.containers, ct.id)
				delete(a.live, ct.id)
				ct.node.usedMB -= ct.resource.GetMemory()
			case wasRegistered && ct.id.Attempt != at.id && !ct.isAM:
				at.previous = append(at.previous, ct)
			}
		}
	}
	c.touch()
	servers := []*ipctest.Server{c.client, c.scheduler}
	c.mu.Unlock()
	for _, s := range servers {
		if s != nil {
			s.HangUp()
		}
	}
}

// RollAMRMKey makes a new AMRM master key: AMs get new tokens with their next allocates, old tokens still connect.
func (c *Cluster) RollAMRMKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.amrmKeys.roll()
}

// ForgetAMRMKeys makes old AMRM tokens invalid for new connections.
func (c *Cluster) ForgetAMRMKeys() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.amrmKeys.forget()
}

// RollNMKey makes a new NM master key and makes the YARN RM send each attempt new tokens for the nodes it uses next;
// old tokens become invalid for new connections.
func (c *Cluster) RollNMKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nmKeys.roll()
	c.nmKeys.forget()
	for _, a := range c.order {
		clear(a.attempt.nmTokens)
	}
}

// Complete ends a container with an exit status, as if its process had; a real process is killed.
func (c *Cluster) Complete(id yarnid.ContainerID, exitStatus int, diagnostics string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct := c.containers[id]; ct != nil {
		c.kill(ct, int32(exitStatus), diagnostics)
	}
}

// Redeliver tells an application's AM once more of containers that ended.
func (c *Cluster) Redeliver(ids ...yarnid.ContainerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		for _, n := range c.nodes {
			if status := n.ended[id]; status != nil {
				if a := c.apps[id.Attempt.Application]; a != nil {
					a.attempt.completed = append(a.attempt.completed, proto.CloneOf(status))
				}
			}
		}
	}
}

// Preempt announces containers to their AMs as about to be preempted. Complete with exit status -102 is what follows.
func (c *Cluster) Preempt(ids ...yarnid.ContainerID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if ct := c.containers[id]; ct != nil {
			ct.app.attempt.preempt = append(ct.app.attempt.preempt, id)
		}
	}
}

// SubmitUnmanaged adds an application whose AM is the test itself and returns its attempt and AMRM token.
func (c *Cluster) SubmitUnmanaged(user string) (yarnid.AttemptID, *token.Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.addApp(yarnpb.ApplicationSubmissionContextProto_builder{
		ApplicationId: c.newID().Proto(), ApplicationName: proto.String("unmanaged"), Queue: proto.String("default"),
		UnmanagedAm: proto.Bool(true), MaxAppAttempts: proto.Int32(1),
	}.Build(), user)
	return a.attempt.id, c.amrmToken(a.attempt)
}

// AMToken is a running attempt and an AMRM token for it, for a test that plays the AM of a simulated container; false
// when the application has no live attempt.
func (c *Cluster) AMToken(id yarnid.ApplicationID) (yarnid.AttemptID, *token.Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[id]
	if a == nil || a.ended() || a.wantsAM {
		return yarnid.AttemptID{}, nil, false
	}
	return a.attempt.id, c.amrmToken(a.attempt), true
}

// FailAM ends the AM's container of an application with an exit status; what follows is the next attempt or the end.
func (c *Cluster) FailAM(id yarnid.ApplicationID, exitStatus int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.apps[id]; a != nil && a.attempt.am != nil {
		c.kill(a.attempt.am, int32(exitStatus), "")
	}
}

// Application is what Report says of an application.
type Application struct {
	ID          yarnid.ApplicationID
	Attempt     yarnid.AttemptID
	State       yarnpb.YarnApplicationStateProto
	Final       yarnpb.FinalApplicationStatusProto
	Diagnostics string
	TrackingURL string
	Registered  bool
	Progress    float32
	Pending     int      // containers outstanding
	Blacklist   []string // hosts
}

// Application looks at an application; false when there is none.
func (c *Cluster) Application(id yarnid.ApplicationID) (Application, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[id]
	if a == nil {
		return Application{}, false
	}
	out := Application{
		ID: id, Attempt: a.attempt.id, State: a.state, Final: a.final, Diagnostics: a.diagnostics,
		TrackingURL: a.attempt.trackingURL, Registered: a.attempt.registered, Progress: a.attempt.progress, Pending: a.attempt.pending(),
	}
	for h := range a.attempt.blacklist {
		out.Blacklist = append(out.Blacklist, h)
	}
	slices.Sort(out.Blacklist)
	return out, true
}

// Container is a container that the YARN RM holds as allocated or running.
type Container struct {
	ID       yarnid.ContainerID
	Node     yarnid.NodeID
	MemoryMB int64
	Started  bool
	IsAM     bool
}

// Containers lists an application's containers, oldest first.
func (c *Cluster) Containers(id yarnid.ApplicationID) []Container {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[id]
	if a == nil {
		return nil
	}
	var out []Container
	for _, ct := range a.live {
		out = append(out, Container{ct.id, ct.node.id, ct.resource.GetMemory(), ct.started, ct.isAM})
	}
	slices.SortFunc(out, func(x, y Container) int { return cmp.Or(x.ID.Compare(y.ID)) })
	return out
}
