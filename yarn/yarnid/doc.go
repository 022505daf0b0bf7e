// Package yarnid holds the ids YARN gives out: application, application attempt, container and node.
//
// They are comparable values (fit as map keys) that print and parse as Hadoop 3.x prints them, compare in YARN's order, and
// convert to and from the wire. Every package that talks about YARN calls it, from any goroutine. A value made by a Parse
// function or from the wire by a From function is valid; the zero value stands for "none" and prints as such an id would.
// It knows nothing of flott's own ids, which are in rpc/ids.
package yarnid
