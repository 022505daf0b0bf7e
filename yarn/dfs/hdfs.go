package dfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path"
	"time"
)

const connectTimeout = 20 * time.Second // as ipc.client.connect.timeout

// HDFSConfig names one HDFS and one user of it.
type HDFSConfig struct {
	// Authority as it stands in URIs: host:port, or the name of a nameservice.
	Authority string
	// NameNodes are the RPC addresses (host:port), several with high availability.
	NameNodes []string
	// User on whose behalf everything is done.
	User string
	// Calls makes the metadata calls, as the same user to the same NameNodes.
	Calls NameNodeCaller
	// UseDataNodeHostname connects to DataNodes by name instead of address (dfs.client.use.datanode.hostname).
	UseDataNodeHostname bool
	// DataTransferProtection is "", "authentication", "integrity" or "privacy" (dfs.data.transfer.protection).
	DataTransferProtection string
	// RPCTimeout for one call of the byte client, default 60 s. DataTimeout for one read or write of a DataNode connection,
	// default 60 s. CloseTimeout bounds how long a NameNode may take to see the blocks of a finished file, default 60 s.
	RPCTimeout, DataTimeout, CloseTimeout time.Duration
	// Dial connects to NameNodes and DataNodes for the byte client; default a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Log gets what is not worth an error; nil discards.
	Log *slog.Logger
}

func (c HDFSConfig) withDefaults() HDFSConfig {
	for _, d := range []*time.Duration{&c.RPCTimeout, &c.DataTimeout, &c.CloseTimeout} {
		if *d <= 0 {
			*d = 60 * time.Second
		}
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate says what is missing.
func (c HDFSConfig) Validate() error {
	switch {
	case c.Authority == "":
		return errors.New("hdfs: no authority")
	case len(c.NameNodes) == 0:
		return fmt.Errorf("hdfs %s: no name node address", c.Authority)
	case c.User == "":
		return fmt.Errorf("hdfs %s: no user", c.Authority)
	case c.Calls == nil:
		return fmt.Errorf("hdfs %s: no caller for metadata", c.Authority)
	}
	return nil
}

// HDFS is one Hadoop Distributed File System as one user. Java: org.apache.hadoop.hdfs.DistributedFileSystem, 3.5.0.
type HDFS struct {
	cfg   HDFSConfig
	calls NameNodeCaller
	bytes *byteClients
}

// NewHDFS makes an HDFS without connecting. Close it after its readers and Writers.
func NewHDFS(cfg HDFSConfig) (*HDFS, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &HDFS{cfg: cfg, calls: cfg.Calls, bytes: &byteClients{cfg: cfg, lent: map[*byteClient]struct{}{}}}, nil
}

// Close ends all connections; readers and Writers that are still open fail.
func (h *HDFS) Close() error {
	h.bytes.close()
	return nil
}

// URI implements FS.
func (h *HDFS) URI(p string) string { return "hdfs://" + h.cfg.Authority + path.Clean(p) }
