package roles

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/rest"
	"github.com/flott-dev/flott/appmaster/yarndriver"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/rpc/transport"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/staging"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/zkha/ha"
)

// unregisterPatience bounds the last words to YARN of an AM that could not start.
const unregisterPatience = 20 * time.Second

// runAppMaster is the ApplicationMaster of one application, from its registration to its last word.
func runAppMaster(ctx context.Context, env environment, prog program.Program) error {
	ct, err := openContainer(env, "jobmanager.log")
	if err != nil {
		return err
	}
	defer ct.close()
	am := &appMaster{container: ct, program: prog, fatal: make(chan error, 1)}
	defer am.close()
	if err := am.run(ctx); err != nil {
		ct.log.Error("application master failed", "cause", err)
		return err
	}
	return nil
}

// appMaster is the process-scoped part of the AM; the leader-scoped one is its master.
type appMaster struct {
	*container
	program program.Program
	plan    *plan.Plan
	job     ids.JobID
	area    *staging.Area

	session  *amrm.Session
	driver   *yarndriver.Driver
	launch   *workerLaunch
	dialer   gateway.Dialer
	server   *transport.Server
	rest     *rest.Server
	election *ha.Standalone
	master   *master
	fatal    chan error
	shut     []func()
}

// run registers at YARN before anything that may take long or fail, so that every failure after it can be told there.
func (am *appMaster) run(ctx context.Context) error {
	memory, err := conf.JobManagerMemory(am.conf)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(int64(memory.GoMemLimit()))
	limitProcs(conf.YarnAppMasterVcores.Get(am.conf), conf.YarnAppMasterVcores.IsSet(am.conf))
	if err := am.open(ctx); err != nil {
		return err
	}
	if err := am.register(ctx); err != nil {
		return am.giveUp(ctx, err)
	}
	leading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := am.prepare(ctx); err != nil {
		return am.giveUp(ctx, err)
	}
	if err := am.master.start(leading); err != nil {
		return am.giveUp(ctx, err)
	}
	defer am.master.wait()
	defer stop()
	return am.await(ctx)
}

// open makes what must be there before the registration: the addresses that it tells, and the session.
func (am *appMaster) open(ctx context.Context) error {
	am.election = ha.NewStandalone(uint32(am.id.Attempt.Attempt))
	am.later(am.election.Close)
	am.dialer = transport.NewDialer(transport.DialerConfig{Stream: streamSettings(am.conf)})
	am.later(func() { am.dialer.Close() })
	if err := am.openDriver(); err != nil {
		return err
	}
	am.master = newMaster(masterConfig{
		conf: am.conf, slotsPerWorker: conf.NumberOfTaskSlots.Get(am.conf), election: am.election, dialer: am.dialer,
		driver: am.driver, resource: ids.ResourceID(am.id.String()), log: am.log,
	})
	var err error
	am.server, err = transport.Listen(transport.ServerConfig{
		Host: am.host, Ports: slices.Collect(conf.YarnApplicationMasterPort.Get(am.conf).All()), Advertised: am.host,
		Stream: streamSettings(am.conf), Log: am.log,
	}, am.master.endpoints())
	if err != nil {
		return fmt.Errorf("listen for workers: %w", err)
	}
	am.later(func() { am.server.Close() })
	am.master.cfg.address = am.server.Addr()
	if am.rest, err = am.startREST(); err != nil {
		return fmt.Errorf("start the REST server: %w", err)
	}
	am.later(func() { am.rest.Close() })
	return nil
}

// register tells YARN that this attempt lives and where its REST server is.
func (am *appMaster) register(ctx context.Context) error {
	_, err := am.driver.Register(ctx, amrm.Address{
		Host: am.host, RPCPort: am.rest.Port(), TrackingURL: fmt.Sprintf("http://%s:%d/", am.host, am.rest.Port()),
	})
	if err != nil {
		return err
	}
	am.log.Info("registered at YARN", "application", am.id.Attempt.Application.String(), "attempt", am.id.Attempt.Attempt,
		"rest", am.rest.Port(), "rpc", am.server.Addr())
	return nil
}

// prepare reads what is to be run.
func (am *appMaster) prepare(ctx context.Context) error {
	if err := am.checkMemory(); err != nil {
		return err
	}
	var err error
	if am.plan, err = am.file.JobPlan(); err != nil {
		return err
	}
	if am.area, err = am.cluster.Staging(ctx, am.file.StagingDir); err != nil {
		return err
	}
	am.launch.prefetch()
	app := am.id.Attempt.Application
	am.job = ids.JobIDForApplication(app.String())
	build := buildContext(am.file, am.conf, am.plan.Params)
	if build.Params == nil {
		build.Params = []plan.Param{}
	}
	source := jobSource{program: am.program, context: build, plan: am.plan, job: am.job, files: am.cluster.Files, log: am.log}
	fsys, dir, err := am.cluster.Files.For(ctx, am.area.URI(am.area.ApplicationDir(app)))
	if err != nil {
		return err
	}
	cfg := &am.master.cfg
	cfg.application = source.application()
	cfg.staging = appStaging{am.area, app, am.cluster.Files}
	cfg.results = func(epoch ids.Epoch) ha.ResultStore {
		return ha.NewStandaloneResultStore(filesOn{fsys}, dir, am.election.Guard(epoch))
	}
	return nil
}

// checkMemory refuses containers that YARN's virtual memory check would kill.
func (am *appMaster) checkMemory() error {
	checks, err := am.cluster.Hadoop.MemoryChecks()
	if err != nil || !checks.Virtual {
		return err
	}
	worker, err := conf.TaskManagerMemory(am.conf)
	if err != nil {
		return err
	}
	own, err := conf.JobManagerMemory(am.conf)
	if err != nil {
		return err
	}
	return errors.Join(
		conf.CheckVmem(own.Process().MiB(), own.VmemNeeded(), checks.VmemRatio, conf.JobManagerProcessSize.Key),
		conf.CheckVmem(worker.Process().MiB(), worker.VmemNeeded(), checks.VmemRatio, conf.TaskManagerProcessSize.Key))
}

// await waits for the end: of the application, of YARN's patience, or of this process. SIGTERM leaves the application to a later attempt.
func (am *appMaster) await(ctx context.Context) error {
	select {
	case exit := <-am.master.exit:
		am.log.Info("application ended", "status", exit.Status.String(), "diagnostics", exit.Diagnostics)
		if exit.Status == resourcemanager.Failed || exit.Status == resourcemanager.Unknown {
			return &codeError{exitFailed, errors.New(exit.Diagnostics)}
		}
		return nil
	case err := <-am.master.fatal:
		return am.giveUp(ctx, err)
	case err := <-am.fatal:
		return err
	case <-ctx.Done():
		return fmt.Errorf("application master ends: %w", context.Cause(ctx))
	}
}

// giveUp unregisters an application that cannot run, so that YARN and the client learn why.
func (am *appMaster) giveUp(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unregisterPatience)
	defer cancel()
	if err := am.driver.Finish(ctx, resourcemanager.Failed, cause.Error()); err != nil {
		return errors.Join(cause, fmt.Errorf("unregister: %w", err))
	}
	return cause
}

func (am *appMaster) later(f func()) { am.shut = append(am.shut, f) }

func (am *appMaster) close() {
	for i := len(am.shut) - 1; i >= 0; i-- {
		am.shut[i]()
	}
}

// appStaging is the application's staging directory as the Dispatcher needs it.
type appStaging struct {
	area  *staging.Area
	app   yarnid.ApplicationID
	files dfs.Resolver
}

var _ dispatcher.Staging = appStaging{}

// Remove also sweeps what is left of the sinks' directories: an end that gave up on discarding them must not lose track of them.
func (s appStaging) Remove(ctx context.Context) error {
	return s.area.SweepApplication(ctx, s.app, s.files)
}

func (s appStaging) AddLeftover(ctx context.Context, uri string) error {
	return s.area.AddLeftover(ctx, s.app, uri)
}
