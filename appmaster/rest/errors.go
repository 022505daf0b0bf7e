package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
)

// apiError is an error with its HTTP status. Flink puts a Java stack behind each message; its clients show the text only.
type apiError struct {
	status int
	errors []string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %q", e.status, e.errors) }

var (
	errReadOnly = &apiError{http.StatusForbidden, []string{"This port is read-only."}}
	errBusy     = &apiError{http.StatusServiceUnavailable, []string{"The server is busy. Please try again."}}
	errNoLeader = &apiError{http.StatusServiceUnavailable,
		[]string{"Service temporarily unavailable due to an ongoing leader election. Please refresh."}}
)

// notFound is the answer for a known path with another method.
func notFound(path string) error {
	return &apiError{http.StatusNotFound, []string{"Not found: " + path}}
}

// fileNotFound is the answer for an unknown path, which might have been a file of the web page.
func fileNotFound(path string) error {
	return &apiError{http.StatusNotFound, []string{"Unable to load requested file " + path + "."}}
}

func badPathParameter(name, value string) error {
	return &apiError{http.StatusBadRequest, []string{
		fmt.Sprintf("Bad request, could not parse parameters: Cannot resolve path parameter (%s) from value %q.", name, value)}}
}

func badQueryParameter(name, value string) error {
	return &apiError{http.StatusBadRequest, []string{
		fmt.Sprintf("Bad request, could not parse parameters: Cannot resolve query parameter (%s) from value %q.", name, value)}}
}

func jobNotFound(id ids.JobID) error {
	return &apiError{http.StatusNotFound, []string{fmt.Sprintf("Job %s not found", id)}}
}

// internal is Flink's answer for what a handler did not foresee.
func internal(sentence string) error {
	return &apiError{http.StatusInternalServerError, []string{
		"Internal server error.", "<Exception on server side:\n" + sentence + "\n\nEnd of exception on server side>"}}
}

// statusOf turns any error into one for the client.
func statusOf(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	switch {
	case errors.Is(err, rpc.ErrOnHold), errors.Is(err, rpc.ErrNoLeader), errors.Is(err, rpc.ErrStopped), errors.Is(err, actor.ErrStopped),
		errors.Is(err, dispatcher.ErrShuttingDown), errors.Is(err, context.Canceled):
		return errNoLeader
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, rpc.ErrTimeout):
		return &apiError{http.StatusRequestTimeout, []string{"The request timed out: " + err.Error()}}
	}
	return statusOf(internal(err.Error()))
}

// cancelError is statusOf for the cancellation of a job.
func cancelError(err error) error {
	if ended, ok := errors.AsType[*jobmaster.EndedError](err); ok {
		return &apiError{http.StatusConflict, []string{fmt.Sprintf(
			"Job cancellation failed because the job has already reached another terminal state (%s).", ended.State)}}
	}
	if errors.Is(err, rpc.ErrUnknownJob) {
		return &apiError{http.StatusNotFound, []string{"Job could not be found."}}
	}
	return err
}

// fail answers with an error.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := statusOf(err)
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if e.status >= http.StatusInternalServerError {
		h.cfg.Log.Debug("request failed", "method", r.Method, "path", r.URL.Path, "status", e.status, "cause", err)
	}
	h.reply(w, e.status, restapi.Error{Errors: e.errors})
}

// reply answers with JSON, as one piece of known length.
func (h *handler) reply(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		h.cfg.Log.Error("answer has no JSON form", "cause", err)
		status, b = http.StatusInternalServerError, []byte(`{"errors":["Internal server error."]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	h.allowWrite(w)
	w.WriteHeader(status)
	_, _ = w.Write(b) // the reader may have gone
}
