package yarnid

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrSyntax is wrapped by every error of a Parse function.
var ErrSyntax = errors.New("yarnid: malformed id")

// ApplicationID names an application, as org.apache.hadoop.yarn.api.records.ApplicationId.
type ApplicationID struct {
	ClusterTimestamp int64 // start of the YARN RM (of the first one, with recovery), milliseconds
	ID               int32 // counts up from 1
}

// AttemptID names one run of an application's ApplicationMaster, as ApplicationAttemptId.
type AttemptID struct {
	Application ApplicationID
	Attempt     int32 // counts up from 1
}

// ContainerID names a container, as ContainerId. The upper 24 bits of ID count the restarts of the YARN RM.
type ContainerID struct {
	Attempt AttemptID
	ID      int64
}

// NodeID names a NodeManager by the address it serves ContainerManagementProtocol on, as NodeId.
type NodeID struct {
	Host string
	Port int32
}

const (
	applicationPrefix = "application"
	attemptPrefix     = "appattempt"
	containerPrefix   = "container"
	sequenceBits      = 40
)

// String prints application_<timestamp>_<at least 4 digits>.
func (a ApplicationID) String() string {
	return fmt.Sprintf("%s_%d_%04d", applicationPrefix, a.ClusterTimestamp, a.ID)
}

// String prints appattempt_<timestamp>_<at least 4 digits>_<at least 6 digits>.
func (a AttemptID) String() string {
	return fmt.Sprintf("%s_%d_%04d_%06d", attemptPrefix, a.Application.ClusterTimestamp, a.Application.ID, a.Attempt)
}

// String prints container_[e<epoch>_]<timestamp>_<application>_<attempt>_<at least 6 digits>; epoch 0 is left out.
func (c ContainerID) String() string {
	epoch := ""
	if e := c.Epoch(); e > 0 {
		epoch = fmt.Sprintf("e%02d_", e)
	}
	app := c.Attempt.Application
	return fmt.Sprintf("%s_%s%d_%04d_%02d_%06d", containerPrefix, epoch, app.ClusterTimestamp, app.ID, c.Attempt.Attempt, c.Sequence())
}

// String prints host:port, the form in which YARN's own pages and tokens name a node.
func (n NodeID) String() string { return n.Host + ":" + strconv.Itoa(int(n.Port)) }

// Epoch is how often the YARN RM had restarted when it gave out the container.
func (c ContainerID) Epoch() int32 { return int32(c.ID >> sequenceBits) }

// Sequence is the id without its epoch bits; container 1 of an attempt is its ApplicationMaster.
func (c ContainerID) Sequence() int64 { return c.ID & (1<<sequenceBits - 1) }

// IsZero reports whether a is no id.
func (a ApplicationID) IsZero() bool { return a == ApplicationID{} }

// IsZero reports whether a is no id.
func (a AttemptID) IsZero() bool { return a == AttemptID{} }

// IsZero reports whether c is no id.
func (c ContainerID) IsZero() bool { return c == ContainerID{} }

// IsZero reports whether n is no id.
func (n NodeID) IsZero() bool { return n == NodeID{} }

// Compare orders applications by the time they were created in.
func (a ApplicationID) Compare(b ApplicationID) int {
	return cmp.Or(cmp.Compare(a.ClusterTimestamp, b.ClusterTimestamp), cmp.Compare(a.ID, b.ID))
}

// Compare orders attempts by application, then attempt.
func (a AttemptID) Compare(b AttemptID) int {
	return cmp.Or(a.Application.Compare(b.Application), cmp.Compare(a.Attempt, b.Attempt))
}

// Compare orders containers by attempt, then id, so that a later epoch comes later.
func (c ContainerID) Compare(d ContainerID) int {
	return cmp.Or(c.Attempt.Compare(d.Attempt), cmp.Compare(c.ID, d.ID))
}

// Compare orders nodes by host, then port.
func (n NodeID) Compare(m NodeID) int {
	return cmp.Or(cmp.Compare(n.Host, m.Host), cmp.Compare(n.Port, m.Port))
}

// ParseApplicationID reads what ApplicationID.String prints.
func ParseApplicationID(s string) (ApplicationID, error) {
	p, ok := split(s, applicationPrefix, 2)
	if !ok {
		return ApplicationID{}, malformed("application", s)
	}
	return ApplicationID{p[0], int32(p[1])}, nil
}

// ParseAttemptID reads what AttemptID.String prints.
func ParseAttemptID(s string) (AttemptID, error) {
	p, ok := split(s, attemptPrefix, 3)
	if !ok {
		return AttemptID{}, malformed("application attempt", s)
	}
	return AttemptID{ApplicationID{p[0], int32(p[1])}, int32(p[2])}, nil
}

// ParseContainerID reads what ContainerID.String prints, with or without epoch.
func ParseContainerID(s string) (ContainerID, error) {
	plain, epoch := s, int64(0)
	if rest, ok := strings.CutPrefix(s, containerPrefix+"_e"); ok {
		digits, after, _ := strings.Cut(rest, "_")
		e, ok := number(digits)
		if !ok || e >= 1<<(63-sequenceBits) {
			return ContainerID{}, malformed("container", s)
		}
		plain, epoch = containerPrefix+"_"+after, e
	}
	p, ok := split(plain, containerPrefix, 4)
	if !ok || p[3] >= 1<<sequenceBits {
		return ContainerID{}, malformed("container", s)
	}
	return ContainerID{AttemptID{ApplicationID{p[0], int32(p[1])}, int32(p[2])}, epoch<<sequenceBits | p[3]}, nil
}

// ParseNodeID reads host:port. Host names and IPv4 addresses only: YARN does not serve IPv6.
func ParseNodeID(s string) (NodeID, error) {
	host, digits, ok := strings.Cut(s, ":")
	port, isNumber := number(digits)
	if !ok || host == "" || !isNumber || port > math.MaxUint16 {
		return NodeID{}, malformed("node", s)
	}
	return NodeID{host, int32(port)}, nil
}

// split reads prefix_<n numbers joined by "_">. All but the first (a timestamp) and a container's last are 32-bit in Java.
func split(s, prefix string, n int) ([]int64, bool) {
	rest, ok := strings.CutPrefix(s, prefix+"_")
	fields := strings.Split(rest, "_")
	if !ok || len(fields) != n {
		return nil, false
	}
	out := make([]int64, n)
	for i, f := range fields {
		if out[i], ok = number(f); !ok || (i == 1 || i == 2) && out[i] > math.MaxInt32 {
			return nil, false
		}
	}
	return out, true
}

// number reads decimal digits only: no sign, no blank.
func number(s string) (int64, bool) {
	v, err := strconv.ParseUint(s, 10, 63)
	return int64(v), err == nil
}

func malformed(what, s string) error {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return fmt.Errorf("%w: %q is no %s id", ErrSyntax, s, what)
}
