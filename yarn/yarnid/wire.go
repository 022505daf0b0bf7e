package yarnid

import "github.com/flott-dev/flott/yarn/proto/yarnpb"

// Proto is the id on the wire.
func (a ApplicationID) Proto() *yarnpb.ApplicationIdProto {
	return yarnpb.ApplicationIdProto_builder{Id: &a.ID, ClusterTimestamp: &a.ClusterTimestamp}.Build()
}

// Proto is the id on the wire.
func (a AttemptID) Proto() *yarnpb.ApplicationAttemptIdProto {
	return yarnpb.ApplicationAttemptIdProto_builder{ApplicationId: a.Application.Proto(), AttemptId: &a.Attempt}.Build()
}

// Proto is the id on the wire. Like Java's it names the application inside the attempt only.
func (c ContainerID) Proto() *yarnpb.ContainerIdProto {
	return yarnpb.ContainerIdProto_builder{AppAttemptId: c.Attempt.Proto(), Id: &c.ID}.Build()
}

// Proto is the id on the wire.
func (n NodeID) Proto() *yarnpb.NodeIdProto {
	return yarnpb.NodeIdProto_builder{Host: &n.Host, Port: &n.Port}.Build()
}

// FromApplication reads an id from the wire; nil is the zero id.
func FromApplication(p *yarnpb.ApplicationIdProto) ApplicationID {
	return ApplicationID{p.GetClusterTimestamp(), p.GetId()}
}

// FromAttempt reads an id from the wire; nil is the zero id.
func FromAttempt(p *yarnpb.ApplicationAttemptIdProto) AttemptID {
	return AttemptID{FromApplication(p.GetApplicationId()), p.GetAttemptId()}
}

// FromContainer reads an id from the wire; nil is the zero id.
func FromContainer(p *yarnpb.ContainerIdProto) ContainerID {
	return ContainerID{FromAttempt(p.GetAppAttemptId()), p.GetId()}
}

// FromNode reads an id from the wire; nil is the zero id.
func FromNode(p *yarnpb.NodeIdProto) NodeID { return NodeID{p.GetHost(), p.GetPort()} }
