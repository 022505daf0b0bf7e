package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/rpc/transport"
	"github.com/flott-dev/flott/taskrunner/memory"
	"github.com/flott-dev/flott/yarn/launch"
	"github.com/flott-dev/flott/zkha/ha"
)

// closeGrace is how long a worker that has to go takes to end its tasks; the NodeManager kills 250 ms after its SIGTERM.
const closeGrace = 3 * time.Second

// runWorker is a worker in a YARN container: it registers at the AM and runs tasks until it is told to exit.
func runWorker(ctx context.Context, env environment, prog program.Program) error {
	defer holdHeapFloor()()
	ct, err := openContainer(env, "taskmanager.log")
	if err != nil {
		return &codeError{exitInit, err}
	}
	defer ct.close()
	if err := serveWorker(ctx, env, prog, ct); err != nil {
		ct.log.Error("worker failed", "cause", err)
		return err
	}
	return nil
}

func serveWorker(ctx context.Context, env environment, prog program.Program, ct *container) error {
	fail := func(what string, err error) error { return &codeError{exitInit, fmt.Errorf("%s: %w", what, err)} }
	spec, err := conf.TaskManagerMemory(ct.conf)
	if err != nil {
		return fail("read the memory configuration", err)
	}
	debug.SetMemoryLimit(int64(spec.GoMemLimit()))
	limitProcs(conf.YarnContainersVcores.Get(ct.conf), conf.YarnContainersVcores.Get(ct.conf) > 0)
	network, err := memory.NewNetwork(int(spec.Network))
	if err != nil {
		return fail("take the network memory", err)
	}
	leader, err := leaderOf(env)
	if err != nil {
		return fail("find the ApplicationMaster", err)
	}
	dialer := transport.NewDialer(transport.DialerConfig{Stream: streamSettings(ct.conf)})
	defer dialer.Close()
	fatal := make(chan error, 1)
	n, err := newNode(nodeConfig{
		conf: ct.conf, resource: ids.ResourceID(ct.id.String()), nodeID: ct.node.String(), slots: conf.NumberOfTaskSlots.Get(ct.conf),
		logDir: ct.logDir, leaders: leader, dialer: dialer, files: ct.cluster.Files,
		program: prog, context: buildContext(ct.file, ct.conf, nil),
		dataHost: ct.host, dataPort: conf.TaskManagerDataPort.Get(ct.conf), network: network, networkBytes: int(spec.Network), memory: spec,
		fatal: func(err error) {
			select {
			case fatal <- err:
			default:
			}
		},
		log: ct.log,
	})
	if err != nil {
		return fail("make the TaskExecutor", err)
	}
	server, err := transport.Listen(transport.ServerConfig{
		Host: ct.host, Ports: slices.Collect(conf.TaskManagerRPCPort.Get(ct.conf).All()), Advertised: ct.host,
		Stream: streamSettings(ct.conf), Log: ct.log, Grace: closeGrace / 2,
	}, gateway.Endpoints{TaskExecutor: n.executor})
	if err != nil {
		return fail("listen for the ApplicationMaster", err)
	}
	ct.log.Info("worker started", "address", server.Addr(), "master", env.master, "slots", conf.NumberOfTaskSlots.Get(ct.conf))
	n.executor.Start(context.WithoutCancel(ctx), server.Addr())
	select {
	case err = <-fatal:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	ct.log.Info("worker ends", "cause", err)
	closeWithin(closeGrace, ct.log, func() error { return errors.Join(n.executor.Close(), server.Close()) })
	return exitOf(err)
}

// closeWithin closes what may hang on user code; the process ends anyway.
func closeWithin(d time.Duration, log *slog.Logger, f func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(); err != nil {
			log.Info("while ending", "cause", err)
		}
	}()
	select {
	case <-done:
	case <-time.After(d):
		log.Warn("not everything ended in time", "waited", d)
	}
}

// leaderOf reads where the AM is from the environment that the AM gave to this container.
func leaderOf(env environment) (ha.Retrieval, error) {
	epoch, err := strconv.ParseUint(env.epoch, 10, 64)
	if err != nil || env.master == "" {
		return nil, fmt.Errorf("%s=%q and %s=%q do not name one", launchfile.MasterVariable, env.master, launchfile.EpochVariable, env.epoch)
	}
	return ha.Fixed{ha.ResourceManager: ha.Leader{Address: env.master, Epoch: ids.Epoch(epoch)}}, nil
}

// logDirOf is where this process's files belong: the directory of its standard output.
func logDirOf(getenv func(string) string) string { return getenv(launch.LogDirVariable) }
