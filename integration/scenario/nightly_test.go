//go:build nightly

package scenario

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flott-dev/flott/integration/corpus"
)

const containerRuns = 20

// TestWordCountProduct counts each kind of input alone with every parallelism of 1, 3, 4 on 1, 2, 3 NodeManagers.
func TestWordCountProduct(t *testing.T) {
	all, err := texts()
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, breakable(t))
	c.memory = nil
	fsys := filesOf(t, c.cluster)
	dir := upload(t, c.cluster, fsys, all.files)
	inputs := map[string][]corpus.File{} // by glob
	for _, f := range all.files {
		glob := f.Name
		if strings.HasPrefix(f.Name, corpus.Small) {
			glob = corpus.Small + "*"
		}
		inputs[glob] = append(inputs[glob], f)
	}
	want := map[string]corpus.Counts{}
	for glob, files := range inputs {
		if want[glob], err = corpus.Words(t.Context(), files); err != nil {
			t.Fatal(err)
		}
	}
	for nodes := 3; nodes > 0; nodes-- {
		keepNodes(t, c.cluster, nodes)
		for _, parallelism := range []int{1, 3, 4} {
			for glob := range inputs {
				t.Run(fmt.Sprintf("%s parallelism %d on %d NodeManagers", glob, parallelism, nodes), func(t *testing.T) {
					c := *c
					c.t = t
					countWords(t, &c, fsys, parallelism, dir+"/"+glob, want[glob])
				})
			}
		}
	}
}
