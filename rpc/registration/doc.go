// Package registration is the way a worker gets itself registered: Flink's RetryingRegistration (1.20) as a pure machine, and a small
// shell that drives it on its owner's loop.
//
// Machine.Step takes what happened and says what to do next: send an attempt with a timeout, wait, or stop because it is over. The rules:
//
//	attempt sent                        its timeout starts at Initial (1 s)
//	no answer within the timeout        next attempt at once, timeout doubled, at most Max (30 s)
//	not sent (nobody listens there)     wait 50 ms, doubled up to 1 s, with jitter; then the first timeout again
//	answered with an error              wait ErrorDelay (10 s); then the first timeout again
//	Failure                             wait its retry-after, or RefusedDelay (30 s) when it names none; then the first timeout again
//	answered "not leader", "on hold"    as a Failure with 500 ms
//	Fenced by a higher epoch            over: the caller looks up the leader again (it learned an epoch)
//	Rejection                           over for good
//	Success                             over
//
// Each attempt has a number made by the worker (gateway.Roster.Begin), which the peer repeats when it opens its stream; an attempt that
// timed out is thereby void, even when its answer still comes. The shell cancels the call of an attempt before it begins the next.
//
//	worker: Begin → 1, Register(1) ──timeout── Begin → 2, Register(2)
//	leader:              open(1) ──────────────────────→ refused as replayed;  open(2) → admitted; Success
//
// What the shell reports goes through its owner's loop, so a Stop there is final: no result comes after it.
package registration
