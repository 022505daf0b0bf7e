package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
	"github.com/flott-dev/flott/yarn/rmclient"
)

func statusCommand() *Command {
	return &Command{
		Name: "status", Args: "<application id> [job id]", Short: "show how an application and its job are",
		Long: `
Shows what YARN says about an application and what its ApplicationMaster says about its job: state, workers, tasks, records. The exit code is 0
when the application runs or has finished, 1 when it failed, was cancelled or was killed.`,
		Options: []option{targetOption(), dynamicOption()},
		Run:     status,
	}
}

func status(ctx context.Context, inv *invocation) error {
	s, r, err := inv.openApplication(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	s.printReport(r)
	if am := newAMClient(r, conf.ClientTimeout.Get(s.conf)); am != nil {
		defer am.close()
		id, err := s.jobOf(ctx, am)
		if err != nil {
			return err
		}
		return s.printJob(ctx, am, id)
	}
	if end := endOf(r); r.State.Terminal() && !end.ok {
		return errReported
	}
	return nil
}

func (s *session) printReport(r rmclient.Report) {
	s.print("%s  %s", r.ID, r.Name)
	s.print("  type %s, user %s, queue %s, attempt %d", r.Type, r.User, r.Queue, r.Attempt.Attempt)
	state := "  state " + string(r.State)
	if r.State.Terminal() {
		state += ", final status " + string(r.Final)
	} else {
		state += fmt.Sprintf(", containers %d with %d MiB and %d vcores", max(0, r.Containers), max(0, r.Used.MemoryMB), max(0, r.Used.VCores))
	}
	s.print("%s", state)
	if len(r.Tags) > 0 {
		s.print("  tags %s", strings.Join(r.Tags, ", "))
	}
	if !r.Started.IsZero() {
		s.print("  started %s, for %s", r.Started.Format(time.DateTime), seconds(lasted(r, s.Now())))
	}
	if r.TrackingURL != "" && r.TrackingURL != "N/A" {
		s.print("  web page %s", r.TrackingURL)
	}
	if d := strings.TrimSpace(r.Diagnostics); d != "" {
		s.print("  %s", strings.ReplaceAll(d, "\n", "\n  "))
	}
}

// jobOf is the job that the second argument names, or the application's only one.
func (s *session) jobOf(ctx context.Context, am *amClient) (ids.JobID, error) {
	if len(s.args) > 1 {
		id, err := ids.ParseJobID(s.args[1])
		if err != nil {
			return id, fmt.Errorf("%q is no job id; they have 32 hexadecimal digits (`flott list %s` shows them)", s.args[1], s.args[0])
		}
		return id, nil
	}
	jobs, err := am.jobs(ctx)
	if err != nil {
		return ids.JobID{}, err
	}
	switch len(jobs) {
	case 1:
		return ids.ParseJobID(jobs[0].ID)
	case 0:
		return ids.JobID{}, fmt.Errorf("the application has no job yet")
	}
	return ids.JobID{}, fmt.Errorf("the application has %d jobs; name one of those that `flott list <application id>` shows", len(jobs))
}

func (s *session) printJob(ctx context.Context, am *amClient, id ids.JobID) error {
	j, err := am.job(ctx, id)
	if err != nil {
		return err
	}
	in, out := records(&j)
	s.print("job %s  %s", j.ID, j.Name)
	s.print("  state %s for %s, records in %s out %s", j.State, seconds(time.Duration(j.Duration)*time.Millisecond), grouped(in), grouped(out))
	if x := j.Flott; x != nil {
		for _, line := range []string{x.WaitingFor, x.Ending, x.Cause} {
			if line != "" {
				s.print("  %s", line)
			}
		}
	}
	for i := range j.Vertices {
		v := &j.Vertices[i]
		s.print("  %-9s %s, parallelism %d (%s), records in %s out %s", v.Status, v.Name, v.Parallelism, tasksOf(v), grouped(v.Metrics.ReadRecords), grouped(v.Metrics.WriteRecords))
	}
	workers, err := am.taskManagers(ctx)
	if err != nil {
		return err
	}
	for i := range workers {
		w := &workers[i]
		s.print("  worker %s, slots %d of %d in use, heard of %s ago", w.ID, w.SlotsNumber-w.FreeSlots, w.SlotsNumber,
			seconds(max(0, s.Now().Sub(time.UnixMilli(w.TimeSinceLastHeartbeat)))))
	}
	return nil
}

// tasksOf counts a vertex's tasks by state, as "3 RUNNING, 1 FINISHED".
func tasksOf(v *restapi.Vertex) string {
	var parts []string
	for _, state := range restapi.ExecutionStates() {
		if n := v.Tasks[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return strings.Join(parts, ", ")
}
