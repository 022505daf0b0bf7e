package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/program"
	"github.com/flott-dev/flott/taskrunner/executor"
	"github.com/flott-dev/flott/taskrunner/jobruntime"
	"github.com/flott-dev/flott/taskrunner/memory"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/zkha/ha"
)

// nodeConfig is what one TaskExecutor with its job runtimes is made from.
type nodeConfig struct {
	conf     *conf.Config
	resource ids.ResourceID
	nodeID   string // host:port of the NodeManager, or empty
	slots    int
	logDir   string
	logURL   string
	leaders  ha.Retrieval
	dialer   gateway.Dialer
	files    dfs.Resolver

	program program.Program
	context program.Context // without Params: those of the deployed plan are used

	// dataHost is where the exchange listens and what peers are told; empty: every channel is in-process.
	dataHost string
	dataPort int
	network  *memory.Network // nil without dataHost
	// networkBytes is the network memory, managedBytes is shown only.
	networkBytes int
	memory       conf.TaskManagerMemorySpec

	fatal func(error)
	log   *slog.Logger
}

// node is a running TaskExecutor.
type node struct {
	executor *executor.Executor
}

func newNode(cfg nodeConfig) (*node, error) {
	e, err := executor.New(executor.Config{
		Worker: cfg.description(), LogDir: cfg.logDir, Leaders: cfg.leaders, Dialer: cfg.dialer,
		OpenRuntime: cfg.openRuntime, Fatal: cfg.fatal,
		RegistrationTimeout: conf.TaskManagerRegistrationTimeout.Get(cfg.conf),
		SlotTimeout:         conf.TaskManagerSlotTimeout.Get(cfg.conf),
		Heartbeat:           heartbeatSettings(cfg.conf), Retry: registrationSettings(cfg.conf), Log: cfg.log,
	})
	if err != nil {
		return nil, err
	}
	return &node{executor: e}, nil
}

// openRuntime implements executor.OpenRuntime.
func (cfg nodeConfig) openRuntime(_ context.Context, job ids.JobID, events func(*pb.ToJobMaster)) (executor.Runtime, error) {
	ex := exchangeSettings(cfg.conf, cfg.log)
	if cfg.dataHost != "" {
		ex.Bind, ex.Host = fmt.Sprintf("%s:%d", cfg.dataHost, cfg.dataPort), cfg.dataHost
	}
	return jobruntime.New(jobruntime.Config{
		Job: job, Program: cfg.program, Context: cfg.context, Exchange: ex,
		Network: cfg.network, NetworkBytes: cfg.networkBytes, FS: cfg.files,
		CopyValues:     !conf.PipelineObjectReuse.Get(cfg.conf),
		CancelInterval: conf.TaskCancellationInterval.Get(cfg.conf),
		CancelTimeout:  never(conf.TaskCancellationTimeout.Get(cfg.conf)),
		Events:         events, Fatal: cfg.fatal, Log: cfg.log,
	})
}

// never turns an option's 0, which waits for ever, into what components call that.
func never(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// description is what the worker tells the ResourceManager about itself.
func (cfg nodeConfig) description() *pb.RegisterTaskExecutorRequest {
	m, per := cfg.memory, cfg.memory.PerSlot(max(1, cfg.slots))
	total, free := physicalMemory()
	return pb.RegisterTaskExecutorRequest_builder{
		ResourceId: string(cfg.resource), NodeId: cfg.nodeID, Slots: uint32(cfg.slots), DataPort: uint32(cfg.dataPort),
		SlotProfile: profile(per, 1000*cpuCores(cfg.conf)/max(1, cfg.slots)), TotalProfile: profile(m, 1000*cpuCores(cfg.conf)),
		Hardware: pb.Hardware_builder{
			CpuCores: uint32(runtime.NumCPU()), PhysicalMemory: total, FreeMemory: free, ManagedMemory: uint64(m.Managed),
		}.Build(),
		Memory: map[string]uint64{
			"frameworkHeap": uint64(m.FrameworkHeap), "taskHeap": uint64(m.TaskHeap),
			"frameworkOffHeap": uint64(m.FrameworkOffHeap), "taskOffHeap": uint64(m.TaskOffHeap),
			"networkMemory": uint64(m.Network), "managedMemory": uint64(m.Managed),
			"jvmMetaspace": uint64(m.Metaspace), "jvmOverhead": uint64(m.Overhead),
			"totalFlinkMemory": uint64(m.TotalFlink()), "totalProcessMemory": uint64(m.Process()),
		},
		LogUrl: cfg.logURL, Pid: uint32(os.Getpid()),
	}.Build()
}

func profile(m conf.TaskManagerMemorySpec, cpuMillis int) *pb.ResourceProfile {
	return pb.ResourceProfile_builder{
		CpuMillis: uint32(cpuMillis), TaskHeap: uint64(m.TaskHeap), TaskOffHeap: uint64(m.TaskOffHeap),
		Network: uint64(m.Network), Managed: uint64(m.Managed),
	}.Build()
}

// cpuCores is taskmanager.cpu.cores, else the container's virtual cores.
func cpuCores(c *conf.Config) int {
	if v, ok := conf.TaskManagerCPUCores.Lookup(c); ok {
		return max(1, int(v))
	}
	return conf.WorkerVCores(c)
}

// exitOf turns the reason why a worker has to end into what its process ends with: a dismissed worker has done its duty.
func exitOf(err error) error {
	var dismissed *executor.DismissedError
	if errors.As(err, &dismissed) {
		return nil
	}
	return err
}
