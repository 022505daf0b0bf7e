package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// composeFile describes the containers; relative to the module's root.
const composeFile = "integration/docker/compose.yaml"

// The labels by which compose, and the runner on plain docker, know containers and networks again.
const (
	projectLabel = "com.docker.compose.project"
	serviceLabel = "com.docker.compose.service"
)

// runner brings the containers of compose.yaml up and takes them down.
type runner interface {
	name() string
	up(ctx context.Context) error
	down(ctx context.Context) error
}

// chooseRunner takes the first that is there, or the one asked for.
func (d *demo) chooseRunner(ctx context.Context) (runner, error) {
	all := []struct {
		name string
		make func(context.Context) (runner, error)
	}{{"compose", d.composePlugin}, {"docker-compose", d.composeProgram}, {"plain", d.plain}}
	for _, r := range all {
		if d.want != "auto" && d.want != r.name {
			continue
		}
		chosen, err := r.make(ctx)
		if err == nil {
			return chosen, nil
		}
		if d.want != "auto" || ctx.Err() != nil {
			return nil, fmt.Errorf("runner %s: %w", r.name, err)
		}
	}
	return nil, fmt.Errorf("unknown runner %q: compose, docker-compose, plain, or auto", d.want)
}

func (d *demo) composePlugin(ctx context.Context) (runner, error) {
	version, err := d.docker.run(ctx, "compose", "version", "--short")
	if err != nil {
		return nil, err
	}
	return &compose{d: d, argv: []string{"docker", "compose"}, version: version}, nil
}

// composeProgram is Debian's docker-compose, 1.29; before 1.27 a file had to name its version.
func (d *demo) composeProgram(ctx context.Context) (runner, error) {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		return nil, err
	}
	version, err := command{name: "docker-compose", args: []string{"version", "--short"}}.output(ctx)
	if err != nil {
		return nil, err
	}
	if !readsCompose(version) {
		return nil, fmt.Errorf("docker-compose %s is older than 1.27", version)
	}
	return &compose{d: d, argv: []string{"docker-compose"}, version: version}, nil
}

var composeVersion = regexp.MustCompile(`^v?(\d+)\.(\d+)`)

// readsCompose says whether a version of docker-compose reads files without a version.
func readsCompose(version string) bool {
	m := composeVersion.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, err := strconv.Atoi(m[1])
	minor, err2 := strconv.Atoi(m[2])
	return err == nil && err2 == nil && (major > 1 || minor >= 27)
}

// compose is docker compose, or docker-compose.
type compose struct {
	d       *demo
	argv    []string
	version string
}

func (c *compose) name() string {
	text := c.argv[0]
	for _, word := range c.argv[1:] {
		text += " " + word
	}
	return text + " " + c.version
}

func (c *compose) run(ctx context.Context, args ...string) error {
	args = append(append(c.argv[1:len(c.argv):len(c.argv)], "-f", composeFile, "-p", c.d.project), args...)
	env := c.d.docker.env()
	for name, value := range c.d.variables() {
		env = append(env, name+"="+value)
	}
	_, err := command{name: c.argv[0], args: args, env: env}.output(ctx)
	return err
}

func (c *compose) up(ctx context.Context) error { return c.run(ctx, "up", "-d") }

func (c *compose) down(ctx context.Context) error { return c.run(ctx, "down", "-v", "-t", "1") }

// variables are what the demo sets in compose.yaml. Ports are free ones: the usual ones may be in use on this machine.
func (d *demo) variables() map[string]string {
	return map[string]string{"HADOOP_IMAGE": d.image, "YARN_WEB_PORT": "0", "HDFS_WEB_PORT": "0"}
}

// container returns the id of a service's container, whoever started it.
func (d *demo) container(ctx context.Context, service string) (string, error) {
	ids, err := d.docker.ids(ctx, "ps", "-aq", "--no-trunc", "--filter", "label="+projectLabel+"="+d.project, "--filter", "label="+serviceLabel+"="+service)
	if err == nil && len(ids) != 1 {
		err = fmt.Errorf("%s has %d containers, want 1", service, len(ids))
	}
	if err != nil {
		return "", fmt.Errorf("find the container of %s: %w", service, err)
	}
	return ids[0], nil
}

// sweep removes whatever carries the project's label.
func (d *demo) sweep(ctx context.Context) error {
	return d.docker.removeAll(ctx, []string{"--filter", "label=" + projectLabel + "=" + d.project})
}

// removeAll removes the containers and the networks that the filter lets through.
func (d docker) removeAll(ctx context.Context, filter []string) error {
	for _, kind := range []struct{ list, remove []string }{
		{[]string{"ps", "-aq"}, []string{"rm", "-f", "-v"}},
		{[]string{"network", "ls", "-q", "--filter", "type=custom"}, []string{"network", "rm"}},
	} {
		ids, err := d.ids(ctx, append(kind.list, filter...)...)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			continue
		}
		if _, err := d.run(ctx, append(kind.remove, ids...)...); err != nil {
			return err
		}
	}
	return nil
}
