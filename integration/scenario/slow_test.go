package scenario

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
)

// roomForOne makes workers so large that a node with the AM has room for one of them.
var roomForOne = []string{"-Dtaskmanager.memory.process.size=4200m"}

// waiting is how the command says for what a job with one of two workers waits.
var waiting = regexp.MustCompile(`wants 2 slots and has 1, from 1 workers; YARN has not given 1 container\(s\) of 42\d\d MiB`)

// TestRoomAppears starts a job where only one of its two workers has room: it says for what it waits, and runs when another node comes.
func TestRoomAppears(t *testing.T) {
	c := newClient(t, breakable(t))
	keepNodes(t, c.cluster, 1)
	c.memory = roomForOne
	k := c.job("-p", "2", c.bin.endings, "forever")
	k.err.await(k, waiting)
	app := k.app()
	if err := c.cluster.StartDaemon(t.Context(), c.cluster.Nodes()[1].Daemon); err != nil {
		t.Fatal(err)
	}
	k.awaitRunning(c.cluster)
	if workers := processesOf(t, app, workerWord); len(workers) != 2 || workers[0].node == workers[1].node {
		t.Errorf("workers: got %+v, want 2 on different nodes", workers)
	}
	c.mustRun(t, "cancel", app)
	k.ended()
	awaitEnd(t, c.cluster, app)
	nothingLeft(t, c.cluster, app)
	checkAllocated(t, c.cluster, app, 2)
}

// noRoom lets slot.request.timeout end a job that gets one of two workers.
func noRoom(t *testing.T, c *client) outcome {
	keepNodes(t, c.cluster, 1)
	c.memory = roomForOne
	k := c.job("-p", "2", "-Dslot.request.timeout=10s", c.bin.endings, "write", c.staging+"/out")
	k.err.await(k, waiting)
	got := k.ended()
	awaitEnd(t, c.cluster, got.app)
	checkAllocated(t, c.cluster, got.app, 1)
	return got
}

// TestContainersReceived counts on the real YARN RM: it gives out one container for the AM and one for each worker, none to return.
func TestContainersReceived(t *testing.T) {
	t.Parallel()
	const workers = 4
	c := newClient(t, hadooptest.Shared(t))
	for range containerRuns {
		k := c.job("-p", strconv.Itoa(workers), c.bin.endings, "finish").wait(hardLimit)
		if k.code != 0 {
			t.Fatalf("got exit code %d, want 0: %s", k.code, k.said())
		}
		awaitEnd(t, c.cluster, k.submitted())
		checkAllocated(t, c.cluster, k.submitted(), workers)
	}
}

// checkAllocated compares the number of containers that an application got in its life with an AM and so many workers.
func checkAllocated(t *testing.T, c *hadoop.Cluster, app string, workers int) {
	t.Helper()
	pattern := regexp.MustCompile(fmt.Sprintf(`(?m)ApplicationSummary: appId=%s,.*totalAllocatedContainers=(\d+)`, app))
	var total int
	// The summary is written when the ResourceManager has forgotten the attempt.
	await(t, 30*time.Second, "the ResourceManager sums up "+app, func() bool {
		log, err := os.ReadFile(c.LogFile("rm"))
		if err != nil {
			t.Fatal(err)
		}
		m := pattern.FindStringSubmatch(string(log))
		if m == nil {
			return false
		}
		total, err = strconv.Atoi(m[1])
		return err == nil
	})
	t.Logf("%s: %d containers in all", app, total)
	if total != workers+1 {
		t.Errorf("%s: containers of its whole life: got %d, want %d\n%s", app, total, workers+1, strings.Join(allocations(t, c, app), "\n"))
	}
}

// allocations are the lines of the ResourceManager's log about containers given out to an application.
func allocations(t *testing.T, c *hadoop.Cluster, app string) []string {
	t.Helper()
	log, err := os.ReadFile(c.LogFile("rm"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "Container Transitioned") && strings.Contains(line, strings.TrimPrefix(app, "application_")) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
