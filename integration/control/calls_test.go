package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/pb"
)

// rejection is the answer to a registration that is refused for ever: the worker's process ends by it.
const rejection = "rejection"

// callRow is a call, or the opening of a stream, that is refused. One of the two functions makes it.
type callRow struct {
	method string
	fault  fault
	what   string
	want   string // code, or rejection
	leader func(l *leader) (*pb.RegistrationResponse, error)
	worker func(ctx context.Context, w *worker) error
}

func registerRM(f fault, what, want string, change func(l *leader, req *pb.RegisterTaskExecutorRequest)) callRow {
	return callRow{method: "ResourceManager/RegisterTaskExecutor", fault: f, what: what, want: want,
		leader: func(l *leader) (*pb.RegistrationResponse, error) {
			req := l.w1.request(oldEpoch, l.w1.rmTry+1)
			change(l, req)
			return l.dialer.ResourceManager(l.addr).RegisterTaskExecutor(l.t.Context(), req)
		}}
}

func registerJM(f fault, what, want string, change func(l *leader, req *pb.RegisterAtJobMasterRequest)) callRow {
	return callRow{method: "JobMaster/RegisterTaskExecutor", fault: f, what: what, want: want,
		leader: func(l *leader) (*pb.RegistrationResponse, error) {
			req := l.w1.jobRequest(oldEpoch, l.w1.jobTry+1)
			change(l, req)
			return l.dialer.JobMaster(l.addr).RegisterTaskExecutor(l.t.Context(), req)
		}}
}

func openRM(f fault, what, want string, change func(w *worker, open *pb.StreamOpen)) callRow {
	return callRow{method: "TaskExecutor/ResourceManagerStream", fault: f, what: what, want: want,
		worker: func(ctx context.Context, w *worker) error {
			attempt, _ := w.attempts()
			open := w.header(oldEpoch, attempt, nil)
			change(w, open)
			_, err := w.dialer.TaskExecutor(w.addr).OpenResourceManager(ctx, open)
			return err
		}}
}

func openJM(f fault, what, want string, change func(w *worker, open *pb.StreamOpen)) callRow {
	return callRow{method: "TaskExecutor/JobMasterStream", fault: f, what: what, want: want,
		worker: func(ctx context.Context, w *worker) error {
			_, attempt := w.attempts()
			open := w.header(oldEpoch, attempt, w.job.Bytes())
			change(w, open)
			_, err := w.dialer.TaskExecutor(w.addr).OpenJob(ctx, open)
			return err
		}}
}

func readLog(f fault, what, name string) callRow {
	return callRow{method: "TaskExecutor/ReadLog", fault: f, what: what, want: rpc.NotFound.String(),
		worker: func(ctx context.Context, w *worker) error {
			_, err := w.dialer.TaskExecutor(w.addr).ReadLog(ctx, pb.ReadLogRequest_builder{Name: name}.Build())
			return err
		}}
}

var callRows = []callRow{
	registerRM(staleEpoch, "lower epoch", "fenced", func(_ *leader, r *pb.RegisterTaskExecutorRequest) { r.SetEpoch(uint64(oldEpoch) - 1) }),
	registerRM(staleEpoch, "higher epoch", "fenced", func(_ *leader, r *pb.RegisterTaskExecutorRequest) { r.SetEpoch(uint64(oldEpoch) + 1) }),
	registerRM(unknown, "worker that YARN did not give", rejection, func(_ *leader, r *pb.RegisterTaskExecutorRequest) { r.SetResourceId("stranger") }),
	registerRM(unknown, "no worker", rejection, func(_ *leader, r *pb.RegisterTaskExecutorRequest) { r.SetResourceId("") }),
	registerRM(replayed, "earlier attempt", "replayed", func(l *leader, r *pb.RegisterTaskExecutorRequest) { r.SetAttempt(l.w1.rmTry - 1) }),
	registerJM(staleEpoch, "lower epoch", "fenced", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetEpoch(uint64(oldEpoch) - 1) }),
	registerJM(staleEpoch, "higher epoch", "fenced", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetEpoch(uint64(oldEpoch) + 1) }),
	registerJM(staleEpoch, "no epoch", "fenced", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetEpoch(0) }),
	registerJM(unknown, "worker that is not registered", "unknown worker", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetResourceId("stranger") }),
	registerJM(unknown, "no worker", "invalid", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetResourceId("") }),
	registerJM(unknown, "another job", "unknown job", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetJob(ids.NewJobID().Bytes()) }),
	registerJM(unknown, "no job", "unknown job", func(_ *leader, r *pb.RegisterAtJobMasterRequest) { r.SetJob(nil) }),
	registerJM(replayed, "earlier attempt", "replayed", func(l *leader, r *pb.RegisterAtJobMasterRequest) { r.SetAttempt(l.w1.jobTry - 1) }),
	openRM(staleEpoch, "lower epoch", "fenced", func(_ *worker, o *pb.StreamOpen) { o.SetEpoch(uint64(oldEpoch) - 1) }),
	openRM(staleEpoch, "no epoch", "fenced", func(_ *worker, o *pb.StreamOpen) { o.SetEpoch(0) }),
	openRM(unknown, "another worker", "unknown worker", func(_ *worker, o *pb.StreamOpen) { o.SetResourceId("another") }),
	openRM(replayed, "earlier attempt", "replayed", func(_ *worker, o *pb.StreamOpen) { o.SetAttempt(o.GetAttempt() + 1) }),
	openRM(replayed, "no attempt", "invalid", func(_ *worker, o *pb.StreamOpen) { o.SetAttempt(0) }),
	openJM(staleEpoch, "lower epoch", "fenced", func(_ *worker, o *pb.StreamOpen) { o.SetEpoch(uint64(oldEpoch) - 1) }),
	openJM(staleEpoch, "no epoch", "fenced", func(_ *worker, o *pb.StreamOpen) { o.SetEpoch(0) }),
	openJM(unknown, "another worker", "unknown worker", func(_ *worker, o *pb.StreamOpen) { o.SetResourceId("another") }),
	openJM(unknown, "job without slots here", "unknown job", func(_ *worker, o *pb.StreamOpen) { o.SetJob(ids.NewJobID().Bytes()) }),
	openJM(unknown, "no job", "invalid", func(_ *worker, o *pb.StreamOpen) { o.SetJob(nil) }),
	openJM(replayed, "another attempt", "replayed", func(_ *worker, o *pb.StreamOpen) { o.SetAttempt(o.GetAttempt() + 1) }),
	openJM(replayed, "no attempt", "invalid", func(_ *worker, o *pb.StreamOpen) { o.SetAttempt(0) }),
	readLog(unknown, "file that is not there", "nothing.log"),
	readLog(unknown, "file outside of the log directory", "../../etc/passwd"),
	readLog(unknown, "absolute path", "/etc/passwd"),
	readLog(unknown, "directory", "."),
}

// TestCalls makes every call that is refused; nothing changes by it.
func TestCalls(t *testing.T) {
	for _, r := range callRows {
		t.Run(r.method+"/"+string(r.fault)+"/"+r.what, func(t *testing.T) {
			t.Parallel()
			var got, before, after string
			if r.leader != nil {
				l := newLeader(t)
				l.w1.again() // so that there is an earlier attempt
				before = l.settled()
				got = verdict(r.leader(l))
				after = l.settled()
			} else {
				w := newWorker(t)
				before = w.state()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				got = verdict(nil, r.worker(ctx, w))
				after = w.state()
			}
			if got != r.want {
				t.Errorf("got %s, want %s", got, r.want)
			}
			if after != before {
				t.Errorf("it changed something:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// verdict names the answer to a call. An error counts only when the peer gave it.
func verdict(resp *pb.RegistrationResponse, err error) string {
	switch {
	case err != nil && !rpc.Refused(err):
		return fmt.Sprintf("no answer: %v", err)
	case err != nil:
		return rpc.CodeOf(err).String()
	case resp.HasRejection():
		return rejection
	case resp.HasFailure():
		return "failure: " + resp.GetFailure().GetReason()
	}
	return "success"
}

// TestFencedTellsTheEpoch: a caller that is fenced learns whose turn it is.
func TestFencedTellsTheEpoch(t *testing.T) {
	l := newLeader(t)
	_, err := l.dialer.ResourceManager(l.addr).RegisterTaskExecutor(t.Context(), l.w1.request(oldEpoch-1, 9))
	if got := rpc.EpochOf(err); got != oldEpoch {
		t.Errorf("the ResourceManager's refusal: got epoch %d, want %d: %v", got, oldEpoch, err)
	}
	w := newWorker(t)
	attempt, _ := w.attempts()
	_, err = w.openRM(t.Context(), oldEpoch-1, attempt)
	if got := rpc.EpochOf(err); got != oldEpoch {
		t.Errorf("the worker's refusal: got epoch %d, want %d: %v", got, oldEpoch, err)
	}
}

// TestRepeatedRegistration: a registration whose answer was lost is answered again, and opens no other stream.
func TestRepeatedRegistration(t *testing.T) {
	l := newLeader(t)
	before := l.settled()
	for what, call := range map[string]func() (*pb.RegistrationResponse, error){
		"at the ResourceManager": func() (*pb.RegistrationResponse, error) {
			return l.dialer.ResourceManager(l.addr).RegisterTaskExecutor(t.Context(), l.w1.request(oldEpoch, l.w1.rmTry))
		},
		"at the JobMaster": func() (*pb.RegistrationResponse, error) {
			return l.dialer.JobMaster(l.addr).RegisterTaskExecutor(t.Context(), l.w1.jobRequest(oldEpoch, l.w1.jobTry))
		},
	} {
		if got := verdict(call()); got != "success" {
			t.Errorf("%s: got %s, want success", what, got)
		}
	}
	l.w1.done()
	if after := l.settled(); after != before || len(l.w1.rmOpened)+len(l.w1.jmOpened) > 0 {
		t.Errorf("streams opened %d; the leader shows\n%s\nbefore:\n%s", len(l.w1.rmOpened)+len(l.w1.jmOpened), after, before)
	}
}

// TestLeaderless: a process that does not lead refuses whatever is fenced.
func TestLeaderless(t *testing.T) {
	l := newLeader(t)
	l.end()
	for what, call := range map[string]func() (*pb.RegistrationResponse, error){
		"ResourceManager": func() (*pb.RegistrationResponse, error) {
			return l.dialer.ResourceManager(l.addr).RegisterTaskExecutor(t.Context(), l.w1.request(oldEpoch, l.w1.rmTry+1))
		},
		"JobMaster": func() (*pb.RegistrationResponse, error) {
			return l.dialer.JobMaster(l.addr).RegisterTaskExecutor(t.Context(), l.w1.jobRequest(oldEpoch, l.w1.jobTry+1))
		},
	} {
		if got := verdict(call()); got != rpc.NotLeader.String() {
			t.Errorf("%s: got %s, want %s", what, got, rpc.NotLeader)
		}
	}
}

// TestUnfencedMethods: what only reads needs no epoch, and is marked so.
func TestUnfencedMethods(t *testing.T) {
	for method, why := range exempt {
		if mark, ok := fence.Methods()["flott.rpc."+method]; ok && mark.Fenced == (why[staleEpoch] != "") {
			t.Errorf("%s: marked as fenced %v, exempt because %q", method, mark.Fenced, why[staleEpoch])
		}
	}
	w := newWorker(t)
	te := w.dialer.TaskExecutor(w.addr)
	list, err := te.ListLogs(t.Context(), &pb.ListLogsRequest{})
	if err != nil || len(list.GetFiles()) != 1 || list.GetFiles()[0].GetName() != "taskmanager.log" {
		t.Errorf("log files: got %v, %v", list, err)
	}
	r, err := te.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: "taskmanager.log"}.Build())
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || string(text) != "a line\n" {
		t.Errorf("log file: got %q, %v", text, err)
	}
}
