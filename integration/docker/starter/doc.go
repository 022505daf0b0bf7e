// Command starter is the entry point of the Hadoop image that integration/docker builds where none can be pulled. It keeps the convention
// of the image apache/hadoop, so that one compose file fits both:
//
//   - <FILE>.<EXT>_<property>=value becomes a property of /opt/hadoop/etc/hadoop/<file>.<ext>. The case of the file's name does not matter;
//     EXT!FORMAT writes another format than the extension says. A file that is named at all holds exactly what is named.
//   - SLEEP_SECONDS waits; WAITFOR=host:port waits until something listens there, at most WAITFOR_TIMEOUT seconds (300).
//   - ENSURE_NAMENODE_DIR=<dir> formats HDFS when that directory is not there; ENSURE_NAMENODE_CLUSTERID names the cluster.
//   - Then the command runs, and this process is its init: it passes signals on and waits for orphans.
//
// It runs once, as a container's first process, on the main goroutine; one more passes signals on. What it cannot do it refuses by name:
// Kerberos, standby NameNodes, the formats yaml and conf.
package main
