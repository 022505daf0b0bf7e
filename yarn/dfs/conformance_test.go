package dfs_test

import (
	"testing"

	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/dfs/dfstest"
)

func TestLocalConforms(t *testing.T) { dfstest.Run(t, dfs.NewLocal(), t.TempDir()) }

func TestMemConforms(t *testing.T) {
	m := dfs.NewMem(dfs.MemConfig{})
	if err := m.Mkdir(t.Context(), "/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	dfstest.Run(t, m, "/dir")
}

func TestHDFSConforms(t *testing.T) { dfs.RunHDFSConformance(t, dfstest.Run) }
