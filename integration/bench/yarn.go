package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/hadoop"
)

// yarnGroups are the rows on real Hadoop.
func yarnGroups(float64) []group {
	command := "flott run -d -t yarn-application -p 2 keyedsum -rate 1"
	return []group{{cases: []benchCase{
		{name: "start on YARN, binary cached", command: command,
			note: "from the command to every task RUNNING on 2 workers, and its phases. Our own share: what is neither the YARN RM's nor the NodeManagers' work; " +
				"of the wait for containers, what exceeds one heartbeat of the NodeManagers",
			run: func(ctx context.Context, s *session, row *measure.Row) error { return s.startRow(ctx, row, false) }},
		{name: "start on YARN, binary new", command: command,
			note: "as before, with a binary that the cluster has never seen: uploaded, and localised on each node",
			run:  func(ctx context.Context, s *session, row *measure.Row) error { return s.startRow(ctx, row, true) }},
	}}}
}

const (
	startLimit = 2 * time.Minute
	pollYARN   = 20 * time.Millisecond
	// idle is how long a job has been RUNNING when its processes' memory is read.
	idle = 3 * time.Second
)

// startRow starts one application, reads its phases and its processes' memory, and cancels it.
func (s *session) startRow(ctx context.Context, row *measure.Row, fresh bool) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	y, err := s.yarn(ctx)
	if err != nil {
		return err
	}
	if len(row.Load) == 1 { // the first run
		row.Name += fmt.Sprintf(", NodeManager heartbeat %v", y.heartbeat)
	}
	binary := y.job
	if fresh {
		var remove func()
		if binary, remove, err = y.newBinary(ctx, s.temp); err != nil {
			return err
		}
		defer remove()
	}
	a, err := y.start(ctx, binary, "-rate", "1")
	if err != nil {
		return err
	}
	t, err := a.times(ctx)
	if err == nil {
		t.add(row, y.heartbeat)
		err = a.memory(ctx, row)
	}
	return errors.Join(err, a.cancel(ctx, row))
}

// yarn is what the rows on YARN share.
type yarn struct {
	cluster    *hadoop.Cluster
	heartbeat  time.Duration
	flott, job string // binaries
	env        []string
	user       string
}

// yarn prepares the cluster, and submits the job once, so that its binary is cached.
func (s *session) yarn(ctx context.Context) (*yarn, error) {
	if s.onYARN != nil {
		return s.onYARN, nil
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	y := &yarn{user: me.Username}
	if y.flott, err = s.build(ctx, "./bin/flott"); err != nil {
		return nil, err
	}
	if y.job, err = s.build(ctx, keyedPackage); err != nil {
		return nil, err
	}
	if y.cluster, err = s.hadoop(ctx); err != nil {
		return nil, err
	}
	if y.heartbeat, err = heartbeatOf(filepath.Join(y.cluster.ConfDir(), "yarn-site.xml")); err != nil {
		return nil, err
	}
	dir, err := s.confDir(nil)
	if err != nil {
		return nil, err
	}
	y.env = append(y.cluster.Env(), "FLINK_CONF_DIR="+dir, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
	// Twice: the second one also starts containers on what the first has localised.
	for range 2 {
		a, err := y.start(ctx, y.job, "-records", "1")
		if err != nil {
			return nil, fmt.Errorf("fill the caches: %w", err)
		}
		if err := a.await(ctx, "FINISHED"); err != nil {
			return nil, fmt.Errorf("fill the caches: %w", err)
		}
	}
	s.onYARN = y
	return y, nil
}

var heartbeatProperty = regexp.MustCompile(`<name>yarn\.resourcemanager\.nodemanagers\.heartbeat-interval-ms</name>\s*<value>(\d+)</value>`)

// heartbeatOf reads the NodeManagers' heartbeat from yarn-site.xml; Hadoop's default is a second.
func heartbeatOf(path string) (time.Duration, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	m := heartbeatProperty.FindSubmatch(b)
	if m == nil {
		return time.Second, nil
	}
	return time.ParseDuration(string(m[1]) + "ms")
}

// newBinary copies the job binary with another content, and returns how to remove both copies.
func (y *yarn) newBinary(ctx context.Context, dir string) (string, func(), error) {
	src, err := os.Open(y.job)
	if err != nil {
		return "", nil, err
	}
	defer src.Close()
	dst, err := os.CreateTemp(dir, "job-")
	if err != nil {
		return "", nil, err
	}
	hash := sha256.New()
	noise := make([]byte, 32)
	rand.Read(noise)
	_, err = io.Copy(io.MultiWriter(dst, hash), io.MultiReader(src, strings.NewReader(string(noise))))
	if err := errors.Join(err, dst.Chmod(0o755), dst.Close()); err != nil {
		return "", nil, err
	}
	remove := func() {
		os.Remove(dst.Name())
		// What cannot be deleted is collected by flott after some days, as any binary that no application needs.
		_ = y.cluster.HDFS().Delete(context.WithoutCancel(ctx), "/user/"+y.user+"/.flott/cache/"+hex.EncodeToString(hash.Sum(nil)))
	}
	return dst.Name(), remove, nil
}

// application is one submitted job.
type application struct {
	y       *yarn
	id      string
	command time.Time // when the command was begun
}

var submitted = regexp.MustCompile(`Submitted application (application_\d+_\d+)`)

// start runs flott run -d.
func (y *yarn) start(ctx context.Context, binary string, args ...string) (*application, error) {
	cmd := exec.CommandContext(ctx, y.flott, append([]string{"run", "-d", "-t", "yarn-application", "-p", "2", binary}, args...)...)
	cmd.Env = y.env
	a := &application{y: y, command: time.Now()}
	out, err := cmd.CombinedOutput()
	if m := submitted.FindSubmatch(out); m != nil {
		a.id = string(m[1])
	}
	if err != nil || a.id == "" {
		return nil, fmt.Errorf("flott run: %w: %s", err, tail(out))
	}
	return a, nil
}

// cancel cancels the job and waits for the end of the application. It works also when the context has ended.
func (a *application) cancel(ctx context.Context, row *measure.Row) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), startLimit)
	defer stop()
	begun := time.Now()
	cmd := exec.CommandContext(ctx, a.y.flott, "cancel", a.id)
	cmd.Env = a.y.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("flott cancel: %w: %s", err, tail(out)), a.y.cluster.RM().KillApp(ctx, a.id, a.y.user))
	}
	if err := a.await(ctx, "FINISHED"); err != nil {
		return err
	}
	row.Add("cancel → FINISHED", measure.Seconds, measure.Lower, time.Since(begun).Seconds())
	return nil
}

// await waits for a state of the application.
func (a *application) await(ctx context.Context, state string) error {
	for {
		app, err := a.y.cluster.RM().App(ctx, a.id)
		switch {
		case err != nil:
			return err
		case app.State == state:
			return nil
		case app.State == "FAILED" || app.State == "KILLED" || app.State == "FINISHED":
			return fmt.Errorf("application %s is %s: %s", a.id, app.State, app.Diagnostics)
		}
		if err := pause(ctx, pollYARN); err != nil {
			return fmt.Errorf("wait for application %s to be %s: %w", a.id, state, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// memory reads what the processes of an idle application take.
func (a *application) memory(ctx context.Context, row *measure.Row) error {
	if err := pause(ctx, idle); err != nil {
		return err
	}
	all, err := containersOf(a.id)
	if err != nil {
		return err
	}
	var master, worker int64
	for _, c := range all {
		if n := memoryOf(c.pid, "VmRSS"); c.master {
			master = n
		} else {
			worker = max(worker, n)
		}
	}
	row.Add("AM RSS", measure.Bytes, measure.Lower, float64(master))
	row.Add("worker RSS, idle (the larger)", measure.Bytes, measure.Lower, float64(worker))
	return nil
}

// logTimes returns when a log says each of some texts for the first and for the last time.
func logTimes(r io.Reader, texts ...string) (first, last map[string]time.Time) {
	const layout = "2006-01-02 15:04:05,000"
	first, last = make(map[string]time.Time), make(map[string]time.Time)
	for scan := bufio.NewScanner(r); scan.Scan(); {
		line := scan.Text()
		if len(line) < len(layout) {
			continue
		}
		at, err := time.ParseInLocation(layout, line[:len(layout)], time.Local)
		if err != nil {
			continue
		}
		for _, t := range texts {
			if strings.Contains(line[len(layout):], " "+t) {
				if _, ok := first[t]; !ok {
					first[t] = at
				}
				last[t] = at
			}
		}
	}
	return first, last
}
