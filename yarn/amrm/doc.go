// Package amrm keeps an ApplicationMaster registered with the YARN ResourceManager: it registers, heartbeats
// (allocate), asks for and releases containers, and unregisters.
//
// It mirrors the client side of org.apache.hadoop.yarn.api.ApplicationMasterProtocol (Hadoop 3.3 to 3.5).
//
// Two halves: core is a pure state machine (Step(now, event) → effects; no goroutine, no clock, no I/O) that owns
// response ids, the pending delta, the table of outstanding asks, unconfirmed releases, the blacklist, the AMRM
// token slot and the pacing. Session is the shell around it: one goroutine that feeds the core, at most one call to
// the YARN RM at a time. The Session is process-scoped: one per AM process, whoever leads.
//
// Goroutines: every exported method may be called from anywhere. SetAsk, Release, Expect, Blacklist and SetProgress only
// post and return at once. Config.OnEvent is called on the session's goroutine, in order, one event at a time: it
// must not block and may call the posting methods, but neither Register nor Unregister nor Close.
//
// What always holds:
//   - An ask goes out only when the outstanding number changed or after a re-register; outstanding falls with each
//     allocated container.
//   - An NM token is in NMTokens before the event that carries the first container of that node.
//   - A container is announced once (Allocated, PreviousContainers or Registration), its completion once, however
//     often the YARN RM repeats them.
//   - After Terminated no call is made and no event follows.
//
// Not here: what to do with containers (surplus is the owner's to release), starting them (yarn/nm), how many
// workers are wanted (appmaster/yarndriver), whether a container the YARN RM forgot in a restart still lives.
package amrm
