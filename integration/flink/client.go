package flink

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/flott-dev/flott/integration/hadoop"
)

// stock is the configuration that Flink is shipped with, as far as it matters on YARN.
var stock = map[string]string{
	"jobmanager.memory.process.size":         "1600m",
	"taskmanager.memory.process.size":        "1728m",
	"taskmanager.numberOfTaskSlots":          "1",
	"parallelism.default":                    "1",
	"jobmanager.execution.failover-strategy": "region",
	"env.java.opts.all":                      strings.Join(javaOptions(), " "),
}

// javaOptions open the packages of Java 17 that Flink and its serialisers look into.
func javaOptions() []string {
	var all []string
	for _, p := range []string{"java.base/sun.net.util", "java.rmi/sun.rmi.registry", "jdk.compiler/com.sun.tools.javac.api",
		"jdk.compiler/com.sun.tools.javac.file", "jdk.compiler/com.sun.tools.javac.parser", "jdk.compiler/com.sun.tools.javac.tree",
		"jdk.compiler/com.sun.tools.javac.util", "java.security.jgss/sun.security.krb5"} {
		all = append(all, "--add-exports="+p+"=ALL-UNNAMED")
	}
	for _, p := range []string{"java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time",
		"java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"} {
		all = append(all, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	return all
}

// fileLog is log4j's configuration: the log file, with the time in front as Flink's own has it. The client also tells the console what
// Flink's YARN classes say, among it the application's id.
const (
	fileLog = `rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.name = file
appender.file.type = File
appender.file.fileName = ${sys:log.file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
`
	clientLog = fileLog + `logger.yarn.name = org.apache.flink.yarn
logger.yarn.level = INFO
logger.yarn.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = Console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %m%n
`
)

// Client makes Flink's commands against one cluster.
type Client struct {
	dist    *Dist
	cluster *hadoop.Cluster
	dir     string // conf, log
}

// New writes the configuration into dir, which must exist and belong to this client alone. settings come on top of Flink's stock ones.
func (d *Dist) New(c *hadoop.Cluster, dir string, settings map[string]string) (*Client, error) {
	_, jars := c.Java()
	all := maps.Clone(stock)
	// The containers' class path. Flink hands keys that begin with flink.yarn to Hadoop's configuration.
	all["flink.yarn.application.classpath"] = c.ConfDir() + "," + jars
	all["yarn.properties-file.location"] = dir
	maps.Copy(all, settings)
	conf := filepath.Join(dir, "conf")
	err := errors.Join(os.Mkdir(conf, 0o755), os.Mkdir(filepath.Join(dir, "log"), 0o755),
		os.WriteFile(filepath.Join(conf, "config.yaml"), []byte(renderConf(all)), 0o644),
		os.WriteFile(filepath.Join(conf, "log4j.properties"), []byte(fileLog), 0o644),
		os.WriteFile(filepath.Join(conf, "log4j-cli.properties"), []byte(clientLog), 0o644))
	if err != nil {
		return nil, fmt.Errorf("configure Flink: %w", err)
	}
	return &Client{dist: d, cluster: c, dir: dir}, nil
}

// renderConf writes config.yaml, one key a line.
func renderConf(settings map[string]string) string {
	var b strings.Builder
	for _, k := range sortedKeys(settings) {
		fmt.Fprintf(&b, "%s: %q\n", k, settings[k])
	}
	return b.String()
}

// Command is a process to be started.
type Command struct {
	Path      string
	Args, Env []string // Env: on top of a bare environment
}

// Session is what yarn-session.sh -d runs: it starts a session and ends.
func (c *Client) Session(settings ...string) Command {
	return c.command("org.apache.flink.yarn.cli.FlinkYarnSessionCli", append([]string{"-d"}, dynamic(settings)...))
}

// InSession is what flink run -d runs: it submits a job to a session and ends. Settings are key=value.
func (c *Client) InSession(application, class string, parallelism int, settings, args []string) Command {
	settings = append([]string{"yarn.application.id=" + application}, settings...)
	return c.job([]string{"run", "-d", "-t", "yarn-session"}, class, parallelism, settings, args)
}

// Application is what flink run-application runs: it submits an application that runs one job.
func (c *Client) Application(class string, parallelism int, settings, args []string) Command {
	return c.job([]string{"run-application", "-t", "yarn-application"}, class, parallelism, settings, args)
}

func (c *Client) job(action []string, class string, parallelism int, settings, args []string) Command {
	line := append(action, dynamic(settings)...)
	line = append(line, "-p", fmt.Sprint(parallelism), "-c", "bench."+class, c.dist.jobs)
	return c.command("org.apache.flink.client.cli.CliFrontend", append(line, args...))
}

func dynamic(settings []string) []string {
	var all []string
	for _, s := range settings {
		all = append(all, "-D"+s)
	}
	return all
}

// command is a class of Flink's client, with what Flink's scripts give it. (They also start a JVM that reads the configuration for them, which
// is left out.)
func (c *Client) command(class string, args []string) Command {
	conf := filepath.Join(c.dir, "conf")
	_, hadoopJars := c.cluster.Java()
	logging := "file:" + filepath.Join(conf, "log4j-cli.properties")
	line := append(javaOptions(), "-Dlog.file="+filepath.Join(c.dir, "log", "client.log"),
		"-Dlog4j.configuration="+logging, "-Dlog4j.configurationFile="+logging,
		"-classpath", strings.Join([]string{filepath.Join(c.dist.lib, "*"), c.cluster.ConfDir(), hadoopJars}, ":"), class)
	return Command{
		Path: filepath.Join(c.dist.javaHome, "bin", "java"),
		Args: append(line, args...),
		Env: append(c.cluster.Env(), "FLINK_CONF_DIR="+conf, "FLINK_LIB_DIR="+c.dist.lib, "FLINK_PLUGINS_DIR="+filepath.Join(c.dir, "plugins"),
			"JAVA_HOME="+c.dist.javaHome),
	}
}

var (
	applicationID = regexp.MustCompile(`application_\d+_\d+`)
	jobID         = regexp.MustCompile(`JobID ([0-9a-f]{32})`)
)

// ErrNoID says that a command's output names neither application nor job.
var ErrNoID = errors.New("flink printed no id")

// ApplicationOf finds the application in what Session or Application printed.
func ApplicationOf(output []byte) (string, error) {
	if m := applicationID.Find(output); m != nil {
		return string(m), nil
	}
	return "", ErrNoID
}

// JobOf finds the job in what InSession printed.
func JobOf(output []byte) (string, error) {
	if m := jobID.FindSubmatch(output); m != nil {
		return string(m[1]), nil
	}
	return "", ErrNoID
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
