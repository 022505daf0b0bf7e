// Package scenario holds tests of whole scenes on real Hadoop: a client, a cluster, jobs and what goes wrong with them. Each runs on the
// cluster that hadooptest shares, unless it breaks daemons. It exports nothing.
package scenario
