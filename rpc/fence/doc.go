// Package fence compares leader epochs: which messages of another epoch are refused, where.
//
// Methods marks each gRPC method as fenced (its message or stream header carries the caller's epoch, and the responder compares) or
// unfenced; a test over the service descriptors fails on a method without a mark. Leader is the comparison in the AM: exactly its own
// epoch, or 0 from a worker that does not know it yet. Highest is the comparison in a worker: never lower than known, and higher is
// adopted. Both refuse with rpc.Fenced and their own epoch, so that the other side learns that it is behind.
//
// The check on receipt is cheap and early; leadership may end while a message waits in a mailbox, so endpoints compare again on their
// loop. All methods are safe for concurrent use unless they say otherwise.
package fence
