package cli

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// A NodeManager's answers, as Hadoop 3.5.0 gave them.
const (
	nodeList = `{"containerLogsInfo":{"containerLogInfo":[{"fileName":"taskmanager.log","fileSize":"11","lastModifiedTime":"x"},` +
		`{"fileName":"prelaunch.err","fileSize":"0"},{"fileName":"directory.info","fileSize":"1877"},{"fileName":"taskmanager.err","fileSize":"0"}],` +
		`"logAggregationType":"LOCAL","containerId":"container_x","nodeId":"nm1:8051"}}`
	nodeListOfOne = `{"containerLogsInfo":[{"containerLogInfo":{"fileName":"taskmanager.log","fileSize":"11"},"logAggregationType":"LOCAL"},` +
		`{"containerLogInfo":[{"fileName":"old","fileSize":"3"}],"logAggregationType":"AGGREGATED"}]}`
	nodeListOfNone = `{"containerLogsInfo":{"logAggregationType":"LOCAL","containerId":"container_x","nodeId":"nm1:8051"}}`
	nodeFileText   = "Container: %[1]s on nm1:8051\nLogAggregationType: LOCAL\n=====\nLogType:taskmanager.log\nLogLastModifiedTime:x\nLogLength:%[2]d\nLogContents:\n%[3]s" +
		"\nEnd of LogType:taskmanager.log.This log file belongs to a running container (%[1]s) and so may not be complete.\n****\n\n"
)

func TestLogsOnANode(t *testing.T) {
	id := yarnid.ContainerID{Attempt: yarnid.AttemptID{Application: testApp, Attempt: 1}, ID: 2}
	for name, tc := range map[string]struct {
		list    string
		printer logPrinter
		want    string
	}{
		"all that is ours":  {nodeList, logPrinter{}, "==> " + id.String() + " on nm1: taskmanager.log (11 bytes) <==\nfirst\nlast\n\n"},
		"a list of one":     {nodeListOfOne, logPrinter{}, "==> " + id.String() + " on nm1: taskmanager.log (11 bytes) <==\nfirst\nlast\n\n"},
		"none":              {nodeListOfNone, logPrinter{}, ""},
		"only the AM":       {nodeList, logPrinter{masterOf: "x"}, ""},
		"another container": {nodeList, logPrinter{container: "x"}, ""},
		"by name":           {nodeList, logPrinter{name: regexp.MustCompile("^(?:stdout)$")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				base := "/ws/v1/node/containers/" + id.String() + "/logs"
				switch {
				case r.URL.Path == base && r.Header.Get("Accept") == "application/json":
					fmt.Fprint(w, tc.list)
				case r.URL.Path == base+"/taskmanager.log":
					fmt.Fprintf(w, nodeFileText, id, 11, "first\nlast\n")
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			var out strings.Builder
			p := tc.printer
			p.out = &out
			c := rmclient.Container{ID: id, Node: yarnid.NodeID{Host: "nm1", Port: 8051}, NodeHTTPAddress: strings.TrimPrefix(server.URL, "http://")}
			if err := (nodeClient{server.Client()}).printContainer(t.Context(), c, &p); err != nil {
				t.Fatal(err)
			}
			if got := out.String(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNodeAnswersThatMakeNoSense(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "no log contents",
		"LogContents:\n":                   "no log contents",
		"LogLength:x\nLogContents:\n":      `the length is "x"`,
		"LogLength:-1\nLogContents:\n":     `the length is "-1"`,
		strings.Repeat("x", 1<<20):         "no log contents",
		strings.Repeat("line\n", 1<<16):    "no log contents",
		"LogLength:5\nNothing to see here": "no log contents",
	} {
		if n, err := contentLength(bufio.NewReader(strings.NewReader(in))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %d, %v, want an error with %q", in, n, err, want)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := (nodeClient{server.Client()}).list(t.Context(), server.URL+"/logs"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v, want the node's 404", err)
	}
}

func FuzzContentLength(f *testing.F) {
	f.Add("LogLength:5\nLogContents:\n12345")
	f.Fuzz(func(t *testing.T, in string) {
		if n, err := contentLength(bufio.NewReader(strings.NewReader(in))); err == nil && n < 0 {
			t.Errorf("got length %d", n)
		}
	})
}
