package wire

import (
	"testing"

	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// faultsOnly are the answers that no client can provoke: they need a restart of the YARN RM or of a node, or the cluster's own key.
var faultsOnly = map[yarntest.Scenario]string{
	yarntest.ContainerTokenExpired: "the expiry is signed, and ten minutes away",
	yarntest.ContainerOfPreviousRM: "the YARN RM restarts between allocation and start",
	yarntest.NodeNotReady:          "the NodeManager restarts and recovers containers",
}

// TestExceptions makes every mistake that a client can make on the fake and on real YARN; both answer with the class and the beginning of
// the message that the table says.
func TestExceptions(t *testing.T) {
	onBoth(t, func(t *testing.T, y yarn) {
		client := ipc.New(ipc.Config{})
		defer client.Close()
		p := yarntest.Provoker{IPC: client, ClientAddr: y.client, SchedulerAddr: y.scheduler, User: "alice"}
		answers, err := p.Provoke(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range yarntest.Exceptions() {
			answer, provoked := answers[e.Scenario]
			_, fault := faultsOnly[e.Scenario]
			switch {
			case provoked == fault:
				t.Errorf("%s: provoked %v, listed as one that needs a fault %v", e.Scenario, provoked, fault)
			case provoked:
				t.Logf("%s: %v", e.Scenario, answer)
				if err := e.Check(answer); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
