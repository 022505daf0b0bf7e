// Package gateway is what endpoints see of each other: one plain interface per endpoint, and the ordered Stream between a leader and a
// worker. It knows no sockets; rpc/transport serves the same interfaces over gRPC.
//
// Implementations of each interface: remote (rpc/transport), in-process (InProcess: no socket, no shared messages) and leaderless
// (Leaderless, which answers ErrNoLeader at once). One conformance suite runs over remote and in-process.
//
// What always holds:
//
//   - a message handed to a call or to Stream.Send is frozen from then on: neither side changes it, nor the bytes it refers to (the tag
//     "invariants" checks it); the receiver gets a copy of its own;
//   - unary calls are idempotent and may arrive in any order and concurrently; what needs order rides on a stream;
//   - an error answered by the peer arrives as *rpc.Error with its code, method and causes, and rpc.NotSent, Refused and Unknown tell
//     what happened there;
//   - methods that rpc/fence marks as fenced are refused for another epoch, before the endpoint sees them, when Endpoints.Leader is set.
//
// Opening a stream. The worker registers with attempt number n; the leader opens with n in the header; the answer to Register goes out
// when the stream is up. A worker that has begun attempt n+1 meanwhile refuses:
//
//	worker: Register(n) ──→ leader            worker: gives up, Register(n+1) ──→ leader
//	leader:                 open(n) ─────────────────────→ worker: Replayed (Roster.Admit)
//	leader:                                                        open(n+1) → admitted, the stream of n is closed as superseded
package gateway
