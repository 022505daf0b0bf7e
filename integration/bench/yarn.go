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
	"regexp"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/bench/procs"
	"github.com/flott-dev/flott/integration/hadoop"
)

// The heartbeats of NodeManagers: a quick one, and Hadoop's own default.
const (
	quick = 200 * time.Millisecond
	stock = time.Second
)

// yarnGroups are the rows on real Hadoop.
func yarnGroups(float64) []group { return []group{startGroupOnYARN(quick)} }

// slowYARNGroups are those that want another cluster; they come last.
func slowYARNGroups(float64) []group { return []group{startGroupOnYARN(stock)} }

func startGroupOnYARN(heartbeat time.Duration) group {
	suffix := fmt.Sprintf(", NodeManager heartbeat %v", heartbeat)
	return group{cases: []benchCase{
		{name: "start on YARN, binary cached" + suffix, command: startCommand, note: startNote,
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				return s.startRow(ctx, row, heartbeat, false)
			}},
		{name: "start on YARN, binary new" + suffix, command: startCommand,
			note: "as before, with a binary that the cluster has never seen: uploaded, and localised on each node",
			run: func(ctx context.Context, s *session, row *measure.Row) error {
				return s.startRow(ctx, row, heartbeat, true)
			}},
	}}
}

const (
	startCommand = "flott run -d -t yarn-application -p 2 keyedsum -rate 1"
	startNote    = "from the command to every task RUNNING on 2 workers, and its phases. Our own share: what is neither the YARN RM's nor the " +
		"NodeManagers' work; of the wait for containers, what exceeds one heartbeat of the NodeManagers"
)

const (
	startLimit = 2 * time.Minute
	pollYARN   = 20 * time.Millisecond
	// idle is how long a job has been RUNNING when its processes' memory is read.
	idle = 3 * time.Second
)

// startRow starts one application, reads its phases and its processes' memory, and cancels it.
func (s *session) startRow(ctx context.Context, row *measure.Row, heartbeat time.Duration, fresh bool) error {
	y, err := s.yarn(ctx, heartbeat)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
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
	live       map[string]bool // applications of ours that have not ended, as far as we know
	flink      *flinkSide
}

// yarn prepares a cluster with that heartbeat, and submits the job once, so that its binary is cached.
func (s *session) yarn(ctx context.Context, heartbeat time.Duration) (*yarn, error) {
	c, err := s.hadoopAt(ctx, heartbeat)
	if err != nil {
		return nil, err
	}
	if y := s.onYARN[c]; y != nil {
		return y, nil
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	y := &yarn{cluster: c, heartbeat: heartbeat, user: me.Username, live: make(map[string]bool)}
	if y.flott, err = s.build(ctx, "./bin/flott"); err != nil {
		return nil, err
	}
	if y.job, err = s.build(ctx, keyedPackage); err != nil {
		return nil, err
	}
	dir, err := s.confDir(nil)
	if err != nil {
		return nil, err
	}
	y.env = append(y.cluster.Env(), "FLINK_CONF_DIR="+dir, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
	s.onYARN[c] = y // from here on there is something to leave
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
	return y, nil
}

// close ends the applications that still run.
func (y *yarn) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	var errs []error
	if y.flink != nil {
		errs = append(errs, y.flink.endSessions())
	}
	for id := range y.live {
		errs = append(errs, y.kill(ctx, id))
	}
	return errors.Join(errs...)
}

// kill ends an application by force, and waits until YARN says that it has ended.
func (y *yarn) kill(ctx context.Context, id string) error {
	if err := y.cluster.RM().KillApp(ctx, id, y.user); err != nil {
		return err
	}
	return y.ended(ctx, id)
}

// ended waits until an application has ended, however.
func (y *yarn) ended(ctx context.Context, id string) error {
	for {
		app, err := y.cluster.RM().App(ctx, id)
		if err != nil {
			return err
		}
		if over(app) {
			delete(y.live, id)
			return nil
		}
		if err := pause(ctx, pollYARN); err != nil {
			return fmt.Errorf("wait for application %s to end: %w", id, err)
		}
	}
}

// over says whether an application has ended.
func over(app hadoop.App) bool {
	return app.State == "FAILED" || app.State == "KILLED" || app.State == "FINISHED"
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
		y.live[a.id] = true
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
			if over(app) {
				delete(a.y.live, a.id)
			}
			return nil
		case over(app):
			delete(a.y.live, a.id)
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
	master, worker, err := procs.Resident(a.id)
	if err != nil {
		return err
	}
	row.Add(masterIdle, measure.Bytes, measure.Lower, float64(master))
	row.Add(workerIdle, measure.Bytes, measure.Lower, float64(worker))
	return nil
}

// logTimes returns when a log says each of some texts for the first and for the last time.
func logTimes(r io.Reader, texts ...string) (first, last map[string]time.Time) {
	first, last = make(map[string]time.Time), make(map[string]time.Time)
	for scan := bufio.NewScanner(r); scan.Scan(); {
		at, line, ok := logLine(scan.Text())
		if !ok {
			continue
		}
		for _, t := range texts {
			if strings.Contains(line, " "+t) {
				if _, ok := first[t]; !ok {
					first[t] = at
				}
				last[t] = at
			}
		}
	}
	return first, last
}

// logLine splits a line of a log into its time and the rest. Both sides write them alike.
func logLine(line string) (time.Time, string, bool) {
	const layout = "2006-01-02 15:04:05,000"
	if len(line) < len(layout) {
		return time.Time{}, "", false
	}
	at, err := time.ParseInLocation(layout, line[:len(layout)], time.Local)
	return at, line[len(layout):], err == nil
}
