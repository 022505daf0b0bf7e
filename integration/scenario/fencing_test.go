package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/fence"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/pb"
	"github.com/flott-dev/flott/rpc/transport"
)

// control is the control plane of an application that runs on YARN, as somebody sees it who has no business there.
type control struct {
	epoch  ids.Epoch
	job    []byte
	worker string // resource id
	rm     gateway.ResourceManager
	jm     gateway.JobMaster
	te     gateway.TaskExecutor
}

// openControl finds the addresses where the application itself has them: in a worker's environment and at the REST server.
func openControl(t *testing.T, c *client, app, job string) control {
	t.Helper()
	p := c.oneOf(t, app, workerWord, 1)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for v := range strings.SplitSeq(string(env), "\x00") {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	epoch, err := strconv.ParseUint(vars[launchfile.EpochVariable], 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", launchfile.EpochVariable, err)
	}
	id, err := ids.ParseJobID(job)
	if err != nil {
		t.Fatal(err)
	}
	d := transport.NewDialer(transport.DialerConfig{})
	t.Cleanup(func() { _ = d.Close() })
	master := vars[launchfile.MasterVariable]
	return control{
		epoch: ids.Epoch(epoch), job: id.Bytes(), worker: p.container,
		rm: d.ResourceManager(master), jm: d.JobMaster(master), te: d.TaskExecutor(workerAddress(t, c.cluster, app, p.container)),
	}
}

// workerAddress is the control address of a worker, as /taskmanagers has it.
func workerAddress(t *testing.T, c *hadoop.Cluster, app, worker string) string {
	t.Helper()
	_, body, err := getThroughProxy(t.Context(), c, app, "taskmanagers")
	var answer struct{ TaskManagers []struct{ ID, Path string } }
	if err = errors.Join(err, json.Unmarshal(body, &answer)); err != nil {
		t.Fatalf("taskmanagers: %v: %s", err, body)
	}
	for _, m := range answer.TaskManagers {
		if m.ID == worker {
			return m.Path
		}
	}
	t.Fatalf("%s is not in %s", worker, body)
	return ""
}

// TestFencing drives every control method of a running application with a stale epoch, for an unknown worker or job, and as a replay. Each
// is refused with its code, and the job does not notice.
func TestFencing(t *testing.T) {
	t.Parallel()
	c := newClient(t, hadooptest.Shared(t))
	k := c.job(c.bin.endings, "forever")
	app, job := k.awaitRunning(c.cluster)
	x := openControl(t, c, app, job)
	methods := fence.Methods()
	for method, cases := range x.cases() {
		delete(methods, method)
		for _, tt := range cases {
			t.Run(method+" "+tt.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				err := tt.call(ctx)
				if got := rpc.CodeOf(err); err == nil || got != tt.want {
					t.Errorf("got code %q (%v), want %q", got, err, tt.want)
				}
				if tt.want == rpc.Fenced && rpc.EpochOf(err) != x.epoch {
					t.Errorf("the refusal tells epoch %d, want the responder's %d", rpc.EpochOf(err), x.epoch)
				}
			})
		}
	}
	for method := range methods {
		t.Errorf("%s was not driven", method)
	}
	x.readLogs(t)
	if _, state := jobState(t, c.cluster, app); state != "RUNNING" || !allTasksRun(t, c.cluster, app, job) {
		t.Errorf("after all that the job is %s, want RUNNING as before", state)
	}
	c.mustRun(t, "cancel", app)
	k.ended()
}

type fencingCase struct {
	name string
	want rpc.Code
	call func(ctx context.Context) error
}

// cases are the calls by method. Attempt 0 is none that a worker makes: they count from 1.
func (x control) cases() map[string][]fencingCase {
	atRM := func(epoch ids.Epoch, worker string, attempt uint64) func(context.Context) error {
		return func(ctx context.Context) error {
			resp, err := x.rm.RegisterTaskExecutor(ctx, pb.RegisterTaskExecutorRequest_builder{
				Epoch: uint64(epoch), ResourceId: worker, Attempt: attempt, Address: "127.0.0.1:1",
			}.Build())
			return refusedBy(resp, err)
		}
	}
	atJM := func(epoch ids.Epoch, worker string, job []byte, attempt uint64) func(context.Context) error {
		return func(ctx context.Context) error {
			resp, err := x.jm.RegisterTaskExecutor(ctx, pb.RegisterAtJobMasterRequest_builder{
				Epoch: uint64(epoch), ResourceId: worker, Job: job, Attempt: attempt, Address: "127.0.0.1:1",
			}.Build())
			return refusedBy(resp, err)
		}
	}
	stream := func(open func(context.Context, *pb.StreamOpen) error, epoch ids.Epoch, worker string, job []byte, attempt uint64) func(context.Context) error {
		return func(ctx context.Context) error {
			instance := ids.NewInstanceID()
			return open(ctx, pb.StreamOpen_builder{Epoch: uint64(epoch), ResourceId: worker, Job: job, Attempt: attempt, InstanceId: instance.Bytes()}.Build())
		}
	}
	openRM := func(ctx context.Context, open *pb.StreamOpen) error {
		s, err := x.te.OpenResourceManager(ctx, open)
		if err == nil {
			s.Close(nil)
		}
		return err
	}
	openJob := func(ctx context.Context, open *pb.StreamOpen) error {
		s, err := x.te.OpenJob(ctx, open)
		if err == nil {
			s.Close(nil)
		}
		return err
	}
	stale, other, nojob := x.epoch-1, "container_1_0001_01_000009", bytes.Repeat([]byte{7}, 16)
	return map[string][]fencingCase{
		"flott.rpc.ResourceManager/RegisterTaskExecutor": {
			{"stale epoch", rpc.Fenced, atRM(stale, x.worker, 9)},
			{"later epoch", rpc.Fenced, atRM(x.epoch+1, x.worker, 9)},
			{"unknown worker", rpc.UnknownWorker, atRM(x.epoch, other, 9)},
			{"replay", rpc.Replayed, atRM(x.epoch, x.worker, 0)},
		},
		"flott.rpc.JobMaster/RegisterTaskExecutor": {
			{"stale epoch", rpc.Fenced, atJM(stale, x.worker, x.job, 9)},
			{"unknown job", rpc.UnknownJob, atJM(x.epoch, x.worker, nojob, 9)},
			{"unknown worker", rpc.UnknownWorker, atJM(x.epoch, other, x.job, 9)},
			{"replay", rpc.Replayed, atJM(x.epoch, x.worker, x.job, 0)},
		},
		"flott.rpc.TaskExecutor/ResourceManagerStream": {
			{"stale epoch", rpc.Fenced, stream(openRM, stale, x.worker, nil, 1)},
			{"unknown worker", rpc.UnknownWorker, stream(openRM, x.epoch, other, nil, 1)},
			{"another attempt", rpc.Replayed, stream(openRM, x.epoch, x.worker, nil, 7)},
		},
		"flott.rpc.TaskExecutor/JobMasterStream": {
			{"stale epoch", rpc.Fenced, stream(openJob, stale, x.worker, x.job, 1)},
			{"unknown worker", rpc.UnknownWorker, stream(openJob, x.epoch, other, x.job, 1)},
			{"unknown job", rpc.UnknownJob, stream(openJob, x.epoch, x.worker, nojob, 1)},
			{"another attempt", rpc.Replayed, stream(openJob, x.epoch, x.worker, x.job, 7)},
		},
		// Unfenced: they read, and answer anybody.
		"flott.rpc.TaskExecutor/ListLogs": nil,
		"flott.rpc.TaskExecutor/ReadLog": {
			{"outside of the log directory", rpc.NotFound, func(ctx context.Context) error {
				r, err := x.te.ReadLog(ctx, pb.ReadLogRequest_builder{Name: "../../../../../../etc/passwd"}.Build())
				if err != nil {
					return err
				}
				defer r.Close()
				_, err = io.ReadAll(r)
				return err
			}},
		},
	}
}

// refusedBy makes an error of an answer that refuses. A rejection means that the worker is unknown: Flink's word for it.
func refusedBy(resp *pb.RegistrationResponse, err error) error {
	switch {
	case err != nil:
		return err
	case resp.HasRejection():
		return rpc.New(rpc.UnknownWorker, resp.GetRejection().GetReason())
	case resp.HasFailure():
		return errors.New("failure, to be tried again: " + resp.GetFailure().GetReason())
	}
	return nil
}

// readLogs reads the worker's log over the wire, as the AM does for the web page.
func (x control) readLogs(t *testing.T) {
	t.Helper()
	list, err := x.te.ListLogs(t.Context(), &pb.ListLogsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list.GetFiles() {
		if f.GetName() != "taskmanager.log" {
			continue
		}
		r, err := x.te.ReadLog(t.Context(), pb.ReadLogRequest_builder{Name: f.GetName()}.Build())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if text, err := io.ReadAll(r); err != nil || !bytes.Contains(text, []byte(x.worker)) {
			t.Errorf("taskmanager.log: got %d bytes, %v, want a text that names %s", len(text), err, x.worker)
		}
		return
	}
	t.Errorf("no taskmanager.log in %v", list)
}
