// Package procs finds the processes that run in the containers of a YARN application on this machine, and adds up what they take.
//
// Command bench calls it. Of lists the processes; a Watch collects CPU time and memory while its owner calls Sample again and again, on one
// goroutine. What belongs to an application is told by the environment that a NodeManager gives to a container (CONTAINER_ID), so that it
// works alike for programs of any language, with the shells around them.
//
// It reads /proc and starts nothing. What a process takes after the last Sample before its end is not seen.
package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Process is a process in a container.
type Process struct {
	PID       int
	Container string
	Args      []string
	Started   time.Time
}

// Master says whether the process is in the container of the ApplicationMaster, which is an attempt's first.
func (p Process) Master() bool { return isMaster(p.Container) }

func isMaster(container string) bool { return strings.HasSuffix(container, "_000001") }

// Of returns the processes of an application that run now.
func Of(app string) ([]Process, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, err
		}
		container := containerOf(pid, app)
		if container == "" {
			continue
		}
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // has ended
		}
		uptime, err := os.ReadFile("/proc/uptime")
		if err != nil {
			return nil, err
		}
		started, err := StartOf(string(stat), string(uptime), time.Now())
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		all = append(all, Process{PID: pid, Container: container, Started: started,
			Args: strings.Split(strings.TrimSuffix(string(args), "\x00"), "\x00")})
	}
	return all, nil
}

// containerOf is the container of an application that a process runs in, empty when it runs in none.
func containerOf(pid int, app string) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		// An attempt's containers are container_<cluster>_<application>_<attempt>_<number>, or container_e<epoch>_….
		if id, ok := bytes.CutPrefix(v, []byte("CONTAINER_ID=")); ok && strings.Contains(string(id), strings.TrimPrefix(app, "application")+"_") {
			return string(id)
		}
	}
	return ""
}

// StartOf computes when a process was started from its /proc/<pid>/stat and /proc/uptime, which was read now. Both count hundredths of a
// second since the machine's start.
func StartOf(stat, uptime string, now time.Time) (time.Time, error) {
	up, _, _ := strings.Cut(uptime, " ")
	seconds, err := strconv.ParseFloat(up, 64)
	f := statFields(stat)
	if len(f) < 20 || err != nil {
		return time.Time{}, errors.New("/proc has another form than expected")
	}
	ticks, err := strconv.ParseInt(f[19], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the start of the process: %w", err)
	}
	age := time.Duration(seconds*float64(time.Second)) - time.Duration(ticks)*tick
	return now.Add(-age), nil
}

// tick is the unit of times in /proc.
const tick = 10 * time.Millisecond

// statFields are the fields of /proc/<pid>/stat from the state, the third, on. The name before them, in parentheses, may hold anything.
func statFields(stat string) []string {
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
}

// cpuOf is the CPU time of a process, user and system, of all its threads.
func cpuOf(stat string) time.Duration {
	f := statFields(stat)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick
}

// Usage is what the processes of an application took.
type Usage struct {
	Master, Workers time.Duration // CPU time
	// MasterPeak and WorkerPeak are the largest resident sizes seen, in bytes; of workers, that of the largest one. In a container with
	// several processes (a shell, and what it has started) the largest counts.
	MasterPeak, WorkerPeak int64
}

// CPU is that of all processes.
func (u Usage) CPU() time.Duration { return u.Master + u.Workers }

// Watch adds up what an application takes.
type Watch struct {
	app   string
	ours  map[int]*seen
	other map[int]time.Time // processes that are not ours, and when they were first seen
}

type seen struct {
	container  string
	base, last time.Duration // CPU time that does not count, and at the last look
	peak       int64
}

// settle is how long a process may be looked at again: one that a NodeManager starts becomes ours only when the shell that prepares the
// container is replaced by the program.
const settle = 5 * time.Second

// New returns the watch of an application, which may have no process yet.
func New(app string) *Watch {
	return &Watch{app: app, ours: make(map[int]*seen), other: make(map[int]time.Time)}
}

// Reset forgets what has been seen so far: the CPU time until the last Sample, and the sizes.
func (w *Watch) Reset() {
	for _, s := range w.ours {
		s.base, s.peak = s.last, 0
	}
}

// Sample looks at all processes, and returns how many of the application's there are. It should be called every 50 ms or so.
func (w *Watch) Sample() (alive int) {
	dir, err := os.Open("/proc")
	if err != nil {
		return 0
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return 0
	}
	now := time.Now()
	other := make(map[int]time.Time, len(names)) // only those that are still there: pids are given again
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil {
			continue
		}
		if w.ours[pid] == nil {
			first, ok := w.other[pid]
			if !ok {
				first = now
			}
			container := ""
			if now.Sub(first) <= settle {
				container = containerOf(pid, w.app)
			}
			if container == "" {
				other[pid] = first
				continue
			}
			w.ours[pid] = &seen{container: container}
		}
		w.ours[pid].look(pid)
		alive++
	}
	w.other = other
	return alive
}

func (s *seen) look(pid int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	s.last = max(s.last, cpuOf(string(stat)))
	s.peak = max(s.peak, residentOf(pid))
}

var pageSize = int64(os.Getpagesize())

// residentOf is the resident size of a process in bytes, 0 when it has ended.
func residentOf(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(statm))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * pageSize
}

// Resident returns the resident sizes of an application now, in bytes: of its ApplicationMaster, and of its largest worker.
func Resident(app string) (master, worker int64, err error) {
	all, err := Of(app)
	for _, p := range all {
		if p.Master() {
			master = max(master, residentOf(p.PID))
		} else {
			worker = max(worker, residentOf(p.PID))
		}
	}
	return master, worker, err
}

// Usage returns what the application has taken until the last Sample.
func (w *Watch) Usage() Usage {
	var u Usage
	for _, s := range w.ours {
		if isMaster(s.container) {
			u.Master += s.last - s.base
			u.MasterPeak = max(u.MasterPeak, s.peak)
		} else {
			u.Workers += s.last - s.base
			u.WorkerPeak = max(u.WorkerPeak, s.peak)
		}
	}
	return u
}
