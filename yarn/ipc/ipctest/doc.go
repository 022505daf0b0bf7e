// Package ipctest is a server of Hadoop IPC version 9, for tests and for the fakes in yarn/yarntest: the real wire with SIMPLE and
// TOKEN/DIGEST-MD5 authentication, all protection levels, and a handler in place of a protocol (Java: org.apache.hadoop.ipc.Server, 3.5.0).
//
// New listens and serves at once; Close ends all connections and waits for all goroutines. There is one goroutine for each connection and one for
// each call under way, so answers leave in the order in which handlers return. A handler may run for several calls at the same time.
//
// It keeps no state of its own beyond connections: at-most-once caches, queues and authorisation are the handler's business. It is lenient
// where a fake need not be strict, but it checks what our client could get wrong: preamble, header fields, call ids, the echo of the
// authentication entry, and an empty user with tokens.
package ipctest
