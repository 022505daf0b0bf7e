package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const confDir = "/opt/hadoop/etc/hadoop"

func main() {
	code, err := start(os.Args[1:], os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func start(args, environ []string) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("no command")
	}
	files, err := renderConf(environ)
	if err != nil {
		return 0, err
	}
	if err := writeConf(confDir, files); err != nil {
		return 0, err
	}
	p, err := parsePreparation(environ)
	if err != nil {
		return 0, err
	}
	if err := p.do(context.Background(), runHDFS); err != nil {
		return 0, err
	}
	return supervise(args)
}

// preparation is what the environment wants done before the command starts.
type preparation struct {
	sleep       time.Duration
	waitFor     string // host:port, or empty
	waitTimeout time.Duration
	nameDir     string // formatted when absent, or empty
	clusterID   string
}

func parsePreparation(environ []string) (preparation, error) {
	p := preparation{waitTimeout: 300 * time.Second}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		var err error
		switch name {
		case "SLEEP_SECONDS":
			p.sleep, err = seconds(value)
		case "WAITFOR_TIMEOUT":
			p.waitTimeout, err = seconds(value)
		case "WAITFOR":
			p.waitFor = value
			_, _, err = net.SplitHostPort(value)
		case "ENSURE_NAMENODE_DIR":
			p.nameDir = value
		case "ENSURE_NAMENODE_CLUSTERID":
			p.clusterID = value
		case "ENSURE_STANDBY_NAMENODE_DIR", "KERBEROS_ENABLED", "KERBEROS_SERVER", "KERBEROS_KEYTABS":
			err = errors.New("this image cannot do that; apache/hadoop can")
		}
		if err != nil {
			return p, fmt.Errorf("%s=%s: %w", name, value, err)
		}
	}
	return p, nil
}

func seconds(value string) (time.Duration, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	return time.Duration(n) * time.Second, err
}

// do runs the steps in the order of apache/hadoop. hdfs runs the command of that name.
func (p preparation) do(ctx context.Context, hdfs func(ctx context.Context, args ...string) error) error {
	if err := pause(ctx, p.sleep); err != nil {
		return err
	}
	if p.waitFor != "" {
		if err := awaitListener(ctx, p.waitFor, p.waitTimeout); err != nil {
			return err
		}
	}
	if p.nameDir == "" {
		return nil
	}
	if _, err := os.Stat(p.nameDir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	args := []string{"namenode", "-format", "-force", "-nonInteractive"}
	if p.clusterID != "" {
		args = append(args, "-clusterId", p.clusterID)
	}
	return hdfs(ctx, args...)
}

func runHDFS(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "hdfs", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("hdfs %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// awaitListener waits until something listens on an address.
func awaitListener(ctx context.Context, address string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("wait for %s: nothing listens after %v: %w", address, limit, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// supervise runs the command and returns its exit code, 128 + n after signal n. All signals go to the command; every other process that
// ends, having become this one's child, is only waited for.
func supervise(args []string) (int, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals)
	child, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 0, err
	}
	pid := child.Pid
	done, forwarded := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(forwarded)
		for {
			select {
			case s := <-signals:
				// SIGURG is the Go scheduler's own.
				if n, ok := s.(syscall.Signal); ok && n != syscall.SIGCHLD && n != syscall.SIGURG {
					_ = syscall.Kill(pid, n) // gone already: the wait below says so
				}
			case <-done:
				return
			}
		}
	}()
	defer func() { signal.Stop(signals); close(done); <-forwarded }()
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for %s: %w", args[0], err)
		case ended == pid && status.Signaled():
			return 128 + int(status.Signal()), nil
		case ended == pid:
			return status.ExitStatus(), nil
		}
	}
}
