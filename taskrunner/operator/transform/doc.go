// Package transform holds the operators that turn streams into streams: Map, Filter and FlatMap, the aggregations by key (Aggregate, and
// Combine in front of the exchange), and Process with state by key.
//
// flow instantiates them with a job's types and puts them into the graph as nodes; package task opens them (operator.Factory) and drives
// them on the goroutine of its task, on which all user functions run.
//
// What always holds: a user function's error ends the task and comes back unchanged; state owns its memory, so that it neither shares nor
// holds that of records; in batch (operator.Context.Batch) an aggregation emits once per key, before the last watermark goes on.
//
// The package knows no exchange and no coordinator, and starts no goroutine.
package transform
