package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/flott-dev/flott/bin/cli"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// site is a fake YARN with many nodes, and staging on the local disk.
type site struct {
	*yarntest.Cluster
	dir   string
	conf  string // FLINK_CONF_DIR
	marks *marks
}

// nodeMemory is enough for whatever lands on a node; containers go to the nodes in turn.
const nodeMemory = 1 << 22

func newSite(cfg config, dir string, m *marks) (*site, error) {
	nodes := (cfg.workers + cfg.perNode - 1) / cfg.perNode
	cluster, err := yarntest.Start(yarntest.Config{
		Nodes: nodes, NodeMemoryMB: nodeMemory, NodeVCores: 1 << 16,
		Launcher: &launcher{processes: &yarntest.Exec{Dir: filepath.Join(dir, "nodes")}, slots: cfg.slots, marks: m},
	})
	if err != nil {
		return nil, err
	}
	s := &site{Cluster: cluster, dir: dir, conf: filepath.Join(dir, "conf"), marks: m}
	s.watch()
	if err := s.configure(); err != nil {
		return nil, errors.Join(err, cluster.Close())
	}
	return s, nil
}

// watch notes what the ApplicationMaster gets from YARN.
func (s *site) watch() {
	s.After("submitApplication", func(context.Context, yarntest.Call) error {
		s.marks.submitted.add(1)
		return nil
	})
	s.After("registerApplicationMaster", func(context.Context, yarntest.Call) error {
		s.marks.attempt.add(1)
		return nil
	})
	s.After("allocate", func(_ context.Context, call yarntest.Call) error {
		s.marks.granted.add(len(call.Response.(*yarnpb.AllocateResponseProto).GetAllocatedContainers()))
		return nil
	})
	s.After("startContainers", func(_ context.Context, call yarntest.Call) error {
		s.marks.started.add(len(call.Response.(*yarnpb.StartContainersResponseProto).GetSucceededRequests()))
		return nil
	})
}

func (s *site) configure() error {
	if err := os.MkdirAll(s.conf, 0o755); err != nil {
		return err
	}
	for name, properties := range map[string][]string{
		"core-site.xml": {"fs.defaultFS", "file:///"},
		"yarn-site.xml": {"yarn.resourcemanager.address", s.ClientAddr(), "yarn.resourcemanager.scheduler.address", s.SchedulerAddr(),
			"yarn.nodemanager.vmem-check-enabled", "false"},
	} {
		text := "<configuration>"
		for i := 0; i < len(properties); i += 2 {
			text += "<property><name>" + properties[i] + "</name><value>" + properties[i+1] + "</value></property>"
		}
		if err := os.WriteFile(filepath.Join(s.conf, name), []byte(text+"</configuration>"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

var applicationID = regexp.MustCompile(`application_\d+_\d+`)

// submit runs `flott run -d` in this process.
func (s *site) submit(ctx context.Context, cfg config) (yarnid.ApplicationID, error) {
	words := []string{"run", "-d", "-t", "yarn-application", "-p", fmt.Sprint(cfg.workers * cfg.slots),
		"-Dyarn.staging-directory=file://" + filepath.Join(s.dir, "staging"),
		"-Dtaskmanager.numberOfTaskSlots=" + fmt.Sprint(cfg.slots), "-Djobmanager.memory.process.size=" + cfg.memory}
	for _, d := range cfg.options {
		words = append(words, "-D"+d)
	}
	words = append(words, cfg.binary)
	if cfg.exchange {
		words = append(words, "exchange")
	}
	var out bytes.Buffer
	code := cli.Main(ctx, cli.Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Exit: func(int) {},
		Environ: []string{"HADOOP_CONF_DIR=" + s.conf, "FLINK_CONF_DIR=" + s.conf, "HADOOP_USER_NAME=load", "PATH=" + os.Getenv("PATH")},
	}, words)
	id, err := yarnid.ParseApplicationID(applicationID.FindString(out.String()))
	if err != nil || code != 0 {
		return id, fmt.Errorf("flott run ended with %d: %s", code, bytes.TrimSpace(out.Bytes()))
	}
	return id, nil
}

// logs is the end of what the AM wrote, for an error.
func (s *site) logs() string {
	const most = 4000
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(s.dir, "nodes", "logs", "*", "*", "*"))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		fmt.Fprintf(&b, "--- %s\n%s", filepath.Base(f), text[max(0, len(text)-most):])
	}
	return b.String()
}

// Open files of this process: for each worker a listener and its ends of two connections, one from and one to the AM; for each node a listener
// and the AM's connection. The AM, which inherits the limit, has fewer.
const (
	filesPerWorker = 3
	filesPerNode   = 2
	otherFiles     = 200
)

// allowFiles raises the limit of open files for this process and what it starts. It returns how many workers that is enough for, with an
// error when these are not all.
func allowFiles(workers, perNode int) (int, error) {
	need := uint64(filesPerWorker*workers + filesPerNode*(workers/perNode+1) + otherFiles)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	had := limit.Max
	limit.Cur, limit.Max = max(need, limit.Cur), max(need, limit.Max)
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	if err == nil {
		return workers, nil
	}
	fit := (int(had) - otherFiles - filesPerNode) * perNode / (filesPerWorker*perNode + filesPerNode)
	return fit, fmt.Errorf("%d workers need %d open files in one process and at most %d are allowed here, enough for %d: raise the limit (ulimit -Hn %d): %w",
		workers, need, had, fit, need, err)
}
