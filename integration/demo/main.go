package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/integration/corpus"
	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/transcript"
	"github.com/flott-dev/flott/yarn/cluster"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/ugi"
)

const (
	parallelism = 4
	slots       = 2 // per worker, so 2 workers
	topWords    = 10
	input       = "/demo/go-sources"
	output      = "/demo/word-counts"
)

// memory makes the application fit where little is free.
var memory = []string{
	"-Djobmanager.memory.process.size=640m", "-Djobmanager.memory.jvm-metaspace.size=64m", "-Djobmanager.memory.jvm-overhead.min=64m",
	"-Dtaskmanager.memory.process.size=1g", "-Dtaskmanager.memory.jvm-metaspace.size=64m", "-Dtaskmanager.memory.jvm-overhead.min=64m",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := demo(ctx, os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	if interrupted {
		fmt.Fprintln(os.Stderr, "demo: interrupted; nothing is left running")
		os.Exit(130)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// show is one run of the demo.
type show struct {
	out     io.Writer
	dir     string // of all that the demo writes to the local disk
	hadoop  *hadoop.Cluster
	sources []corpus.File
	files   dfs.FS
}

func demo(ctx context.Context, out io.Writer) (err error) {
	base, err := filepath.Abs(filepath.Join(".hadoop", "demo"))
	if err != nil {
		return err
	}
	s := &show{out: out, dir: base}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	defer func() {
		if stopErr := s.hadoop.Stop(); stopErr != nil {
			err = errors.Join(err, fmt.Errorf("stop Hadoop: %w", stopErr))
			return
		}
		s.say("Hadoop is stopped; nothing is left running")
	}()
	closeFiles, err := s.openFiles(ctx)
	if err != nil {
		return err
	}
	defer closeFiles()
	words, err := s.upload(ctx)
	if err != nil {
		return err
	}
	app, phases, err := s.run(ctx)
	if err != nil {
		return err
	}
	if err := s.result(ctx, words); err != nil {
		return err
	}
	return s.report(ctx, app, phases)
}

func (s *show) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// prepare starts Hadoop, and compiles meanwhile.
func (s *show) prepare(ctx context.Context) error {
	if c, err := hadoop.Open(s.state()); err == nil {
		if err := refuseRunning(c); err != nil {
			return err
		}
	}
	began := time.Now()
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return s.build(both) })
	g.Go(func() (err error) { s.sources, err = goSources(both); return err })
	g.Go(func() (err error) {
		s.hadoop, err = hadoop.Start(both, hadoop.Options{StateDir: s.state(), NodeManagers: 2, Heartbeat: 200 * time.Millisecond,
			AutoPorts: true, Progress: func(line string) { s.say("  %s", line) }})
		return err
	})
	s.say("starting Hadoop, compiling flott and examples/wordcount")
	if err := g.Wait(); err != nil {
		if s.hadoop != nil {
			err = errors.Join(err, s.hadoop.Stop())
		}
		return err
	}
	s.say("ready after %s: YARN %s, HDFS %s", since(began), s.hadoop.RMWebURL(), s.hadoop.DefaultFS())
	return nil
}

func (s *show) state() string { return filepath.Join(s.dir, "hadoop") }

// refuseRunning keeps a second demo from taking the first one's cluster away.
func refuseRunning(c *hadoop.Cluster) error {
	for _, d := range c.Daemons() {
		if pid, err := c.PID(d); err != nil || pid != 0 {
			return errors.Join(err, fmt.Errorf("a demo is running already: its %s is process %d (cluster in %s)", d, pid, c.StateDir()))
		}
	}
	return nil
}

func (s *show) binary(name string) string { return filepath.Join(s.dir, "bin", name) }

func (s *show) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.binary("")+string(filepath.Separator), "./bin/flott", "./examples/wordcount")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile flott and wordcount: %w\n%s", err, said)
	}
	return nil
}

func goSources(ctx context.Context) ([]corpus.File, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find Go's sources: %w", err)
	}
	return corpus.GoSources(filepath.Join(strings.TrimSpace(string(root)), "src"))
}

func (s *show) openFiles(ctx context.Context) (func(), error) {
	hc, _, err := hadoopconf.Load(hadoopconf.Source{HadoopConfDir: s.hadoop.ConfDir()})
	if err != nil {
		return nil, err
	}
	user, err := ugi.Simple(os.Environ(), nil)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Open(hc, user, nil)
	if err != nil {
		return nil, err
	}
	s.files, _, err = c.Files.For(ctx, s.hadoop.DefaultFS()+"/")
	return func() { _ = c.Close() }, err
}

// upload puts the sources into HDFS and counts their words here, to compare.
func (s *show) upload(ctx context.Context) (corpus.Counts, error) {
	var bytes int64
	for _, f := range s.sources {
		bytes += f.Size
	}
	s.say("putting %d files (%d MB) of Go's sources into %s%s", len(s.sources), bytes/1e6, s.hadoop.DefaultFS(), input)
	began := time.Now()
	if err := s.files.MkdirAll(ctx, input, 0o755); err != nil {
		return nil, err
	}
	var words corpus.Counts
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return corpus.Upload(both, s.files, input, s.sources) })
	g.Go(func() (err error) { words, err = corpus.Words(both, s.sources); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s.say("  done after %s", since(began))
	return words, nil
}

// run runs WordCount as a user would and returns the application's id and the command's line about phases.
func (s *show) run(ctx context.Context) (app, phases string, err error) {
	args := append([]string{"run", "-t", "yarn-application", "-p", fmt.Sprint(parallelism), fmt.Sprintf("-Dtaskmanager.numberOfTaskSlots=%d", slots)},
		memory...)
	args = append(args, s.binary("wordcount"), "--input", input, "--output", output)
	s.say("\n$ flott %s", strings.Join(args, " "))
	t := transcript.New(s.out)
	cmd := exec.CommandContext(ctx, s.binary("flott"), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = s.environ(), t, t
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C comes once: from here
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return t.Result(cmd.Run())
}

func (s *show) environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "FLINK_") && !strings.HasPrefix(e, "FLOTT_") && !strings.HasPrefix(e, "HADOOP_") && !strings.HasPrefix(e, "YARN_") {
			env = append(env, e)
		}
	}
	return append(env, "HADOOP_CONF_DIR="+s.hadoop.ConfDir(), "FLINK_CONF_DIR="+s.dir)
}

func since(t time.Time) string { return fmt.Sprintf("%.1f s", time.Since(t).Seconds()) }
