package roles

import (
	"log/slog"
	"slices"

	"github.com/flott-dev/flott/appmaster/rest"
	"github.com/flott-dev/flott/conf"
)

// restSettings is what the options say about the REST server of a master.
func restSettings(c *conf.Config, m *master, logs rest.Logs, log *slog.Logger) rest.Config {
	return rest.Config{
		Ports: slices.Collect(conf.RestBindPort.Get(c).All()), Leader: m.shown, Logs: logs,
		Configuration: c.Entries(), ObjectReuse: conf.PipelineObjectReuse.Get(c),
		RefreshInterval: conf.WebRefreshInterval.Get(c), AllowCancel: conf.WebCancelEnable.Get(c),
		MaxExceptions: conf.WebExceptionHistorySize.Get(c),
		HeaderTimeout: conf.RestConnectionTimeout.Get(c), IdleTimeout: conf.RestIdlenessTimeout.Get(c),
		RequestTimeout: conf.WebTimeout.Get(c), Log: log,
	}
}

// startREST starts the AM's REST server, whose port YARN learns as the application's.
func startREST(am *appMaster) (*rest.Server, error) {
	cfg := restSettings(am.conf, am.master, am.dialer, am.log)
	cfg.Host, cfg.Advertised, cfg.LogDir = am.host, am.host, am.logDir
	cfg.Application = am.id.Attempt.Application.String()
	return rest.Start(cfg)
}

// shown is what REST shows: the current term's components.
func (m *master) shown() (rest.Leader, bool) {
	t := m.now.Load()
	if t == nil {
		return rest.Leader{}, false
	}
	return rest.Leader{Epoch: t.epoch, Dispatcher: t.dispatcher, Workers: t.rm}, true
}
