package flink

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMomentsOf(t *testing.T) {
	subtask := func(running, finished int64) task {
		return task{Timestamps: map[string]int64{"CREATED": 1, "RUNNING": running, "FINISHED": finished}}
	}
	at := time.UnixMilli
	for _, c := range []struct {
		name  string
		tasks []task
		want  Moments
	}{
		{"none", nil, Moments{}},
		{"some run", []task{subtask(200, 0), subtask(0, 0)}, Moments{First: at(200)}},
		{"all run", []task{subtask(200, 0), subtask(150, 0)}, Moments{First: at(150), All: at(200)}},
		{"one has ended", []task{subtask(200, 900), subtask(150, 0)}, Moments{First: at(150), All: at(200)}},
		{"all have ended", []task{subtask(200, 900), subtask(150, 800)}, Moments{First: at(150), All: at(200), Ended: at(900)}},
	} {
		c.want.State = "S"
		if got := momentsOf("S", c.tasks); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestIDs(t *testing.T) {
	const text = "Submitted application application_1795272958095_0029\nJob has been submitted with JobID 2a79a279f4aff6f618e8605c79a8a010\n"
	if id, err := ApplicationOf([]byte(text)); id != "application_1795272958095_0029" || err != nil {
		t.Errorf("application %s (%v)", id, err)
	}
	if id, err := JobOf([]byte(text)); id != "2a79a279f4aff6f618e8605c79a8a010" || err != nil {
		t.Errorf("job %s (%v)", id, err)
	}
	for _, of := range []func([]byte) (string, error){ApplicationOf, JobOf} {
		if id, err := of([]byte("nothing")); !errors.Is(err, ErrNoID) {
			t.Errorf("found %q (%v), want ErrNoID", id, err)
		}
	}
}

func TestRenderConf(t *testing.T) {
	got := renderConf(map[string]string{"b.c": "1 2", "a": "x"})
	if want := "a: \"x\"\nb.c: \"1 2\"\n"; got != want {
		t.Errorf("configuration %q, want %q", got, want)
	}
}

// TestSources: the pom names this version, and every class that the commands name is there.
func TestSources(t *testing.T) {
	pom, err := java.ReadFile("java/pom.xml")
	if err != nil || !strings.Contains(string(pom), "<flink.version>"+Version+"</flink.version>") {
		t.Errorf("the pom does not say version %s (%v)", Version, err)
	}
	sources, err := jobSources()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sortedKeys(sources), []string{"Arguments.java", "KeyedSum.java", "Latency.java", "Output.java", "WordCount.java"}; !slices.Equal(got, want) {
		t.Errorf("sources %q, want %q", got, want)
	}
	before := digest(sources)
	sources["Output.java"] = append(slices.Clone(sources["Output.java"]), ' ')
	if digest(sources) == before {
		t.Error("other sources have the same digest")
	}
}

func TestOnce(t *testing.T) {
	cache, calls := t.TempDir(), 0
	fill := func(dir string) error {
		calls++
		return os.WriteFile(filepath.Join(dir, "x"), nil, 0o644)
	}
	for range 2 {
		dir, err := once(cache, "name", fill)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "x")); err != nil {
			t.Error(err)
		}
	}
	if calls != 1 {
		t.Errorf("filled %d times, want once", calls)
	}
	want := errors.New("no luck")
	if _, err := once(cache, "other", func(string) error { return want }); !errors.Is(err, want) {
		t.Errorf("an unlucky one gave %v", err)
	}
	// Another process was faster.
	if dir, err := once(cache, "third", func(dir string) error {
		return errors.Join(os.Mkdir(filepath.Join(cache, "third"), 0o755), os.WriteFile(filepath.Join(cache, "third", "theirs"), nil, 0o644), fill(dir))
	}); err != nil || filepath.Base(dir) != "third" {
		t.Errorf("the slower of two got %s (%v)", dir, err)
	}
	if left, err := fs.Glob(os.DirFS(cache), "new-*"); err != nil || len(left) > 0 {
		t.Errorf("%q are left (%v)", left, err)
	}
}

// TestREST asks a server that answers as Flink does.
func TestREST(t *testing.T) {
	answers := map[string]string{
		"GET /jobs":                             `{"jobs":[{"id":"j1","status":"RUNNING"}]}`,
		"GET /jobs/j1":                          `{"jid":"j1","state":"FINISHED","vertices":[{"id":"v1"},{"id":"v2"}]}`,
		"GET /jobs/j1/vertices/v1/subtasktimes": `{"subtasks":[{"subtask":0,"timestamps":{"RUNNING":100,"FINISHED":900}}]}`,
		"GET /jobs/j1/vertices/v2/subtasktimes": `{"subtasks":[{"subtask":0,"timestamps":{"RUNNING":150,"FINISHED":950}}]}`,
		"GET /jobs/j1/status":                   `{"status":"FINISHED"}`,
		"GET /jobs/j1/exceptions":               `{"root-exception":"because"}`,
		"DELETE /cluster":                       `{}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, text)
	}))
	defer server.Close()
	ctx, r := t.Context(), REST{server.URL}
	if jobs, err := r.Jobs(ctx); err != nil || !slices.Equal(jobs, []string{"j1"}) {
		t.Errorf("jobs %q (%v)", jobs, err)
	}
	want := Moments{State: "FINISHED", First: time.UnixMilli(100), All: time.UnixMilli(150), Ended: time.UnixMilli(950)}
	if m, err := r.Moments(ctx, "j1"); err != nil || m != want {
		t.Errorf("moments %+v (%v), want %+v", m, err, want)
	}
	if state, err := r.State(ctx, "j1"); err != nil || state != "FINISHED" {
		t.Errorf("state %s (%v)", state, err)
	}
	if cause := r.Cause(ctx, "j1"); cause != "because" {
		t.Errorf("cause %s", cause)
	}
	if err := r.EndSession(ctx); err != nil {
		t.Error(err)
	}
	if _, err := r.Moments(ctx, "j2"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an unknown job gave %v", err)
	}
}
