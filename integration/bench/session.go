package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/bench/measure"
	"github.com/flott-dev/flott/integration/flink"
	"github.com/flott-dev/flott/integration/hadoop"
)

// group is what runs in turn, so that the same disturbances meet all of it.
type group struct {
	cases []benchCase
	most  int              // runs, 0: as many as asked for
	done  func(s *session) // after the last run; may be nil
}

// benchCase is one row.
type benchCase struct {
	name    string
	command string // as a person would type it, from the root of the tree
	note    string
	// beside names the case of the same group whose records per second this one's are compared with, run by run.
	beside string
	run    func(ctx context.Context, s *session, row *measure.Row) error
}

// session is one run of the benchmarks.
type session struct {
	root, dir string // of the tree; of what the benchmarks keep
	temp      string
	runs      int
	heartbeat time.Duration // of NodeManagers, in a cluster of our own, for rows that want no particular one
	built     map[string]string

	own    *hadoop.Cluster // one that is ours to stop
	onYARN map[*hadoop.Cluster]*yarn
	given  *hadoop.Cluster // the one that the environment names
	flink  *flink.Dist
}

func newSession(ctx context.Context, o options) (*session, error) {
	root, err := output(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	s := &session{root: root, dir: filepath.Join(root, "dist", "bench"), runs: o.runs, heartbeat: o.heartbeat,
		built: make(map[string]string), onYARN: make(map[*hadoop.Cluster]*yarn)}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	if s.temp, err = os.MkdirTemp(s.dir, "run-"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	if err := s.leave(s.given); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err := s.stopOwn(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.RemoveAll(s.temp)
}

// group runs all cases of a group in turn. A case that failed is not run again.
func (s *session) group(ctx context.Context, g group) []measure.Row {
	rows := make([]measure.Row, len(g.cases))
	for i, c := range g.cases {
		rows[i] = measure.Row{Name: c.name, Command: c.command, Note: c.note}
	}
	runs := s.runs
	if g.most > 0 {
		runs = min(runs, g.most)
	}
	for run := range runs {
		for i, c := range g.cases {
			row := &rows[i]
			if row.Failed != "" || ctx.Err() != nil {
				continue
			}
			row.Load = append(row.Load, load())
			if err := c.run(ctx, s, row); err != nil {
				row.Failed = fmt.Sprintf("run %d: %v", run+1, strings.ReplaceAll(err.Error(), "\n", "; "))
				continue
			}
			say("%s: run %d of %d", c.name, run+1, runs)
			distance(rows, row, c.beside)
		}
	}
	if g.done != nil {
		g.done(s)
	}
	if ctx.Err() != nil {
		for i := range rows {
			rows[i].Failed = "interrupted"
		}
	}
	return rows
}

// records is the metric that rows are compared by.
const records = "records/s"

// distance adds how much slower the last run was than the last run of another row.
func distance(rows []measure.Row, row *measure.Row, beside string) {
	i := slices.IndexFunc(rows, func(r measure.Row) bool { return r.Name == beside })
	if i < 0 {
		return
	}
	mine, ok := row.Metric(records)
	other, okToo := rows[i].Metric(records)
	if ok && okToo {
		row.Add("slower than "+beside, measure.Percent, measure.Lower,
			100*(1-mine.Samples[len(mine.Samples)-1]/other.Samples[len(other.Samples)-1]))
	}
}

// build builds a program of the tree as a user builds a job, stripped, once.
func (s *session) build(ctx context.Context, pkg string) (string, error) {
	if path, ok := s.built[pkg]; ok {
		return path, nil
	}
	path := filepath.Join(s.temp, filepath.Base(pkg))
	_, err := output(ctx, s.root, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, pkg)
	if err != nil {
		return "", err
	}
	s.built[pkg] = path
	return path, nil
}

// confDir writes a configuration and returns its directory.
func (s *session) confDir(options map[string]string) (string, error) {
	dir, err := os.MkdirTemp(s.temp, "conf-")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for k, v := range options {
		fmt.Fprintf(&b, "%s: %s\n", k, v)
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(b.String()), 0o644)
}

// hadoop returns a cluster, whatever its heartbeat: the one that the environment names, else one of our own.
func (s *session) hadoop(ctx context.Context) (*hadoop.Cluster, error) {
	if err := s.open(); err != nil || s.given != nil {
		return s.given, err
	}
	if s.own != nil {
		return s.own, nil
	}
	return s.hadoopAt(ctx, s.heartbeat)
}

// hadoopAt returns a cluster whose NodeManagers have that heartbeat: the one that the environment names when it is such a one, else one of
// our own. There is one of our own at a time: one with another heartbeat is stopped.
func (s *session) hadoopAt(ctx context.Context, heartbeat time.Duration) (*hadoop.Cluster, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	for _, c := range []*hadoop.Cluster{s.given, s.own} {
		if c == nil {
			continue
		}
		if have, err := heartbeatOf(filepath.Join(c.ConfDir(), "yarn-site.xml")); err != nil || have == heartbeat {
			return c, err
		}
	}
	if err := s.stopOwn(); err != nil {
		return nil, err
	}
	say("starting Hadoop, NodeManager heartbeat %v", heartbeat)
	c, err := hadoop.Start(ctx, hadoop.Options{StateDir: filepath.Join(s.temp, "hadoop"), Heartbeat: heartbeat, AutoPorts: true,
		Progress: func(line string) { say("%s", line) }})
	if err == nil {
		s.own = c
	}
	return c, err
}

// open opens the cluster that the environment names.
func (s *session) open() (err error) {
	if state := os.Getenv(hadoop.StateEnv); state != "" && s.given == nil {
		s.given, err = hadoop.Open(state)
	}
	return err
}

// stopOwn stops the cluster of our own.
func (s *session) stopOwn() error {
	if s.own == nil {
		return nil
	}
	c := s.own
	s.own = nil
	err := errors.Join(s.leave(c), c.Stop(), os.RemoveAll(c.StateDir()))
	if err != nil {
		err = fmt.Errorf("stop the cluster: %w", err)
	}
	return err
}

// leave ends what still runs in a cluster for us. It works also when the context has ended.
func (s *session) leave(c *hadoop.Cluster) error {
	y := s.onYARN[c]
	if y == nil {
		return nil
	}
	delete(s.onYARN, c)
	return y.close()
}

// say prints what is going on.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

var errOutput = errors.New("the output is wrong")
