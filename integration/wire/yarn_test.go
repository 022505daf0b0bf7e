package wire

import (
	"context"
	"testing"
	"time"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// limit bounds what waits for a cluster.
const limit = time.Minute

// yarn is a YARN by the addresses of its RM.
type yarn struct{ client, scheduler string }

// onBoth runs a test on the fake and on real YARN.
func onBoth(t *testing.T, test func(t *testing.T, y yarn)) {
	t.Run("fake", func(t *testing.T) { test(t, fakeYARN(t)) })
	t.Run("real", func(t *testing.T) { test(t, realYARN(t)) })
}

// minMemoryMB is the smallest container of the shared cluster.
const minMemoryMB = 64

func fakeYARN(t *testing.T) yarn {
	t.Helper()
	c, err := yarntest.Start(yarntest.Config{
		MinMemoryMB: minMemoryMB, NodeHeartbeat: 50 * time.Millisecond, FinishPolls: 1, Launcher: &yarntest.Exec{Dir: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return yarn{c.ClientAddr(), c.SchedulerAddr()}
}

func realYARN(t *testing.T) yarn {
	t.Helper()
	rms, err := hadoopConf(t, "alice").ResourceManagers()
	if err != nil {
		t.Fatal(err)
	}
	return yarn{rms[0].Client, rms[0].Scheduler}
}

// hadoopConf is the shared cluster's configuration as a user reads it.
func hadoopConf(t *testing.T, user string) *hadoopconf.Config {
	t.Helper()
	c, _, err := hadoopconf.Load(hadoopconf.Source{HadoopConfDir: hadooptest.Shared(t).ConfDir(), User: user})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bounded is the test's context with an end.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
