package rest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
)

// millis is a time as Flink prints it, zero where there is none.
func millis(t time.Time, zero int64) int64 {
	if t.IsZero() {
		return zero
	}
	return t.UnixMilli()
}

// span returns start, end and duration as Flink prints them: -1 for what is not there, and a duration up to now while it goes on.
func span(start, end, now time.Time) (from, to, duration int64) {
	from, to, duration = millis(start, -1), millis(end, -1), -1
	switch {
	case start.IsZero():
	case end.IsZero():
		duration = max(0, now.UnixMilli()-from)
	default:
		duration = max(0, to-from)
	}
	return from, to, duration
}

func overviewOf(v *jobmaster.View, now time.Time) restapi.JobOverview {
	o := restapi.JobOverview{ID: v.Job.String(), Name: v.Name, State: v.State.String(), LastModification: millis(v.Changed, 0)}
	o.StartTime, o.EndTime, o.Duration = span(v.Start(), v.End(), now)
	for _, x := range v.Vertices {
		for i := range x.Subtasks {
			o.Tasks.Add(x.Subtasks[i].State.String())
		}
	}
	return o
}

func jobOf(v *jobmaster.View, now time.Time) restapi.Job {
	j := restapi.Job{
		ID: v.Job.String(), Name: v.Name, State: v.State.String(), MaxParallelism: -1, Now: now.UnixMilli(),
		Timestamps: map[string]int64{}, Vertices: []restapi.Vertex{}, StatusCounts: executionStates(), Plan: planOf(v), Flott: flottOf(v),
	}
	j.JobType = j.Plan.Type
	if v.Plan.MaxParallelism > 0 {
		j.MaxParallelism = int64(v.Plan.MaxParallelism)
	}
	j.StartTime, j.EndTime, j.Duration = span(v.Start(), v.End(), now)
	for _, name := range restapi.JobStates() {
		j.Timestamps[name] = 0
	}
	for _, s := range scheduler.JobStates() {
		j.Timestamps[s.String()] = millis(v.Reached[s], 0)
	}
	group := sharingGroup(v.Job)
	for _, x := range v.Vertices {
		j.Vertices = append(j.Vertices, vertexOf(x, group, now))
		j.StatusCounts[x.State.String()]++
	}
	return j
}

// sharingGroup is the id of a job's only slot sharing group.
func sharingGroup(job ids.JobID) string {
	sum := sha256.Sum256([]byte("slot sharing group of " + job.String()))
	return hex.EncodeToString(sum[:len(job)])
}

func executionStates() map[string]int {
	counts := map[string]int{}
	for _, name := range restapi.ExecutionStates() {
		counts[name] = 0
	}
	return counts
}

func vertexOf(x *scheduler.VertexView, group string, now time.Time) restapi.Vertex {
	o := restapi.Vertex{
		ID: x.ID.String(), SlotSharingGroupID: group, Name: x.Name, MaxParallelism: x.MaxParallelism, Parallelism: x.Parallelism,
		Status: x.State.String(), Tasks: executionStates(), Metrics: restapi.VertexMetrics{
			ReadBytes: int64(x.Metrics.BytesIn), WriteBytes: int64(x.Metrics.BytesOut),
			ReadRecords: int64(x.Metrics.RecordsIn), WriteRecords: int64(x.Metrics.RecordsOut),
			ReadBytesComplete: x.MetricsFinal, WriteBytesComplete: x.MetricsFinal,
			ReadRecordsComplete: x.MetricsFinal, WriteRecordsComplete: x.MetricsFinal,
			BackPressuredTime: int64(x.Metrics.BackpressedMillis), IdleTime: int64(x.Metrics.IdleMillis),
			BusyTime: restapi.Double(x.Metrics.BusyMillis),
		},
	}
	o.StartTime, o.EndTime, o.Duration = span(x.Start, x.End, now)
	for _, s := range scheduler.TaskStates() {
		o.Tasks[s.String()] = x.Counts[s]
	}
	return o
}

func flottOf(v *jobmaster.View) *restapi.Flott {
	f := &restapi.Flott{
		Phases: restapi.Phases{
			Created: millis(v.Phases.Created, 0), Wanted: millis(v.Phases.Wanted, 0), Placed: millis(v.Phases.Placed, 0),
			Running: millis(v.Phases.Running, 0), Ended: millis(v.Phases.Ended, 0),
		},
		WaitingFor: v.WaitingFor, OnHold: v.OnHold, Workers: len(v.Workers), SlotsWanted: v.WantedSlots, SlotsPresent: v.PresentSlots,
	}
	if !v.Cause.IsZero() {
		f.Cause, _, _ = strings.Cut(v.Cause.Message, "\n")
	}
	for _, x := range v.Vertices {
		f.Totals.RecordsIn += int64(x.Metrics.RecordsIn)
		f.Totals.RecordsOut += int64(x.Metrics.RecordsOut)
		f.Totals.BytesIn += int64(x.Metrics.BytesIn)
		f.Totals.BytesOut += int64(x.Metrics.BytesOut)
	}
	return f
}

// className is the type of an error where Flink names an exception's class.
func className(kind string) string { return cmp.Or(kind, "error") }

// stack is a failure as Flink prints a stack trace: the sentence first.
func stack(f scheduler.Failure) string {
	if f.Stack == "" {
		return strings.TrimRight(f.Message, "\n")
	}
	return strings.TrimRight(f.Message, "\n") + "\n" + f.Stack
}

// exceptionsOf shows the job's cause as the root exception, and the tasks' own failures beside it, the newest first and at most limit.
func exceptionsOf(v *jobmaster.View, limit int) restapi.Exceptions {
	out := restapi.Exceptions{All: []restapi.TaskException{}, History: restapi.ExceptionHistory{Entries: []restapi.RootException{}}}
	failures := slices.Clone(v.FailedTasks)
	slices.SortStableFunc(failures, func(a, b scheduler.Failure) int { return b.At.Compare(a.At) })
	if len(failures) > limit {
		failures, out.Truncated = failures[:limit], true
	}
	places := places(v)
	for _, f := range failures {
		p := cmp.Or(places[f.Attempt], &scheduler.SubtaskView{})
		out.All = append(out.All, restapi.TaskException{
			Exception: stack(f), Task: f.Task, Location: p.Endpoint, Endpoint: p.Endpoint, Timestamp: millis(f.At, 0),
			TaskManagerID: string(p.Worker),
		})
	}
	if v.Cause.IsZero() {
		return out
	}
	text, at := stack(v.Cause), millis(v.Cause.At, 0)
	out.RootException, out.Timestamp = &text, &at
	entry := restapi.RootException{ExceptionInfo: infoOf(v.Cause, places), Concurrent: []restapi.ExceptionInfo{}}
	for _, f := range failures {
		if f.Attempt != v.Cause.Attempt {
			entry.Concurrent = append(entry.Concurrent, infoOf(f, places))
		}
	}
	out.History.Entries = append(out.History.Entries, entry)
	return out
}

// places maps executions to where they ran.
func places(v *jobmaster.View) map[ids.ExecutionAttemptID]*scheduler.SubtaskView {
	m := map[ids.ExecutionAttemptID]*scheduler.SubtaskView{}
	for _, x := range v.Vertices {
		for i := range x.Subtasks {
			m[x.Subtasks[i].Attempt] = &x.Subtasks[i]
		}
	}
	return m
}

func infoOf(f scheduler.Failure, places map[ids.ExecutionAttemptID]*scheduler.SubtaskView) restapi.ExceptionInfo {
	info := restapi.ExceptionInfo{
		Name: className(f.Kind), StackTrace: stack(f), Timestamp: millis(f.At, 0), FailureLabels: map[string]string{},
	}
	if f.Task != "" {
		info.TaskName = fmt.Sprintf("%s - execution #%d", f.Task, f.Number)
	}
	if p := places[f.Attempt]; p != nil {
		info.Location, info.Endpoint, info.TaskManagerID = p.Endpoint, p.Endpoint, string(p.Worker)
	}
	return info
}
