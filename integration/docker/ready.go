package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

const (
	nodeManagers = 3 // of compose.yaml
	readyLimit   = 4 * time.Minute
)

// awaitReady waits until HDFS and YARN serve. Every 5 s it says for what; it gives up at once when a container ends.
func (d *demo) awaitReady(ctx context.Context) error {
	rm, err := d.published(ctx, "resourcemanager", 8088)
	if err != nil {
		return err
	}
	nameNode, err := d.published(ctx, "namenode", 9870)
	if err != nil {
		return err
	}
	if d.client, err = d.container(ctx, "client"); err != nil {
		return err
	}
	d.rm = &hadoop.RM{URL: rm}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	began, lastSaid := time.Now(), time.Now()
	for {
		if err := d.ended(ctx); err != nil {
			return err
		}
		left := pendingHDFS(ctx, nameNode)
		nodes, err := d.rm.Nodes(ctx)
		left = append(left, pendingYARN(nodes, err)...)
		if len(left) == 0 {
			return nil
		}
		if time.Since(lastSaid) >= 5*time.Second {
			lastSaid = time.Now()
			d.say("  %2.0f s: waiting for %s", time.Since(began).Seconds(), strings.Join(left, "; "))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for Hadoop: %w; still not there: %s", ctx.Err(), strings.Join(left, "; "))
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// published returns the address on this machine behind which a service's port is.
func (d *demo) published(ctx context.Context, service string, port int) (string, error) {
	id, err := d.container(ctx, service)
	if err != nil {
		return "", err
	}
	out, err := d.docker.run(ctx, "port", id, fmt.Sprintf("%d/tcp", port))
	if err != nil {
		return "", errors.Join(err, d.ended(ctx))
	}
	first, _, _ := strings.Cut(out, "\n")
	if _, _, err := net.SplitHostPort(first); err != nil {
		return "", fmt.Errorf("find the published port %d of %s: %w", port, service, err)
	}
	return "http://" + first, nil
}

// ended returns an error with the last words of the first container that has ended.
func (d *demo) ended(ctx context.Context) error {
	ids, err := d.docker.ids(ctx, "ps", "-aq", "--filter", "status=exited", "--filter", "status=dead", "--filter", "label="+projectLabel+"="+d.project)
	if err != nil || len(ids) == 0 {
		return err
	}
	name, err := d.docker.run(ctx, "inspect", "--format", "{{.Name}} ended with exit code {{.State.ExitCode}}", ids[0])
	if err != nil {
		return err
	}
	var words strings.Builder
	logs := d.docker.command("logs", "--tail", "20", ids[0])
	logs.stdout, logs.stderr = &words, &words
	_, err = logs.output(ctx)
	return errors.Join(fmt.Errorf("%s; its last words:\n%s", strings.TrimPrefix(name, "/"), words.String()), err)
}

// nameNodeBeans are what the NameNode tells of itself over JMX.
type nameNodeBeans struct {
	Beans []struct {
		Name             string
		Safemode         string
		NumLiveDataNodes int
	}
}

func pendingHDFS(ctx context.Context, url string) []string {
	var info, state nameNodeBeans
	if getJSON(ctx, url+"/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo", &info) != nil || len(info.Beans) == 0 ||
		getJSON(ctx, url+"/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState", &state) != nil || len(state.Beans) == 0 {
		return []string{"NameNode"}
	}
	switch {
	case state.Beans[0].NumLiveDataNodes < 1:
		return []string{"DataNode"}
	case info.Beans[0].Safemode != "":
		return []string{"the end of HDFS's safe mode"}
	}
	return nil
}

func pendingYARN(nodes []hadoop.NodeInfo, err error) []string {
	if err != nil {
		return []string{"ResourceManager"}
	}
	running := 0
	for _, n := range nodes {
		if n.State == "RUNNING" {
			running++
		}
	}
	if running < nodeManagers {
		return []string{fmt.Sprintf("%d of %d NodeManagers", nodeManagers-running, nodeManagers)}
	}
	return nil
}

func getJSON(ctx context.Context, url string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<20)).Decode(into)
}
