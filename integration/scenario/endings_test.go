package scenario

import (
	"slices"
	"strings"
	"testing"

	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
)

// outcome is what a case of docs/endings.md observed.
type outcome struct {
	code int
	app  string // "" when nothing was submitted
	line string // what the command said: its error; a warning where the job finished
}

// endingCase makes one row of docs/endings.md happen.
type endingCase struct {
	name string
	run  func(t *testing.T, c *client) outcome
	// breaks says that the case ends daemons or needs YARN's checks: it runs alone, on the cluster for that.
	breaks bool
}

// endingCases are all rows, those first that run alone.
func endingCases() []endingCase {
	return []endingCase{
		{"too small for the vmem check", tooSmallForVmem, true},
		{"no room", noRoom, true},
		{"NodeManager killed", nodeManagerKilled, true},
		{"NodeManager of the AM killed", masterNodeKilled, true},
		{"YARN RM down", resourceManagerDown, true},

		{"finished", attached("finish"), false},
		{"failed", attached("fail"), false},
		{"panic", attached("panic"), false},
		{"cancelled", cancelled, false},
		{"killed", killed, false},
		{"interrupted", interrupted, false},
		{"interrupted while it starts", interruptedEarly, false},
		{"detached", detached, false},
		{"detached, finishes", detachedFinishes, false},
		{"leftovers of a detached job", detachedLeftovers, false},
		{"input missing", inputMissing, false},
		{"output exists", outputExists, false},
		{"no permission to read", mayNotRead, false},
		{"no permission to write", mayNotWrite, false},
		{"too much memory", refused("-Dtaskmanager.memory.process.size=9g"), false},
		{"too many vcores", refused("-Dyarn.containers.vcores=9"), false},
		{"AM too large", refused("-Djobmanager.memory.process.size=9g"), false},
		{"queue unknown", refused("-Dyarn.application.queue=nowhere"), false},
		{"worker killed", workerKilled, false},
		{"worker hangs", workerHangs, false},
		{"AM killed", masterKilled, false},
		{"not static", badBinary(dynamicBinary), false},
		{"other platform", badBinary(armBinary), false},
		{"other system", badBinary(macBinary), false},
		{"not a flott program", badBinary(foreignBinary), false},
		{"no such program", badBinary(func(t *testing.T, _ built) string { return t.TempDir() + "/no-such-job" }), false},
		{"refused by build", attached("sing"), false},
		{"two at once", twoAtOnce, false},
		{"option misspelled", refused("-Dtaskmanager.numberOfTaskSlot=2"), false},
		{"config.yaml malformed", malformedYAML, false},
		{"flink-conf.yaml malformed", malformedLegacy, false},
	}
}

// TestEndings makes every row of docs/endings.md happen on real Hadoop and looks for what is left of it.
func TestEndings(t *testing.T) {
	rows := readEndings(t)
	cases := endingCases()
	for name := range rows {
		if !slices.ContainsFunc(cases, func(c endingCase) bool { return c.name == name }) {
			t.Errorf("docs/endings.md: row %q has no test", name)
		}
	}
	for _, ec := range cases {
		t.Run(ec.name, func(t *testing.T) {
			row, ok := rows[ec.name]
			if !ok {
				t.Fatalf("docs/endings.md has no row %q", ec.name)
			}
			if ec.breaks {
				c := newClient(t, breakable(t))
				c.memory = nil
				checkEnding(t, c, row, ec.run)
				return
			}
			t.Parallel()
			checkEnding(t, newClient(t, hadooptest.Shared(t)), row, ec.run)
		})
	}
}

// checkEnding runs one case and compares what was seen with its row.
func checkEnding(t *testing.T, c *client, row ending, run func(*testing.T, *client) outcome) {
	c.staging = scratch(t, c.cluster)
	got := run(t, c)
	if t.Failed() {
		return
	}
	status, line := notSubmitted, got.line
	if got.app != "" {
		a := awaitEnd(t, c.cluster, got.app)
		status, line = a.FinalStatus, firstLine(a.Diagnostics)
		t.Logf("%s: exit %d, %s: %s", got.app, got.code, status, line)
		if row.exit == 1 && !strings.Contains(got.line, line) {
			t.Errorf("the command says %q, want the first line of YARN's diagnostics in it: %q", got.line, line)
		}
		nothingLeft(t, c.cluster, got.app)
	} else {
		t.Logf("not submitted: exit %d: %s", got.code, line)
	}
	noEntries(t, c.cluster, c.staging, "application_*")
	noEntries(t, c.cluster, c.staging, ".flott-*")
	if got.code != row.exit || status != row.yarn {
		t.Errorf("got exit code %d and %s, want %d and %s", got.code, status, row.exit, row.yarn)
	}
	if status == "SUCCEEDED" {
		line = got.line
	}
	if !row.line.MatchString(line) {
		t.Errorf("first line: got %q, want %q", line, row.text)
	}
}
