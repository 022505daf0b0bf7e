package hadoop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Cluster is a Hadoop cluster that runs on this machine. Its methods may be called from any goroutine and process: what
// it knows is on disk and in the process table. Close nothing; call Stop to end the cluster.
type Cluster struct {
	spec     spec
	progress func(string)
}

const (
	readyTimeout = 120 * time.Second
	pollInterval = 100 * time.Millisecond
)

// Start brings up a new cluster in o.StateDir and returns when every daemon serves, every NodeManager is registered
// and HDFS has its directories (/tmp, /user, /user/<this user>, /user/alice). When it fails, or ctx ends, it leaves
// nothing running; the logs stay. The first call of a user also installs Java and Maven where it may (root on Debian or
// Ubuntu; otherwise *MissingError) and fetches the jars.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return nil, fmt.Errorf("start Hadoop: %w", err)
	}
	unlock, err := lockStart(ctx, o)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if pids, err := findCluster(o.StateDir); err != nil {
		return nil, err
	} else if len(pids) > 0 {
		return nil, fmt.Errorf("start Hadoop: a cluster runs in %s already; end it first (down) or choose another state directory", o.StateDir)
	}
	java, err := ensureJava(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := ensureJars(ctx, o.CacheDir, o.Progress); err != nil {
		return nil, err
	}
	s, err := place(o, java)
	if err != nil {
		return nil, err
	}
	c := &Cluster{spec: s, progress: o.Progress}
	if err := c.bringUp(ctx, o); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// place chooses the ports of the new cluster.
func place(o Options, java string) (spec, error) {
	names := mayNameHosts()
	var lastErr error
	for offset := o.PortOffset; offset <= maxPortOffset; offset += portStep {
		s := newSpec(o, java, names, offset)
		if _, lastErr = s.takenPort(); lastErr == nil {
			return s, nil
		}
		if !o.AutoPorts {
			break
		}
	}
	return spec{}, fmt.Errorf("start Hadoop: %w", lastErr)
}

func (c *Cluster) bringUp(ctx context.Context, o Options) error {
	began := time.Now()
	s := &c.spec
	if err := s.makeDirs(); err != nil {
		return err
	}
	watcher, err := s.startWatcher(o.Owner)
	if err != nil {
		return err
	}
	s.WatcherPID = watcher
	if err := s.save(); err != nil {
		return err
	}
	if s.HostNames {
		add := func(text []byte) []byte { return addHosts(text, s.StateDir, s.Nodes) }
		if err := editHosts(hostsFile, add); err != nil {
			return err
		}
	}
	if err := s.writeConf(); err != nil {
		return err
	}
	if err := ensureFormatted(ctx, *s, o.Progress); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready within %v", readyTimeout))
	defer cancel()
	for _, d := range s.daemons() {
		if d == "dn" {
			// A DataNode that finds the port bound but not served sleeps 5 s before it tries again.
			if err := c.await(ctx, []string{"nn"}, s.nameNodeAccepts); err != nil {
				return err
			}
		}
		if err := s.launch(d); err != nil {
			return err
		}
	}
	if err := c.await(ctx, s.daemons(), s.pending); err != nil {
		return err
	}
	if err := s.makeHDFSDirs(ctx); err != nil {
		return err
	}
	if s.Persist {
		if err := s.stopWatcher(); err != nil {
			return err
		}
		s.WatcherPID = 0
		if err := s.save(); err != nil {
			return err
		}
	}
	c.progress(fmt.Sprintf("ready after %.1f s: %d NodeManagers of %d MB and %d vcores; ResourceManager %s", time.Since(began).Seconds(),
		len(s.Nodes), s.NodeMemoryMB, s.NodeVCores, c.RMWebURL()))
	return nil
}

// lockStart lets one cluster start at a time.
func lockStart(ctx context.Context, o Options) (func(), error) {
	f, err := os.OpenFile(filepath.Join(o.CacheDir, "start.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock cluster start: %w", err)
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock cluster start: %w", err)
		}
		if !told {
			o.Progress("waiting for another cluster's start to end")
		}
		if err := pause(ctx, pollInterval); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock cluster start: %w", err)
		}
	}
}

// makeDirs empties the state directory of an earlier cluster and makes this one's directories.
func (s spec) makeDirs() error {
	if err := s.removeData(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.dir("logs")); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	dirs := []string{s.dir("logs"), s.dir("data", "tmp"), s.dir("data", "zk")}
	for _, n := range s.Nodes {
		dirs = append(dirs, s.dir("data", n.Daemon), s.dir("logs", n.Daemon+"-containers"))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
	}
	return nil
}

// removeData removes all that a cluster wrote but its logs.
func (s spec) removeData() error {
	confs, err := filepath.Glob(s.dir("conf*"))
	if err != nil {
		return fmt.Errorf("remove cluster data: %w", err)
	}
	for _, path := range append(confs, s.dir("data"), s.dir("watch.sh"), s.dir("cluster.json")) {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove cluster data: %w", err)
		}
	}
	return nil
}

// Open returns the cluster of a state directory, running or not; ErrNoCluster when there is none.
func Open(stateDir string) (*Cluster, error) {
	s, err := loadSpec(stateDir)
	if err != nil {
		return nil, err
	}
	return &Cluster{spec: s, progress: func(string) {}}, nil
}

// Stop kills all daemons and containers of the cluster, also containers whose NodeManager is gone, and removes its data
// and host names. The logs stay. It does not wait for anything but the processes' end.
func (c *Cluster) Stop() error {
	if err := c.spec.stopWatcher(); err != nil {
		return err
	}
	return StopDir(c.spec.StateDir)
}

// StopDir is Stop for a state directory of which nothing but processes may be left.
func StopDir(stateDir string) error {
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return fmt.Errorf("stop cluster: %w", err)
	}
	if err := killCluster(dir); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		remove := func(text []byte) []byte { return removeHosts(text, dir) }
		if err := editHosts(hostsFile, remove); err != nil {
			return err
		}
	}
	return spec{StateDir: dir}.removeData()
}

// killCluster kills until nothing is left: a NodeManager may have started a container between two looks.
func killCluster(stateDir string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		pids, err := findCluster(stateDir)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("stop cluster %s: processes %v do not end", stateDir, pids)
		}
		for _, pid := range pids {
			if err := signal(pid, syscall.SIGKILL); err != nil {
				return err
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Daemons returns the names that Kill, Signal and StartDaemon take: zk, nn, rm, dn, nm1 …
func (c *Cluster) Daemons() []string { return c.spec.daemons() }

// Nodes returns the NodeManagers.
func (c *Cluster) Nodes() []Node { return c.spec.Nodes }

// StateDir is the cluster's directory.
func (c *Cluster) StateDir() string { return c.spec.StateDir }

// ConfDir is the HADOOP_CONF_DIR of a client.
func (c *Cluster) ConfDir() string { return c.spec.confDir() }

// LogFile is where a daemon's output goes.
func (c *Cluster) LogFile(daemon string) string { return c.spec.logFile(daemon) }

// ContainerLogDir is a NodeManager's directory of container logs, which aggregation empties.
func (c *Cluster) ContainerLogDir(daemon string) string {
	return c.spec.dir("logs", daemon+"-containers")
}

// ZooKeeper is the connect string of the ZooKeeper server.
func (c *Cluster) ZooKeeper() string { return at(loopback, c.spec.Ports.ZooKeeper) }

// RMWebURL is the ResourceManager's web address, without a slash at the end.
func (c *Cluster) RMWebURL() string { return "http://" + at(loopback, c.spec.Ports.RMWeb) }

// NameNodeWebURL is the NameNode's web address, without a slash at the end.
func (c *Cluster) NameNodeWebURL() string { return "http://" + at(loopback, c.spec.Ports.NameNodeWeb) }

// DefaultFS is the cluster's file system, as in fs.defaultFS.
func (c *Cluster) DefaultFS() string { return "hdfs://" + at(loopback, c.spec.Ports.NameNode) }

// Env returns the variables, as NAME=value, that make a process a client of this cluster.
func (c *Cluster) Env() []string {
	return []string{"HADOOP_CONF_DIR=" + c.ConfDir(), StateEnv + "=" + c.StateDir()}
}

// Java returns the home of the Java that runs the daemons, and Hadoop's jars as a class path.
func (c *Cluster) Java() (home, jars string) {
	return c.spec.JavaHome, filepath.Join(jarDir(c.spec.CacheDir), "*")
}

// PID returns a daemon's process id, 0 when it does not run.
func (c *Cluster) PID(daemon string) (int, error) {
	if err := c.check(daemon); err != nil {
		return 0, err
	}
	return findDaemon(c.spec.StateDir, daemon)
}

func (c *Cluster) check(daemon string) error {
	for _, d := range c.Daemons() {
		if d == daemon {
			return nil
		}
	}
	return fmt.Errorf("no daemon %q: have %s", daemon, strings.Join(c.Daemons(), ", "))
}

// Signal sends sig to a daemon, for example SIGSTOP and SIGCONT to make it silent for a while.
func (c *Cluster) Signal(daemon string, sig syscall.Signal) error {
	pid, err := c.PID(daemon)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("signal %s: it does not run", daemon)
	}
	return signal(pid, sig)
}

// Kill ends a daemon with SIGKILL and returns when its process is gone. Containers of a NodeManager live on.
func (c *Cluster) Kill(daemon string) error {
	if err := c.Signal(daemon, syscall.SIGKILL); err != nil {
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		pid, err := c.PID(daemon)
		if err != nil || pid == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill %s: process %d does not end", daemon, pid)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// StartDaemon starts a daemon that was killed and returns when it serves again.
func (c *Cluster) StartDaemon(ctx context.Context, daemon string) error {
	pid, err := c.PID(daemon)
	if err != nil {
		return err
	}
	if pid != 0 {
		return fmt.Errorf("start %s: it runs already as process %d", daemon, pid)
	}
	if err := c.spec.launch(daemon); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready within %v", readyTimeout))
	defer cancel()
	return c.await(ctx, []string{daemon}, func(ctx context.Context) ([]string, error) {
		return c.spec.pendingOf(ctx, daemon), nil
	})
}

// Pending names what does not serve, one entry per daemon with the reason; empty when the cluster is ready.
func (c *Cluster) Pending(ctx context.Context) ([]string, error) { return c.spec.pending(ctx) }

// pause waits unless ctx ends first, and returns its cause then.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
