package textfile

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/flott-dev/flott/yarn/dfs"
)

// TestSplitsReadAtOnce: many small files are opened at the same time, few large ones.
func TestSplitsReadAtOnce(t *testing.T) {
	for _, test := range []struct {
		name  string
		sizes []int
		want  int64 // opened before the first one has been read
	}{
		{"small", []int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, fetchers},
		{"few", []int{1, 1, 1}, 3},
		{"large", []int{fetchBytes, fetchBytes, fetchBytes}, fetchLarge},
		{"mixed", []int{fetchBytes / 2, fetchBytes / 4, fetchBytes / 4, 1, 1}, 3},
		{"large behind small", []int{1, 1, 1, fetchBytes, 1}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var opened atomic.Int64
				gate := make(chan struct{})
				fsys := dfs.NewMem(dfs.MemConfig{Fault: func(c dfs.Call) error {
					if c.Op == "open" && !c.After {
						opened.Add(1)
						<-gate
					}
					return nil
				}})
				files, err := dfs.NewResolver(dfs.ResolverConfig{DefaultFS: "mem:///", User: "u", Mem: fsys})
				if err != nil {
					t.Fatal(err)
				}
				var todo []progress
				for i, size := range test.sizes {
					p := fmt.Sprintf("/%d", i)
					if err := dfs.WriteFile(t.Context(), fsys, p, bytes.Repeat([]byte{'\n'}, size), 0o644); err != nil {
						t.Fatal(err)
					}
					s := split{URI: fsys.URI(p), Length: int64(size), Size: int64(size)}
					s.makeID()
					todo = append(todo, progress{Split: s})
				}
				f := startFetcher(t.Context(), files, chunkSize, maxLine, fetchers)
				defer f.stop()
				f.add(todo)
				synctest.Wait()
				if got := opened.Load(); got != test.want {
					t.Errorf("%d files were opened at once, want %d", got, test.want)
				}
				close(gate)
				for left := len(test.sizes); left > 0; {
					c := <-f.chunks
					if c.err != nil {
						t.Fatal(c.err)
					}
					if c.last {
						left--
					}
				}
				if opened.Load() != int64(len(test.sizes)) {
					t.Errorf("%d files were opened, want %d", opened.Load(), len(test.sizes))
				}
			})
		})
	}
}
