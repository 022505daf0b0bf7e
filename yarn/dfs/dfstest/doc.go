// Package dfstest holds the conformance test of dfs.FS: one list of behaviours that every file system must show.
//
// It is called by the tests of yarn/dfs (local disk, memory, HDFS over a fake) and by integration tests against real HDFS, on the
// test's goroutine. Every case works in a directory of its own below the given one and leaves that to the caller to delete.
// It does not test permissions between users, block locations or recovery from faults.
package dfstest
