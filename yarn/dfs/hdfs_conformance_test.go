package dfs

import "testing"

// RunHDFSConformance is called from the external test package, which may import dfstest.
func RunHDFSConformance(t *testing.T, run func(t *testing.T, fsys FS, dir string)) {
	h, nn := fakeCluster(t, nil)
	nn.page = 3
	if err := h.Mkdir(t.Context(), "/dir", 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, h, "/dir")
	if n := len(h.bytes.lent); n != 0 {
		t.Errorf("byte clients that nobody gave back: got %d, want 0", n)
	}
}
