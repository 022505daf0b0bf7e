// Package actor runs the main thread of an endpoint: one goroutine that owns all of the endpoint's state.
//
// A Loop[S] owns the only *S. From outside, Post queues a closure, Call and Ask wait for an answer. The state's own code gets a Self[S],
// with which it posts to itself, sets timers (After) and starts slow work (Go); Self cannot reach Call or Ask, so waiting for one's own
// loop does not compile. What always holds:
//
//   - closures run one at a time, in the order of their Posts, on the loop's goroutine; the mailbox is unbounded, Post never blocks;
//   - a closure that was accepted by a started loop runs, also when the loop is closed meanwhile;
//   - after Close (or the end of Start's context) nothing is accepted: Post says false, Call and Ask return ErrStopped, timers do not
//     fire, results of Go are dropped;
//   - Close order: refuse new → run what is queued → run OnStop → cancel the context of work → wait for work → answer pending Asks
//     with ErrStopped → return.
//
// A handler never blocks: it changes state and starts Go, whose result comes back as a later closure. Between start and result anything
// may have happened, so the closure re-checks its premise:
//
//	loop:  state = Connecting(7); Go(dial)                 loop: then(conn): state is Connecting(8) → close conn, done
//	work:                        dial … conn ───────────────────┘
//	loop:       cancel() → state = Idle → Connecting(8); Go(dial)
//
// Time is package time's, so everything works in a testing/synctest bubble. Under the build tag "invariants" a handler that runs longer
// than a second panics. A panic in a handler ends the process with the loop's name; there is no recovery.
package actor
