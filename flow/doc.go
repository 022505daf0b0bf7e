// Package flow is what a job is written with: streams, what is done with them, and where they come from and go to.
//
// A job is a program. Its main hands a build function to Main; build declares the job, and nothing else:
//
//	func main() { flow.Main(build) }
//
//	func build(env *flow.Env, args []string) error {
//		lines := flow.TextFiles(env, args[0])
//		words := flow.FlatMap(lines, func(line string, out flow.Emit[string]) {
//			for word := range strings.FieldsSeq(line) {
//				out.To(word)
//			}
//		})
//		counts := flow.Count(flow.KeyBy(words, func(word string) string { return word }))
//		flow.WriteTextFiles(counts, args[1], func(line []byte, c flow.KV[string, int64]) []byte {
//			return fmt.Appendf(line, "%s\t%d", c.Key, c.Value)
//		})
//		return nil
//	}
//
// Run as it is (go run, or the compiled program), it runs in one process. With flott run -t yarn-application it runs on a cluster, the
// same program in every process.
//
// # Streams
//
// Sources: TextFiles, Sequence, Generate. One record at a time: Map, Filter, FlatMap (with Fields: lines into words). By key, after KeyBy:
// Count, Sum, Reduce, and Process, which has state. Shape: Union, Rebalance. Sinks: WriteTextFiles, Print, ForEach. A function whose work
// may fail is given to the form that begins with Try; its error fails the job. A method of the stream (or sink) that they return names the
// operator and sets its UID and parallelism:
//
//	words := flow.FlatMap(lines, flow.Fields).Name("split lines").Parallelism(4)
//
// # Build runs in several processes
//
// The submitter, the ApplicationMaster and every worker call build with the same arguments and compare the results; so functions may be
// closures over what build has computed, without any registration. What build takes from outside (the time, chance, a file, the
// environment) may differ between these processes: it goes through Param, which evaluates it once. Build should have no other effect.
//
// # Ends and modes
//
// A job whose sources all end by themselves is bounded: it finishes, and Count, Sum and Reduce give one result per key, at the end. Any
// other job runs until it is cancelled, and they give a result after each record. Option execution.runtime-mode: STREAMING asks for the
// latter in any case.
//
// # Records
//
// Records are of any type with a codec: booleans, numbers, strings, structs, arrays, slices, maps and pointers of these, and types with
// MarshalBinary and UnmarshalBinary. Channels, functions and values of interface types have none. A record must not be changed once it has
// been emitted, and nor must what a function gets: others may be reading it. Functions run on one goroutine per subtask, so what build
// makes is shared by the subtasks of one process, and needs a lock when it changes.
//
// Mistakes that the compiler cannot see (a type without a codec, a key that differs between processes, a stream that nothing reads, a UID
// given twice) are found when build has returned: all at once, each with the file and line of its call.
//
// # Who calls what
//
// Build runs on the goroutine that called Main or Run; Env and streams belong to it. The package declares: it makes plan and nodes of
// rpc/program from the operators of taskrunner/operator and taskrunner/connector, and runs nothing itself. Only main.go knows the roles of
// a process.
package flow
