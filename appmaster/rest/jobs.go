package rest

import (
	"net/http"
	"strings"
	"time"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
	"github.com/flott-dev/flott/rpc/restapi"
)

// find returns the view of the job that the path names.
func find(l Leader, r *http.Request) (*jobmaster.View, error) {
	id, err := jobID(r)
	if err != nil {
		return nil, err
	}
	v, err := l.Dispatcher.Job(id)
	if err != nil {
		return nil, jobNotFound(id)
	}
	return v, nil
}

func (h *handler) jobs(l Leader, _ *http.Request) (answer, error) {
	out := restapi.Jobs{Jobs: []restapi.JobIDStatus{}}
	for _, v := range l.Dispatcher.Jobs() {
		out.Jobs = append(out.Jobs, restapi.JobIDStatus{ID: v.Job.String(), Status: v.State.String()})
	}
	return ok(out)
}

func (h *handler) jobsOverview(l Leader, _ *http.Request) (answer, error) {
	now := time.Now()
	out := restapi.JobsOverview{Jobs: []restapi.JobOverview{}}
	for _, v := range l.Dispatcher.Jobs() {
		out.Jobs = append(out.Jobs, overviewOf(v, now))
	}
	return ok(out)
}

func (h *handler) job(l Leader, r *http.Request) (answer, error) {
	v, err := find(l, r)
	if err != nil {
		return answer{}, err
	}
	body := jobOf(v, time.Now())
	body.Flott.Ending = l.Dispatcher.EndingStep()
	return ok(body)
}

// jobStatus answers 500 for an unknown job, alone among the routes of jobs; so does Flink.
func (h *handler) jobStatus(l Leader, r *http.Request) (answer, error) {
	id, err := jobID(r)
	if err != nil {
		return answer{}, err
	}
	v, err := l.Dispatcher.Job(id)
	if err != nil {
		return answer{}, internal("Could not find Flink job (" + id.String() + ")")
	}
	return ok(restapi.JobStatus{Status: v.State.String()})
}

func (h *handler) jobPlan(l Leader, r *http.Request) (answer, error) {
	v, err := find(l, r)
	if err != nil {
		return answer{}, err
	}
	return ok(restapi.PlanResponse{Plan: planOf(v)})
}

func (h *handler) jobConfig(l Leader, r *http.Request) (answer, error) {
	v, err := find(l, r)
	if err != nil {
		return answer{}, err
	}
	return ok(restapi.JobConfig{ID: v.Job.String(), Name: v.Name, Execution: restapi.ExecutionConfig{
		ExecutionMode: "PIPELINED", RestartStrategy: "none", Parallelism: max(1, v.Plan.Parallelism),
		ObjectReuse: h.cfg.ObjectReuse, UserConfig: map[string]string{},
	}})
}

func (h *handler) jobManagerConfigOf(l Leader, r *http.Request) (answer, error) {
	if _, err := find(l, r); err != nil {
		return answer{}, err
	}
	return h.jobManagerConfig(r)
}

func (h *handler) jobExceptions(l Leader, r *http.Request) (answer, error) {
	limit, err := positive(r, "maxExceptions", h.cfg.MaxExceptions)
	if err != nil {
		return answer{}, err
	}
	v, err := find(l, r)
	if err != nil {
		return answer{}, err
	}
	return ok(exceptionsOf(v, limit))
}

func (h *handler) executionResult(l Leader, r *http.Request) (answer, error) {
	id, err := jobID(r)
	if err != nil {
		return answer{}, err
	}
	res, err := l.Dispatcher.Result(id)
	if err != nil {
		return answer{}, &apiError{http.StatusNotFound, []string{"Could not find Flink job (" + id.String() + ")"}}
	}
	if res == nil {
		return ok(restapi.ExecutionResult{Status: restapi.AsyncStatus{ID: restapi.InProgress}})
	}
	return ok(restapi.ExecutionResult{Status: restapi.AsyncStatus{ID: restapi.Completed}, Result: resultOf(res)})
}

func resultOf(res *dispatcher.Result) *restapi.JobExecutionResult {
	out := &restapi.JobExecutionResult{
		ID: res.Job.String(), ApplicationStatus: res.Status().String(), Accumulators: map[string]string{},
		NetRuntime: max(0, res.NetRuntime().Milliseconds()),
	}
	if res.State == scheduler.JobFailed {
		out.FailureCause = &restapi.FailureCause{
			Class: className(res.CauseKind), StackTrace: res.Diagnostics(),
			Serialized: serializedThrowable(className(res.CauseKind), res.Cause, res.Diagnostics()),
		}
	}
	return out
}

// patchJob cancels a job; Flink's other mode has long been removed there too.
func (h *handler) patchJob(l Leader, r *http.Request) (answer, error) {
	switch mode := r.URL.Query().Get("mode"); strings.ToLower(mode) {
	case "cancel", "":
	case "stop":
		return answer{}, &apiError{http.StatusPermanentRedirect, []string{`The termination mode "stop" has been removed. For an ungraceful ` +
			`shutdown, please use "cancel" instead. For a graceful shutdown, please use "jobs/:jobId/stop" instead.`}}
	default:
		return answer{}, badQueryParameter("mode", mode)
	}
	return answer{http.StatusAccepted, restapi.Empty{}}, h.cancel(l, r)
}

func (h *handler) cancel(l Leader, r *http.Request) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	if err := l.Dispatcher.CancelJob(r.Context(), id); err != nil {
		return cancelError(err)
	}
	h.cfg.Log.Info("cancellation asked for", "job", id.String(), "from", r.RemoteAddr)
	return nil
}

// yarnCancel cancels a job by GET, because YARN's proxy passes on nothing else. A person gets a page, a program {}.
func (h *handler) yarnCancel(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		if h.cfg.ReadOnly {
			return errReadOnly
		}
		if !h.cancelAllowed(r) {
			return &apiError{http.StatusForbidden, []string{"From a browser a job is cancelled with the button on the application's page."}}
		}
		l, leads := h.cfg.Leader()
		if !leads {
			return errNoLeader
		}
		r, cancel := h.bounded(r)
		defer cancel()
		return h.cancel(l, r)
	}()
	switch {
	case err != nil:
		h.fail(w, r, err)
	case strings.Contains(r.Header.Get("Accept"), "text/html"):
		h.render(w, http.StatusAccepted, "cancelled.html", r.PathValue("jobid"))
	default:
		h.reply(w, http.StatusAccepted, restapi.Empty{})
	}
}
