// Package state keeps the keyed state of an operator in memory.
//
// A Table belongs to one operator instance and its task's goroutine. It holds the entries of all key groups of that subtask in pages of 256,
// in the order in which keys came, and one index over them. The index goes by a cheap hash (Hasher.Local, or one of texts); the hash that
// chooses the key group is computed once for each key that comes in.
//
// Snapshot freezes the table as it is by raising a version: the pages stay where they are, and the first change of a page after that is
// made to a copy of that page. The Snapshot may be encoded, by key group, on another goroutine while the table goes on.
//
// What always holds: a page that a snapshot can see is never written; the table owns its keys and, where values refer to memory, a copy of
// a page shares none with the original.
//
// The package stores nothing outside of memory. It uses the keys and codecs of package operator, which does not know it; the operators with
// state are in packages above both.
package state
