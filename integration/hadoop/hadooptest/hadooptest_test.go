package hadooptest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flott-dev/flott/integration/hadoop"
)

func TestSharedIsOneReadyCluster(t *testing.T) {
	first, second := Shared(t), Shared(t)
	if first.StateDir() != second.StateDir() {
		t.Errorf("got two clusters, %s and %s, want one", first.StateDir(), second.StateDir())
	}
	nodes, err := first.RM().Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running := 0
	for _, n := range nodes {
		if n.State == "RUNNING" {
			running++
		}
	}
	if running != len(first.Nodes()) {
		t.Errorf("got %d NodeManagers running, want %d", running, len(first.Nodes()))
	}
}

func TestSharedNamesTheVariableThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(hadoop.StateEnv, dir)
	_, err := shared(t.Context(), func(line string) { t.Log(line) })
	if err == nil || !strings.Contains(err.Error(), hadoop.StateEnv) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names %s and the directory", err, hadoop.StateEnv)
	}
}

func TestPruneRemovesWhatEndedInvocationsLeft(t *testing.T) {
	base := t.TempDir()
	// No process can have the first number: it is above the kernel's largest.
	gone, own := filepath.Join(base, prefix+"4194305"), filepath.Join(base, prefix+"1")
	for _, dir := range []string{gone, own} {
		if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(base); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(gone); !os.IsNotExist(err) {
		t.Errorf("directory of an invocation that has ended: got %v, want it gone", err)
	}
	if _, err := os.Stat(own); err != nil {
		t.Errorf("directory of a live process: got %v, want it kept", err)
	}
}
