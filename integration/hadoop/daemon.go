package hadoop

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// jvm is how a daemon's Java process is called.
type jvm struct {
	class  string
	heapMB int
}

func jvmOf(daemon string) jvm {
	switch daemon {
	case "zk":
		return jvm{"org.apache.zookeeper.server.quorum.QuorumPeerMain", 128}
	case "nn", "format":
		return jvm{"org.apache.hadoop.hdfs.server.namenode.NameNode", 256}
	case "dn":
		return jvm{"org.apache.hadoop.hdfs.server.datanode.DataNode", 192}
	case "rm":
		return jvm{"org.apache.hadoop.yarn.server.resourcemanager.ResourceManager", 384}
	default:
		return jvm{"org.apache.hadoop.yarn.server.nodemanager.NodeManager", 256}
	}
}

// opened are the packages of the JDK that Hadoop reaches into by reflection.
var opened = []string{"java.io", "java.lang", "java.lang.reflect", "java.math", "java.net", "java.text", "java.util",
	"java.util.concurrent", "java.util.zip", "sun.security.util", "sun.security.x509"}

func (s spec) java() string { return filepath.Join(s.JavaHome, "bin", "java") }

// javaArgs is the command line of a daemon after java itself.
func (s spec) javaArgs(daemon string, args ...string) []string {
	j := jvmOf(daemon)
	line := []string{"-Xmx" + strconv.Itoa(j.heapMB) + "m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-XX:+IgnoreUnrecognizedVMOptions", "-Xshare:auto", "-Djava.net.preferIPv4Stack=true",
		"-Dhadoop.log.dir=" + s.dir("logs"), "-Dyarn.log.dir=" + s.dir("logs"),
		"-Djava.io.tmpdir=" + s.dir("data", "tmp"), stateFlag(s.StateDir), daemonFlag(daemon)}
	for _, p := range opened {
		line = append(line, "--add-opens=java.base/"+p+"=ALL-UNNAMED")
	}
	line = append(line, "-cp", s.daemonConfDir(daemon)+":"+jarDir(s.CacheDir)+"/*", j.class)
	if daemon == "zk" {
		args = append(args, filepath.Join(s.confDir(), "zoo.cfg"))
	}
	return append(line, args...)
}

// daemonEnv is small and fixed, so that nothing of the starting shell reaches a container.
func (s spec) daemonEnv(daemon string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "USER=" + superuser(), "LANG=C.UTF-8",
		"JAVA_HOME=" + s.JavaHome, "HADOOP_CONF_DIR=" + s.daemonConfDir(daemon)}
	if v := os.Getenv("TZ"); v != "" {
		env = append(env, "TZ="+v)
	}
	return env
}

// launch starts a daemon in a session of its own, out of reach of the terminal's Ctrl-C; its output goes to its log.
func (s spec) launch(daemon string) error {
	log, err := os.OpenFile(s.logFile(daemon), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", daemon, err)
	}
	defer log.Close()
	cmd := exec.Command(s.java(), s.javaArgs(daemon)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir("data", "tmp"), s.daemonEnv(daemon), log, log
	if err := startDetached(cmd); err != nil {
		return fmt.Errorf("start %s: %w", daemon, err)
	}
	return nil
}

// startDetached starts cmd in a session of its own, with nothing of this process but what cmd names: a file that this
// process inherited, say the lock of a `flock` around it, would stay open as long as the daemon lives.
func startDetached(cmd *exec.Cmd) error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open files: %w", err)
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	// The exit status tells nothing that the log does not; waiting only keeps a zombie away.
	go cmd.Wait()
	return nil
}

//go:embed watch.sh
var watchScript string

// startWatcher starts the shell that ends the cluster when its owner has died. A shell, because the owner may be any
// test binary, and those have no command to call.
func (s spec) startWatcher(owner int) (int, error) {
	script := s.dir("watch.sh")
	if err := os.WriteFile(script, []byte(watchScript), 0o755); err != nil {
		return 0, fmt.Errorf("start watcher: %w", err)
	}
	cmd := exec.Command("/bin/sh", script, strconv.Itoa(owner), s.StateDir, hostsMark(s.StateDir), hostsFile)
	cmd.Dir = "/"
	if err := startDetached(cmd); err != nil {
		return 0, fmt.Errorf("start watcher: %w", err)
	}
	return cmd.Process.Pid, nil
}

// stopWatcher ends the watcher of the cluster, if that process is still it.
func (s spec) stopWatcher() error {
	if s.WatcherPID == 0 {
		return nil
	}
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.WatcherPID), "cmdline"))
	if err != nil || !strings.Contains(string(cmdline), s.dir("watch.sh")) {
		return nil // ended already
	}
	return signal(s.WatcherPID, syscall.SIGKILL)
}
