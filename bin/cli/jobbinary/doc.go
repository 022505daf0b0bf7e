// Package jobbinary answers, before a file is executed, whether it is a job program that the nodes can run, and builds one from Go source.
//
// bin/cli calls it on the goroutine of a command. Everything is read from the file: its ELF header, the build information that the Go linker
// puts into it, and the mark of rpc/launchfile. What always holds: Inspect executes nothing; each refusal is one sentence that says what to do.
//
// It does not know the job's plan (the binary's own role plan yields that) and does not upload anything.
package jobbinary
