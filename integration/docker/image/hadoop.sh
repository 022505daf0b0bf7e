#!/bin/sh
# The commands hdfs and yarn of the self-made image: `hdfs dfs -ls /`, `yarn nodemanager`, and the others below.
command=$(basename "$0") name=$1
[ $# -gt 0 ] && shift
heap=${HADOOP_HEAPSIZE_MAX:-256m}
case $heap in *[0-9]) heap=${heap}m ;; esac

case "$command $name" in
"hdfs namenode") class=org.apache.hadoop.hdfs.server.namenode.NameNode ;;
"hdfs datanode") class=org.apache.hadoop.hdfs.server.datanode.DataNode ;;
"hdfs dfs") class=org.apache.hadoop.fs.FsShell ;;
"hdfs dfsadmin") class=org.apache.hadoop.hdfs.tools.DFSAdmin ;;
"yarn resourcemanager") class=org.apache.hadoop.yarn.server.resourcemanager.ResourceManager ;;
"yarn nodemanager") class=org.apache.hadoop.yarn.server.nodemanager.NodeManager ;;
"yarn application") class=org.apache.hadoop.yarn.client.cli.ApplicationCLI; set -- application "$@" ;;
"yarn node") class=org.apache.hadoop.yarn.client.cli.NodeCLI ;;
"yarn logs") class=org.apache.hadoop.yarn.client.cli.LogsCLI ;;
"yarn rmadmin") class=org.apache.hadoop.yarn.client.cli.RMAdminCLI ;;
*)
	echo "$command: unknown command '$name'; this image has: hdfs namenode, datanode, dfs, dfsadmin;" \
		"yarn resourcemanager, nodemanager, application, node, logs, rmadmin" >&2
	exit 1
	;;
esac

# The packages of the JDK that Hadoop reaches into by reflection.
opens=
for package in java.io java.lang java.lang.reflect java.math java.net java.text java.util java.util.concurrent java.util.zip \
	sun.security.util sun.security.x509; do
	opens="$opens --add-opens=java.base/$package=ALL-UNNAMED"
done

# shellcheck disable=SC2086 # the options are words without spaces
exec java "-Xmx$heap" -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.net.preferIPv4Stack=true \
	"-Dhadoop.log.dir=$HADOOP_LOG_DIR" "-Dyarn.log.dir=$HADOOP_LOG_DIR" $opens \
	-cp "$HADOOP_CONF_DIR:$HADOOP_HOME/share/hadoop/web:$HADOOP_HOME/share/hadoop/lib/*" $class "$@"
