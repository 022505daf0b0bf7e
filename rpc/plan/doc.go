// Package plan is what a job program's build yields, as data: operators, edges, parameters, and the pure functions that turn them
// into what runs.
//
// A plan is declared by the builder, made concrete by Resolve (effective parallelism and maximum parallelism), stored in the job store
// and shipped with every deployment. Every role that rebuilds the graph compares Digests; Diff names the first difference. Chain turns
// a resolved plan into the job graph of vertices and exchanges; AM and workers both call it and must get the same answer, so nothing
// here reads clock, environment or map order.
//
// All functions are pure and may be called from any goroutine; a Plan or JobGraph is not changed after it has been made. The package
// does no I/O and knows no Go type of the job: Type, Codec and Func are text.
//
// Key groups follow Flink 1.20 (KeyGroupRangeAssignment, MathUtils.murmurHash) over our own key hash; Scheme names the pair.
package plan
