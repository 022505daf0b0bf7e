// Package state keeps the keyed state of an operator in memory.
//
// A Table belongs to one operator instance and its task's goroutine. It holds the entries of the key groups of that subtask, each group in
// an index of its own over pages of at most 256 entries. Snapshot freezes the table as it is by raising a version: the pages stay where
// they are, and the first change of a page after that is made to a copy of that page. The Snapshot may be encoded on another goroutine
// while the table goes on.
//
// What always holds: a page that a snapshot can see is never written; the table owns its keys and, where values refer to memory, a copy of
// a page shares none with the original.
//
// The package stores nothing outside of memory. It knows keys and values only through Hasher and Codec, which operator.Key and
// operator.Codec implement; so operators can use it without a cycle.
package state
