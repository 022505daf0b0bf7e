// Package transport carries the gateway interfaces between processes over gRPC. Nothing outside rpc sees a gRPC type.
//
// Listen serves gateway.Endpoints on one port; NewDialer makes gateways to addresses, which share one connection per address. Both own
// all goroutines of the streams that go through them and wait for them in Close. What always holds beyond package gateway:
//
//   - a stream is up when the worker has admitted it: the server sends its gRPC headers only then, and nothing before them;
//   - the header of a stream travels as metadata "flott-open-bin", errors as a status detail (pb.ErrorDetail), the cause of a closed
//     stream as its last message;
//   - a call is "not sent" only when gRPC never wrote its headers to a connection;
//   - a connection nobody has used for a while is closed, so that addresses of workers long gone cost nothing.
//
// How a stream ends, worker's Close first:
//
//	worker:  Close(cause) ─ queue ─ StreamClosed(cause) ──→ leader: Recv fails with Closed: cause; cancels the call
//	worker:  reader sees the cancelled call → handler returns
//
// and leader's Close first:
//
//	leader:  Close(cause) ─ queue ─ StreamClosed(cause) ──→ worker: Recv fails with Closed: cause; handler returns
//	leader:  reader sees the end of the call → cancels it
package transport
