package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flott-dev/flott/appmaster/dispatcher"
	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/rpc"
	"github.com/flott-dev/flott/rpc/actor"
)

func TestCrossOrigin(t *testing.T) {
	cancel := "/jobs/" + running + "/yarn-cancel"
	const browser = "Mozilla/5.0 (X11; Linux x86_64)"
	for _, c := range []struct {
		name, method, path string
		header             []string
		status             int
	}{
		{"a program", "GET", "/overview", nil, 200},
		{"a program cancels", "PATCH", "/jobs/" + running, nil, 202},
		{"our own page", "GET", "/overview", []string{"Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"}, 200},
		{"typed into the browser", "GET", "/", []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"a link on another page", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"a frame on another page", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"an image on another page", "GET", "/overview", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"another port of the host", "GET", "/overview", []string{"Origin", "http://example.com:8080"}, 403},
		{"a script of another page", "GET", "/overview", []string{"Origin", "http://evil.example"}, 403},
		{"a script of another page cancels", "PATCH", "/jobs/" + running, []string{"Origin", "http://evil.example"}, 403},
		{"a script of another page shuts down", "DELETE", "/cluster", []string{"Origin", "http://evil.example"}, 403},
		{"preflight", "OPTIONS", "/jobs/" + running, []string{"Origin", "http://evil.example", "Access-Control-Request-Method", "PATCH"}, 403},
		{"a sandboxed page", "GET", "/overview", []string{"Origin", "null"}, 403},
		{"no origin at all", "GET", "/overview", []string{"Origin", "://"}, 403},
		{"a form of a sibling site", "DELETE", "/cluster", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a cancelling link on another page", "GET", cancel, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "User-Agent", browser}, 403},
		{"a cancelling image on another page, through the proxy", "GET", cancel, []string{"User-Agent", browser}, 403},
		{"a guessed token", "GET", cancel + "?token=AAAA", []string{"User-Agent", browser}, 403},
		{"no token", "GET", cancel + "?token=", []string{"User-Agent", browser}, 403},
		{"the page's button", "GET", cancel + "?token=TOKEN", []string{"User-Agent", browser}, 202},
		{"a program cancels by GET", "GET", cancel, []string{"User-Agent", "curl/8"}, 202},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			h := w.handler(t)
			got := ask(h, c.method, strings.Replace(c.path, "TOKEN", h.token, 1), c.header...)
			if got.Code != c.status {
				t.Errorf("status %d, want %d: %s", got.Code, c.status, got.Body)
			}
			if a := got.Header().Get("Access-Control-Allow-Origin"); a != "" {
				t.Errorf("other origins are let in: %q", a)
			}
			if done := len(w.d.asked) + w.d.shut; c.status == 403 && done != 0 {
				t.Errorf("refused, and done all the same")
			}
		})
	}
}

func TestReadOnly(t *testing.T) {
	w := newWorld(t)
	w.ReadOnly = true
	h := w.handler(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/overview", 200}, {"GET", "/", 200}, {"PATCH", "/jobs/" + running, 403}, {"DELETE", "/cluster", 403},
		{"GET", "/jobs/" + running + "/yarn-cancel", 403},
	} {
		if got := ask(h, c.method, c.path); got.Code != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got.Code, c.status)
		}
	}
	if strings.Contains(ask(h, "GET", "/").Body.String(), "yarn-cancel") || len(w.d.asked)+w.d.shut != 0 {
		t.Error("something can be done on the read-only port")
	}
}

func TestCancelByGetSwitchedOff(t *testing.T) {
	w := newWorld(t)
	w.AllowCancel = false
	h := w.handler(t)
	if got := ask(h, "GET", "/jobs/"+running+"/yarn-cancel"); got.Code != 404 {
		t.Errorf("status %d, want 404", got.Code)
	}
	if got := ask(h, "PATCH", "/jobs/"+running); got.Code != 202 {
		t.Errorf("PATCH: status %d, want 202", got.Code)
	}
}

func TestPaths(t *testing.T) {
	h := newWorld(t).handler(t)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"//overview", 404, "Unable to load requested file //overview."},
		{"/jobs/../overview", 404, "Unable to load"},
		{"/./overview", 404, "Unable to load"},
		{"/jobs/", 404, "Unable to load requested file /jobs/."},
		{"/jobs/overview/", 404, "Unable to load"},
		{"/v1", 404, "Unable to load"},
		{"/v1/", 404, "Unable to load"},
		{"/v1/v1/overview", 404, "Unable to load"},
		{"/jobs/xyz/status", 400, `Cannot resolve path parameter (jobid) from value \"xyz\".`},
		{"/jobs/" + strings.ToUpper(running) + "/status", 200, "RUNNING"},
		{"/jobs/" + running + "0", 400, "jobid"},
		{"/jobs/%00", 400, "jobid"},
		{"/jobs/%2e%2e", 400, "jobid"},
		{"/<script>", 404, `\u003cscript\u003e`},
		{"/jobs/" + failed + "/exceptions?maxExceptions=0", 400, "maxExceptions"},
		{"/jobs/" + failed + "/exceptions?maxExceptions=99999999999999999999", 400, "maxExceptions"},
	} {
		got := ask(h, "GET", c.path)
		if got.Code != c.status || !strings.Contains(got.Body.String(), c.body) {
			t.Errorf("%s: %d %s, want %d %s", c.path, got.Code, got.Body, c.status, c.body)
		}
		if l := got.Header().Get("Location"); l != "" {
			t.Errorf("%s is redirected to %s, which does not work behind YARN's proxy", c.path, l)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{jobmaster.ErrOnHold, 503, "Service temporarily unavailable due to an ongoing leader election. Please refresh."},
		{actor.ErrStopped, 503, "leader election"},
		{rpc.ErrStopped, 503, "leader election"},
		{dispatcher.ErrShuttingDown, 503, "leader election"},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), 408, "timed out"},
		{rpc.New(rpc.UnknownJob, "gone"), 404, "Job could not be found."},
		{errors.New("broken <b>"), 500, `\u003cException on server side:\nbroken`},
	} {
		w := newWorld(t)
		w.d.fail = c.err
		h := w.handler(t)
		for _, target := range []string{"PATCH /jobs/" + running + "?mode=cancel", "GET /jobs/" + running + "/yarn-cancel"} {
			method, path, _ := strings.Cut(target, " ")
			got := ask(h, method, path)
			if got.Code != c.status || !strings.Contains(got.Body.String(), c.body) {
				t.Errorf("%s with %v: %d %s, want %d %s", target, c.err, got.Code, got.Body, c.status, c.body)
			}
			if retry := got.Header().Get("Retry-After"); (c.status == 503) != (retry != "") {
				t.Errorf("%d with Retry-After %q", c.status, retry)
			}
		}
	}
}

func TestNoLeader(t *testing.T) {
	w := newWorld(t)
	w.Leader = func() (Leader, bool) { return Leader{}, false }
	h := w.handler(t)
	for _, target := range []string{
		"GET /overview", "GET /jobs", "GET /jobs/overview", "GET /jobs/" + running, "PATCH /jobs/" + running, "DELETE /cluster", "GET /taskmanagers",
		"GET /taskmanagers/tm-0/log", "GET /jobs/" + running + "/yarn-cancel",
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := ask(h, method, path); got.Code != 503 || !strings.Contains(got.Body.String(), "ongoing leader election") {
			t.Errorf("%s: %d %s", target, got.Code, got.Body)
		}
	}
	for _, path := range []string{"/config", "/jobmanager/config", "/jobmanager/logs", "/jobmanager/log"} {
		if got := ask(h, "GET", path); got.Code != 200 {
			t.Errorf("%s: %d, though it needs no leader", path, got.Code)
		}
	}
	if got := ask(h, "GET", "/"); got.Code != 503 || !strings.Contains(got.Body.String(), "Nobody leads") {
		t.Errorf("page: %d %s", got.Code, got.Body)
	}
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.d.blocking = make(chan struct{})
		w.RequestTimeout = time.Minute
		begin := time.Now()
		if got := ask(w.handler(t), "PATCH", "/jobs/"+running); got.Code != 408 || time.Since(begin) != time.Minute {
			t.Errorf("%d after %s: %s", got.Code, time.Since(begin), got.Body)
		}
	})
}

func TestTooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.d.blocking = make(chan struct{})
		w.MaxRequests = 2
		h := w.handler(t)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { ask(h, "PATCH", "/jobs/"+running) })
		}
		synctest.Wait()
		if got := ask(h, "GET", "/overview"); got.Code != 503 || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), "busy") {
			t.Errorf("third of two: %d %s", got.Code, got.Body)
		}
		close(w.d.blocking)
		wg.Wait()
		if got := ask(h, "GET", "/overview"); got.Code != 200 {
			t.Errorf("afterwards: %d", got.Code)
		}
	})
}

func TestBodies(t *testing.T) {
	h := newWorld(t).handler(t)
	for _, c := range []struct {
		body   string
		status int
	}{{"{}", 202}, {strings.Repeat("x", maxBodyBytes), 202}, {strings.Repeat("x", maxBodyBytes+1), 413}} {
		got := httptest.NewRecorder()
		h.ServeHTTP(got, httptest.NewRequest("PATCH", "/jobs/"+running, strings.NewReader(c.body)))
		if got.Code != c.status {
			t.Errorf("body of %d bytes: %d, want %d", len(c.body), got.Code, c.status)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := newWorld(t).handler(t)
	for _, path := range []string{"/", "/overview", "/nosuch", "/jobmanager/log"} {
		header := ask(h, "GET", path).Header()
		for _, kv := range securityHeaders {
			if header.Get(kv[0]) != kv[1] {
				t.Errorf("%s: %s is %q", path, kv[0], header.Get(kv[0]))
			}
		}
		if header.Get("Content-Length") == "" {
			t.Errorf("%s: no length", path)
		}
	}
}

func TestShutdown(t *testing.T) {
	w := newWorld(t)
	h := w.handler(t)
	if got := ask(h, http.MethodDelete, "/cluster"); got.Code != 200 || w.d.shut != 1 {
		t.Errorf("%d, %d shutdowns", got.Code, w.d.shut)
	}
	if got := ask(h, http.MethodGet, "/cluster"); got.Code != 404 || w.d.shut != 1 {
		t.Errorf("GET /cluster: %d, %d shutdowns", got.Code, w.d.shut)
	}
}
