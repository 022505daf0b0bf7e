package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
)

// TestReport looks at an application as YARN's own tools and pages do. Its queue has room for the AM only, so that the page has something to
// say, too.
func TestReport(t *testing.T) {
	t.Parallel()
	c := newClient(t, hadooptest.Shared(t))
	k := c.job("-d", "-Dyarn.application.name=clicks per minute", "-Dyarn.tags=team-a,nightly", "-Dyarn.application.queue=small",
		c.bin.endings, "forever")
	if got := k.ended(); got.code != 0 {
		t.Fatalf("flott run -d: got exit code %d, want 0: %s", got.code, got.line)
	}
	app, job := k.submitted(), ""
	await(t, time.Minute, "the page of "+app+" answers", func() bool {
		job, _ = jobState(t, c.cluster, app)
		return job != ""
	})
	a := appOf(t, c.cluster, app)
	tags := strings.Split(a.ApplicationTags, ",")
	slices.Sort(tags)
	for what, pair := range map[string][2]string{
		"type": {a.ApplicationType, "flott"}, "name": {a.Name, "clicks per minute"}, "queue": {strings.TrimPrefix(a.Queue, "root."), "small"},
		"tags": {strings.Join(tags, ","), "nightly,team-a"}, "state": {a.State, "RUNNING"}, "final status": {a.FinalStatus, "UNDEFINED"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: got %q, want %q", what, pair[0], pair[1])
		}
	}
	checkAddress(t, c.cluster, a)
	checkTracking(t, c.cluster, a, job)
	c.mustRun(t, "cancel", app)
	if end := awaitEnd(t, c.cluster, app); end.FinalStatus != "KILLED" {
		t.Errorf("cancelled while it waits: got %s, want KILLED", end.FinalStatus)
	}
	nothingLeft(t, c.cluster, app)
}

// checkAddress: host is the node of the AM, and the RPC port is that of the REST server.
func checkAddress(t *testing.T, c *hadoop.Cluster, a hadoop.App) {
	t.Helper()
	host, _, err := net.SplitHostPort(a.AMRPCAddress)
	if err != nil {
		t.Fatalf("AM RPC address %q: %v", a.AMRPCAddress, err)
	}
	node, _, err := net.SplitHostPort(a.AMHostHTTPAddress)
	if err != nil || host != node || !slices.ContainsFunc(c.Nodes(), func(n hadoop.Node) bool { return n.Host == host }) {
		t.Errorf("host: got %q, %v, want the node %q", host, err, node)
	}
	code, body, err := get(t.Context(), fmt.Sprintf("http://%s/config", a.AMRPCAddress))
	var config map[string]any
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &config) != nil || config["flink-version"] == nil {
		t.Errorf("GET /config at %s: got %d, %v, %.100s, want Flink's configuration", a.AMRPCAddress, code, err, body)
	}
}

// checkTracking opens the tracking URL, which is that of the RM's proxy, and what the page refers to.
func checkTracking(t *testing.T, c *hadoop.Cluster, a hadoop.App, job string) {
	t.Helper()
	if !strings.Contains(a.TrackingURL, "/proxy/"+a.ID) {
		t.Errorf("tracking URL: got %q, want the RM's proxy", a.TrackingURL)
	}
	code, body, err := get(t.Context(), a.TrackingURL)
	if err != nil || code != http.StatusOK || !strings.Contains(string(body), "endings forever") || !strings.Contains(string(body), "wants 1 slots and has 0") {
		t.Errorf("GET %s: got %d, %v, %.1500s, want a page with the job and what it waits for", a.TrackingURL, code, err, body)
	}
	for _, page := range []string{"overview", "jobs/" + job, "taskmanagers"} {
		if code, body, err := getThroughProxy(t.Context(), c, a.ID, page); err != nil || code != http.StatusOK || !json.Valid(body) {
			t.Errorf("GET %s through the proxy: got %d, %v, %.100s", page, code, err, body)
		}
	}
}

// getThroughProxy reads a page of an application's REST server the way a browser gets there: through the RM's proxy.
func getThroughProxy(ctx context.Context, c *hadoop.Cluster, app, page string) (int, []byte, error) {
	return get(ctx, c.RMWebURL()+"/proxy/"+app+"/"+page)
}
