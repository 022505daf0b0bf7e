package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// plain starts the services of compose.yaml with docker alone, as compose would: one network, one container for each service, labelled.
type plain struct {
	d       *demo
	version string
}

func (d *demo) plain(ctx context.Context) (runner, error) {
	version, err := d.docker.run(ctx, "version", "--format", "{{.Client.Version}}")
	return &plain{d: d, version: version}, err
}

func (p *plain) name() string { return "plain docker " + p.version }

func (p *plain) up(ctx context.Context) error {
	data, err := os.ReadFile(filepath.Join(p.d.root, composeFile))
	if err != nil {
		return err
	}
	set := p.d.variables()
	services, err := readCompose(data, func(name string) (string, bool) {
		if value, ok := set[name]; ok {
			return value, true
		}
		return os.LookupEnv(name)
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", composeFile, err)
	}
	network := p.d.project + "_default"
	if _, err := p.d.docker.run(ctx, "network", "create", "--label", projectLabel+"="+p.d.project, network); err != nil {
		return err
	}
	for _, s := range services {
		if _, err := p.d.docker.run(ctx, p.runArgs(s, network)...); err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
	}
	return nil
}

func (p *plain) runArgs(s service, network string) []string {
	args := []string{"run", "-d", "--name", p.d.project + "-" + s.name + "-1", "--network", network, "--network-alias", s.name,
		"--label", projectLabel + "=" + p.d.project, "--label", serviceLabel + "=" + s.name}
	if s.hostname != "" {
		args = append(args, "--hostname", s.hostname)
	}
	for _, name := range slices.Sorted(maps.Keys(s.environment)) {
		args = append(args, "--env", name+"="+s.environment[name])
	}
	for _, port := range s.ports {
		args = append(args, "--publish", port)
	}
	return append(append(args, s.image), s.command...)
}

// down has nothing to do: the sweep that follows removes everything with the project's label.
func (p *plain) down(context.Context) error { return nil }
