package hadoop

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// stateFlag and daemonFlag are the words on a daemon's command line by which it is found again.
func stateFlag(stateDir string) string { return "-Dflott.hadoop.state=" + stateDir }
func daemonFlag(daemon string) string  { return "-Dflott.hadoop.daemon=" + daemon }

// process is a running process with the two things that say whose it is.
type process struct {
	pid  int
	args []string
	env  []string
}

func (p process) hasArg(arg string) bool {
	for _, a := range p.args {
		if a == arg {
			return true
		}
	}
	return false
}

func (p process) getenv(key string) string {
	for _, e := range p.env {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			return v
		}
	}
	return ""
}

// containerOf says whether p was launched by a NodeManager of the cluster in stateDir.
func (p process) containerOf(stateDir string) bool {
	for _, key := range []string{"LOCAL_DIRS", "LOG_DIRS"} {
		if strings.HasPrefix(p.getenv(key), stateDir+"/") {
			return true
		}
	}
	return false
}

// processes lists what runs on this machine. Those of other users show no environment and zombies show nothing;
// neither can be a cluster's.
func processes() ([]process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var all []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(cmdline) == 0 {
			continue // ended meanwhile, a zombie or a kernel thread
		}
		p := process{pid: pid, args: splitNul(cmdline)}
		if environ, err := os.ReadFile(filepath.Join(dir, "environ")); err == nil {
			p.env = splitNul(environ)
		}
		all = append(all, p)
	}
	return all, nil
}

func splitNul(data []byte) []string {
	var words []string
	for w := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte{0}), []byte{0}) {
		words = append(words, string(w))
	}
	return words
}

// findDaemon returns the pid of a daemon of the cluster in stateDir, 0 when it does not run.
func findDaemon(stateDir, daemon string) (int, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if p.hasArg(stateFlag(stateDir)) && p.hasArg(daemonFlag(daemon)) {
			return p.pid, nil
		}
	}
	return 0, nil
}

// findCluster returns the pids of all daemons and containers of the cluster in stateDir.
func findCluster(stateDir string) ([]int, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range all {
		if p.pid != os.Getpid() && (p.hasArg(stateFlag(stateDir)) || p.containerOf(stateDir)) {
			pids = append(pids, p.pid)
		}
	}
	return pids, nil
}

func signal(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to process %d: %w", sig, pid, err)
	}
	return nil
}
