package scenario

import (
	"testing"
)

// TestResourceManagerRestart takes the YARN RM away from a running application and gives it back: the job does not notice, and what comes
// after, its end included, works as before.
func TestResourceManagerRestart(t *testing.T) {
	c := newClient(t, breakable(t))
	c.memory = nil
	c.staging = scratch(t, c.cluster)
	k := c.job("-p", "2", c.bin.endings, "forever")
	app, job := k.awaitRunning(c.cluster)
	before := processesOf(t, app, workerWord)
	if err := c.cluster.Kill("rm"); err != nil {
		t.Fatal(err)
	}
	if err := c.cluster.StartDaemon(t.Context(), "rm"); err != nil {
		t.Fatal(err)
	}
	k.awaitRunning(c.cluster) // through the new RM's proxy: the AM has registered again
	if after := processesOf(t, app, workerWord); len(before) != 2 || len(after) != 2 || before[0].pid != after[0].pid || before[1].pid != after[1].pid {
		t.Errorf("workers: got %+v, then %+v, want the same two", before, after)
	}
	c.mustRun(t, "cancel", app)
	if got := k.ended(); got.code != 1 {
		t.Errorf("attached command: got exit code %d, want 1: %s", got.code, got.line)
	}
	if a := awaitEnd(t, c.cluster, app); a.FinalStatus != "KILLED" {
		t.Errorf("got %s, want KILLED: %s", a.FinalStatus, a.Diagnostics)
	}
	t.Logf("%s: job %s outlived the ResourceManager", app, job)
	nothingLeft(t, c.cluster, app)
	noEntries(t, c.cluster, c.staging, "application_*")
}
