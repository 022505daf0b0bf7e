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
	pools []*pool // the processes of workers
}

// nodeMemory is enough for whatever lands on a node; containers go to the nodes in turn.
const nodeMemory = 1 << 22

func newSite(ctx context.Context, cfg config, m *marks) (_ *site, err error) {
	s := &site{dir: cfg.dir, conf: filepath.Join(cfg.dir, "conf"), marks: m}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for range cfg.processes {
		p, err := startPool(ctx, m)
		if err != nil {
			return nil, err
		}
		s.pools = append(s.pools, p)
	}
	if s.Cluster, err = yarntest.Start(yarntest.Config{
		Nodes: nodes(cfg.workers, cfg.perNode), NodeMemoryMB: nodeMemory, NodeVCores: 1 << 16,
		Launcher: &launcher{master: &yarntest.Exec{Dir: filepath.Join(cfg.dir, "nodes")}, pools: s.pools, slots: cfg.slots, marks: m},
	}); err != nil {
		return nil, err
	}
	s.watch()
	return s, s.configure()
}

// Close ends all containers, and then the processes of workers.
func (s *site) Close() (err error) {
	if s.Cluster != nil {
		err = s.Cluster.Close()
	}
	for _, p := range s.pools {
		err = errors.Join(err, p.close())
	}
	return err
}

// pids are the processes of the harness.
func (s *site) pids() []int {
	pids := []int{os.Getpid()}
	for _, p := range s.pools {
		pids = append(pids, p.cmd.Process.Pid)
	}
	return pids
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
