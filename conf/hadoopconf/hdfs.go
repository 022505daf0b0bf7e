package hadoopconf

import (
	"fmt"
	"net/url"
	"strings"
)

// DefaultFS returns the URI that paths without one belong to: fs.defaultFS, its older name, else file:///.
func (c *Config) DefaultFS() (*url.URL, error) {
	key := "fs.defaultFS"
	v, ok := c.Lookup(key)
	if !ok {
		key = "fs.default.name"
		v = c.Get(key, "file:///")
	}
	if v == "local" { // older ways to write it: "local", and host:port for hdfs://host:port
		v = "file:///"
	} else if !strings.Contains(v, "/") {
		v = "hdfs://" + v
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme == "" || u.Scheme == "hdfs" && u.Host == "" {
		return nil, c.wrong(key, "is no URI of a file system")
	}
	return u, nil
}

// NameNode is one NameNode of an HDFS.
type NameNode struct {
	ID      string // "" without high availability
	Address string // host:port of the client RPC
}

// NameNodes returns the NameNodes behind the authority of an hdfs:// URI: the members of a nameservice of that name, else the one
// host (default port 8020).
func (c *Config) NameNodes(authority string) ([]NameNode, error) {
	const prefix = "dfs.namenode.rpc-address."
	if ids := c.List("dfs.ha.namenodes." + authority); len(ids) > 0 {
		out := make([]NameNode, 0, len(ids))
		for _, id := range ids {
			key := prefix + authority + "." + id
			v, ok := c.Lookup(key)
			if !ok {
				return nil, fmt.Errorf("%s is not set, but dfs.ha.namenodes.%s names %s", key, authority, id)
			}
			address, err := withPort(v, "8020")
			if err != nil {
				return nil, c.wrong(key, err.Error())
			}
			out = append(out, NameNode{ID: id, Address: address})
		}
		return out, nil
	}
	host := authority
	if v, ok := c.Lookup(prefix + authority); ok { // a nameservice with one NameNode
		host = v
	}
	address, err := withPort(host, "8020")
	if err != nil {
		return nil, fmt.Errorf("NameNode %q: %w", host, err)
	}
	return []NameNode{{Address: address}}, nil
}
