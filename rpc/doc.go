// Package rpc says what two of flott's processes agree on when something goes wrong: Error with its Code, and what a caller may conclude
// from it. The subpackages hold the rest:
//
//   - ids, plan, program: shared values;
//   - actor: the goroutine that owns an endpoint's state;
//   - gateway: one Go interface per endpoint, streams, the in-process network;
//   - transport: the same interfaces over gRPC (transport.Listen, transport.NewDialer);
//   - fence, registration, heartbeat: pure parts of the protocol;
//   - restapi: the JSON shapes of the REST interface;
//   - security: TLS configurations.
//
// Errors are values: immutable, safe for concurrent use. Crossing a wire keeps the code, the method, the text and the chain of causes.
package rpc
