package restapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// recorded reads the body of a recorded answer.
func recorded(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Body json.RawMessage }
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r.Body
}

// TestRecordedShapes reads each recorded answer into its type and prints it again: every key and value must come
// back. The exact comparison also fixes number forms, because both sides are compared as text.
func TestRecordedShapes(t *testing.T) {
	for _, c := range []struct {
		file string
		into any
	}{
		{"config", &Config{}},
		{"overview-running", &Overview{}},
		{"overview-no-tm", &Overview{}},
		{"jobs-running", &Jobs{}},
		{"jobs-none", &Jobs{}},
		{"running-status", &JobStatus{}},
		{"jobs-overview-running", &JobsOverview{}},
		{"jobs-overview-none", &JobsOverview{}},
		{"running-job", &Job{}},
		{"stopped-job", &Job{}},
		{"running-plan", &PlanResponse{}},
		{"running-execution-result", &ExecutionResult{}},
		{"stopped-execution-result", &ExecutionResult{}},
		{"canceled-execution-result", &ExecutionResult{}},
		{"restarted-then-failed-execution-result", &ExecutionResult{}},
		{"taskmanagers", &TaskManagers{}},
		{"taskmanagers-none", &TaskManagers{}},
		{"jobmanager-logs", &LogList{}},
		{"jobmanager-config", &[]ConfigEntry{}},
		{"err-job-bad-id", &Error{}},
		{"err-path-unknown", &Error{}},
		{"cancel", &Empty{}},
		{"cluster-shutdown", &Empty{}},
	} {
		t.Run(c.file, func(t *testing.T) {
			body := recorded(t, c.file)
			dec := json.NewDecoder(bytes.NewReader(body))
			dec.DisallowUnknownFields()
			if err := dec.Decode(c.into); err != nil {
				t.Fatalf("read: %v", err)
			}
			out, err := json.Marshal(c.into)
			if err != nil {
				t.Fatalf("print: %v", err)
			}
			got, want := canonical(t, out), canonical(t, body)
			if got != want {
				t.Errorf("printed\n%s\nrecorded\n%s", got, want)
			}
		})
	}
}

// canonical prints JSON with sorted keys and numbers as they were.
func canonical(t *testing.T, b []byte) string {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestTaskManagerDetails compares keys only: the numbers are those of a JVM.
func TestTaskManagerDetails(t *testing.T) {
	var got TaskManagerDetails
	body := recorded(t, "taskmanager")
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := keys(t, out), keys(t, body); !slices.Equal(g, w) {
		t.Errorf("keys %v, want %v", g, w)
	}
}

func keys(t *testing.T, b []byte) []string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// TestStateLists holds the lists of states against the recorded maps.
func TestStateLists(t *testing.T) {
	var j Job
	if err := json.Unmarshal(recorded(t, "running-job"), &j); err != nil {
		t.Fatal(err)
	}
	check := func(what string, list []string, recorded any) {
		var got []string
		for _, k := range reflect.ValueOf(recorded).MapKeys() {
			got = append(got, k.String())
		}
		slices.Sort(got)
		slices.Sort(list)
		if !slices.Equal(got, list) {
			t.Errorf("%s: recorded %v, listed %v", what, got, list)
		}
	}
	check("job states", JobStates(), j.Timestamps)
	check("execution states", ExecutionStates(), j.StatusCounts)
	check("execution states of a vertex", ExecutionStates(), j.Vertices[0].Tasks)
}

func TestJobsTasks(t *testing.T) {
	var tasks JobsTasks
	for _, s := range ExecutionStates() {
		tasks.Add(s)
	}
	v := reflect.ValueOf(tasks)
	for i := range v.NumField() {
		want := int64(1)
		if v.Type().Field(i).Name == "Total" {
			want = int64(len(ExecutionStates()))
		}
		if v.Field(i).Int() != want {
			t.Errorf("%s is %d, want %d", v.Type().Field(i).Name, v.Field(i).Int(), want)
		}
	}
}

func TestDouble(t *testing.T) {
	for _, c := range []struct {
		d    float64
		want string
	}{{0, "0.0"}, {3, "3.0"}, {1717, "1717.0"}, {0.5, "0.5"}, {1e9, "1000000000"}, {math.NaN(), `"NaN"`}, {math.Inf(1), `"Infinity"`}, {math.Inf(-1), `"-Infinity"`}} {
		b, err := json.Marshal(Double(c.d))
		if err != nil || string(b) != c.want {
			t.Errorf("%v prints %s, %v, want %s", c.d, b, err, c.want)
		}
		var back Double
		if err := json.Unmarshal(b, &back); err != nil || fmt.Sprint(float64(back)) != fmt.Sprint(c.d) {
			t.Errorf("%s reads as %v, %v", b, back, err)
		}
	}
	var d Double
	if err := json.Unmarshal([]byte(`"many"`), &d); err == nil || !strings.Contains(err.Error(), "many") {
		t.Errorf("a text was read as number: %v", err)
	}
}
