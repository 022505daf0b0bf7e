package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/flott-dev/flott/bin/cli/jobbinary"
	"github.com/flott-dev/flott/conf"
)

// Targets of run, as execution.target has them.
const (
	targetLocal = "local"
	targetYARN  = "yarn-application"
)

func runCommand() *Command {
	return &Command{
		Name: "run", Args: "<job binary | Go main package> [job arguments]", Short: "run a job",
		Long: `
Runs a job: on this machine (-t local), or on YARN as an application of its own (-t yarn-application). The job is a static Linux binary
(CGO_ENABLED=0 go build), or the directory of a Go main package, which is built first. What follows it belongs to the job.

On YARN the command waits until the job has ended, shows how it goes, and prints the result. Ctrl-C stops the application. With -d it returns as soon
as YARN runs the application; flott list, status, cancel and logs follow it from there. A job that cannot be submitted leaves nothing behind.`,
		Options: runOptions(), JobArgs: true, Run: run,
	}
}

// runApplicationCommand is Flink's older name of the same.
func runApplicationCommand() *Command {
	c := runCommand()
	c.Name, c.Short = "run-application", "run a job (Flink's older name of run)"
	return c
}

func runOptions() []option {
	noClass := "a Go job has no classes to choose from"
	return []option{
		{long: "target", short: "t", value: "target", legacy: []string{"executor", "e"}, help: "local or yarn-application; unset, execution.target",
			joined: func(rest string) bool { return rest == targetLocal || strings.HasPrefix(rest, "yarn-") }},
		{long: "detached", short: "d", legacy: []string{"yd", "yarndetached"}, help: "return when YARN runs the application"},
		{long: "parallelism", short: "p", value: "n", help: "parallelism of operators that do not set their own",
			joined: func(rest string) bool { return strings.Trim(rest, "0123456789") == "" }},
		dynamicOption(),
		{long: "arch", value: "amd64|arm64", help: "architecture of the nodes; unset, this machine's"},
		{long: "jobmanager", short: "m", value: "yarn-cluster", hidden: true, help: "Flink's older spelling of -t yarn-application"},
		{long: "yarnqueue", value: "queue", legacy: []string{"yqu"}, settings: setting(conf.YarnApplicationQueue.Key), hidden: true},
		{long: "yarnname", value: "name", legacy: []string{"ynm"}, settings: setting(conf.YarnApplicationName.Key), hidden: true},
		{long: "yarnjobManagerMemory", value: "MiB", legacy: []string{"yjm"}, settings: mebibytes(conf.JobManagerProcessSize.Key), hidden: true},
		{long: "yarntaskManagerMemory", value: "MiB", legacy: []string{"ytm"}, settings: mebibytes(conf.TaskManagerProcessSize.Key), hidden: true},
		{long: "yarnslots", value: "n", legacy: []string{"ys"}, settings: setting(conf.NumberOfTaskSlots.Key), hidden: true},
		{long: "yarnnodeLabel", value: "label", legacy: []string{"ynl"}, settings: setting(conf.YarnApplicationNodeLabel.Key), hidden: true},
		{long: "yarnapplicationType", value: "type", legacy: []string{"yat"}, settings: setting(conf.YarnApplicationType.Key), hidden: true},
		{long: "yarnship", value: "files", legacy: []string{"yt"}, settings: setting(conf.YarnShipFiles.Key), hidden: true},
		{long: "yarnzookeeperNamespace", value: "name", legacy: []string{"yz", "zookeeperNamespace", "z"}, hidden: true,
			settings: setting(conf.HighAvailabilityClusterID.Key)},
		{long: "yarnapplicationId", value: "id", legacy: []string{"yid"}, hidden: true, refused: "sessions are not there yet; each run is an application of its own"},
		{long: "fromSavepoint", short: "s", value: "path", hidden: true, refused: "savepoints are not there yet"},
		{long: "allowNonRestoredState", short: "n", hidden: true, ignored: "savepoints are not there yet"},
		{long: "class", short: "c", value: "name", hidden: true, ignored: noClass},
		{long: "classpath", short: "C", value: "url", hidden: true, ignored: noClass},
		{long: "shutdownOnAttachedExit", legacy: []string{"sae"}, hidden: true, ignored: "that is how every attached run ends"},
		{long: "python", legacy: []string{"py"}, value: "file", hidden: true, refused: "jobs are written in Go"},
	}
}

// run runs a job where the target says.
func run(ctx context.Context, inv *invocation) error {
	if len(inv.args) == 0 {
		return errors.New("which job? flott run -t yarn-application ./job-binary [job arguments] (see `flott help run`)")
	}
	parallelism, err := inv.parallelism()
	if err != nil {
		return err
	}
	set, err := inv.load()
	if err != nil {
		return notSubmitted(err)
	}
	target, err := inv.target(set.conf)
	if err != nil {
		return notSubmitted(err)
	}
	dir, err := os.MkdirTemp("", "flott-")
	if err != nil {
		return fmt.Errorf("make a temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	j := &job{invocation: inv, settings: set, parallelism: parallelism, args: inv.args[1:], dir: dir}
	if target == targetLocal {
		return j.runLocal(ctx)
	}
	return j.runOnYARN(ctx)
}

// job is what one run is about.
type job struct {
	*invocation
	*settings
	binary      string
	args        []string // the job's
	parallelism int      // 0: not said
	dir         string   // for temporary files
}

// target is where to run.
func (inv *invocation) target(c *conf.Config) (string, error) {
	t := inv.text("target")
	if m := inv.text("jobmanager"); m != "" {
		if m != "yarn-cluster" {
			return "", fmt.Errorf("-m %s: jobs are not submitted to running clusters yet; use -t %s", m, targetYARN)
		}
		if t == "" {
			t = targetYARN
		}
	}
	if t == "" {
		t = conf.ExecutionTarget.Get(c)
	}
	switch t {
	case targetLocal, targetYARN:
		return t, nil
	case "":
		return "", fmt.Errorf("where should the job run? Say -t %s or -t %s, or set %s", targetLocal, targetYARN, conf.ExecutionTarget.Key)
	case "yarn-per-job", "yarn-session", "remote":
		return "", fmt.Errorf("target %s does not exist here; use -t %s", t, targetYARN)
	}
	if n := nearest(t, []string{targetLocal, targetYARN}); n != "" {
		return "", fmt.Errorf("there is no target %q; did you mean -t %s?", t, n)
	}
	return "", fmt.Errorf("there is no target %q; use -t %s or -t %s", t, targetLocal, targetYARN)
}

// maxParallelism is the number of key groups at most, as for parallelism.default.
const maxParallelism = 32768

func (inv *invocation) parallelism() (int, error) {
	p := inv.text("parallelism")
	if p == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(p)
	if err != nil || n < 1 || n > maxParallelism {
		return 0, fmt.Errorf("-p %s: parallelism is a number from 1 to %d", p, maxParallelism)
	}
	return n, nil
}

// arch is the architecture of the nodes.
func (inv *invocation) arch() (string, error) {
	a := inv.text("arch")
	if a == "" {
		return runtime.GOARCH, nil
	}
	if !slices.Contains(jobbinary.Arches(), a) {
		return "", fmt.Errorf("--arch %s: nodes are %s", a, strings.Join(jobbinary.Arches(), " or "))
	}
	return a, nil
}

// notSubmitted marks an error before which nothing reached YARN.
func notSubmitted(err error) error {
	if err == nil || errors.Is(err, errReported) {
		return err
	}
	return fmt.Errorf("not submitted: %w", err)
}
