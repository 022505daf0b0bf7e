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
	"github.com/flott-dev/flott/integration/hadoop"
)

// group is what runs in turn, so that the same disturbances meet all of it.
type group struct{ cases []benchCase }

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
	heartbeat time.Duration // of NodeManagers, in a cluster of our own
	built     map[string]string

	cluster *hadoop.Cluster
	own     bool // the cluster is ours to stop
	onYARN  *yarn
}

func newSession(ctx context.Context, o options) (*session, error) {
	root, err := output(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	s := &session{root: root, dir: filepath.Join(root, "dist", "bench"), runs: o.runs, heartbeat: o.heartbeat, built: make(map[string]string)}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	if s.temp, err = os.MkdirTemp(s.dir, "run-"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *session) close() {
	if s.own {
		if err := s.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: stop the cluster:", err)
		}
	}
	os.RemoveAll(s.temp)
}

// group runs all cases of a group in turn. A case that failed is not run again.
func (s *session) group(ctx context.Context, g group) []measure.Row {
	rows := make([]measure.Row, len(g.cases))
	for i, c := range g.cases {
		rows[i] = measure.Row{Name: c.name, Command: c.command, Note: c.note}
	}
	for run := range s.runs {
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
			fmt.Fprintf(os.Stderr, "%s: run %d of %d\n", c.name, run+1, s.runs)
			distance(rows, row, c.beside)
		}
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

// hadoop returns the cluster: the one that the environment names, else one of our own, which close stops.
func (s *session) hadoop(ctx context.Context) (*hadoop.Cluster, error) {
	if s.cluster != nil {
		return s.cluster, nil
	}
	var err error
	if state := os.Getenv("FLOTT_HADOOP_STATE"); state != "" {
		s.cluster, err = hadoop.Open(state)
		return s.cluster, err
	}
	s.cluster, err = hadoop.Start(ctx, hadoop.Options{StateDir: filepath.Join(s.temp, "hadoop"), Heartbeat: s.heartbeat, AutoPorts: true})
	s.own = err == nil
	return s.cluster, err
}

var errOutput = errors.New("the output is wrong")
