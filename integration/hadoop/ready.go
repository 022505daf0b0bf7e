package hadoop

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// await polls pending until it returns nothing, watching that the daemons it waits for are alive. Every 5 s it says
// what it waits for.
func (c *Cluster) await(ctx context.Context, daemons []string, pending func(context.Context) ([]string, error)) error {
	began, lastSaid := time.Now(), time.Now()
	for {
		// Looked up before the probe: a daemon that serves and ends in between is not ready.
		dead, err := c.dead(daemons)
		if err != nil {
			return err
		}
		// A JVM shows its command line from the start; allow for the moment between fork and exec.
		if dead != "" && time.Since(began) > time.Second {
			return fmt.Errorf("start %s: it ended; the end of %s:\n%s", dead, c.LogFile(dead), tail(c.LogFile(dead), 15))
		}
		left, err := pending(ctx)
		if err != nil {
			return err
		}
		if len(left) == 0 && dead == "" {
			return nil
		}
		if time.Since(lastSaid) >= 5*time.Second {
			lastSaid = time.Now()
			c.progress(fmt.Sprintf("%2.0f s: waiting for %s", time.Since(began).Seconds(), strings.Join(left, "; ")))
		}
		if err := pause(ctx, pollInterval); err != nil {
			return fmt.Errorf("start Hadoop: %w; still waiting for %s", err, strings.Join(left, "; "))
		}
	}
}

// dead returns the first of the daemons that has no process.
func (c *Cluster) dead(daemons []string) (string, error) {
	all, err := processes()
	if err != nil {
		return "", err
	}
	alive := map[string]bool{}
	for _, p := range all {
		if !p.hasArg(stateFlag(c.spec.StateDir)) {
			continue
		}
		for _, d := range daemons {
			if p.hasArg(daemonFlag(d)) {
				alive[d] = true
			}
		}
	}
	for _, d := range daemons {
		if !alive[d] {
			return d, nil
		}
	}
	return "", nil
}

func (s spec) nameNodeAccepts(context.Context) ([]string, error) {
	if !accepts(at(loopback, s.Ports.NameNode)) {
		return []string{"nn (its port)"}, nil
	}
	return nil, nil
}

func (s spec) pending(ctx context.Context) ([]string, error) {
	var left []string
	for _, d := range s.daemons() {
		left = append(left, s.pendingOf(ctx, d)...)
	}
	return left, nil
}

// pendingOf returns why a daemon does not serve yet, nothing when it does.
func (s spec) pendingOf(ctx context.Context, daemon string) []string {
	var reason string
	switch daemon {
	case "zk":
		reason = s.zooKeeperPending()
	case "nn":
		reason = s.nameNodePending(ctx)
	case "dn":
		reason = s.dataNodePending(ctx)
	case "rm":
		reason = s.resourceManagerPending(ctx)
	default:
		reason = s.nodeManagerPending(ctx, daemon)
	}
	if reason == "" {
		return nil
	}
	return []string{daemon + " (" + reason + ")"}
}

// zooKeeperPending asks for the server's mode: its port is open before it serves.
func (s spec) zooKeeperPending() string {
	conn, err := net.DialTimeout("tcp", at(loopback, s.Ports.ZooKeeper), time.Second)
	if err != nil {
		return "its port"
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err.Error()
	}
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return err.Error()
	}
	answer := make([]byte, 1024)
	n := 0
	for n < len(answer) {
		k, err := conn.Read(answer[n:])
		n += k
		if err != nil {
			break
		}
	}
	if !strings.Contains(string(answer[:n]), "Mode: standalone") {
		return "serving"
	}
	return ""
}

func (s spec) nameNodePending(ctx context.Context) string {
	var info struct {
		Beans []struct{ Safemode string }
	}
	url := "http://" + at(loopback, s.Ports.NameNodeWeb) + "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"
	switch err := getJSON(ctx, url, &info); {
	case err != nil || len(info.Beans) == 0:
		return "its web address"
	case info.Beans[0].Safemode != "":
		return "safe mode"
	case !accepts(at(loopback, s.Ports.NameNode)):
		return "its port"
	}
	return ""
}

func (s spec) dataNodePending(ctx context.Context) string {
	var state struct {
		Beans []struct{ NumLiveDataNodes int }
	}
	url := "http://" + at(loopback, s.Ports.NameNodeWeb) + "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
	switch err := getJSON(ctx, url, &state); {
	case err != nil || len(state.Beans) == 0:
		return "the NameNode's word"
	case state.Beans[0].NumLiveDataNodes < 1:
		return "registration"
	case !accepts(at(loopback, s.Ports.DataNode)), !accepts(at(loopback, s.Ports.DataNodeWeb)):
		return "its ports"
	}
	return ""
}

// resourceManagerPending looks at more than the state STARTED, which the web application shows before the RPC ports are
// open and before applications are recovered.
func (s spec) resourceManagerPending(ctx context.Context) string {
	var info struct {
		ClusterInfo struct{ State, HAState string }
	}
	if err := getJSON(ctx, "http://"+at(loopback, s.Ports.RMWeb)+"/ws/v1/cluster/info", &info); err != nil {
		return "its web address"
	}
	if info.ClusterInfo.State != "STARTED" || info.ClusterInfo.HAState != "ACTIVE" {
		return "state " + info.ClusterInfo.State + " " + info.ClusterInfo.HAState
	}
	p := s.Ports
	for _, port := range []int{p.RMScheduler, p.RMTracker, p.RMClient, p.RMAdmin} {
		if !accepts(at(loopback, port)) {
			return fmt.Sprintf("port %d", port)
		}
	}
	return ""
}

func (s spec) nodeManagerPending(ctx context.Context, daemon string) string {
	n, ok := s.node(daemon)
	if !ok {
		return "unknown"
	}
	nodes, err := (&RM{URL: "http://" + at(loopback, s.Ports.RMWeb)}).Nodes(ctx)
	if err != nil {
		return "the ResourceManager"
	}
	for _, node := range nodes {
		if node.ID == n.ID() && node.State == "RUNNING" && accepts(at(n.IP, n.Port)) {
			return ""
		}
	}
	return "registration"
}

func accepts(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// makeHDFSDirs makes the directories that YARN and users expect. The superuser owns them, but for alice's home.
func (s spec) makeHDFSDirs(ctx context.Context) error {
	fs := &WebHDFS{URL: "http://" + at(loopback, s.Ports.NameNodeWeb), User: superuser()}
	for _, d := range []struct{ path, mode, owner string }{
		{"/tmp", "1777", ""}, {"/tmp/logs", "1777", ""}, {"/user", "755", ""},
		{"/user/" + superuser(), "755", ""}, {"/user/alice", "755", "alice"},
	} {
		if err := fs.Mkdirs(ctx, d.path, d.mode); err != nil {
			return err
		}
		if d.owner != "" {
			if err := fs.SetOwner(ctx, d.path, d.owner); err != nil {
				return err
			}
		}
	}
	return nil
}

// client keeps no connection, so that no goroutine outlives a call.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
