// Package program is the contract between the engine and a job: what a role gets when it builds the job's graph, and how the AM drives
// the coordinators of sources and sinks.
//
// flow adapts the user's build function to Program; bin/roles calls it in every role that needs the graph. The graph's nodes are any on
// purpose: only taskrunner/operator, in the worker, knows their types, and asserts them once when a chain is opened. Coordinators speak
// bytes, so that the AM (or a child process, in a session) hosts them without knowing the job's types.
//
// The package holds types only; it starts nothing and owns nothing.
package program
