// Package layering owns the rules of the tree's structure and the test that checks them: who may import whom, which
// module is there for what, what must be documented, how long files and functions may be, which calls are banned, and that names written
// in the pages exist.
//
// The rules are the tables in rules.go; docs/design.md gives their reasons. The test (layering_test.go) lists the
// packages with `go list`, parses every Go file with go/parser, and reports each violation with what to do about it. All
// checks are functions from the parsed tree to violations; no goroutine, no state. What always holds: an exception that
// nothing needs any more is a violation too, so the tables never keep dead entries.
//
// It knows no types: what it cannot see in the syntax is for vet, staticcheck and reviewers. Only the README's first job is compiled, and run,
// by a test of its own.
package layering
