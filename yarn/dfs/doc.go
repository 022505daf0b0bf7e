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
// Read, Write or Close returns soon with the context's error and the connections are closed. Nothing about a file is answered
// from a cache. A mutating metadata call whose answer was lost is repeated under the same id; what the byte client leaves open
// (was it created? is it complete?) is decided by asking the NameNode.
//
// What it does not do: append, truncate, symbolic links on HDFS, trash, erasure-coded or encrypted files (refused with
// ErrUnsupported: the byte client would deliver ciphertext or garbage), caching, Kerberos and delegation tokens (their place is
// nameNodeConn.Write, which sees the byte client's preamble and every frame, and the Peer in newHDFS). Mkdir is no lock.
package dfs
