package hadoop

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"
)

// containerOfApp says whether a container id belongs to an application id: both carry the ResourceManager's start time
// and the application's number, the container's possibly after an epoch (container_e17_…).
func containerOfApp(container, app string) bool {
	digits, ok := strings.CutPrefix(app, "application_")
	if !ok || digits == "" {
		return false
	}
	id, ok := strings.CutPrefix(container, "container_")
	if !ok {
		return false
	}
	if strings.HasPrefix(id, "e") {
		_, id, _ = strings.Cut(id, "_")
	}
	return strings.HasPrefix(id, digits+"_")
}

// LeftContainers returns the containers that NodeManagers still know of an application, as text.
func (c *Cluster) LeftContainers(ctx context.Context, app string) ([]string, error) {
	containers, err := c.RM().Containers(ctx, app)
	if err != nil {
		return nil, err
	}
	var left []string
	for _, x := range containers {
		left = append(left, fmt.Sprintf("container %s on %s: %s", x.ID, x.NodeID, x.State))
	}
	return left, nil
}

// LeftProcesses returns the processes of this machine that have a container id of the application in their
// environment, as text.
func LeftProcesses(app string) ([]string, error) {
	all, err := processes()
	if err != nil {
		return nil, err
	}
	var left []string
	for _, p := range all {
		if id := p.getenv("CONTAINER_ID"); containerOfApp(id, app) {
			left = append(left, fmt.Sprintf("process %d of %s: %.120s", p.pid, id, strings.Join(p.args, " ")))
		}
	}
	return left, nil
}

// LeftFiles returns what HDFS still holds of an application's staging, whoever submitted it: its directory
// .flott/<app> and its references .flott/refs/*/<app> in any home directory, as text.
func (c *Cluster) LeftFiles(ctx context.Context, app string) ([]string, error) {
	fs := c.HDFS()
	homes, err := fs.List(ctx, "/user")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, home := range homes {
		dirs := []string{path.Join(home.Path, ".flott")}
		refs, err := fs.List(ctx, path.Join(home.Path, ".flott", "refs"))
		if err != nil {
			return nil, err
		}
		for _, r := range refs {
			dirs = append(dirs, r.Path)
		}
		for _, d := range dirs {
			entries, err := fs.List(ctx, d)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if path.Base(e.Path) == app {
					left = append(left, fmt.Sprintf("staging %s (%s)", e.Path, strings.ToLower(e.Type)))
				}
			}
		}
	}
	return left, nil
}

// Leftovers returns all that is left of an application: containers, processes, staging files.
func (c *Cluster) Leftovers(ctx context.Context, app string) ([]string, error) {
	containers, err := c.LeftContainers(ctx, app)
	if err != nil {
		return nil, err
	}
	procs, err := LeftProcesses(app)
	if err != nil {
		return nil, err
	}
	files, err := c.LeftFiles(ctx, app)
	if err != nil {
		return nil, err
	}
	return append(append(containers, procs...), files...), nil
}

// AwaitNoLeftovers returns nil once nothing is left of an application, and an error that lists the rest when that takes
// longer than limit.
func (c *Cluster) AwaitNoLeftovers(ctx context.Context, app string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var left []string
	for {
		now, err := c.Leftovers(ctx, app)
		if err == nil && len(now) == 0 {
			return nil
		}
		if err == nil {
			left = now
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			if err != nil && left == nil {
				return fmt.Errorf("look for leftovers of %s: %w", app, err)
			}
			return fmt.Errorf("left of %s after %v:\n%s", app, limit, strings.Join(left, "\n"))
		}
	}
}
