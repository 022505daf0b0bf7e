package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/transport"
	"github.com/flott-dev/flott/taskrunner/executor"
	"github.com/flott-dev/flott/yarn/yarnid"
	"github.com/flott-dev/flott/yarn/yarntest"
	"github.com/flott-dev/flott/zkha/ha"
)

// launcher runs the ApplicationMaster as a process of its own and each worker as goroutines, of this process or of one that holds workers.
type launcher struct {
	master *yarntest.Exec
	pools  []*pool // none: workers are in this process
	next   atomic.Uint32
	slots  int
	marks  *marks
}

// Launch implements yarntest.Launcher.
func (l *launcher) Launch(c yarntest.Launch) (yarntest.Process, error) {
	if c.IsAM {
		return l.master.Launch(c)
	}
	a, err := newAssignment(c, l.slots)
	if err != nil {
		return nil, err
	}
	if len(l.pools) > 0 {
		return l.pools[int(l.next.Add(1))%len(l.pools)].start(a)
	}
	return startWorker(a, l.marks.note)
}

// assignment is what a worker needs to know of its container.
type assignment struct {
	Container yarnid.ContainerID
	Node      yarnid.NodeID
	Slots     int
	Master    string // address of the ResourceManager
	Epoch     ids.Epoch
}

// newAssignment reads the environment that the AM gave to the container, as the role worker of a job binary does.
func newAssignment(c yarntest.Launch, slots int) (assignment, error) {
	env := map[string]string{}
	for _, kv := range c.Context.GetEnvironment() {
		env[kv.GetKey()] = kv.GetValue()
	}
	epoch, err := strconv.ParseUint(env[launchfile.EpochVariable], 10, 64)
	if err != nil {
		err = fmt.Errorf("read %s: %w", launchfile.EpochVariable, err)
	}
	return assignment{Container: c.Container, Node: c.Node, Slots: slots, Master: env[launchfile.MasterVariable], Epoch: ids.Epoch(epoch)}, err
}

// worker is a worker without operators: the real TaskExecutor, its real server and dialer, and a stub instead of the job's runtime.
type worker struct {
	executor *executor.Executor
	server   *transport.Server
	dialer   gateway.Dialer
	end      chan error    // why it has to end; one entry
	ended    chan struct{} // closed when all is closed
	kill     sync.Once
}

// startWorker does what the role worker does. The worker tells note, from any goroutine, what happens to it.
func startWorker(a assignment, note func(notice)) (*worker, error) {
	leader := ha.Fixed{ha.ResourceManager: ha.Leader{Address: a.Master, Epoch: a.Epoch}}
	w := &worker{dialer: transport.NewDialer(transport.DialerConfig{}), end: make(chan error, 1), ended: make(chan struct{})}
	var err error
	w.executor, err = executor.New(executor.Config{
		Worker: description(a), Leaders: leader, Dialer: w.dialer, Fatal: w.finish,
		OpenRuntime: func(_ context.Context, _ ids.JobID, events func(*pb.ToJobMaster)) (executor.Runtime, error) {
			// Nothing listens there: the tasks of a stub exchange nothing. It tells the workers apart, as real addresses do.
			return newStub(net.JoinHostPort(a.Node.Host, strconv.FormatInt(a.Container.ID&0xffff, 10)), note, events), nil
		},
	})
	if err != nil {
		return nil, errors.Join(err, w.dialer.Close())
	}
	w.server, err = transport.Listen(transport.ServerConfig{Host: a.Node.Host}, gateway.Endpoints{TaskExecutor: counted{w.executor, note}})
	if err != nil {
		return nil, errors.Join(err, w.dialer.Close())
	}
	w.executor.Start(context.Background(), w.server.Addr())
	go w.run()
	return w, nil
}

func (w *worker) run() {
	defer close(w.ended)
	<-w.end
	w.executor.Close()
	w.server.Close()
	w.dialer.Close()
}

func (w *worker) finish(err error) {
	select {
	case w.end <- err:
	default:
	}
}

// Wait implements yarntest.Process: a worker that was told to go has done its duty.
func (w *worker) Wait() (int, string) {
	<-w.ended
	return 0, ""
}

// Kill implements yarntest.Process.
func (w *worker) Kill() { w.kill.Do(func() { w.finish(errors.New("killed")) }) }

// counted notes when streams come up.
type counted struct {
	*executor.Executor
	note func(notice)
}

func (c counted) AcceptResourceManager(ctx context.Context, open *pb.StreamOpen, s *gateway.ToResourceManagerStream) error {
	err := c.Executor.AcceptResourceManager(ctx, open, s)
	c.accepted(registered, err)
	return err
}

func (c counted) AcceptJob(ctx context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
	err := c.Executor.AcceptJob(ctx, open, s)
	c.accepted(joined, err)
	return err
}

// accepted tells of a stream that was admitted, or of one that came too late.
func (c counted) accepted(as event, err error) {
	if err == nil {
		c.note(notice{What: as})
	} else if errors.Is(err, rpc.ErrReplayed) {
		c.note(notice{What: late})
	}
}

// description is as large as a real worker's.
func description(a assignment) *pb.RegisterTaskExecutorRequest {
	const mib = 1 << 20
	share := pb.ResourceProfile_builder{CpuMillis: 1000, TaskHeap: 100 * mib, Network: 16 * mib, Managed: 128 * mib}.Build()
	return pb.RegisterTaskExecutorRequest_builder{
		ResourceId: a.Container.String(), NodeId: a.Node.String(), Slots: uint32(a.Slots), SlotProfile: share, TotalProfile: share,
		Hardware: pb.Hardware_builder{CpuCores: 4, PhysicalMemory: 16 << 30, FreeMemory: 8 << 30, ManagedMemory: 512 * mib}.Build(),
		Memory: map[string]uint64{
			"frameworkHeap": 128 * mib, "taskHeap": 400 * mib, "frameworkOffHeap": 128 * mib, "taskOffHeap": 0, "networkMemory": 64 * mib,
			"managedMemory": 512 * mib, "jvmMetaspace": 256 * mib, "jvmOverhead": 192 * mib, "totalFlinkMemory": 1280 * mib,
			"totalProcessMemory": 1728 * mib,
		},
	}.Build()
}

// stub is a job's runtime whose tasks run at once and do nothing. It speaks as jobruntime.Runtime does. The executor calls it on its loop.
type stub struct {
	address string
	note    func(notice)
	events  func(*pb.ToJobMaster)
	tasks   []*stubTask
}

type stubTask struct {
	id         ids.ExecutionAttemptID
	attempt    *pb.ExecutionAttempt
	allocation []byte
	generation *pb.Generation
	begun      time.Time
}

func newStub(address string, note func(notice), events func(*pb.ToJobMaster)) *stub {
	return &stub{address: address, note: note, events: events}
}

// DataAddress implements executor.Runtime.
func (r *stub) DataAddress() string { return r.address }

// Close implements executor.Runtime.
func (r *stub) Close() error { return nil }

// Send implements executor.Runtime.
func (r *stub) Send(m *pb.FromJobMaster) {
	switch m.WhichMessage() {
	case pb.FromJobMaster_Deploy_case:
		r.deploy(m.GetDeploy())
	case pb.FromJobMaster_Cancel_case:
		r.cancel(m.GetCancel())
	case pb.FromJobMaster_Heartbeat_case:
		hb := pb.JobHeartbeat_builder{}
		for _, t := range r.tasks {
			hb.Tasks = append(hb.Tasks, t.metrics())
		}
		r.events(pb.ToJobMaster_builder{Heartbeat: hb.Build()}.Build())
	}
}

func (r *stub) deploy(d *pb.Deploy) {
	var made []*stubTask
	var err error
	for _, t := range d.GetTasks() {
		s := &stubTask{attempt: t.GetAttempt(), allocation: t.GetAllocation(), generation: d.GetGeneration(), begun: time.Now()}
		s.id, err = gateway.AttemptFromPB(t.GetAttempt())
		if err != nil {
			break
		}
		made = append(made, s)
	}
	if len(d.GetPlan()) == 0 || len(d.GetPlanDigest()) != 32 {
		err = errors.New("the deployment has no plan")
	}
	r.events(pb.ToJobMaster_builder{Response: pb.Response_builder{
		RequestId: d.GetRequestId(), Failure: gateway.FailureToPB(err, time.Now()),
	}.Build()}.Build())
	if err != nil {
		r.fail("deployment", err)
		return
	}
	for _, t := range made {
		r.say(t, pb.ExecutionState_INITIALIZING)
		r.say(t, pb.ExecutionState_RUNNING)
	}
	r.tasks = append(r.tasks, made...)
	r.note(notice{What: running, Count: len(made)})
}

func (r *stub) fail(what string, err error) {
	r.note(notice{What: failed, Why: what + ": " + err.Error()})
}

func (r *stub) cancel(m *pb.CancelTasks) {
	attempts, err := gateway.AttemptsFromPB(m.GetAttempts())
	if err != nil {
		r.fail("cancellation", err)
	}
	gone := make(map[ids.ExecutionAttemptID]bool, len(attempts))
	for _, a := range attempts {
		gone[a] = true
	}
	rest := r.tasks[:0]
	for _, t := range r.tasks {
		if gone[t.id] {
			r.say(t, pb.ExecutionState_CANCELED)
		} else {
			rest = append(rest, t)
		}
	}
	r.tasks = rest
}

func (r *stub) say(t *stubTask, state pb.ExecutionState) {
	b := pb.TaskStateChange_builder{
		Attempt: t.attempt, Generation: t.generation, State: state, AtMillis: uint64(time.Now().UnixMilli()), Allocation: t.allocation,
	}
	if state == pb.ExecutionState_CANCELED {
		b.Metrics = t.metrics()
	}
	r.events(pb.ToJobMaster_builder{TaskState: b.Build()}.Build())
}

// metrics are those of a task that makes a thousand records a second.
func (t *stubTask) metrics() *pb.TaskMetrics {
	ran := uint64(time.Since(t.begun).Milliseconds())
	return pb.TaskMetrics_builder{Attempt: t.attempt, RecordsOut: ran, BytesOut: 94 * ran, BusyMillis: ran / 10, IdleMillis: ran - ran/10}.Build()
}
