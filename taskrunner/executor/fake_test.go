package executor

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/zkha/ha"
)

const worker = ids.ResourceID("container_1")

// cluster is a worker and a network on which a test plays the AM.
type cluster struct {
	t       *testing.T
	net     *gateway.InProcess
	dialer  gateway.Dialer // of the AM
	te      *Executor
	leaders *leaders
	started time.Time

	mu       sync.Mutex
	deaths   []error
	runtimes []*fakeRuntime
	openErr  error
}

// leaders is a Retrieval that a test drives.
type leaders struct{ f func(ha.Leader) }

func (l *leaders) Watch(_ ha.Component, f func(ha.Leader)) func() {
	l.f = f
	return func() {}
}

func newCluster(t *testing.T, change func(*Config)) *cluster {
	t.Helper()
	c := &cluster{t: t, net: gateway.NewInProcess(gateway.StreamConfig{}), leaders: &leaders{}, started: time.Now()}
	c.dialer = c.net.Dialer()
	own := c.net.Dialer()
	cfg := Config{
		Worker:  pb.RegisterTaskExecutorRequest_builder{ResourceId: string(worker), NodeId: "node:1", Slots: 2}.Build(),
		Leaders: c.leaders, Dialer: own, OpenRuntime: c.open, Fatal: c.die,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if c.te, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	server, err := c.net.Listen("worker", gateway.Endpoints{TaskExecutor: c.te})
	if err != nil {
		t.Fatal(err)
	}
	c.te.Start(t.Context(), server.Addr())
	t.Cleanup(func() {
		if err := c.te.Close(); err != nil {
			t.Errorf("close the executor: %v", err)
		}
		own.Close()
		server.Close()
		c.dialer.Close()
	})
	return c
}

func (c *cluster) die(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths = append(c.deaths, err)
}

// fatal returns the fatal errors so far.
func (c *cluster) fatal() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaths
}

func (c *cluster) open(_ context.Context, job ids.JobID, events func(*pb.ToJobMaster)) (Runtime, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.openErr != nil {
		return nil, c.openErr
	}
	r := &fakeRuntime{job: job, events: events}
	c.runtimes = append(c.runtimes, r)
	return r, nil
}

// fakeRuntime keeps what it was sent; it accepts deployments.
type fakeRuntime struct {
	job    ids.JobID
	events func(*pb.ToJobMaster)
	refuse error
	gate   chan struct{} // Close waits for it, unless nil

	mu     sync.Mutex
	sent   []*pb.FromJobMaster
	closed bool
}

func (r *fakeRuntime) DataAddress() string { return "data:1" }

func (r *fakeRuntime) Send(m *pb.FromJobMaster) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, m)
	switch {
	case m.HasDeploy():
		r.events(pb.ToJobMaster_builder{Response: pb.Response_builder{
			RequestId: m.GetDeploy().GetRequestId(), Failure: gateway.FailureToPB(r.refuse, time.Now()),
		}.Build()}.Build())
	case m.HasHeartbeat():
		r.events(pb.ToJobMaster_builder{Heartbeat: pb.JobHeartbeat_builder{Tasks: []*pb.TaskMetrics{
			pb.TaskMetrics_builder{RecordsIn: 7}.Build()}}.Build()}.Build())
	}
}

func (r *fakeRuntime) Close() error {
	if r.gate != nil {
		<-r.gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

// last returns what was sent last.
func (r *fakeRuntime) last() *pb.FromJobMaster {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sent) == 0 {
		return nil
	}
	return r.sent[len(r.sent)-1]
}

func (r *fakeRuntime) state(a ids.ExecutionAttemptID, s pb.ExecutionState) {
	r.events(pb.ToJobMaster_builder{TaskState: pb.TaskStateChange_builder{
		Attempt: gateway.AttemptToPB(a), State: s, Generation: pb.Generation_builder{Epoch: uint64(a.Epoch)}.Build(),
	}.Build()}.Build())
}

// leader is an AM: by default it opens the stream, in a context of its own as AMs do, and says yes.
type leader struct {
	c      *cluster
	epoch  ids.Epoch
	addr   string
	server *gateway.InProcessServer

	mu       sync.Mutex
	calls    []time.Duration // when the worker registered at the ResourceManager, since the cluster's start
	jobCalls []time.Duration
	answer   answerRM // instead of the default; nil, nil: the default
	jobs     answerJM
	attempt  uint64
	jobTry   uint64
	rm       chan *gateway.ResourceManagerStream
	jm       chan *gateway.JobMasterStream
}

type (
	answerRM func(*pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error)
	answerJM func(*pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error)
)

func (l *leader) answerRM(f answerRM) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = f
}

func (l *leader) answerJM(f answerJM) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.jobs = f
}

func (c *cluster) lead(addr string, epoch ids.Epoch) *leader {
	c.t.Helper()
	l := &leader{c: c, epoch: epoch, addr: addr, rm: make(chan *gateway.ResourceManagerStream, 10), jm: make(chan *gateway.JobMasterStream, 10)}
	var err error
	if l.server, err = c.net.Listen(addr, gateway.Endpoints{ResourceManager: resourceManagerOf{l}, JobMaster: jobMasterOf{l}}); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { l.server.Close() })
	return l
}

type (
	resourceManagerOf struct{ *leader }
	jobMasterOf       struct{ *leader }
)

func (l resourceManagerOf) RegisterTaskExecutor(_ context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	l.mu.Lock()
	l.calls = append(l.calls, time.Since(l.c.started))
	l.attempt = req.GetAttempt()
	answer := l.answer
	l.mu.Unlock()
	if answer != nil {
		if r, err := answer(req); r != nil || err != nil {
			return r, err
		}
	}
	s, err := l.openRM(context.Background(), req.GetAttempt())
	if err != nil {
		return nil, err
	}
	l.rm <- s
	return l.success(), nil
}

func (l *leader) openRM(ctx context.Context, attempt uint64) (*gateway.ResourceManagerStream, error) {
	return l.c.dialer.TaskExecutor("worker").OpenResourceManager(ctx, pb.StreamOpen_builder{
		Epoch: uint64(l.epoch), ResourceId: string(worker), Attempt: attempt}.Build())
}

func (l jobMasterOf) RegisterTaskExecutor(_ context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	l.mu.Lock()
	l.jobCalls = append(l.jobCalls, time.Since(l.c.started))
	l.jobTry = req.GetAttempt()
	jobs := l.jobs
	l.mu.Unlock()
	if jobs != nil {
		if r, err := jobs(req); r != nil || err != nil {
			return r, err
		}
	}
	s, err := l.openJob(context.Background(), req.GetAttempt(), req.GetJob())
	if err != nil {
		return nil, err
	}
	l.jm <- s
	return l.success(), nil
}

func (l *leader) openJob(ctx context.Context, attempt uint64, job []byte) (*gateway.JobMasterStream, error) {
	return l.c.dialer.TaskExecutor("worker").OpenJob(ctx, pb.StreamOpen_builder{
		Epoch: uint64(l.epoch), ResourceId: string(worker), Attempt: attempt, Job: job}.Build())
}

func (l *leader) success() *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{Epoch: uint64(l.epoch), Success: pb.RegistrationSuccess_builder{
		InstanceId: make([]byte, 16), ResourceId: "am"}.Build()}.Build()
}

func (l *leader) failure(retry time.Duration) *pb.RegistrationResponse {
	return pb.RegistrationResponse_builder{Epoch: uint64(l.epoch), Failure: pb.RegistrationFailure_builder{
		Reason: "not now", RetryAfterMillis: uint64(retry.Milliseconds())}.Build()}.Build()
}

// announce tells the worker about the leader.
func (l *leader) announce() { l.c.leaders.f(ha.Leader{Address: l.addr, Epoch: l.epoch}) }

// registered waits for the ResourceManager's stream and returns it with its inventory.
func (l *leader) registered() (*gateway.ResourceManagerStream, *pb.SlotReport) {
	l.c.t.Helper()
	s := <-l.rm
	m := next(l.c.t, s)
	if !m.HasInventory() {
		l.c.t.Fatalf("first message on the stream: %v, want the inventory", m)
	}
	return s, m.GetInventory()
}

func (l *leader) jobRegistered() (*gateway.JobMasterStream, *pb.JobInventory) {
	l.c.t.Helper()
	s := <-l.jm
	m := next(l.c.t, s)
	if !m.HasInventory() {
		l.c.t.Fatalf("first message on the job's stream: %v, want the inventory", m)
	}
	return s, m.GetInventory()
}

// next returns the next message of a stream, within a minute.
func next[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R]) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := s.Recv(ctx)
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	return m
}

// ended waits for the end of a stream and returns why.
func ended[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R]) error {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := s.Recv(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
}

func send[S, R gateway.Envelope](t *testing.T, s *gateway.Stream[S, R], m S) {
	t.Helper()
	if err := s.Send(m); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func beat() *pb.FromResourceManager {
	return pb.FromResourceManager_builder{Heartbeat: &pb.ResourceManagerHeartbeat{}}.Build()
}

func requestSlot(request uint64, index uint32, job ids.JobID, a ids.AllocationID, addr string) *pb.FromResourceManager {
	return pb.FromResourceManager_builder{RequestSlot: pb.RequestSlot_builder{
		RequestId: request, SlotIndex: index, Job: job.Bytes(), Allocation: a.Bytes(), JobMasterAddress: addr}.Build()}.Build()
}

// codeOf returns the code of a response, 0 for success.
func codeOf(r *pb.Response) rpc.Code { return rpc.Code(r.GetFailure().GetCode()) }

func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
