package control

import (
	"testing"

	"github.com/flott-dev/flott/yarn/amrm"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/yarntest"
)

const (
	finished = yarnpb.YarnApplicationStateProto_FINISHED
	failed   = yarnpb.YarnApplicationStateProto_FAILED
	killed   = yarnpb.YarnApplicationStateProto_KILLED

	appSucceeded = yarnpb.FinalApplicationStatusProto_APP_SUCCEEDED
	appFailed    = yarnpb.FinalApplicationStatusProto_APP_FAILED
	appKilled    = yarnpb.FinalApplicationStatusProto_APP_KILLED
)

// TestEndings runs whole applications on the fake YARN, real processes, to each of their ends: what YARN shows, the first line of the
// diagnostics, and that nothing is left.
func TestEndings(t *testing.T) {
	const lost = `worker container_\S+ lost: `
	const ended = lost + `container container_\S+ on 127\.0\.1\.\d+:\d+ ended with exit status `
	for _, tt := range []struct {
		name  string
		job   string
		act   func(a *application) // once all tasks run; nil: the job ends by itself
		state yarnpb.YarnApplicationStateProto
		final yarnpb.FinalApplicationStatusProto
		first string
		// byItself: the AM came to its end and removed what it had staged.
		byItself bool
	}{
		{"finish", "finish", nil, finished, appSucceeded, `job endings finish finished`, true},
		{"function returns an error", "fail", nil, finished, appFailed, `task .* failed: .*order 1000 has no price`, true},
		{"function panics", "panic", nil, finished, appFailed, `task .* failed: .*index out of range.*`, true},
		{"cancelled", "forever", (*application).cancel, finished, appKilled, `job endings forever .*cancel.*`, true},
		{"worker killed", "forever", func(a *application) { a.kill9(a.workers()[0].ID) }, finished, appFailed, lost + `.+`, true},
		{"container preempted", "forever", func(a *application) {
			id := a.remote().ID
			a.Preempt(id)
			a.Complete(id, amrm.ExitPreempted, "Container preempted by scheduler")
		}, finished, appFailed,
			lost + `it left: the worker is stopping|` + ended + `-102 \(preempted by YARN\)`, true},
		{"node lost", "forever", func(a *application) { a.LoseNode(a.remote().Node) }, finished, appFailed,
			ended + `-100 \(its node was lost or it was aborted by YARN\)`, true},
		{"AM killed", "forever", func(a *application) { a.kill9(a.master().ID) }, failed, appFailed,
			`Application application_\S+ failed 1 times due to AM Container for appattempt_\S+ exited with  exitCode: 137`, false},
		{"application killed", "forever", (*application).kill, killed, appKilled,
			`Application application_\S+ was killed by user alice at 127\.0\.0\.1 with diagnostic message: .*flott kill.*`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, yarntest.Config{})
			a := s.run([]string{"-p", "2"}, tt.job)
			if tt.act != nil {
				a.running()
				tt.act(a)
			}
			a.ended(tt.state, tt.final, tt.first)
			a.nothingLeft()
			if !tt.byItself { // then the next command of that user removes what was staged
				if said, code := a.flott("list", "-Dyarn.staging-directory="+a.staging()); code != 0 {
					t.Errorf("flott list: exit code %d\n%s", code, said)
				}
			}
			a.noStaging()
		})
	}
}
