// Package task runs one subtask of one vertex: a chain of operators between its inputs and its outputs.
//
// jobruntime makes a Task per deployment (New), starts it and tells it what comes from outside (Cancel, Fail, Event); the task reports
// through the callbacks of its Config. A task is one goroutine, on which all operators of the chain and all user code run: it takes its
// mail first, then one input batch or one poll of the source, and only when every output has room; else it waits for mail, input, room,
// or its end. Everything from outside becomes a mail. A second goroutine, the watchdog, lives from a cancellation to the task's end.
//
// States go INITIALIZING, RUNNING, then exactly one of FINISHED, CANCELED, FAILED, which is reported after everything the task held has
// been released. A panic in user code is a failure that carries the stack.
//
// What always holds: at most one state change is being reported at a time, in order; after the final state no callback is called; user
// code never runs on another goroutine than the task's.
//
// The package knows no Go type of the job and no wire message of the control plane.
package task
