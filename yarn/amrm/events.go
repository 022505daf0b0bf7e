package amrm

import (
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Event is what Config.OnEvent receives: one of the types below, by value.
type Event interface{ event() }

// Allocated carries containers granted to asks. Some may be surplus (the counts in flight cross); releasing them is
// the receiver's part.
type Allocated struct {
	Seq        uint64 // rises by one with each Allocated event; see Ask.AsOf
	Containers []Container
}

// Completed carries containers that ended. Containers this session never announced are left out.
type Completed struct{ Statuses []Status }

// PreviousContainers carries containers of earlier attempts that became known after the registration, typically when
// nodes report back to a restarted YARN RM. They were not granted to an ask and do not lower any outstanding number.
type PreviousContainers struct{ Containers []Container }

// NMTokens tells for which nodes a new token was put into Session.NMTokens.
type NMTokens struct{ Nodes []yarnid.NodeID }

// NodeUpdates carries nodes whose state changed.
type NodeUpdates struct{ Nodes []NodeReport }

// ClusterNodes is sent when the number of usable nodes (of the queue's default label) changed.
type ClusterNodes struct{ Count int }

// AskRejected says that the YARN RM refused an ask (too large, unknown label): nothing is outstanding under its key
// any more. Reason is the first line of the YARN RM's message.
type AskRejected struct {
	Ask    Ask
	Reason string
}

// BlacklistRejected says that the YARN RM refused additions to the blacklist; they were dropped.
type BlacklistRejected struct {
	Hosts  []string
	Reason string
}

// Preemption announces containers that will be killed (Completed with ExitPreempted) unless given back. Strict is
// FairScheduler's variant; both kill.
type Preemption struct {
	Containers []yarnid.ContainerID
	Strict     bool
}

// Reregistered says that the YARN RM restarted or failed over and the session registered again and sends its whole
// state. Containers allocated but not yet started before it will be refused by their nodes.
type Reregistered struct{}

// Trouble says that calls to the YARN RM began to fail; the session goes on trying. Nothing needs doing.
type Trouble struct{ Cause error }

// Recovered says that the YARN RM answers again after Trouble.
type Recovered struct{}

// TokenRolled says that a newer AMRM token is in use. Secret; for processes that persist it.
type TokenRolled struct{ Token *token.Token }

// Terminated ends the session without unregistering: this attempt is over for the YARN RM. Cause wraps one of
// ErrAttemptGone, ErrTokenRejected, ErrShutdown, ErrOutOfSync. The process should fence itself and exit.
type Terminated struct{ Cause error }

// Unregistered ends the session after a successful Unregister.
type Unregistered struct{}

func (Allocated) event()          {}
func (Completed) event()          {}
func (PreviousContainers) event() {}
func (NMTokens) event()           {}
func (NodeUpdates) event()        {}
func (ClusterNodes) event()       {}
func (AskRejected) event()        {}
func (BlacklistRejected) event()  {}
func (Preemption) event()         {}
func (Reregistered) event()       {}
func (Trouble) event()            {}
func (Recovered) event()          {}
func (TokenRolled) event()        {}
func (Terminated) event()         {}
func (Unregistered) event()       {}
