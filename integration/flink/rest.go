package flink

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// REST asks a JobManager. URL is http://host:port.
type REST struct{ URL string }

// Moments are those of a job's tasks, by the clock of the JobManager; zero: not all (or, for First, none) have come so far.
type Moments struct {
	State string // of the job: RUNNING, FINISHED …
	// First and All are when the first and the last task became RUNNING, Ended when the last one became FINISHED.
	First, All, Ended time.Time
}

// task is a subtask with the times of its states in milliseconds, 0 for those that it has not reached.
type task struct{ Timestamps map[string]int64 }

// momentsOf summarises the tasks of a job.
func momentsOf(state string, tasks []task) Moments {
	m := Moments{State: state}
	running, ended := true, true
	for _, t := range tasks {
		r, f := t.Timestamps["RUNNING"], t.Timestamps["FINISHED"]
		if r == 0 {
			running = false
		} else if at := time.UnixMilli(r); m.First.IsZero() || at.Before(m.First) {
			m.First = at
		}
		if at := time.UnixMilli(r); at.After(m.All) {
			m.All = at
		}
		if f == 0 {
			ended = false
		}
		if at := time.UnixMilli(f); at.After(m.Ended) {
			m.Ended = at
		}
	}
	if !running || len(tasks) == 0 {
		m.All = time.Time{}
	}
	if !ended || len(tasks) == 0 {
		m.Ended = time.Time{}
	}
	return m
}

// Jobs returns the ids of the jobs that the JobManager knows.
func (r REST) Jobs(ctx context.Context) ([]string, error) {
	var list struct{ Jobs []struct{ ID string } }
	if err := r.get(ctx, "/jobs", &list); err != nil {
		return nil, err
	}
	var all []string
	for _, j := range list.Jobs {
		all = append(all, j.ID)
	}
	return all, nil
}

// Moments returns those of a job.
func (r REST) Moments(ctx context.Context, job string) (Moments, error) {
	var details struct {
		State    string
		Vertices []struct{ ID string }
	}
	if err := r.get(ctx, "/jobs/"+job, &details); err != nil {
		return Moments{}, err
	}
	var tasks []task
	for _, v := range details.Vertices {
		var times struct{ Subtasks []task }
		if err := r.get(ctx, "/jobs/"+job+"/vertices/"+v.ID+"/subtasktimes", &times); err != nil {
			return Moments{}, err
		}
		tasks = append(tasks, times.Subtasks...)
	}
	return momentsOf(details.State, tasks), nil
}

// State returns the state of a job. Other than that of Moments it is never an older one.
func (r REST) State(ctx context.Context, job string) (string, error) {
	var answer struct{ Status string }
	err := r.get(ctx, "/jobs/"+job+"/status", &answer)
	return answer.Status, err
}

// Cause is why a job failed, as far as Flink says.
func (r REST) Cause(ctx context.Context, job string) string {
	var answer struct {
		Root string `json:"root-exception"`
	}
	if err := r.get(ctx, "/jobs/"+job+"/exceptions", &answer); err != nil {
		return err.Error()
	}
	return answer.Root
}

// EndSession ends the session and its application.
func (r REST) EndSession(ctx context.Context) error {
	return r.call(ctx, http.MethodDelete, "/cluster", nil)
}

func (r REST) get(ctx context.Context, path string, into any) error {
	return r.call(ctx, http.MethodGet, path, into)
}

func (r REST) call(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	const most = 8 << 20
	data, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, data)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
