package hadoop

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type properties map[string]string

// renderXML writes a Hadoop configuration file with the keys in order.
func renderXML(p properties) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<configuration>\n")
	for _, key := range slices.Sorted(maps.Keys(p)) {
		b.WriteString("  <property><name>")
		xml.EscapeText(&b, []byte(key))
		b.WriteString("</name><value>")
		xml.EscapeText(&b, []byte(p[key]))
		b.WriteString("</value></property>\n")
	}
	b.WriteString("</configuration>\n")
	return b.Bytes()
}

func at(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func (s spec) coreSite() properties {
	return properties{
		"fs.defaultFS":   "hdfs://" + at(loopback, s.Ports.NameNode),
		"hadoop.tmp.dir": s.dir("data", "tmp"),
		// A daemon that is not there is noticed at once instead of after 45 attempts.
		"ipc.client.connect.max.retries":    "3",
		"ipc.client.connect.retry.interval": "200",
	}
}

func (s spec) hdfsSite() properties {
	p := s.Ports
	return properties{
		"dfs.replication":                   "1",
		"dfs.permissions.enabled":           "true",
		"dfs.namenode.rpc-address":          at(loopback, p.NameNode),
		"dfs.namenode.http-address":         at(loopback, p.NameNodeWeb),
		"dfs.namenode.name.dir":             "file://" + s.dir("data", "nn"),
		"dfs.namenode.handler.count":        "4",
		"dfs.namenode.safemode.extension":   "0",
		"dfs.namenode.resource.du.reserved": "0",
		// Tests make files of many small blocks.
		"dfs.namenode.fs-limits.min-block-size":                     "0",
		"dfs.datanode.data.dir":                                     "file://" + s.dir("data", "dn"),
		"dfs.datanode.hostname":                                     loopback,
		"dfs.datanode.address":                                      at(loopback, p.DataNode),
		"dfs.datanode.http.address":                                 at(loopback, p.DataNodeWeb),
		"dfs.datanode.ipc.address":                                  at(loopback, p.DataNodeIPC),
		"dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
	}
}

func (s spec) yarnSite() properties {
	p := s.Ports
	site := properties{
		"yarn.acl.enable":                                         "false",
		"yarn.timeline-service.enabled":                           "false",
		"yarn.log-aggregation-enable":                             "true",
		"yarn.am.liveness-monitor.expiry-interval-ms":             millis(s.AMExpiry),
		"yarn.nm.liveness-monitor.expiry-interval-ms":             millis(s.NodeExpiry),
		"yarn.cluster.max-application-priority":                   "10",
		"yarn.resourcemanager.hostname":                           loopback,
		"yarn.resourcemanager.bind-host":                          loopback,
		"yarn.resourcemanager.address":                            at(loopback, p.RMClient),
		"yarn.resourcemanager.scheduler.address":                  at(loopback, p.RMScheduler),
		"yarn.resourcemanager.resource-tracker.address":           at(loopback, p.RMTracker),
		"yarn.resourcemanager.admin.address":                      at(loopback, p.RMAdmin),
		"yarn.resourcemanager.webapp.address":                     at(loopback, p.RMWeb),
		"yarn.resourcemanager.am.max-attempts":                    "5",
		"yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": millis(s.Heartbeat),
		"yarn.resourcemanager.connect.retry-interval.ms":          "500",
		"yarn.resourcemanager.zk-address":                         at(loopback, p.ZooKeeper),
		"yarn.resourcemanager.recovery.enabled":                   strconv.FormatBool(s.RMRecovery),
		"yarn.resourcemanager.store.class":                        "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore",
		"yarn.resourcemanager.fs.state-store.uri":                 "file://" + s.dir("data", "rm"),
		"yarn.scheduler.minimum-allocation-mb":                    strconv.Itoa(s.MinAllocationMB),
		"yarn.scheduler.maximum-allocation-mb":                    strconv.Itoa(s.NodeMemoryMB),
		"yarn.scheduler.maximum-allocation-vcores":                strconv.Itoa(s.NodeVCores),
		"yarn.nodemanager.resource.memory-mb":                     strconv.Itoa(s.NodeMemoryMB),
		"yarn.nodemanager.resource.cpu-vcores":                    strconv.Itoa(s.NodeVCores),
		"yarn.nodemanager.vmem-check-enabled":                     strconv.FormatBool(s.VmemCheck),
		"yarn.nodemanager.pmem-check-enabled":                     strconv.FormatBool(s.PmemCheck),
		// A disk that is 90 % full would make every node unhealthy, and nothing would be scheduled.
		"yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100.0",
		"yarn.nodemanager.disk-health-checker.min-free-space-per-disk-mb":               "0",
	}
	if !s.HostNames {
		site["yarn.scheduler.include-port-in-node-name"] = "true"
	}
	return site
}

func (s spec) nodeSite(n Node) properties {
	site := s.yarnSite()
	maps.Copy(site, properties{
		"yarn.nodemanager.hostname":          n.Host,
		"yarn.nodemanager.bind-host":         n.IP,
		"yarn.nodemanager.address":           at(n.Host, n.Port),
		"yarn.nodemanager.localizer.address": at(n.Host, n.Localizer),
		"yarn.nodemanager.webapp.address":    at(n.Host, n.WebPort),
		"yarn.nodemanager.local-dirs":        s.dir("data", n.Daemon),
		"yarn.nodemanager.log-dirs":          s.dir("logs", n.Daemon+"-containers"),
	})
	return site
}

func (s spec) capacityScheduler() properties {
	const root = "yarn.scheduler.capacity.root."
	names := make([]string, len(s.Queues))
	p := properties{
		"yarn.scheduler.capacity.maximum-applications":                             "1000",
		"yarn.scheduler.capacity.maximum-am-resource-percent":                      "1.0",
		"yarn.scheduler.capacity.resource-calculator":                              "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
		"yarn.scheduler.capacity.node-locality-delay":                              "0",
		"yarn.scheduler.capacity.per-node-heartbeat.maximum-offswitch-assignments": strconv.Itoa(s.OffSwitch),
		"yarn.scheduler.capacity.per-node-heartbeat.multiple-assignments-enabled":  "true",
	}
	for i, q := range s.Queues {
		names[i] = q.Name
		limit := q.MaxCapacity
		setDefault(&limit, 100)
		maps.Copy(p, properties{
			root + q.Name + ".capacity":                     strconv.Itoa(q.Capacity),
			root + q.Name + ".maximum-capacity":             strconv.Itoa(limit),
			root + q.Name + ".user-limit-factor":            "10",
			root + q.Name + ".state":                        "RUNNING",
			root + q.Name + ".acl_submit_applications":      "*",
			root + q.Name + ".acl_administer_queue":         "*",
			root + q.Name + ".acl_application_max_priority": "*",
		})
	}
	p[root+"queues"] = strings.Join(names, ",")
	return p
}

const log4j = `log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.out
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
`

func (s spec) zooCfg() string {
	return fmt.Sprintf(`tickTime=1000
dataDir=%s
clientPort=%d
clientPortAddress=%s
admin.enableServer=false
maxClientCnxns=200
`, s.dir("data", "zk"), s.Ports.ZooKeeper, loopback)
}

// writeConf writes the configuration directories of the client and of every daemon.
func (s spec) writeConf() error {
	files := map[string][]byte{}
	addCommon := func(dir string, yarn properties) {
		files[filepath.Join(dir, "core-site.xml")] = renderXML(s.coreSite())
		files[filepath.Join(dir, "hdfs-site.xml")] = renderXML(s.hdfsSite())
		files[filepath.Join(dir, "yarn-site.xml")] = renderXML(yarn)
		files[filepath.Join(dir, "log4j.properties")] = []byte(log4j)
	}
	addCommon(s.confDir(), s.yarnSite())
	for _, n := range s.Nodes {
		addCommon(s.daemonConfDir(n.Daemon), s.nodeSite(n))
	}
	files[filepath.Join(s.confDir(), "capacity-scheduler.xml")] = renderXML(s.capacityScheduler())
	files[filepath.Join(s.confDir(), "zoo.cfg")] = []byte(s.zooCfg())
	// The HDFS jars lack the web applications; empty ones let the daemons start, with JMX and WebHDFS.
	for _, app := range []string{"hdfs", "datanode", "static"} {
		files[filepath.Join(s.confDir(), "webapps", app, "WEB-INF", "web.xml")] = []byte("<web-app/>\n")
	}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("write Hadoop configuration: %w", err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return fmt.Errorf("write Hadoop configuration: %w", err)
		}
	}
	return nil
}

// superuser is HDFS's: whoever runs the NameNode.
func superuser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "root"
}
