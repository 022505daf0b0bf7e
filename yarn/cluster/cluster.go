package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/sasl"
	"github.com/flott-dev/flott/yarn/staging"
	"github.com/flott-dev/flott/yarn/ugi"
)

// connectTimeout leaves time for a second address within the patience of a call.
const connectTimeout = 5 * time.Second

// Cluster is an opened cluster. Its methods may be called from any goroutine.
type Cluster struct {
	Hadoop *hadoopconf.Config
	User   *ugi.User
	IPC    *ipc.Client
	Files  *dfs.FileSystems

	log *slog.Logger
}

// Open makes the clients; it does not connect. log may be nil.
func Open(hadoop *hadoopconf.Config, user *ugi.User, log *slog.Logger) (*Cluster, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	protection, err := sasl.ParseProtection(hadoop.Get("hadoop.rpc.protection", "authentication"))
	if err != nil {
		return nil, fmt.Errorf("read hadoop.rpc.protection: %w", err)
	}
	rpc := ipc.New(ipc.Config{ConnectTimeout: connectTimeout, Protection: protection, Log: log})
	files, err := dfs.NewResolver(dfs.ResolverConfig{Hadoop: hadoop, User: user.Name, RPC: rpc, Log: log})
	if err != nil {
		return nil, errors.Join(err, rpc.Close())
	}
	return &Cluster{Hadoop: hadoop, User: user, IPC: rpc, Files: files, log: log}, nil
}

// Close ends all connections.
func (c *Cluster) Close() error { return errors.Join(c.Files.Close(), c.IPC.Close()) }

// ResourceManager makes a client of the YARN RM; hadoopconf.ErrNotConfigured when no configuration names one.
func (c *Cluster) ResourceManager() (*rmclient.Client, error) {
	if err := c.Hadoop.RequireYARN(); err != nil {
		return nil, err
	}
	rms, err := c.Hadoop.ResourceManagers()
	if err != nil {
		return nil, err
	}
	addrs := make([]string, len(rms))
	for i, rm := range rms {
		addrs[i] = rm.Client
	}
	return rmclient.New(rmclient.Config{IPC: c.IPC, Addrs: addrs, User: c.User.Name, Log: c.log})
}

// ResourceManagerName is how the staging area names the YARN RM: the first address of the configuration.
func (c *Cluster) ResourceManagerName() (string, error) {
	rms, err := c.Hadoop.ResourceManagers()
	if err != nil {
		return "", err
	}
	return rms[0].Client, nil
}

// Staging opens the staging area below dir (yarn.staging-directory); empty means the user's home directory in the default file system.
func (c *Cluster) Staging(ctx context.Context, dir string) (*staging.Area, error) {
	if dir == "" {
		fs, err := c.Hadoop.DefaultFS()
		if err != nil {
			return nil, err
		}
		dir = fs.JoinPath("user", c.User.Name).String()
	}
	fsys, path, err := c.Files.For(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("open staging directory %s: %w", dir, err)
	}
	owner := c.User.Name
	if strings.HasPrefix(fsys.URI(path), "file:") {
		owner = "" // a local file tells its owner's number, not the name
	}
	return staging.New(staging.Config{FS: fsys, Dir: path, User: owner, Log: c.log})
}
