package yarntest_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/launch"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// context makes a launch context that runs a bash script in a container.
func scriptContext(t *testing.T, role launch.Role, script string, change func(*launch.Resource)) *yarnpb.ContainerLaunchContextProto {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job")
	if err := os.WriteFile(file, []byte("#!/bin/bash\n"+script), 0o644); err != nil { // executable once localised
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	r := launch.Resource{URI: "file://" + file, Size: info.Size(), ModTimeMillis: info.ModTime().UnixMilli(),
		Type: launch.File, Visibility: launch.Private}
	if change != nil {
		change(&r)
	}
	spec := launch.Spec{Role: role, Program: "./job", Resources: map[string]launch.Resource{"job": r}, Credentials: &token.Credentials{}}
	clc, err := spec.Context()
	if err != nil {
		t.Fatal(err)
	}
	return clc
}

func readFile(t *testing.T, pattern ...string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v: %v, want one", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestContainersRunForReal(t *testing.T) {
	dir := t.TempDir()
	c := startCluster(t, yarntest.Config{Launcher: &yarntest.Exec{Dir: dir, Environment: map[string]string{"HADOOP_CONF_DIR": "/conf"}}})
	m := unmanaged(t, c)
	got := m.get(2)
	pids := filepath.Join(t.TempDir(), "pids")
	m.mustStart(scriptContext(t, launch.Worker, "echo $CONTAINER_ID $FLOTT_ROLE $NM_HOST $HADOOP_CONF_DIR $PWD; exit 3", nil), got[0])
	s := next[amrm.Completed](m).Statuses[0]
	if s.ID != got[0].ID || s.ExitStatus != 3 {
		t.Errorf("completed: got %+v, want exit status 3", s)
	}
	app := m.id.Application.String()
	want := strings.Join([]string{got[0].ID.String(), "worker", got[0].Node.Host, "/conf", filepath.Join(dir, app, got[0].ID.String())}, " ")
	if out := readFile(t, dir, "logs", app, got[0].ID.String(), "stdout"); strings.TrimSpace(out) != want {
		t.Errorf("stdout: got %q, want %q", out, want)
	}

	// A process that ignores SIGTERM, with a child: both go.
	m.mustStart(scriptContext(t, launch.Worker, "trap '' TERM; sleep 1000 & echo $! > "+pids+"; while true; do wait; done", nil), got[1])
	waitForFile(t, pids)
	m.nodes.Stop(t.Context(), targets(got[1:]), func(r nm.Result) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	})
	if s := next[amrm.Completed](m).Statuses[0]; s.ID != got[1].ID || s.ExitStatus != amrm.ExitKilledByAM {
		t.Errorf("completed: got %+v, want killed by the AM", s)
	}
	child, err := strconv.Atoi(strings.TrimSpace(readFile(t, pids)))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "end of the child", func() bool { return !alive(child) })
}

// alive reports whether a process runs; one that is dead and not yet reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func waitForFile(t *testing.T, path string) {
	t.Helper()
	await(t, path, func() bool {
		b, err := os.ReadFile(path)
		return err == nil && len(b) > 0
	})
}

// await polls something outside of the cluster's state.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, timeout := time.NewTicker(5*time.Millisecond), time.After(wait)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%s: not within %v", what, wait)
		}
	}
}

func TestLocalisationChecksTheTime(t *testing.T) {
	c := startCluster(t, yarntest.Config{Launcher: &yarntest.Exec{Dir: t.TempDir()}})
	m := unmanaged(t, c)
	got := m.get(1)
	m.mustStart(scriptContext(t, launch.Worker, "true", func(r *launch.Resource) { r.ModTimeMillis++ }), got...)
	if s := next[amrm.Completed](m).Statuses[0]; s.ExitStatus != amrm.ExitInvalid || !strings.Contains(s.Diagnostics, "changed on src filesystem") {
		t.Errorf("completed: got %+v, want a failed localisation", s)
	}
}

func TestFailingMasterIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	c := startCluster(t, yarntest.Config{Launcher: &yarntest.Exec{Dir: dir}})
	clc := scriptContext(t, launch.ApplicationMaster, "echo it broke >&2; exit 4", nil)
	id := submit(t, c, func(b *yarnpb.ApplicationSubmissionContextProto_builder) { b.AmContainerSpec = clc })
	m := &master{t: t, cluster: c}
	m.await("failed application", func() bool {
		a, _ := c.Application(id)
		return a.State == yarnpb.YarnApplicationStateProto_FAILED
	})
	a, _ := c.Application(id)
	if a.Attempt.Attempt != 2 || !strings.Contains(a.Diagnostics, "exitCode: 4") || !strings.Contains(a.Diagnostics, "it broke") {
		t.Errorf("application: got %+v, want two attempts and the error output", a)
	}
	image, err := token.ReadFile(filepath.Join(dir, id.String(), "container_"+strings.TrimPrefix(id.String(), "application_")+"_02_000001", "container_tokens"))
	if err != nil || image.OfKind(token.AMRM) == nil {
		t.Errorf("credentials of the AM: got %v, %v; want an AMRM token", image, err)
	}
}
