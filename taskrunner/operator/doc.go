// Package operator is the seam between the typed operators of a job and the untyped task that runs them.
//
// It owns the things a record passes through: Collector and Output (how an operator hands on a record), Batch (how records travel
// between tasks of one process), Codec (how they become bytes), Key (how a key is hashed), and the edge nodes Edge and HashEdge, which
// make the writers at the end of one chain and the head of the next. Its structs are instantiated by flow with the job's types and put
// into program.Graph as any; the worker asserts Factory and EdgeNode once, when a chain is opened, and each operator asserts the Output
// after it once. On the way of a record there is no any and at most one dynamic call per operator.
//
// Everything here runs on the goroutine of one task, except what Batch documents: the consumer of a batch is another task, or the writer
// of a connection.
//
// What always holds: a record is immutable once it has been handed on; user code never sees memory that is used again; control events
// stay in order with the records around them; of several inputs, only the merged event reaches an operator.
//
// The package opens no connection and starts no goroutine; package task connects it with exchange.
package operator
