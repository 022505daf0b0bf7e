package rest

import (
	"net/http"
	"strconv"

	"github.com/flott-dev/flott/rpc/ids"
	"github.com/flott-dev/flott/rpc/restapi"
)

// answer is what most routes give: a status and what becomes the JSON body.
type answer struct {
	status int
	body   any
}

func ok(body any) (answer, error) { return answer{http.StatusOK, body}, nil }

// methods are the routes of one path; another method does not exist there.
type methods map[string]http.HandlerFunc

// routes registers every path as it is and below /v1.
func (h *handler) routes() {
	get := func(f http.HandlerFunc) methods { return methods{http.MethodGet: f} }
	paths := map[string]methods{
		"/config":                                       get(h.plain(h.config)),
		"/overview":                                     get(h.led(h.overview)),
		"/cluster":                                      {http.MethodDelete: h.led(h.shutdown)},
		"/jobs":                                         get(h.led(h.jobs)),
		"/jobs/overview":                                get(h.led(h.jobsOverview)),
		"/jobs/{jobid}":                                 {http.MethodGet: h.led(h.job), http.MethodPatch: h.led(h.patchJob)},
		"/jobs/{jobid}/status":                          get(h.led(h.jobStatus)),
		"/jobs/{jobid}/plan":                            get(h.led(h.jobPlan)),
		"/jobs/{jobid}/config":                          get(h.led(h.jobConfig)),
		"/jobs/{jobid}/exceptions":                      get(h.led(h.jobExceptions)),
		"/jobs/{jobid}/execution-result":                get(h.led(h.executionResult)),
		"/jobs/{jobid}/jobmanager/config":               get(h.led(h.jobManagerConfigOf)),
		"/taskmanagers":                                 get(h.led(h.taskManagers)),
		"/taskmanagers/{taskmanagerid}":                 get(h.led(h.taskManager)),
		"/taskmanagers/{taskmanagerid}/logs":            get(h.led(h.workerLogs)),
		"/taskmanagers/{taskmanagerid}/log":             get(h.workerFile("taskmanager.log")),
		"/taskmanagers/{taskmanagerid}/stdout":          get(h.workerFile("taskmanager.out")),
		"/taskmanagers/{taskmanagerid}/logs/{filename}": get(h.workerFile("")),
		"/jobmanager/config":                            get(h.plain(h.jobManagerConfig)),
		"/jobmanager/logs":                              get(h.plain(h.ownLogs)),
		"/jobmanager/log":                               get(h.ownFile("jobmanager.log")),
		"/jobmanager/stdout":                            get(h.ownFile("jobmanager.out")),
		"/jobmanager/logs/{filename}":                   get(h.ownFile("")),
	}
	if h.cfg.AllowCancel {
		paths["/jobs/{jobid}/yarn-cancel"] = get(h.yarnCancel)
	}
	for path, m := range paths {
		h.mux.Handle(path, h.dispatch(m))
		h.mux.Handle("/v1"+path, h.dispatch(m))
	}
	h.mux.Handle("/", http.HandlerFunc(h.elsewhere))
}

func (h *handler) dispatch(m methods) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, known := m[r.Method]
		if !known {
			h.fail(w, r, notFound(r.URL.Path))
			return
		}
		serve(w, r)
	})
}

// elsewhere serves the page, and refuses all other paths as Flink's server of static files does.
func (h *handler) elsewhere(w http.ResponseWriter, r *http.Request) {
	page := r.URL.Path == "/" || r.URL.Path == "/index.html"
	if page && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.page(w, r)
		return
	}
	h.fail(w, r, fileNotFound(r.URL.Path))
}

// plain makes a route that needs no leader.
func (h *handler) plain(f func(r *http.Request) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r, cancel := h.bounded(r)
		defer cancel()
		a, err := f(r)
		if err != nil {
			h.fail(w, r, err)
			return
		}
		h.reply(w, a.status, a.body)
	}
}

// led makes a route that works on the present leader's components.
func (h *handler) led(f func(l Leader, r *http.Request) (answer, error)) http.HandlerFunc {
	return h.plain(func(r *http.Request) (answer, error) {
		l, leads := h.cfg.Leader()
		if !leads {
			return answer{}, errNoLeader
		}
		return f(l, r)
	})
}

func jobID(r *http.Request) (ids.JobID, error) {
	text := r.PathValue("jobid")
	id, err := ids.ParseJobID(text)
	if err != nil {
		return id, badPathParameter("jobid", text)
	}
	return id, nil
}

// positive reads a query parameter that is a number from 1, or def without it.
func positive(r *http.Request, name string, def int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, badQueryParameter(name, text)
	}
	return n, nil
}

// shutdown ends the application; running jobs are cancelled first.
func (h *handler) shutdown(l Leader, r *http.Request) (answer, error) {
	if err := l.Dispatcher.Shutdown(r.Context()); err != nil {
		return answer{}, err
	}
	h.cfg.Log.Info("shutdown asked for", "from", r.RemoteAddr)
	return ok(restapi.Empty{})
}
