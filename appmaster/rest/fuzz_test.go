package rest

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/rpc/restapi"
)

// FuzzTarget sends any path and query with any method: the answer is one of the known statuses, errors are of the one form, and nothing
// outside the log directory comes out.
func FuzzTarget(f *testing.F) {
	for _, path := range []string{
		"/", "/overview", "/jobs/" + running, "/v1/jobs/xyz/exceptions", "/jobmanager/logs/..%2F..%2Fetc%2Fpasswd", "/taskmanagers/%00/logs/a",
		"//", "/jobs/%zz", "/jobs/" + running + "/yarn-cancel", "/taskmanagers/tm-0/logs/%2e%2e",
	} {
		f.Add("GET", path, "mode=cancel&maxExceptions=3")
	}
	f.Add("PATCH", "/jobs/"+running, "mode=stop")
	f.Add("DELETE", "/cluster", "")
	f.Add("HEAD", "/jobs", "%")
	w := newWorld(f)
	h := w.handler(f)
	known := []int{200, 202, 308, 400, 403, 404, 409, 500}
	f.Fuzz(func(t *testing.T, method, path, query string) {
		u, err := url.Parse(path)
		if err != nil || !strings.HasPrefix(path, "/") || !slices.Contains([]string{"GET", "HEAD", "PATCH", "DELETE", "POST", "PUT", "OPTIONS"}, method) {
			return
		}
		r := httptest.NewRequest(method, "/", nil)
		r.URL = &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: query}
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		if !slices.Contains(known, got.Code) {
			t.Fatalf("%s %q: %d %s", method, path, got.Code, got.Body)
		}
		if strings.Contains(got.Body.String(), "root:x:0") {
			t.Fatalf("%q: %s", path, got.Body)
		}
		if got.Code >= 300 && method != "HEAD" {
			var e restapi.Error
			if err := json.Unmarshal(got.Body.Bytes(), &e); err != nil || len(e.Errors) == 0 {
				t.Fatalf("%q: %d %q: %v", path, got.Code, got.Body, err)
			}
		}
	})
}
