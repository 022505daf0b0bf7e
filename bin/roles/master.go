package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/zkha/ha"
)

// masterConfig is what the leader-scoped components are made from, at every grant.
type masterConfig struct {
	conf           *conf.Config
	address        string // where workers reach this master
	slotsPerWorker int
	election       ha.Election
	dialer         gateway.Dialer
	driver         resourcemanager.Driver
	application    *dispatcher.Application
	results        func(epoch ids.Epoch) ha.ResultStore
	staging        dispatcher.Staging
	resource       ids.ResourceID
	log            *slog.Logger
}

// master makes and ends the components of each term of leadership, and is the address behind which the current ones are found.
//
// Leadership events are handled one at a time on its goroutine, since ending a term waits for its components.
type master struct {
	cfg    masterConfig
	leader fence.Leader
	now    atomic.Pointer[term]
	exit   chan dispatcher.Exit // the application has ended; one entry
	fatal  chan error           // the process cannot go on; one entry

	mu     sync.Mutex
	events []ha.Event
	wake   chan struct{}
	done   chan struct{}
}

// term is the components of one epoch.
type term struct {
	epoch      ids.Epoch
	rm         *resourcemanager.ResourceManager
	dispatcher *dispatcher.Dispatcher
}

// newMaster does nothing yet; the endpoints may be served before start.
func newMaster(cfg masterConfig) *master {
	return &master{
		cfg: cfg, exit: make(chan dispatcher.Exit, 1), fatal: make(chan error, 1),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// start contends for leadership until ctx ends; then the current term is ended and done is closed.
func (m *master) start(ctx context.Context) error {
	if err := m.cfg.election.Start(ctx, m); err != nil {
		close(m.done)
		return err
	}
	go m.run(ctx)
	return nil
}

// wait returns when the master's goroutine has ended.
func (m *master) wait() { <-m.done }

// OnLeadership implements ha.Contender.
func (m *master) OnLeadership(ev ha.Event) {
	m.mu.Lock()
	m.events = append(m.events, ev)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *master) run(ctx context.Context) {
	defer close(m.done)
	defer m.endTerm()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		m.mu.Lock()
		events := m.events
		m.events = nil
		m.mu.Unlock()
		for _, ev := range events {
			m.handle(ctx, ev)
		}
	}
}

func (m *master) handle(ctx context.Context, ev ha.Event) {
	m.cfg.log.Info("leadership", "event", ev.Kind.String(), "epoch", uint64(ev.Epoch), "cause", ev.Cause)
	switch ev.Kind {
	case ha.Grant:
		m.endTerm()
		if err := m.beginTerm(ctx, ev.Epoch); err != nil {
			m.fail(fmt.Errorf("begin leadership of epoch %d: %w", ev.Epoch, err))
		}
	case ha.Hold:
		if t := m.now.Load(); t != nil && t.epoch == ev.Epoch {
			t.rm.SetHold(true)
			t.dispatcher.Hold()
		}
	case ha.Revoke:
		m.endTerm()
		if ev.Exit {
			m.fail(fmt.Errorf("a later attempt leads: %w", errors.Join(ev.Cause)))
		}
	}
}

func (m *master) fail(err error) {
	select {
	case m.fatal <- err:
	default:
	}
}

func (m *master) beginTerm(ctx context.Context, epoch ids.Epoch) error {
	jobs := &jobListener{}
	rmCfg := resourceManagerSettings(m.cfg.conf, m.cfg.slotsPerWorker)
	rmCfg.Epoch, rmCfg.Resource = epoch, m.cfg.resource
	rmCfg.Dialer, rmCfg.Driver, rmCfg.Jobs, rmCfg.Log = m.cfg.dialer, m.cfg.driver, jobs, m.cfg.log
	rm, err := resourcemanager.New(rmCfg)
	if err != nil {
		return err
	}
	jm := jobMasterSettings(m.cfg.conf)
	jm.Address = m.cfg.address
	d, err := dispatcher.New(dispatcher.Config{
		Epoch: epoch, Application: m.cfg.application, ResourceManager: rm, Dialer: m.cfg.dialer,
		Results: m.cfg.results(epoch), Staging: m.cfg.staging,
		Exit: func(e dispatcher.Exit) {
			select {
			case m.exit <- e:
			default:
			}
		},
		JobMaster: jm, Log: m.cfg.log,
	})
	if err != nil {
		return err
	}
	jobs.Store(d)
	m.leader.Set(epoch)
	m.now.Store(&term{epoch, rm, d})
	if err := rm.Start(ctx); err != nil {
		return err
	}
	d.Start(ctx)
	addresses := map[ha.Component]string{ha.ResourceManager: m.cfg.address, ha.Dispatcher: m.cfg.address}
	if err := m.cfg.election.Confirm(ctx, epoch, addresses); err != nil {
		m.cfg.log.Warn("the leader's address was not published", "cause", err)
	}
	return nil
}

func (m *master) endTerm() {
	t := m.now.Swap(nil)
	m.leader.Set(0)
	if t == nil {
		return
	}
	if err := t.dispatcher.Close(); err != nil {
		m.cfg.log.Warn("closing the dispatcher", "cause", err)
	}
	t.rm.Close()
}

// endpoints serves whatever term is current.
func (m *master) endpoints() gateway.Endpoints {
	return gateway.Endpoints{ResourceManager: currentResourceManager{m}, JobMaster: currentJobMaster{m}, Leader: &m.leader}
}

type currentResourceManager struct{ m *master }

func (c currentResourceManager) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterTaskExecutorRequest) (*pb.RegistrationResponse, error) {
	if t := c.m.now.Load(); t != nil {
		return t.rm.RegisterTaskExecutor(ctx, req)
	}
	return gateway.LeaderlessResourceManager{}.RegisterTaskExecutor(ctx, req)
}

type currentJobMaster struct{ m *master }

func (c currentJobMaster) RegisterTaskExecutor(ctx context.Context, req *pb.RegisterAtJobMasterRequest) (*pb.RegistrationResponse, error) {
	if t := c.m.now.Load(); t != nil {
		return t.dispatcher.RegisterTaskExecutor(ctx, req)
	}
	return gateway.LeaderlessJobMaster{}.RegisterTaskExecutor(ctx, req)
}

// jobListener passes the ResourceManager's words on to the Dispatcher, which is made after it.
type jobListener struct {
	atomic.Pointer[dispatcher.Dispatcher]
}

func (l *jobListener) NotEnoughResources(job ids.JobID, reason string, final bool) {
	if d := l.Load(); d != nil {
		d.NotEnoughResources(job, reason, final)
	}
}

func (l *jobListener) WorkerGone(worker ids.ResourceID, cause error) {
	if d := l.Load(); d != nil {
		d.WorkerGone(worker, cause)
	}
}
