package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// programs are what a daemon of our own needs. From Debian 13 on the client is a package of its own.
var programs = []struct {
	program  string
	packages []string
}{
	{"dockerd", []string{"docker.io", "iptables"}},
	{"docker", []string{"docker-cli"}},
	{"iptables", []string{"iptables"}},
}

// findDaemon makes d.docker ask a daemon that answers. The function that it returns ends the daemon if this process started it.
func (d *demo) findDaemon(ctx context.Context) (func() error, error) {
	nothing := func() error { return nil }
	_, clientMissing := exec.LookPath("docker")
	var reason error
	if clientMissing == nil {
		version, err := d.docker.version(ctx)
		if err == nil {
			d.say("docker daemon %s answers", version)
			return nothing, nil
		}
		reason = err
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case os.Getenv("DOCKER_HOST") != "":
		return nil, fmt.Errorf("DOCKER_HOST=%s names a daemon that does not answer (%s): start it, or unset DOCKER_HOST", os.Getenv("DOCKER_HOST"), said(reason))
	case os.Geteuid() != 0 && clientMissing != nil:
		return nil, errors.New("there is no docker command: install docker and start its daemon, or run this as root on Debian or Ubuntu, where it starts a daemon of its own")
	case os.Geteuid() != 0:
		return nil, fmt.Errorf("no docker daemon answers (%s): start one that this user may use, or run this as root on Debian or Ubuntu, where it starts its own", said(reason))
	}
	for _, need := range programs {
		if _, err := exec.LookPath(need.program); err == nil {
			continue
		}
		if err := hadoop.Install(ctx, d.progress, "there is no "+need.program, need.packages...); err != nil {
			return nil, err
		}
	}
	// A package may have started the machine's daemon.
	if version, err := d.docker.version(ctx); err == nil {
		d.say("docker daemon %s answers", version)
		return nothing, nil
	}
	return d.startDaemon(ctx)
}

// daemon is a dockerd of our own. It keeps images in the cache; all else of it ends with it.
type daemon struct {
	data   string // images and containers
	run    string // socket, pid file, running containers
	log    string
	cgroup string
	cmd    *exec.Cmd
	ended  chan struct{}
	unlock func()
}

// machinePaths are what dockerd 20.10 makes wherever its own directories are, each before the folder that it is in.
var machinePaths = []string{"/etc/docker/key.json", "/etc/docker", "/run/docker/plugins", "/run/docker", "/run/containerd/s", "/run/containerd"}

func (d *demo) startDaemon(ctx context.Context) (stop func() error, err error) {
	unlock, err := lock(d.cache)
	if err != nil {
		return nil, err
	}
	x := &daemon{data: filepath.Join(d.cache, "daemon"), run: "/run/" + d.project, log: filepath.Join(d.dir, "dockerd.log"),
		cgroup: d.project, ended: make(chan struct{}), unlock: unlock}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	if err := x.clean(); err != nil { // of a run that was killed
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(x.data, 0o711), os.Mkdir(x.run, 0o700)); err != nil {
		return nil, fmt.Errorf("start dockerd: %w", err)
	}
	if err := x.start(); err != nil {
		return nil, err
	}
	d.docker.host = "unix://" + x.socket()
	began := time.Now()
	for {
		version, err := d.docker.version(ctx)
		if err == nil {
			d.say("no docker daemon answered: started dockerd %s for the time of this run (%s)", version, since(began))
			break
		}
		select {
		case <-x.ended:
			err = fmt.Errorf("start dockerd: it ended; the end of %s:\n%s", x.log, tail(x.log, 15))
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(200 * time.Millisecond):
			if time.Since(began) < time.Minute {
				continue
			}
			err = fmt.Errorf("start dockerd: it does not answer after a minute; the end of %s:\n%s", x.log, tail(x.log, 15))
		}
		return nil, errors.Join(err, x.stop())
	}
	// Nothing but a killed run leaves containers here.
	if err := d.docker.removeAll(ctx, nil); err != nil {
		return nil, errors.Join(err, x.stop())
	}
	return func() error {
		if err := x.stop(); err != nil {
			return fmt.Errorf("%w of dockerd: %w", errLeft, err)
		}
		d.say("the daemon is stopped; nothing is left running (images stay in %s)", x.data)
		return nil
	}, nil
}

func (x *daemon) socket() string  { return filepath.Join(x.run, "docker.sock") }
func (x *daemon) pidFile() string { return filepath.Join(x.run, "docker.pid") }

// absentFile lists those of machinePaths that were not there before the daemon.
func (x *daemon) absentFile() string { return filepath.Join(x.run, "absent") }

// args keep the daemon away from what is not its own: no bridge docker0, no rules in the packet filter, no forwarding. Containers of one
// network need none of these to reach each other, and need to reach nothing else.
func (x *daemon) args() []string {
	return []string{"--data-root", x.data, "--exec-root", filepath.Join(x.run, "exec"), "--pidfile", x.pidFile(), "--host", "unix://" + x.socket(),
		"--bridge", "none", "--iptables=false", "--ip-forward=false", "--ip-masq=false",
		"--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/" + x.cgroup, "--config-file", filepath.Join(x.run, "none.json")}
}

func (x *daemon) start() error {
	// An empty configuration, so that the machine's /etc/docker/daemon.json does not matter.
	if err := os.WriteFile(filepath.Join(x.run, "none.json"), []byte("{}\n"), 0o600); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	if err := os.WriteFile(x.absentFile(), []byte(strings.Join(absent(machinePaths), "\n")), 0o600); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	log, err := os.Create(x.log)
	if err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	defer log.Close()
	x.cmd = exec.Command("dockerd", x.args()...)
	x.cmd.Stdout, x.cmd.Stderr, x.cmd.Dir = log, log, "/"
	// Should this process be killed, the daemon ends its containers and itself.
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := x.cmd.Start(); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	go func() {
		defer close(x.ended)
		_ = x.cmd.Wait() // the log says more than the status
	}()
	return nil
}

func (x *daemon) stop() error {
	defer x.unlock()
	err := x.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-x.ended:
		err = nil
	case <-time.After(30 * time.Second):
		err = errors.Join(err, x.cmd.Process.Kill(), errors.New("it did not end within 30 s and was killed"))
		<-x.ended
	}
	return errors.Join(err, x.clean())
}

func tail(name string, lines int) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text), lines)
}
