package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/yarn/cluster"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/staging"
	"github.com/flott-dev/flott/yarn/ugi"
	"github.com/flott-dev/flott/yarn/yarnid"
)

const (
	// sweepPatience bounds how long a command stays for the sake of leftovers.
	sweepPatience = 4 * time.Second
	// cleanPatience bounds the removal of one application's files after its end.
	cleanPatience = 20 * time.Second
)

// settings are the configurations that a command works with.
type settings struct {
	conf   *conf.Config
	hadoop *hadoopconf.Config
	user   *ugi.User
}

// load reads the configuration directory, the options of the command line, and Hadoop's files. Warnings are printed.
func (inv *invocation) load() (*settings, error) {
	cfg, hadoop, warnings, err := hadoopconf.LoadEnv(inv.Getenv, inv.settings...)
	for _, w := range warnings {
		inv.warn(w)
	}
	if err != nil {
		return nil, err
	}
	who, err := ugi.Simple(inv.Environ, nil)
	if err != nil {
		return nil, err
	}
	return &settings{conf: cfg, hadoop: hadoop, user: who}, nil
}

// session is a command's connection to the cluster.
type session struct {
	*invocation
	*settings
	cluster *cluster.Cluster
	rm      *rmclient.Client
	rmName  string         // by which the staging area knows the YARN RM
	aside   sync.WaitGroup // the sweep
}

// open connects the command to the cluster and begins to remove what ended applications of the user left.
func (inv *invocation) open(ctx context.Context) (*session, error) {
	set, err := inv.load()
	if err != nil {
		return nil, err
	}
	s, err := inv.connect(set)
	if err == nil {
		s.beginSweep(ctx)
	}
	return s, err
}

func (inv *invocation) connect(set *settings) (*session, error) {
	if err := set.hadoop.RequireYARN(); err != nil {
		return nil, err
	}
	c, err := cluster.Open(set.hadoop, set.user, nil)
	if err != nil {
		return nil, err
	}
	s := &session{invocation: inv, settings: set, cluster: c}
	if s.rm, err = c.ResourceManager(); err == nil {
		s.rmName, err = c.ResourceManagerName()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// beginSweep begins to remove what ended applications of the user left. The sweep outlives an interrupted command, but not its own patience.
func (s *session) beginSweep(ctx context.Context) {
	s.aside.Go(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), sweepPatience)
		defer stop()
		s.sweep(ctx)
	})
}

// Close waits for the sweep and closes all connections.
func (s *session) Close() {
	s.aside.Wait()
	_ = s.cluster.Close() // nothing of ours is half written: whoever wrote has waited for it
}

// openApplication is open for a command about one application, and asks YARN about it.
func (inv *invocation) openApplication(ctx context.Context) (*session, rmclient.Report, error) {
	s, err := inv.open(ctx)
	if err != nil {
		return nil, rmclient.Report{}, err
	}
	var r rmclient.Report
	app, err := s.application()
	if err == nil {
		r, err = s.report(ctx, app)
	}
	if err != nil {
		s.Close()
		return nil, r, err
	}
	return s, r, nil
}

// area is the user's staging area.
func (s *session) area(ctx context.Context) (*staging.Area, error) {
	return s.cluster.Staging(ctx, conf.YarnStagingDirectory.Get(s.conf))
}

// sweep is quiet: what it cannot remove now, the next command tries again.
func (s *session) sweep(ctx context.Context) {
	area, err := s.area(ctx)
	if err != nil {
		return
	}
	_, _ = area.Sweep(ctx, s.rmName, s.stateOf, s.cluster.Files)
	_, _ = area.Collect(ctx)
}

// stateOf is what a sweep needs to know about an application.
func (s *session) stateOf(ctx context.Context, app yarnid.ApplicationID) (staging.State, error) {
	r, err := s.rm.Report(ctx, app)
	switch {
	case errors.Is(err, ipc.ErrApplicationNotFound):
		return staging.Unknown, nil
	case err != nil:
		return staging.Active, err
	case r.State.Terminal():
		return staging.Terminal, nil
	}
	return staging.Active, nil
}

// tidy removes the files of an application that has ended, even when the command is being interrupted.
func (s *session) tidy(ctx context.Context, app yarnid.ApplicationID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanPatience)
	defer cancel()
	area, err := s.area(ctx)
	if err != nil {
		return err
	}
	// A file system that cannot be asked about the application's directory need not be told to remove it.
	if err := area.SweepApplication(ctx, app, s.cluster.Files); err != nil {
		return fmt.Errorf("remove the files of %s: %w", app, err)
	}
	return nil
}

// application is the one that the first argument, or yarn.application.id, names.
func (s *session) application() (yarnid.ApplicationID, error) {
	name := conf.YarnApplicationID.Get(s.conf)
	if len(s.args) > 0 {
		name = s.args[0]
	}
	if name == "" {
		return yarnid.ApplicationID{}, fmt.Errorf("which application? flott %s %s (`flott list` shows them)", s.cmd.Name, s.cmd.Args)
	}
	app, err := yarnid.ParseApplicationID(name)
	if err != nil {
		return app, fmt.Errorf("%q is no application id; they look like application_1700000000000_0001 (`flott list` shows them)", name)
	}
	return app, nil
}

// report asks YARN about an application.
func (s *session) report(ctx context.Context, app yarnid.ApplicationID) (rmclient.Report, error) {
	r, err := s.rm.Report(ctx, app)
	if errors.Is(err, ipc.ErrApplicationNotFound) {
		return r, fmt.Errorf("the YARN ResourceManager at %s does not know %s", s.rmName, app)
	}
	return r, err
}
