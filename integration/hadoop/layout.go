package hadoop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	maxNodes      = 3
	portStep      = 100
	maxPortOffset = 20000
	loopback      = "127.0.0.1"
)

// ErrNoCluster says that a state directory holds no cluster.
var ErrNoCluster = errors.New("no cluster in this state directory")

// Ports are the TCP ports of the daemons that run once, all on 127.0.0.1.
type Ports struct {
	ZooKeeper, NameNode, NameNodeWeb, DataNode, DataNodeWeb, DataNodeIPC int
	RMScheduler, RMTracker, RMClient, RMAdmin, RMWeb                     int
}

// Node is one NodeManager: daemon and host name are the same word when host names could be given.
type Node struct {
	Daemon, Host, IP         string
	Port, Localizer, WebPort int
}

// ID is YARN's name of the node, host:port.
func (n Node) ID() string { return net.JoinHostPort(n.Host, strconv.Itoa(n.Port)) }

// spec is what cluster.json holds: all that a later process needs to know about a cluster.
type spec struct {
	StateDir, CacheDir, JavaHome   string
	NodeMemoryMB, NodeVCores       int
	MinAllocationMB, OffSwitch     int
	Heartbeat, NodeExpiry          time.Duration
	AMExpiry                       time.Duration
	VmemCheck, PmemCheck           bool
	RMRecovery, HostNames, Persist bool
	Queues                         []Queue
	Ports                          Ports
	Nodes                          []Node
	WatcherPID                     int
}

func newSpec(o Options, javaHome string, hostNames bool, offset int) spec {
	s := spec{
		StateDir: o.StateDir, CacheDir: o.CacheDir, JavaHome: javaHome,
		NodeMemoryMB: o.NodeMemoryMB, NodeVCores: o.NodeVCores, MinAllocationMB: o.MinAllocationMB, OffSwitch: o.OffSwitch,
		Heartbeat: o.Heartbeat, NodeExpiry: o.NodeExpiry, AMExpiry: o.AMExpiry,
		VmemCheck: o.VmemCheck, PmemCheck: o.PmemCheck, RMRecovery: o.RMRecovery,
		HostNames: hostNames, Persist: o.Persist, Queues: o.Queues,
	}
	// The last two digits of all ports differ, so offsets that are multiples of 100 keep clusters apart.
	s.Ports = Ports{
		ZooKeeper: 2181 + offset, NameNode: 8020 + offset, NameNodeWeb: 9870 + offset, DataNode: 9866 + offset,
		DataNodeWeb: 9864 + offset, DataNodeIPC: 9867 + offset, RMScheduler: 8030 + offset, RMTracker: 8031 + offset,
		RMClient: 8032 + offset, RMAdmin: 8033 + offset, RMWeb: 8088 + offset,
	}
	for i := 1; i <= o.NodeManagers; i++ {
		n := Node{Daemon: "nm" + strconv.Itoa(i), Host: "localhost", IP: loopback, Port: 8050 + i + offset,
			Localizer: 8040 + i + offset, WebPort: 8044 + i + offset}
		if hostNames {
			n.Host, n.IP = n.Daemon, "127.0.0.1"+strconv.Itoa(i)
		}
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

// daemons are the names that Kill and StartDaemon take, in the order of a start.
func (s spec) daemons() []string {
	names := []string{"zk", "nn", "rm", "dn"}
	for _, n := range s.Nodes {
		names = append(names, n.Daemon)
	}
	return names
}

func (s spec) node(daemon string) (Node, bool) {
	for _, n := range s.Nodes {
		if n.Daemon == daemon {
			return n, true
		}
	}
	return Node{}, false
}

// listener is an address that a daemon is going to bind.
type listener struct{ daemon, address string }

func (s spec) listeners() []listener {
	var all []listener
	add := func(daemon, ip string, ports ...int) {
		for _, p := range ports {
			all = append(all, listener{daemon, net.JoinHostPort(ip, strconv.Itoa(p))})
		}
	}
	p := s.Ports
	add("zk", loopback, p.ZooKeeper)
	add("nn", loopback, p.NameNode, p.NameNodeWeb)
	add("dn", loopback, p.DataNode, p.DataNodeWeb, p.DataNodeIPC)
	add("rm", loopback, p.RMScheduler, p.RMTracker, p.RMClient, p.RMAdmin, p.RMWeb)
	for _, n := range s.Nodes {
		add(n.Daemon, n.IP, n.Port, n.Localizer, n.WebPort)
	}
	return all
}

// takenPort returns the first listener whose address something else holds already.
func (s spec) takenPort() (listener, error) {
	for _, l := range s.listeners() {
		ln, err := net.Listen("tcp", l.address)
		if err != nil {
			return l, fmt.Errorf("%s cannot listen on %s (%w): stop what uses the port or choose another port offset (hadoopctl up --auto-ports finds one)", l.daemon, l.address, err)
		}
		ln.Close()
	}
	return listener{}, nil
}

func (s spec) dir(parts ...string) string {
	return filepath.Join(append([]string{s.StateDir}, parts...)...)
}

// confDir is what a client uses, and NameNode, DataNode, ResourceManager and ZooKeeper as well.
func (s spec) confDir() string { return s.dir("conf") }

func (s spec) daemonConfDir(daemon string) string {
	if _, ok := s.node(daemon); ok {
		return s.dir("conf-" + daemon)
	}
	return s.confDir()
}

func (s spec) logFile(daemon string) string { return s.dir("logs", daemon+".log") }

func (s spec) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save cluster description: %w", err)
	}
	tmp := s.dir("cluster.json.new")
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return fmt.Errorf("save cluster description: %w", err)
	}
	if err := os.Rename(tmp, s.dir("cluster.json")); err != nil {
		return fmt.Errorf("save cluster description: %w", err)
	}
	return nil
}

func loadSpec(stateDir string) (spec, error) {
	dir, err := filepath.Abs(stateDir)
	if err != nil {
		return spec{}, fmt.Errorf("open cluster %s: %w", stateDir, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return spec{}, fmt.Errorf("open cluster %s: %w", dir, ErrNoCluster)
	}
	if err != nil {
		return spec{}, fmt.Errorf("open cluster: %w", err)
	}
	var s spec
	if err := json.Unmarshal(data, &s); err != nil {
		return spec{}, fmt.Errorf("open cluster %s: %w", dir, err)
	}
	return s, nil
}
