package roles

import (
	"slices"

	"github.com/flott-dev/flott/appmaster/rest"
	"github.com/flott-dev/flott/conf"
)

// restSettings are the options of the REST server and the page; the caller says where it listens and whose logs it shows.
func restSettings(c *conf.Config) rest.Config {
	return rest.Config{
		Ports:         slices.Collect(conf.RestBindPort.Get(c).All()),
		Configuration: c.Entries(), ObjectReuse: conf.PipelineObjectReuse.Get(c),
		RefreshInterval: conf.WebRefreshInterval.Get(c), AllowCancel: conf.WebCancelEnable.Get(c),
		MaxExceptions: conf.WebExceptionHistorySize.Get(c),
		HeaderTimeout: conf.RestConnectionTimeout.Get(c),
		IdleTimeout:   conf.RestIdlenessTimeout.Get(c), RequestTimeout: conf.WebTimeout.Get(c),
	}
}

// shown is what REST shows: the components of the current term.
func (m *master) shown() (rest.Leader, bool) {
	t := m.now.Load()
	if t == nil {
		return rest.Leader{}, false
	}
	return rest.Leader{Epoch: t.epoch, Dispatcher: t.dispatcher, Workers: t.rm}, true
}

// startREST starts the AM's REST server, which outlives terms of leadership.
func (am *appMaster) startREST() (*rest.Server, error) {
	cfg := restSettings(am.conf)
	cfg.Host, cfg.Advertised, cfg.Application = am.host, am.host, am.id.Attempt.Application.String()
	cfg.Leader, cfg.Logs, cfg.LogDir, cfg.Log = am.master.shown, am.dialer, am.logDir, am.log
	return rest.Start(cfg)
}

// startREST starts the REST server of a local run, which has one only when its port was asked for.
func (c *localCluster) startREST(m *master) error {
	if !conf.RestBindPort.IsSet(c.Conf) {
		return nil
	}
	cfg := restSettings(c.Conf)
	cfg.Host, _ = conf.RestBindAddress.Lookup(c.Conf)
	cfg.Leader, cfg.Logs, cfg.Log = m.shown, m.cfg.dialer, c.Log
	server, err := rest.Start(cfg)
	if err != nil {
		return err
	}
	c.Log.Info("REST server started", "address", server.Addr())
	c.closers = append(c.closers, func() { server.Close() })
	return nil
}
