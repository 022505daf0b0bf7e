package roles

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/yarn/cluster"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/ugi"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// Variables that the NodeManager sets in every container.
const (
	containerVariable = "CONTAINER_ID"
	hostVariable      = "NM_HOST"
	portVariable      = "NM_PORT"
	httpPortVariable  = "NM_HTTP_PORT"
	tokenFileVariable = "HADOOP_TOKEN_FILE_LOCATION"
	proxyVariable     = "APPLICATION_WEB_PROXY_BASE"
)

// container is what a process in a YARN container starts from.
type container struct {
	id      yarnid.ContainerID
	node    yarnid.NodeID
	host    string // by which others reach this node
	file    launchfile.File
	conf    *conf.Config
	cluster *cluster.Cluster
	logDir  string
	log     *slog.Logger
	closers []io.Closer
}

// openContainer reads the launch file and the NodeManager's variables and opens the log and the cluster.
func openContainer(env environment, logName string) (*container, error) {
	c := &container{host: os.Getenv(hostVariable), logDir: logDirOf(os.Getenv)}
	var err error
	if c.id, err = yarnid.ParseContainerID(os.Getenv(containerVariable)); err != nil {
		return nil, fmt.Errorf("read %s: %w", containerVariable, err)
	}
	if c.node, err = yarnid.ParseNodeID(c.host + ":" + os.Getenv(portVariable)); err != nil {
		return nil, fmt.Errorf("read %s and %s: %w", hostVariable, portVariable, err)
	}
	if c.file, err = launchfile.Read(env.launch); err != nil {
		return nil, err
	}
	if c.conf, err = c.file.Config(); err != nil {
		return nil, err
	}
	log, closer, err := containerLog(c.logDir, logName, logLevel(c.conf), conf.EnvLogMax.Get(c.conf))
	if err != nil {
		return nil, err
	}
	c.log = log
	c.closers = append(c.closers, closer)
	if err := c.openCluster(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *container) openCluster() error {
	hadoop, err := c.file.HadoopConfig()
	if err != nil {
		return err
	}
	credentials := &token.Credentials{}
	if path := os.Getenv(tokenFileVariable); path != "" {
		if credentials, err = token.ReadFile(path); err != nil {
			return fmt.Errorf("read the container's tokens: %w", err)
		}
	}
	if c.cluster, err = cluster.Open(hadoop, ugi.New(c.file.User, credentials), c.log); err != nil {
		return err
	}
	c.closers = append(c.closers, c.cluster)
	return nil
}

func (c *container) close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i].Close())
	}
	return errors.Join(errs...)
}
