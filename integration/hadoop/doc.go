// Package hadoop starts real Hadoop on this machine: NameNode, DataNode, ResourceManager, NodeManagers with host names
// of their own, and ZooKeeper, each in its own JVM, from the jars of Maven Central. It needs no Docker and no Hadoop
// distribution.
//
// It owns a state directory per cluster (configuration, data, logs, cluster.json) and a cache directory per user (the
// jars and a formatted name directory). Tests call it through hadooptest; people through the command hadoopctl; both go
// through Start, Open and the methods of Cluster. No method starts a goroutine that outlives the call, except one per
// started JVM that collects its exit status.
//
// What always holds:
//   - All that listens does so on 127.0.0.x.
//   - A running daemon is found by its command line (-Dflott.hadoop.state=<dir>), a container by the directories in its
//     environment: no pid file can be stale, and the orphans of a killed NodeManager are found as well.
//   - Until a cluster is released (Options.Persist, after it is ready) a watcher process ends it when its owner dies, in
//     whatever way that happens.
//   - One start at a time per user, so that two never choose the same ports.
//
// It does not do Kerberos, YARN or HDFS high availability yet.
package hadoop
