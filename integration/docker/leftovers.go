package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clean removes what a daemon leaves when it ends, or was killed: processes, mounts, directories, control groups.
func (x *daemon) clean() error {
	for _, name := range []string{x.pidFile(), filepath.Join(x.run, "exec", "containerd", "containerd.pid")} {
		if err := x.endProcess(name); err != nil {
			return err
		}
	}
	// Containers and the shims between them and containerd outlive a daemon that is killed; otherwise they are about to end.
	if err := gone("containers", func() ([]int, error) { return inGroups(x.groups()) }, 0); err != nil {
		return err
	}
	if err := gone("shims", func() ([]int, error) { return withArgument(x.run + "/") }, 5*time.Second); err != nil {
		return err
	}
	if err := errors.Join(unmountBelow(x.data), unmountBelow(x.run)); err != nil {
		return err
	}
	made, err := os.ReadFile(x.absentFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range machinePaths {
		if slices.Contains(strings.Fields(string(made)), name) {
			_ = os.Remove(name) // a folder that is not empty has become somebody's
		}
	}
	if err := os.RemoveAll(x.run); err != nil {
		return err
	}
	for _, g := range x.groups() {
		if err := removeGroups(g); err != nil {
			return err
		}
	}
	return nil
}

// absent returns the paths that are not there.
func absent(paths []string) []string {
	var missing []string
	for _, name := range paths {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		}
	}
	return missing
}

// endProcess ends the process of a pid file if it is one of this daemon, which its command line says.
func (x *daemon) endProcess(pidFile string) error {
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 2 {
		return fmt.Errorf("%s holds %q, not a process id", pidFile, text)
	}
	mine := func() ([]int, error) {
		all, err := withArgument(x.run + "/")
		if slices.Contains(all, pid) {
			return []int{pid}, err
		}
		return nil, err
	}
	if pids, err := mine(); err != nil || len(pids) == 0 {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end process %d of %s: %w", pid, pidFile, err)
	}
	return gone("daemon", mine, 20*time.Second)
}

// gone waits until no process is left, and kills those that are after a grace.
func gone(what string, list func() ([]int, error), grace time.Duration) error {
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		pids, err := list()
		if err != nil || len(pids) == 0 {
			return err
		}
		passed := time.Since(began)
		if passed > grace+10*time.Second {
			return fmt.Errorf("end the %s: processes %v do not end", what, pids)
		}
		if passed < grace {
			continue
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end the %s: process %d: %w", what, pid, err)
			}
		}
	}
}

// withArgument lists the processes that have an argument with this beginning, or name=beginning; zombies have none.
func withArgument(beginning string) ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && pid != os.Getpid() && slices.ContainsFunc(strings.Split(string(text), "\x00"), func(arg string) bool {
			_, value, found := strings.Cut(arg, "=")
			return strings.HasPrefix(arg, beginning) || found && strings.HasPrefix(value, beginning)
		}) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// groups are the control groups of all of the daemon's containers: one in version 2, one for each controller in version 1.
func (x *daemon) groups() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/" + x.cgroup, "/sys/fs/cgroup/*/" + x.cgroup} {
		names, _ := filepath.Glob(pattern) // fails for a malformed pattern only
		found = append(found, names...)
	}
	return found
}

// inGroups lists the processes in control groups and those below.
func inGroups(groups []string) ([]int, error) {
	seen := map[int]bool{}
	for _, g := range groups {
		err := filepath.WalkDir(g, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.Name() != "cgroup.procs" {
				return ignoreGone(err)
			}
			text, err := os.ReadFile(name)
			for _, word := range strings.Fields(string(text)) {
				if pid, err := strconv.Atoi(word); err == nil {
					seen[pid] = true
				}
			}
			return ignoreGone(err)
		})
		if err != nil {
			return nil, fmt.Errorf("list processes of control groups: %w", err)
		}
	}
	var pids []int
	for pid := range seen {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// removeGroups removes a control group and those below, the deepest first. Their files go with them.
func removeGroups(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			dirs = append(dirs, name)
		}
		return ignoreGone(err)
	})
	slices.Reverse(dirs)
	for _, dir := range dirs {
		err = errors.Join(err, ignoreGone(syscall.Rmdir(dir)))
	}
	if err != nil {
		return fmt.Errorf("remove control group %s: %w", group, err)
	}
	return nil
}

// ignoreGone drops the error that something has ended while it was looked at.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return err
}

// unmountBelow makes a directory safe to remove.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, m := range mountsBelow(string(mounts), dir) {
		if err := syscall.Unmount(m, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return nil
}

// mountsBelow returns the mount points below a directory, the deepest first.
func mountsBelow(mountinfo, dir string) []string {
	var found []string
	for s := bufio.NewScanner(strings.NewReader(mountinfo)); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append(found, fields[4])
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return found
}
