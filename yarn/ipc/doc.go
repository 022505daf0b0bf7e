// Package ipc is a client of Hadoop IPC version 9, the RPC that YARN and HDFS speak (Java: org.apache.hadoop.ipc.Client, 3.5.0).
//
// A Client owns its connections: one for each Peer (address, protocol and identity), dialled by whoever comes first, shared by all
// calls, closed when idle. Callers are yarn/rmclient, yarn/amrm, yarn/nm and yarn/dfs, from any goroutine. Each connection has one goroutine
// that reads and one that writes; both end with it, and Close waits for them. Answers may come in any order. A call's context ends that
// call only: the connection and its other calls go on, and a late answer is dropped. With more than eight calls under way, requests wait up to
// a millisecond for each other and go out together.
//
// What always holds: no lock is held across I/O; memory grows with the bytes that arrived, never by a length that a peer claims; a failed call
// says whether it was NotSent, Refused by the server, or is Unknown, and a server's error keeps Java class, message and stack.
//
// Identity: a Peer with a token authenticates by DIGEST-MD5, one without says only who it is (SIMPLE). A protection level
// (Config.Protection) covers everything after the handshake. Kerberos will be a further field of Peer and one more sasl.Method in methods.
//
// A call is sent once unless Retry says otherwise. A repetition keeps client id and call id and counts up the retry count, which is how the
// NameNode recognises it; the YARN RM relies on response ids instead. Failover walks the addresses of a service that
// runs on several. Not here: names of methods and messages, which belong to the typed clients, and the choice of tokens.
package ipc
