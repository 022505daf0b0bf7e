package roles

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"time"

	"github.com/flott-dev/flott/appmaster/yarndriver"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/launch"
	"github.com/flott-dev/flott/yarn/nm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/ugi"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// workerPriority is YARN's priority of asks for workers; the AM's own container has 0.
const workerPriority = 1

// openDriver makes the session with the YARN RM, the client of the NodeManagers and the driver over both.
func (am *appMaster) openDriver() error {
	amToken := am.cluster.User.Token(token.AMRM)
	if amToken == nil {
		return fmt.Errorf("there is no AMRM token in %s: not started by YARN?", tokenFileVariable)
	}
	rms, err := am.cluster.Hadoop.ResourceManagers()
	if err != nil {
		return err
	}
	var addrs []string
	for _, rm := range rms {
		addrs = append(addrs, rm.Scheduler)
	}
	caller, err := amrm.NewCaller(am.cluster.IPC, addrs)
	if err != nil {
		return err
	}
	am.session, err = amrm.New(amrm.Config{
		Caller: caller, Token: amToken,
		OnEvent: func(ev amrm.Event) {
			if am.driver != nil {
				am.driver.OnEvent(ev)
			}
		},
		HeartbeatInterval: conf.YarnHeartbeatInterval.Get(am.conf), RequestInterval: conf.YarnContainerRequestInterval.Get(am.conf),
		Log: am.log,
	})
	if err != nil {
		return err
	}
	am.later(am.session.Close)
	nodes, err := nm.New(nm.Config{Caller: nm.NewCaller(am.cluster.IPC), Tokens: am.session.NMTokens(), Log: am.log})
	if err != nil {
		return err
	}
	worker, err := am.workerSize()
	if err != nil {
		return err
	}
	am.launch = &workerLaunch{am: am}
	am.driver, err = yarndriver.New(yarndriver.Config{
		Session: am.session, NodeManagers: nodes, Launch: am.launch.context, Worker: worker, Key: askKey(worker),
		NodeLabel: nodeLabel(am.conf), LogURL: am.logURL, Log: am.log,
		Reachable: func(node yarnid.NodeID) bool {
			_, ok := am.session.NMTokens().NMToken(node)
			return ok
		},
		Fatal: func(err error) {
			select {
			case am.fatal <- err:
			default:
			}
		},
	})
	if err != nil {
		return err
	}
	am.driver.Start(context.Background())
	am.later(am.driver.Close)
	return nil
}

func (am *appMaster) workerSize() (amrm.Resource, error) {
	spec, err := conf.TaskManagerMemory(am.conf)
	if err != nil {
		return amrm.Resource{}, err
	}
	return amrm.Resource{MemoryMB: int64(spec.Process().MiB()), VCores: int32(conf.WorkerVCores(am.conf))}, nil
}

// askKey is the same for the same kind of worker in every attempt, so that recovered containers are recognised.
func askKey(r amrm.Resource) amrm.AskKey {
	h := fnv.New64a()
	fmt.Fprintf(h, "worker %d MiB %d vcores", r.MemoryMB, r.VCores)
	return amrm.AskKey{Priority: workerPriority, AllocationRequestID: int64(h.Sum64() >> 1)}
}

func nodeLabel(c *conf.Config) string {
	if l, ok := conf.YarnTaskManagerNodeLabel.Lookup(c); ok {
		return l
	}
	return conf.YarnApplicationNodeLabel.Get(c)
}

// logURL is the NodeManager's page of a container's logs.
func (am *appMaster) logURL(c amrm.Container) string {
	return fmt.Sprintf("http://%s/node/containerlogs/%s/%s", c.NodeHTTPAddress, c.ID, am.file.User)
}

// workerLaunch makes the launch contexts of workers. Binary and launch file are those of the AM itself.
type workerLaunch struct {
	am   *appMaster
	mu   sync.Mutex
	file launch.Resource // the launch file, looked up once
}

func (w *workerLaunch) context(amrm.Container) (*yarnpb.ContainerLaunchContextProto, error) {
	am := w.am
	file, err := w.launchFile(context.Background())
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		launchfile.Variable:       launchfile.Name,
		launchfile.MasterVariable: am.server.Addr(),
		launchfile.EpochVariable:  strconv.FormatUint(uint64(am.master.leader.Epoch()), 10),
		ugi.EnvUser:               am.file.User,
	}
	for name, value := range conf.ContainerizedTaskManagerEnv.Get(am.conf) {
		env[name] = value
	}
	credentials := am.cluster.User.Credentials()
	credentials.RemoveKind(token.AMRM)
	return launch.Spec{
		Role: launch.Worker, Program: "./" + launchfile.Program, Environment: env, Credentials: credentials,
		Resources: map[string]launch.Resource{
			launchfile.Name: file,
			launchfile.Program: {
				URI: am.file.Binary.URI, Size: am.file.Binary.Size, ModTimeMillis: am.file.Binary.ModTimeMillis,
				Type: launch.File, Visibility: launch.Private,
			},
		},
		Stdout: "taskmanager.out", Stderr: "taskmanager.err",
	}.Context()
}

// prefetch asks for the launch file while containers are still awaited. An error is found again, and told, by the start that needs it.
func (w *workerLaunch) prefetch() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.am.later(func() { cancel(); <-done })
	go func() {
		defer close(done)
		_, _ = w.launchFile(ctx)
	}()
}

// launchFile asks the file system for size and time of the launch file, as YARN wants them exactly.
func (w *workerLaunch) launchFile(ctx context.Context) (launch.Resource, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file.URI != "" {
		return w.file, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	uri := w.am.area.URI(w.am.area.ApplicationDir(w.am.id.Attempt.Application) + "/" + launchfile.Name)
	fsys, path, err := w.am.cluster.Files.For(ctx, uri)
	if err != nil {
		return launch.Resource{}, err
	}
	fi, err := fsys.Stat(ctx, path)
	if err != nil {
		return launch.Resource{}, fmt.Errorf("look up the launch file: %w", err)
	}
	w.file = launch.Resource{
		URI: uri, Size: fi.Size, ModTimeMillis: fi.ModTimeMillis, Type: launch.File, Visibility: launch.Application,
	}
	return w.file, nil
}
