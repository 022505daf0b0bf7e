// Package wire holds our clients of Hadoop's protocols, and the fakes that other tests trust, against real Hadoop: every mistake that
// YARN answers with an exception and the life of an unmanaged ApplicationMaster are run on the real cluster and on yarn/yarntest with the
// same expectations; yarn/dfs and yarn/staging run their contracts on real HDFS.
//
// It has tests only; they use the shared cluster of hadooptest, break none of its daemons and leave nothing on it.
package wire
