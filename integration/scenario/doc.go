// Package scenario holds tests of whole scenes on real Hadoop: a client, a cluster, jobs and what goes wrong with them. It exports nothing.
//
// Most run side by side on the cluster that hadooptest shares; those that end daemons, or need YARN's memory checks, run one after the other
// on a cluster of this package's own, which its first such test starts and TestMain ends. What flott says at each end of an application is in
// docs/endings.md; its rows are read from there. The tag nightly adds what takes longer.
package scenario
