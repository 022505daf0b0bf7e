// Package cluster opens a Hadoop cluster for one user: it turns the Hadoop configuration into an RPC client, file systems, a client of
// the YARN RM and the staging area.
//
// bin/cli opens one for each command, bin/roles one for each process. It owns what it opened, until Close; nothing connects before it is
// used. A process without Hadoop configuration gets the local file system only.
package cluster
