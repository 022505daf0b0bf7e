package hadoopconf

import (
	"fmt"
	"net"
	"strings"
)

// Property names and default ports of YARN.
const (
	rmHostname = "yarn.resourcemanager.hostname"
	rmAddress  = "yarn.resourcemanager.address"
	rmHAIDs    = "yarn.resourcemanager.ha.rm-ids"
	rmHA       = "yarn.resourcemanager.ha.enabled"

	rmScheduler   = "yarn.resourcemanager.scheduler.address"
	rmAdmin       = "yarn.resourcemanager.admin.address"
	rmWebapp      = "yarn.resourcemanager.webapp.address"
	rmWebappHTTPS = "yarn.resourcemanager.webapp.https.address"
)

// RM holds the addresses (host:port) of one YARN ResourceManager.
type RM struct {
	ID          string // "" without high availability
	Client      string // ApplicationClientProtocol, default port 8032
	Scheduler   string // ApplicationMasterProtocol, default port 8030
	Admin       string // HAServiceProtocol, default port 8033
	Webapp      string // web page and REST, default port 8088, or 8090 with HTTPS
	WebappHTTPS bool   // yarn.http.policy is HTTPS_ONLY
}

// ResourceManagers returns the ResourceManagers to try, in the order of yarn.resourcemanager.ha.rm-ids; one when high availability
// is off. With it, an id without an address or host is an error.
func (c *Config) ResourceManagers() ([]RM, error) {
	ha, err := c.Bool(rmHA, false)
	if err != nil {
		return nil, err
	}
	if !ha {
		rm, err := c.resourceManager("")
		return []RM{rm}, err
	}
	ids := c.List(rmHAIDs)
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s is true, but %s names no ResourceManager", rmHA, rmHAIDs)
	}
	out := make([]RM, 0, len(ids))
	for _, id := range ids {
		rm, err := c.resourceManager(id)
		if err != nil {
			return nil, err
		}
		out = append(out, rm)
	}
	return out, nil
}

func (c *Config) resourceManager(id string) (RM, error) {
	rm := RM{ID: id, WebappHTTPS: strings.EqualFold(c.Get("yarn.http.policy", ""), "HTTPS_ONLY")}
	webapp, webPort := rmWebapp, "8088"
	if rm.WebappHTTPS {
		webapp, webPort = rmWebappHTTPS, "8090"
	}
	for _, a := range []struct {
		to        *string
		key, port string
	}{
		{&rm.Client, rmAddress, "8032"}, {&rm.Scheduler, rmScheduler, "8030"}, {&rm.Admin, rmAdmin, "8033"}, {&rm.Webapp, webapp, webPort},
	} {
		address, err := c.rmAddress(a.key, id, a.port)
		if err != nil {
			return RM{}, err
		}
		*a.to = address
	}
	return rm, nil
}

// rmAddress returns key[.id], else hostname[.id] with the default port. Without high availability the host has Hadoop's default.
func (c *Config) rmAddress(key, id, port string) (string, error) {
	suffix := ""
	if id != "" {
		suffix = "." + id
	}
	if v, ok := c.Lookup(key + suffix); ok {
		address, err := withPort(v, port)
		if err != nil {
			return "", c.wrong(key+suffix, err.Error())
		}
		return address, nil
	}
	host, ok := c.Lookup(rmHostname + suffix)
	if !ok && id != "" {
		return "", fmt.Errorf("neither %s%s nor %s%s is set", key, suffix, rmHostname, suffix)
	}
	if !ok {
		host = builtin[rmHostname]
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port), nil
}

// withPort completes host to host:port.
func withPort(address, port string) (string, error) {
	if host, p, err := net.SplitHostPort(address); err == nil {
		if host == "" || p == "" {
			return "", fmt.Errorf("is no host:port")
		}
		return address, nil
	}
	host := strings.Trim(address, "[]")
	if host == "" || strings.ContainsAny(host, "/ \t") || strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", fmt.Errorf("is no host:port")
	}
	return net.JoinHostPort(host, port), nil
}

// MemoryChecks says what the NodeManagers check, as far as this machine's files tell; they may be set otherwise on the nodes.
type MemoryChecks struct {
	Physical  bool
	Virtual   bool
	VmemRatio float64 // virtual memory allowed for each unit of container size
}

// MemoryChecks returns YARN's settings, with Hadoop's defaults: both checks on, ratio 2.1.
func (c *Config) MemoryChecks() (MemoryChecks, error) {
	var m MemoryChecks
	var err error
	if m.Physical, err = c.Bool("yarn.nodemanager.pmem-check-enabled", true); err != nil {
		return m, err
	}
	if m.Virtual, err = c.Bool("yarn.nodemanager.vmem-check-enabled", true); err != nil {
		return m, err
	}
	m.VmemRatio, err = c.Float("yarn.nodemanager.vmem-pmem-ratio", 2.1)
	return m, err
}
