package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/rpc/transport"
	"github.com/flott-dev/flott/taskrunner/memory"
	"github.com/flott-dev/flott/yarn/cluster"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/ugi"
	"github.com/flott-dev/flott/zkha/ha"
)

// runLocal runs the job in this process: the components of the AM and one worker. All arguments are the job's.
func runLocal(ctx context.Context, env environment, prog program.Program) error {
	defer holdHeapFloor()()
	raiseMemoryLimit()
	file, cfg, hadoop, err := localSettings(env)
	if err != nil {
		return err
	}
	log := newLogger(os.Stderr, max(logLevel(cfg), slog.LevelWarn))
	user, err := ugi.Simple(os.Environ(), nil)
	if err != nil {
		return err
	}
	files, err := cluster.Open(hadoop, user, log)
	if err != nil {
		return err
	}
	defer files.Close()
	l := Local{Program: prog, Args: file.Args, Parallelism: parallelism(file, cfg), Conf: cfg, Files: files.Files, TCP: env.localTCP, Log: log}
	return l.Run(ctx)
}

// localSettings reads the launch file, or, for a bare program, the configuration directories that the environment names.
func localSettings(env environment) (launchfile.File, *conf.Config, *hadoopconf.Config, error) {
	fail := func(err error) (launchfile.File, *conf.Config, *hadoopconf.Config, error) {
		return launchfile.File{}, nil, nil, err
	}
	if env.launch != "" {
		file, err := launchfile.Read(env.launch)
		if err != nil {
			return fail(err)
		}
		cfg, err := file.Config()
		if err != nil {
			return fail(err)
		}
		hadoop, err := file.HadoopConfig()
		if err != nil {
			return fail(err)
		}
		return file, cfg, hadoop, nil
	}
	cfg, hadoop, warnings, err := hadoopconf.LoadEnv(os.Getenv)
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, w)
	}
	if err != nil {
		return fail(err)
	}
	return launchfile.File{Args: os.Args[1:]}, cfg, hadoop, nil
}

// Local is a job that runs in this process, for local mode and for tests that run jobs.
type Local struct {
	Program     program.Program
	Args        []string
	Parallelism int
	Conf        *conf.Config // nil: all defaults
	Files       dfs.Resolver // nil: the local disk
	TCP         bool         // two workers over loopback instead of one in memory
	Log         *slog.Logger // nil: discard

	// election lets a test drive leadership; nil: one that is granted at once.
	election *ha.Standalone
}

// Run runs the job to its end; the end of ctx cancels it. The error says why it did not finish.
func (l Local) Run(ctx context.Context) error {
	if l.Conf == nil {
		l.Conf = &conf.Config{}
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	if l.Files == nil {
		files, err := dfs.NewResolver(dfs.ResolverConfig{DefaultFS: "file:///"})
		if err != nil {
			return err
		}
		defer files.Close()
		l.Files = files
	}
	file := launchfile.File{Args: l.Args, Parallelism: l.Parallelism}
	graph, err := build(l.Program, buildContext(file, l.Conf, nil))
	if err != nil {
		return err
	}
	resolved, err := graph.Plan.Resolve(parallelism(file, l.Conf), maxParallelismOption(l.Conf))
	if err != nil {
		return err
	}
	c, err := l.newCluster(file, resolved)
	if err != nil {
		return err
	}
	defer c.close()
	return c.run(ctx)
}

// localCluster is the AM's components and the workers of a local run.
type localCluster struct {
	Local
	job      jobSource
	slots    int // of one worker
	network  localNetwork
	election *ha.Standalone
	driver   *localDriver
	master   *master
	memory   conf.TaskManagerMemorySpec
	buffers  *memory.Network // with TCP
	closers  []func()
}

func (l Local) newCluster(file launchfile.File, resolved *plan.Plan) (*localCluster, error) {
	c := &localCluster{Local: l, slots: resolved.Widest(), election: l.election}
	c.job = jobSource{
		program: l.Program, context: buildContext(file, l.Conf, resolved.Params), plan: resolved,
		job: ids.NewJobID(), files: l.Files, log: l.Log,
	}
	if resolved.Params == nil {
		c.job.context.Params = []plan.Param{} // recorded: none
	}
	var err error
	if c.memory, err = conf.TaskManagerMemory(l.Conf); err != nil {
		return nil, err
	}
	if c.election == nil {
		c.election = ha.NewStandalone(1)
		c.closers = append(c.closers, c.election.Close)
	}
	if l.TCP {
		c.slots = (c.slots + 1) / 2
		c.network = &tcpNetwork{stream: streamSettings(l.Conf), log: l.Log}
		if c.buffers, err = memory.NewNetwork(2 * int(c.memory.Network)); err != nil {
			return nil, err
		}
	} else {
		c.network = memoryNetwork{gateway.NewInProcess(streamSettings(l.Conf))}
	}
	return c, nil
}

func (c *localCluster) run(ctx context.Context) error {
	c.driver = newLocalDriver(c.openWorker, c.Log)
	dialer := c.network.dialer()
	c.closers = append(c.closers, func() { dialer.Close() }, c.driver.Close)
	results := filesOn{dfs.NewMem(dfs.MemConfig{})}
	m := newMaster(masterConfig{
		conf: c.Conf, slotsPerWorker: c.slots, election: c.election, dialer: dialer, driver: c.driver,
		application: c.job.application(), staging: noStaging{}, resource: "jobmanager", log: c.Log,
		results: func(epoch ids.Epoch) ha.ResultStore {
			return ha.NewStandaloneResultStore(results, "/", c.election.Guard(epoch))
		},
	})
	server, err := c.network.listen("jobmanager", m.endpoints())
	if err != nil {
		return err
	}
	m.cfg.address = server.Addr()
	c.closers = append(c.closers, func() { server.Close() })
	if err := c.startREST(m); err != nil {
		return err
	}
	leading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := m.start(leading); err != nil {
		return err
	}
	c.master = m
	defer m.wait()
	defer stop()
	return c.await(ctx)
}

// await waits for the end of the application; the end of ctx cancels the job first.
func (c *localCluster) await(ctx context.Context) error {
	done := ctx.Done()
	for {
		select {
		case exit := <-c.master.exit:
			if exit.Status == resourcemanager.Succeeded {
				return nil
			}
			return errors.New(exit.Diagnostics)
		case err := <-c.master.fatal:
			return err
		case <-done:
			done = nil
			if t := c.master.now.Load(); t != nil {
				if err := t.dispatcher.Shutdown(context.WithoutCancel(ctx)); err != nil {
					return fmt.Errorf("cancel the job: %w", err)
				}
			}
		}
	}
}

func (c *localCluster) close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

// openWorker implements localDriver.open.
func (c *localCluster) openWorker(id ids.ResourceID, ended func(error)) (localWorker, error) {
	w := &localNode{dialer: c.network.dialer()}
	cfg := nodeConfig{
		conf: c.Conf, resource: id, slots: c.slots, leaders: c.election, dialer: w.dialer, files: c.Files,
		program: c.job.program, context: c.job.context, memory: c.memory,
		fatal: func(err error) { ended(err) }, log: c.Log,
	}
	if c.TCP {
		cfg.dataHost, cfg.network, cfg.networkBytes = "127.0.0.1", c.buffers, int(c.memory.Network)
	}
	var err error
	if w.node, err = newNode(cfg); err != nil {
		return nil, errors.Join(err, w.dialer.Close())
	}
	if w.server, err = c.network.listen(string(id), gateway.Endpoints{TaskExecutor: w.node.executor}); err != nil {
		return nil, errors.Join(err, w.dialer.Close())
	}
	w.node.executor.Start(context.Background(), w.server.Addr())
	return w, nil
}

type localNode struct {
	*node
	server localServer
	dialer gateway.Dialer
}

func (w *localNode) Close() error {
	return errors.Join(w.executor.Close(), w.server.Close(), w.dialer.Close())
}

// localNetwork connects the endpoints of a local run.
type localNetwork interface {
	listen(name string, e gateway.Endpoints) (localServer, error)
	dialer() gateway.Dialer
}

type localServer interface {
	Addr() string
	Close() error
}

type memoryNetwork struct{ *gateway.InProcess }

func (n memoryNetwork) listen(name string, e gateway.Endpoints) (localServer, error) {
	return n.Listen(name, e)
}
func (n memoryNetwork) dialer() gateway.Dialer { return n.Dialer() }

type tcpNetwork struct {
	stream gateway.StreamConfig
	log    *slog.Logger
}

func (n *tcpNetwork) listen(_ string, e gateway.Endpoints) (localServer, error) {
	return transport.Listen(transport.ServerConfig{Stream: n.stream, Log: n.log}, e)
}

func (n *tcpNetwork) dialer() gateway.Dialer {
	return transport.NewDialer(transport.DialerConfig{Stream: n.stream})
}

// noStaging is the staging directory of a run that has none.
type noStaging struct{}

func (noStaging) Remove(context.Context) error              { return nil }
func (noStaging) AddLeftover(context.Context, string) error { return nil }

var _ dispatcher.Staging = noStaging{}

// filesOn gives the standalone stores a file system.
type filesOn struct{ fs dfs.FS }

func (f filesOn) CreateOnce(ctx context.Context, path string, data []byte) error {
	return dfs.CreateOnce(ctx, f.fs, path, data, 0o600)
}

func (f filesOn) Read(ctx context.Context, path string, limit int) ([]byte, error) {
	return dfs.ReadFile(ctx, f.fs, path, int64(limit))
}

func (f filesOn) Delete(ctx context.Context, path string) error {
	if err := f.fs.Delete(ctx, path, false); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
