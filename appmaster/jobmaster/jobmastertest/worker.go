// Package jobmastertest has a worker for tests of what stands above it in the ApplicationMaster: it speaks the real protocol over the
// in-process network, and runs no code.
//
// A Worker owns one address, the goroutine of its current stream, and the executions it was sent. Tests call its methods; nothing else
// does. What always holds: its inventory lists all slots and executions it has; it answers every message in the order it came.
package jobmastertest

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// Worker is a TaskExecutor without tasks: a deployed execution is RUNNING at once, and ends as Next says.
type Worker struct {
	// Next decides what follows RUNNING: a final state, or nil to go on running. Nil itself means FINISHED.
	Next func(a ids.ExecutionAttemptID) *pb.TaskStateChange

	t      testing.TB
	id     ids.ResourceID
	slots  []*pb.Slot
	roster gateway.Roster
	dialer gateway.Dialer
	server *gateway.InProcessServer
	wg     sync.WaitGroup

	mu    sync.Mutex
	live  map[ids.ExecutionAttemptID]*pb.TaskStateChange
	calls []string // kinds of messages received, heartbeats left out
	done  chan struct{}
}

// New starts a worker with free slots under its id as address; it ends with the test.
func New(t testing.TB, net *gateway.InProcess, id ids.ResourceID, slots int) *Worker {
	t.Helper()
	w := &Worker{
		t: t, id: id, roster: gateway.Roster{Resource: id}, dialer: net.Dialer(), live: map[ids.ExecutionAttemptID]*pb.TaskStateChange{},
		done: make(chan struct{}),
	}
	for i := range slots {
		w.slots = append(w.slots, pb.Slot_builder{Index: uint32(i), State: pb.SlotState_ALLOCATED, Allocation: ids.NewAllocationID().Bytes()}.Build())
	}
	var err error
	if w.server, err = net.Listen(string(id), gateway.Endpoints{TaskExecutor: w}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Kill)
	return w
}

// Kill ends the worker as kill -9 would.
func (w *Worker) Kill() {
	w.server.Kill()
	w.dialer.Close()
	w.wg.Wait()
}

// Register registers at a JobMaster and gives it all slots once it may.
func (w *Worker) Register(ctx context.Context, jobMaster string, epoch ids.Epoch, job ids.JobID) (*pb.RegistrationResponse, error) {
	for _, s := range w.slots {
		s.SetJob(job.Bytes())
	}
	return w.dialer.JobMaster(jobMaster).RegisterTaskExecutor(ctx, pb.RegisterAtJobMasterRequest_builder{
		Epoch: uint64(epoch), Job: job.Bytes(), ResourceId: string(w.id), Attempt: w.roster.Begin(string(job.Bytes())), Address: string(w.id),
	}.Build())
}

// Received lists the kinds of messages that came, without heartbeats.
func (w *Worker) Received() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

// Done is closed when the JobMaster has said that the job is over.
func (w *Worker) Done() <-chan struct{} { return w.done }

// AcceptJob implements gateway.TaskExecutorServer.
func (w *Worker) AcceptJob(_ context.Context, open *pb.StreamOpen, s *gateway.ToJobMasterStream) error {
	if err := w.roster.Admit(open, s); err != nil {
		return err
	}
	w.mu.Lock()
	inventory := pb.JobInventory_builder{Slots: w.slots, DataAddress: string(w.id) + ":data"}
	for _, e := range w.live {
		inventory.Executions = append(inventory.Executions, e)
	}
	w.mu.Unlock()
	w.wg.Go(func() {
		s.Send(pb.ToJobMaster_builder{Inventory: inventory.Build()}.Build())
		s.Send(pb.ToJobMaster_builder{SlotOffer: pb.SlotOffer_builder{RequestId: 1, Slots: w.slots, DataAddress: string(w.id) + ":data"}.Build()}.Build())
		for {
			m, err := s.Recv(context.Background())
			if err != nil {
				return
			}
			w.handle(s, m)
		}
	})
	return nil
}

func (w *Worker) handle(s *gateway.ToJobMasterStream, m *pb.FromJobMaster) {
	if m.HasHeartbeat() {
		b := pb.JobHeartbeat_builder{}
		for _, slot := range w.slots {
			b.Allocations = append(b.Allocations, slot.GetAllocation())
		}
		s.Send(pb.ToJobMaster_builder{Heartbeat: b.Build()}.Build())
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m.WhichMessage() {
	case pb.FromJobMaster_Deploy_case:
		w.calls = append(w.calls, "deploy")
		w.deploy(s, m.GetDeploy())
	case pb.FromJobMaster_Cancel_case:
		w.calls = append(w.calls, "cancel")
		for _, a := range m.GetCancel().GetAttempts() {
			id, _ := gateway.AttemptFromPB(a)
			if e := w.live[id]; e != nil && e.GetState() == pb.ExecutionState_RUNNING {
				w.tell(s, w.change(id, pb.ExecutionState_CANCELED))
			}
		}
	case pb.FromJobMaster_Acknowledge_case:
		w.calls = append(w.calls, "acknowledge")
		for _, a := range m.GetAcknowledge().GetAttempts() {
			id, _ := gateway.AttemptFromPB(a)
			delete(w.live, id)
		}
	case pb.FromJobMaster_JobDone_case:
		w.calls = append(w.calls, "done")
		close(w.done)
	}
}

func (w *Worker) deploy(s *gateway.ToJobMasterStream, d *pb.Deploy) {
	s.Send(pb.ToJobMaster_builder{Response: pb.Response_builder{RequestId: d.GetRequestId()}.Build()}.Build())
	for _, t := range d.GetTasks() {
		id, err := gateway.AttemptFromPB(t.GetAttempt())
		if err != nil {
			w.t.Errorf("deployed execution: %v", err)
			continue
		}
		w.tell(s, w.change(id, pb.ExecutionState_RUNNING))
		next := w.change(id, pb.ExecutionState_FINISHED)
		if w.Next != nil {
			next = w.Next(id)
		}
		if next != nil {
			w.tell(s, next)
		}
	}
}

// change makes a message about an execution.
func (w *Worker) change(a ids.ExecutionAttemptID, state pb.ExecutionState) *pb.TaskStateChange {
	return pb.TaskStateChange_builder{
		Attempt: gateway.AttemptToPB(a), Generation: gateway.GenerationToPB(ids.Generation{Epoch: a.Epoch}), State: state,
	}.Build()
}

// Failed makes the final state of an execution whose user code failed.
func (w *Worker) Failed(a ids.ExecutionAttemptID, code rpc.Code, message string) *pb.TaskStateChange {
	c := w.change(a, pb.ExecutionState_FAILED)
	c.SetFailure(pb.Failure_builder{Code: uint32(code), Message: message}.Build())
	return c
}

// Finished makes the final state of an execution with what its operators leave for their committers.
func (w *Worker) Finished(a ids.ExecutionAttemptID, finals ...*pb.OperatorState) *pb.TaskStateChange {
	c := w.change(a, pb.ExecutionState_FINISHED)
	c.SetFinals(finals)
	return c
}

func (w *Worker) tell(s *gateway.ToJobMasterStream, c *pb.TaskStateChange) {
	if id, err := gateway.AttemptFromPB(c.GetAttempt()); err == nil {
		w.live[id] = c
	}
	s.Send(pb.ToJobMaster_builder{TaskState: c}.Build())
}

// AcceptResourceManager implements gateway.TaskExecutorServer: there is none in these tests.
func (w *Worker) AcceptResourceManager(context.Context, *pb.StreamOpen, *gateway.ToResourceManagerStream) error {
	return rpc.New(rpc.NotFound, "no ResourceManager is expected")
}

// ListLogs implements gateway.TaskExecutorServer.
func (w *Worker) ListLogs(context.Context, *pb.ListLogsRequest) (*pb.ListLogsResponse, error) {
	return &pb.ListLogsResponse{}, nil
}

// ReadLog implements gateway.TaskExecutorServer.
func (w *Worker) ReadLog(context.Context, *pb.ReadLogRequest) (io.ReadCloser, error) {
	return nil, rpc.New(rpc.NotFound, "no such file")
}
