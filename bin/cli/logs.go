package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/tfile"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	// collectPatience is how long logs waits for YARN to collect the logs of an application that has just ended.
	collectPatience = 40 * time.Second
	collectLook     = 300 * time.Millisecond
)

// Where NodeManagers put aggregated logs: Java's YarnConfiguration.NM_REMOTE_APP_LOG_DIR, and its form for one format.
const (
	remoteLogDir      = "yarn.nodemanager.remote-app-log-dir"
	remoteLogDirTFile = "yarn.log-aggregation.TFile.remote-app-log-dir"
	defaultLogDir     = "/tmp/logs"
)

// yarnFiles are log files that YARN itself writes into every container's directory.
var yarnFiles = []string{"directory.info", "launch_container.sh", "prelaunch.out", "prelaunch.err"}

func logsCommand() *Command {
	return &Command{
		Name: "logs", Args: "<application id> [container id]", Short: "print the logs of an application",
		Long: `
Prints log files: of a running application from its nodes, of one that has ended from the directory where YARN collects them (flott waits until
it has). jobmanager.log and taskmanager.log are ours, *.out and *.err what the processes printed. Files that YARN itself writes, and empty
files, are left out unless --all is given.`,
		Options: []option{
			{long: "am", help: "only the ApplicationMaster's"},
			{long: "file", short: "f", value: "regexp", legacy: []string{"log_files"}, help: "only files whose whole name matches, such as taskmanager.log"},
			{long: "all", short: "a", help: "also YARN's own files, and empty ones"},
			targetOption(), dynamicOption(),
		},
		Run: logs,
	}
}

// logPrinter prints the log files that were asked for.
type logPrinter struct {
	out       io.Writer
	container string // "": all
	masterOf  string // "": all; else only containers that are an ApplicationMaster
	name      *regexp.Regexp
	all       bool
	seen      int // files offered
	printed   int
}

// wants tells whether a file was asked for.
func (p *logPrinter) wants(container, name string, size int64) bool {
	p.seen++
	id, err := yarnid.ParseContainerID(container)
	switch {
	case p.container != "" && container != p.container, p.masterOf != "" && (err != nil || id.Sequence() != 1):
		return false
	case p.name != nil:
		return p.name.MatchString(name)
	}
	return p.all || size > 0 && !slices.Contains(yarnFiles, name)
}

// print writes one file under a line that names it.
func (p *logPrinter) print(container, node, name string, size int64, content io.Reader) error {
	p.printed++
	fmt.Fprintf(p.out, "==> %s on %s: %s (%s bytes) <==\n", container, node, name, grouped(size))
	last := &lastByte{w: p.out}
	if _, err := io.Copy(last, content); err != nil {
		return fmt.Errorf("read %s of %s: %w", name, container, err)
	}
	if last.wrote && last.b != '\n' {
		fmt.Fprintln(p.out)
	}
	_, err := fmt.Fprintln(p.out)
	return err
}

// lastByte remembers how the text ended.
type lastByte struct {
	w     io.Writer
	b     byte
	wrote bool
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b, l.wrote = p[len(p)-1], true
	}
	return l.w.Write(p)
}

func logs(ctx context.Context, inv *invocation) error {
	p := &logPrinter{out: inv.Stdout, all: inv.on("all")}
	if f := inv.text("file"); f != "" {
		var err error
		if p.name, err = regexp.Compile("^(?:" + f + ")$"); err != nil {
			return fmt.Errorf("--file %s is no regular expression: %w", f, err)
		}
	}
	s, r, err := inv.openApplication(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	app := r.ID
	if inv.on("am") {
		p.masterOf = app.String()
	}
	if len(s.args) > 1 {
		id, err := yarnid.ParseContainerID(s.args[1])
		if err != nil || id.Attempt.Application != app {
			return fmt.Errorf("%q is no container of %s", s.args[1], app)
		}
		p.container = s.args[1]
	}
	if r.State.Terminal() {
		err = s.collectedLogs(ctx, r, p)
	} else {
		err = s.liveLogs(ctx, r, p)
	}
	if err == nil && p.printed == 0 {
		err = p.nothing(app)
	}
	return err
}

func (p *logPrinter) nothing(app yarnid.ApplicationID) error {
	if p.seen > 0 {
		return fmt.Errorf("none of the %d log files of %s is what was asked for, or all of them are empty (--all prints every one)", p.seen, app)
	}
	return fmt.Errorf("there are no log files of %s", app)
}

// collectedLogs prints from the directory where YARN collects the logs of ended applications.
func (s *session) collectedLogs(ctx context.Context, r rmclient.Report, p *logPrinter) error {
	r, err := s.awaitCollection(ctx, r)
	if err != nil {
		return err
	}
	if r.LogAggregation == "DISABLED" {
		return fmt.Errorf("YARN does not collect logs on this cluster (yarn.log-aggregation-enable), and %s has ended: its logs stay for a while on the nodes that it ran on", r.ID)
	}
	root := s.hadoop.Get(remoteLogDirTFile, s.hadoop.Get(remoteLogDir, defaultLogDir))
	fsys, dir, err := s.cluster.Files.For(ctx, root)
	if err != nil {
		return fmt.Errorf("open the directory of collected logs: %w", err)
	}
	files, err := aggregatedFiles(ctx, fsys, path.Join(dir, r.User), r.ID)
	if err != nil {
		return fmt.Errorf("look for the collected logs of %s: %w", r.ID, err)
	}
	if len(files) == 0 {
		return fmt.Errorf("YARN has collected no logs of %s under %s (log aggregation: %s)", r.ID, path.Join(root, r.User), r.LogAggregation)
	}
	for _, f := range files {
		if err := printAggregated(ctx, fsys, f, p); err != nil {
			return err
		}
	}
	return nil
}

// awaitCollection waits until YARN has collected the logs, or has given up.
func (s *session) awaitCollection(ctx context.Context, r rmclient.Report) (rmclient.Report, error) {
	show := newDisplay(s.Env)
	defer show.clear()
	until := s.Now().Add(collectPatience)
	for {
		switch r.LogAggregation {
		case "NOT_START", "RUNNING", "RUNNING_WITH_FAILURE":
		default:
			return r, nil
		}
		if s.Now().After(until) {
			show.clear()
			s.warn(fmt.Sprintf("YARN is still collecting the logs of %s; some may be missing", r.ID))
			return r, nil
		}
		show.say("waiting for YARN to collect the logs")
		if err := pause(ctx, collectLook); err != nil {
			return r, err
		}
		var err error
		if r, err = s.report(ctx, r.ID); err != nil {
			return r, err
		}
	}
}

// aggregatedFiles finds the files of an application below a user's directory of collected logs: <suffix>/<application> up to Hadoop 3.2,
// bucket-<suffix>/<last four digits of the application's number>/<application> later. There is one for each node.
func aggregatedFiles(ctx context.Context, fsys dfs.FS, userDir string, app yarnid.ApplicationID) ([]dfs.FileInfo, error) {
	suffixes, err := fsys.List(ctx, userDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	bucket := fmt.Sprintf("%04d", app.ID%10000)
	var out []dfs.FileInfo
	for _, suffix := range suffixes {
		for _, dir := range []string{path.Join(suffix.Path, bucket, app.String()), path.Join(suffix.Path, app.String())} {
			files, err := fsys.List(ctx, dir)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, dfs.ErrNotDirectory) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				if !f.IsDir && !strings.HasSuffix(f.Name(), ".tmp") {
					out = append(out, f)
				}
			}
		}
	}
	return out, nil
}

func printAggregated(ctx context.Context, fsys dfs.FS, f dfs.FileInfo, p *logPrinter) error {
	file, err := tfile.Open(ctx, f.Size, func(ctx context.Context, offset int64) (io.ReadCloser, error) { return fsys.Open(ctx, f.Path, offset) })
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	return file.Logs(ctx, func(l tfile.Log, content io.Reader) error {
		if !p.wants(l.Container, l.Name, l.Size) {
			return nil
		}
		return p.print(l.Container, f.Name(), l.Name, l.Size, content)
	})
}
