package rest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/scheduler"
)

// recording is a recorded request to Flink with its answer.
type recording struct {
	Path        string // method and path
	Status      int
	ContentType string `json:"content-type"` // empty: JSON
	Body        any
}

func readRecording(t *testing.T, name string) (method, path string, r recording) {
	t.Helper()
	b, err := os.ReadFile("../../rpc/restapi/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	method, path, _ = strings.Cut(r.Path, " ")
	return method, path, r
}

// differences compares two JSON values by shape: kinds of values, keys of objects, and each element of an array with the first recorded
// one. An empty array on either side matches any array. Additions are keys that may be there beyond the recorded ones.
func differences(path string, got, want any, additions []string) []string {
	var out []string
	switch w := want.(type) {
	case map[string]any:
		g, isObject := got.(map[string]any)
		if !isObject {
			return []string{fmt.Sprintf("%s: %T, recorded an object", path, got)}
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			v, there := g[k]
			if !there {
				out = append(out, path+"/"+k+": missing")
				continue
			}
			out = append(out, differences(path+"/"+k, v, w[k], additions)...)
		}
		for k := range g {
			if _, recorded := w[k]; !recorded && !slices.Contains(additions, k) {
				out = append(out, path+"/"+k+": not recorded")
			}
		}
	case []any:
		g, isArray := got.([]any)
		if !isArray {
			return []string{fmt.Sprintf("%s: %T, recorded an array", path, got)}
		}
		for i := range g {
			if len(w) > 0 {
				out = append(out, differences(fmt.Sprintf("%s/%d", path, i), g[i], w[min(i, len(w)-1)], additions)...)
			}
		}
	default:
		number := func(v any) bool { _, ok := v.(float64); return ok || v == "NaN" }
		if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", want) && (!number(got) || !number(want)) {
			out = append(out, fmt.Sprintf("%s: %T, recorded %T", path, got, want))
		}
	}
	return out
}

func errorCount(body any) int {
	m, _ := body.(map[string]any)
	list, _ := m["errors"].([]any)
	return len(list)
}

func TestDifferences(t *testing.T) {
	for _, c := range []struct{ got, want, diff string }{
		{`{"a":1}`, `{"a":2}`, ""},
		{`{"a":1}`, `{"a":"x"}`, "/a: float64, recorded string"},
		{`{}`, `{"a":1}`, "/a: missing"},
		{`{"a":1,"b":1}`, `{"a":1}`, "/b: not recorded"},
		{`{"a":[{"b":1},{"c":1}]}`, `{"a":[{"b":1}]}`, "/a/1/b: missing /a/1/c: not recorded"},
		{`{"a":null}`, `{"a":1}`, "/a: <nil>, recorded float64"},
		{`{"a":"NaN"}`, `{"a":1}`, ""},
		{`[]`, `{}`, ": []interface {}, recorded an object"},
	} {
		var got, want any
		if err := errorsOf(json.Unmarshal([]byte(c.got), &got), json.Unmarshal([]byte(c.want), &want)); err != nil {
			t.Fatal(err)
		}
		if d := strings.Join(differences("", got, want, nil), " "); d != c.diff {
			t.Errorf("%s against %s: %q, want %q", c.got, c.want, d, c.diff)
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestRecorded repeats recorded requests and compares status, content type and the shape of the body.
func TestRecorded(t *testing.T) {
	empty := func(w *world) {
		w.d.views = nil
		w.Leader = func() (Leader, bool) { return Leader{Dispatcher: w.d, Workers: fakeWorkers{none: true}}, true }
	}
	state := func(id string, s scheduler.JobState) func(*world) {
		return func(w *world) { w.d.views = []*jobmaster.View{view(mustJob(t, id), s)} }
	}
	// Of a failure's fields those of a task are absent where the job as a whole failed, and the other way round.
	failure := []string{"taskName", "location", "endpoint", "taskManagerId"}
	for _, c := range []struct {
		file      string
		world     func(*world)
		additions []string
	}{
		{file: "config"}, {file: "v1-config"},
		{file: "overview-running"}, {file: "overview-no-tm", world: empty}, {file: "err-query-unknown"},
		{file: "jobs-running"}, {file: "jobs-none", world: empty},
		{file: "jobs-overview-running"}, {file: "jobs-overview-none", world: empty},
		{file: "running-job", additions: []string{"flott"}}, {file: "finished-job", additions: []string{"flott"}},
		{file: "failed-job", additions: []string{"flott"}}, {file: "canceled-job", additions: []string{"flott"}},
		{file: "running-status"}, {file: "running-config"}, {file: "running-plan"}, {file: "finished-plan"},
		{file: "running-exceptions"},
		{file: "restarting-exceptions", world: state("bd24c9d937baf4af0efac4f031c50c77", scheduler.JobFailed), additions: failure},
		{file: "running-execution-result"}, {file: "finished-execution-result"}, {file: "canceled-execution-result"},
		{file: "failed-execution-result"},
		{file: "taskmanagers"}, {file: "taskmanagers-none", world: empty}, {file: "taskmanager"},
		{file: "jobmanager-config"}, {file: "running-jm-config"}, {file: "jobmanager-logs"}, {file: "taskmanager-logs"},
		{file: "jobmanager-log"}, {file: "jobmanager-stdout"}, {file: "jobmanager-logs-file"}, {file: "taskmanager-log"},
		{file: "taskmanager-logs-file"},
		{file: "cancel", world: state(canceled, scheduler.JobRunning)}, {file: "yarn-cancel"}, {file: "cluster-shutdown"},
		{file: "err-cancel-unknown"}, {file: "err-cancel-bad-mode"}, {file: "err-cancel-mode-stop"},
		{file: "err-cancel-finished", world: state(running, scheduler.JobFinished)},
		{file: "err-job-unknown"}, {file: "err-job-bad-id"}, {file: "err-job-unknown-status"}, {file: "err-job-unknown-config"},
		{file: "err-job-unknown-exceptions"}, {file: "err-job-unknown-execution-result"}, {file: "err-exceptions-bad-max"},
		{file: "err-method-not-allowed"}, {file: "err-method-delete"}, {file: "err-path-unknown"}, {file: "err-path-unknown-v1"},
		{file: "err-path-version-unknown"}, {file: "options"}, {file: "head"},
		{file: "jobmanager-logs-file-unknown"}, {file: "jobmanager-logs-traversal"}, {file: "taskmanager-logs-file-unknown"},
		{file: "taskmanager-unknown"}, {file: "taskmanager-unknown-log"},
		{file: "static-index"}, {file: "static-index-html"},
	} {
		t.Run(c.file, func(t *testing.T) {
			method, path, want := readRecording(t, c.file)
			w := newWorld(t)
			if c.world != nil {
				c.world(w)
			}
			got := ask(w.handler(t), method, path)
			if got.Code != want.Status {
				t.Fatalf("%s: status %d, recorded %d: %s", want.Path, got.Code, want.Status, got.Body)
			}
			kind := cmp.Or(want.ContentType, "application/json")
			if g := got.Header().Get("Content-Type"); !strings.HasPrefix(g, kind) {
				t.Errorf("content type %q, recorded %q", g, kind)
			}
			if want.ContentType != "" || method == "HEAD" {
				return
			}
			var body any
			if err := json.Unmarshal(got.Body.Bytes(), &body); err != nil {
				t.Fatalf("body %q: %v", got.Body, err)
			}
			for _, d := range differences("", body, want.Body, c.additions) {
				t.Error(d)
			}
			if g, w := errorCount(body), errorCount(want.Body); g != w {
				t.Errorf("%d errors, recorded %d: %s", g, w, got.Body)
			}
		})
	}
}

// TestV1 holds every route at both of its paths.
func TestV1(t *testing.T) {
	for _, path := range []string{
		"/overview", "/jobs", "/jobs/overview", "/jobs/" + finished, "/jobs/" + finished + "/status", "/jobs/" + finished + "/plan",
		"/jobs/" + finished + "/config", "/jobs/" + finished + "/exceptions", "/jobs/" + finished + "/execution-result", "/taskmanagers",
		"/taskmanagers/tm-0", "/taskmanagers/tm-0/logs", "/taskmanagers/tm-0/log", "/taskmanagers/tm-0/stdout", "/jobmanager/config",
		"/jobmanager/logs", "/jobmanager/log", "/jobmanager/logs/empty.log", "/taskmanagers/tm-0/logs/empty.log", "/jobs/" + running + "/yarn-cancel",
	} {
		w := newWorld(t)
		h := w.handler(t)
		plain, v1 := ask(h, "GET", path), ask(h, "GET", "/v1"+path)
		if plain.Code >= 300 || v1.Code != plain.Code || len(plain.Body.String()) == 0 && !strings.Contains(path, "empty") {
			t.Errorf("%s: %d and %d: %s", path, plain.Code, v1.Code, plain.Body)
		}
	}
}
