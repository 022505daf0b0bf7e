package yarntest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Launch is a container to run.
type Launch struct {
	Container yarnid.ContainerID
	Context   *yarnpb.ContainerLaunchContextProto
	Node      yarnid.NodeID
	User      string
	IsAM      bool
	Submitted time.Time
}

// Launcher starts containers. Launch may block (it localises); an error is the container's failure.
type Launcher interface {
	Launch(Launch) (Process, error)
}

// Process is a running container.
type Process interface {
	Wait() (exitStatus int, diagnostics string)
	Kill() // may be called often and late; does not wait
}

// supervise runs a container from its launch to its end.
func (c *Cluster) supervise(ct *container, l Launch) {
	p, err := c.cfg.Launcher.Launch(l)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.complete(ct, -1000, fmt.Sprintf("Localization or launch of %s failed: %v", ct.id, err))
		return
	}
	stop := context.AfterFunc(c.ctx, p.Kill)
	defer stop()
	c.mu.Lock()
	ct.process = p
	gone := c.containers[ct.id] != ct
	c.mu.Unlock()
	if gone { // released or stopped while it was launched
		p.Kill()
	}
	status, diagnostics := p.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if ct.killedAs != 0 {
		status, diagnostics = int(ct.killedAs), ct.killedWhy
	}
	c.complete(ct, int32(status), diagnostics)
}

// Exec launches containers as child processes the way DefaultContainerExecutor does. Below Dir it makes
// filecache/, <application>/<container>/ (work directories) and logs/<application>/<container>/. Resources must be
// files of the local file system (file:), no archives.
type Exec struct {
	Dir string
	// Environment is what the NodeManager itself has and passes on, for example HADOOP_CONF_DIR.
	Environment map[string]string

	mu    sync.Mutex
	cache map[string]string // source and time → copy
}

// Launch localises the resources, writes the credentials and the launch script, and starts it.
func (e *Exec) Launch(l Launch) (Process, error) {
	app := l.Container.Attempt.Application.String()
	work := filepath.Join(e.Dir, app, l.Container.String())
	logs := filepath.Join(e.Dir, "logs", app, l.Container.String())
	if err := errors.Join(os.MkdirAll(work, 0o750), os.MkdirAll(logs, 0o750)); err != nil {
		return nil, err
	}
	resources := map[string]string{}
	for _, kv := range l.Context.GetLocalResources() {
		copied, err := e.localize(kv.GetValue())
		if err != nil {
			return nil, err
		}
		resources[kv.GetKey()] = copied
	}
	tokens := filepath.Join(work, "container_tokens")
	if err := os.WriteFile(tokens, l.Context.GetTokens(), 0o600); err != nil {
		return nil, err
	}
	env := map[string]string{
		"CONTAINER_ID": l.Container.String(), "NM_HOST": l.Node.Host, "NM_PORT": strconv.Itoa(int(l.Node.Port)), "NM_HTTP_PORT": "8042",
		"LOCAL_DIRS": filepath.Join(e.Dir, app), "LOG_DIRS": logs, "USER": l.User, "LOGNAME": l.User, "HOME": "/home/", "PWD": work,
		"HADOOP_TOKEN_FILE_LOCATION": tokens,
	}
	if l.IsAM {
		env["APPLICATION_WEB_PROXY_BASE"] = "/proxy/" + app
		env["APP_SUBMIT_TIME_ENV"] = strconv.FormatInt(l.Submitted.UnixMilli(), 10)
	}
	script := filepath.Join(work, "launch_container.sh")
	text := LaunchScript(l.Context, ScriptConfig{LogDir: logs, Environment: env, Resources: resources})
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		return nil, err
	}
	return e.start(script, work, logs)
}

// localize copies a file once per source and time, executable as NodeManagers make it.
func (e *Exec) localize(r *yarnpb.LocalResourceProto) (string, error) {
	u := r.GetResource()
	if u.GetScheme() != "file" || r.GetType() != yarnpb.LocalResourceTypeProto_FILE {
		return "", fmt.Errorf("cannot localise %s://%s%s: only plain files of file: can", u.GetScheme(), u.GetHost(), u.GetFile())
	}
	info, err := os.Stat(u.GetFile())
	if err != nil {
		return "", err
	}
	if was := info.ModTime().UnixMilli(); was != r.GetTimestamp() {
		return "", fmt.Errorf("resource file:%s changed on src filesystem - expected: %d, was: %d", u.GetFile(), r.GetTimestamp(), was)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := fmt.Sprintf("%s@%d", u.GetFile(), r.GetTimestamp())
	if copied, ok := e.cache[key]; ok {
		return copied, nil
	}
	dir := filepath.Join(e.Dir, "filecache", strconv.Itoa(len(e.cache)+10))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	copied := filepath.Join(dir, filepath.Base(u.GetFile()))
	if err := copyFile(copied, u.GetFile()); err != nil {
		return "", err
	}
	if e.cache == nil {
		e.cache = map[string]string{}
	}
	e.cache[key] = copied
	return copied, nil
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (e *Exec) start(script, work, logs string) (Process, error) {
	cmd := exec.Command("/bin/bash", script)
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range e.Environment {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	output, err := os.Create(filepath.Join(logs, "prelaunch.err"))
	if err != nil {
		return nil, err
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, logs: logs}, nil
}

type process struct {
	cmd  *exec.Cmd
	logs string

	mu     sync.Mutex
	ended  bool
	killer *time.Timer
}

// Kill sends SIGTERM to the process group and SIGKILL 250 ms later.
func (p *process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.killer != nil {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	p.killer = time.AfterFunc(250*time.Millisecond, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	})
}

// Wait returns the exit status as a shell would see it, and for a failure the end of what was written to files named
// like standard error.
func (p *process) Wait() (int, string) {
	_ = p.cmd.Wait()
	p.mu.Lock()
	p.ended = true
	if p.killer != nil {
		p.killer.Stop()
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // what it left behind in its group
	p.mu.Unlock()
	status := p.cmd.ProcessState.ExitCode()
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	if status == 0 {
		return 0, ""
	}
	return status, fmt.Sprintf("Container exited with a non-zero exit code %d. Last 4096 bytes of standard error :\n%s", status, p.tail())
}

func (p *process) tail() string {
	var out []byte
	for _, pattern := range []string{"prelaunch.err", "stderr", "*.err"} {
		files, _ := filepath.Glob(filepath.Join(p.logs, pattern))
		for _, f := range files {
			b, _ := os.ReadFile(f)
			out = append(out, b...)
		}
	}
	return string(out[max(0, len(out)-4096):])
}
