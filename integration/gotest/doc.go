// Command gotest runs the project's tests and ends with one line, "N passed, 0 failed, 0 skipped".
//
//	gotest test       what `make test` runs: first all packages that need no Hadoop, with the race detector; then, on one
//	                  shared cluster of real Hadoop, those whose tests use hadooptest
//	gotest unit       only the first half
//	gotest hadoop     only the second half
//	gotest race       the first half three times, in random order, with the checks of the tag invariants
//	gotest nightly    both halves with the tag nightly, which adds what takes longer
//	gotest fuzz       every fuzz test for a few seconds
//
// Further arguments are patterns of packages (default ./...). It fails when a test fails or is skipped, when a package
// does not build, and when real Hadoop cannot start: then it names what is missing.
//
// It owns the shared cluster for the time of its run; nothing is left when it ends, whatever ends it. It is called by the
// Makefile and by people; all runs on the main goroutine but the scanning of go test's output.
package main
