package yarntest

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
)

// Heartbeat lets every node report once: each brings up to Config.PerHeartbeat containers.
func (c *Cluster) Heartbeat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.nodes {
		for range c.cfg.PerHeartbeat {
			if !c.grantOn(n) {
				break
			}
		}
	}
}

// grantNow grants all that fits, one container per node in turn, when nodes have no heartbeat of their own.
func (c *Cluster) grantNow() {
	if c.cfg.NodeHeartbeat > 0 {
		return
	}
	for granted := true; granted; {
		granted = false
		for _, n := range c.nodes {
			granted = c.grantOn(n) || granted
		}
	}
}

// grantOn grants one container on a node: first come, first served, AMs before others.
func (c *Cluster) grantOn(n *node) bool {
	if n.lost {
		return false
	}
	room := c.cfg.NodeMemoryMB - n.usedMB
	for _, a := range c.order {
		if a.wantsAM {
			if res := c.amResource(a); res.GetMemory() <= room {
				c.grantAM(a, n, res)
				return true
			}
			continue
		}
		if a.attempt.blacklist[n.id.Host] {
			continue
		}
		for _, k := range a.attempt.asks {
			if k.count > 0 && k.resource.GetMemory() <= room {
				k.count--
				a.attempt.granted = append(a.attempt.granted, c.newContainer(a.attempt, n, k.key, k.resource, false))
				c.touch()
				return true
			}
		}
	}
	return false
}

// amResource is the size of an application's AM.
func (c *Cluster) amResource(a *app) *yarnpb.ResourceProto {
	for _, r := range a.context.GetAmContainerResourceRequest() {
		if r.GetResourceName() == "*" {
			return c.normalize(r.GetCapability())
		}
	}
	return c.normalize(a.context.GetResource())
}

func (c *Cluster) grantAM(a *app, n *node, res *yarnpb.ResourceProto) {
	a.wantsAM = false
	ct := c.newContainer(a.attempt, n, askKey{requestID: -1}, res, true)
	a.attempt.am = ct
	c.run(ct, c.amContext(a))
	c.touch()
}

// normalize rounds an ask up to what the scheduler hands out.
func (c *Cluster) normalize(r *yarnpb.ResourceProto) *yarnpb.ResourceProto {
	step := c.cfg.MinMemoryMB
	memory := max(1, (r.GetMemory()+step-1)/step) * step
	return resource(memory, max(1, r.GetVirtualCores()))
}

// setAsk overwrites the outstanding number of a key.
func (c *Cluster) setAsk(a *attempt, r *yarnpb.ResourceRequestProto) {
	if r.GetResourceName() != "*" {
		return // locality hints
	}
	key := askKey{priority: r.GetPriority().GetPriority(), requestID: r.GetAllocationRequestId()}
	i, found := slices.BinarySearchFunc(a.asks, key, func(k *ask, key askKey) int {
		return cmp.Or(cmp.Compare(k.key.priority, key.priority), cmp.Compare(k.key.requestID, key.requestID))
	})
	if !found {
		a.asks = slices.Insert(a.asks, i, &ask{key: key})
	}
	a.asks[i].resource, a.asks[i].count = c.normalize(r.GetCapability()), r.GetNumContainers()
}

// message is a container as the AM receives it.
func (ct *container) message() *yarnpb.ContainerProto {
	return yarnpb.ContainerProto_builder{
		Id: ct.id.Proto(), NodeId: ct.node.id.Proto(), NodeHttpAddress: proto.String(ct.node.id.Host + ":8042"),
		Resource: ct.resource, Priority: yarnpb.PriorityProto_builder{Priority: &ct.key.priority}.Build(),
		ContainerToken: ct.token.Proto(), ExecutionType: yarnpb.ExecutionTypeProto_GUARANTEED.Enum(),
		AllocationRequestId: &ct.key.requestID, Version: proto.Int32(0),
	}.Build()
}
