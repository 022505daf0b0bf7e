// Package sasl authenticates Hadoop IPC connections: the negotiation that comes before the first call, and the protection of
// everything after it.
//
// Negotiator is the client's half, a pure state machine over RpcSaslProto: yarn/ipc carries its messages. It knows no mechanism;
// a Method offers one for an authentication the server advertises. Here are TOKEN with DIGEST-MD5 (Token, and Digest for its server,
// which the fakes of yarn/yarntest and ipc/ipctest use) and SIMPLE. Kerberos will be one more Method whose Client speaks GSSAPI.
//
// A Negotiator, Client or server half belongs to one goroutine. A Layer's Wrap and Unwrap may run on two goroutines, one each:
// every direction has its own keys and sequence numbers.
//
// What always holds: a password never leaves the process and never prints; a server that cannot prove that it knows the password is refused;
// the protection agreed on is one that the client's configuration lists, so a server cannot talk it down.
package sasl
