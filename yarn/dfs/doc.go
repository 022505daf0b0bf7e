// Package dfs is the one contract for files: HDFS, the local file system and an in-memory one for tests.
//
// It owns the rules that make a file trustworthy: Create and Rename never overwrite, a Writer whose Close returned nil is durable
// and has the right length, every error can be asked with errors.Is for fs.ErrNotExist, fs.ErrExist and fs.ErrPermission and
// still carries Java's class and message. On HDFS the bytes are moved by colinmarc/hdfs behind our own connections; every metadata
// call (status, listing, rename, delete, mkdirs, permission, block locations) is ours, over yarn/ipc.
//
// Who calls it: bin/cli and appmaster (staging, committers), taskrunner (sources and sinks, snapshots), each on its own goroutine.
// An FS and a Resolver may be used from any number of goroutines; a reader or a Writer belongs to one goroutine.
//
// What always holds: the context given to Open or Create bounds the whole life of the stream it returns: when it ends, a blocked
// Read, Write or Close returns soon with the context's error and the connections are closed. No call is answered from a cache.
// A mutating call whose answer was lost is decided by looking at the state that it left.
//
// What it does not do: append, truncate, symbolic links on HDFS, trash, erasure-coded or encrypted files (refused with
// ErrUnsupported: the byte client would deliver ciphertext or garbage), caching, Kerberos and delegation tokens (their place is
// Dialer in ResolverConfig, which authenticates a NameNode connection before the byte client uses it).
package dfs
