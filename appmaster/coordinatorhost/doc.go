// Package coordinatorhost runs the coordinators of a job's operators (split enumerators, committers): user code in the
// ApplicationMaster, reached in bytes only.
//
// It owns one goroutine and one queue per coordinator, so that user code never runs on an actor loop, one coordinator cannot hold up
// another, and events of one subtask arrive in the order they were given. The JobMaster calls it from its loop: Event and
// SubtaskFailed only enqueue; Start, Commit and Discard wait, and belong in a goroutine beside the loop.
//
// What always holds: a coordinator's methods never run at the same time; Start comes first and once; after the first failure of a
// coordinator (an error or a panic outside Commit and Discard) Config.Failed is called, once for the host, and its later events
// are dropped; after Close no method runs and no goroutine is left. A panic becomes an *Error with the coordinator's stack.
//
// It does not decide when to commit or discard, does not repeat anything, and knows neither the job's state nor the wire. Snapshot
// and Restore of coordinators will be driven from here when there are checkpoints: the hold on what a coordinator sends between
// Snapshot(n) and trigger n belongs into Config.Send's caller, send.
package coordinatorhost
