package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/conf/hadoopconf"
	"github.com/flott-dev/flott/integration/corpus"
	"github.com/flott-dev/flott/integration/hadoop"
	"github.com/flott-dev/flott/yarn/cluster"
	"github.com/flott-dev/flott/yarn/dfs"
	"github.com/flott-dev/flott/yarn/ugi"
)

const (
	bigFile    = 200 << 20
	smallFiles = 2000
)

// texts are the inputs of WordCount with what it has to find, made once.
var texts = sync.OnceValues(func() (texts struct {
	files []corpus.File
	words corpus.Counts
}, err error) {
	texts.files = corpus.Inputs(bigFile, smallFiles)
	texts.words, err = corpus.Words(context.Background(), texts.files)
	return texts, err
})

// filesOf is a cluster's file system.
func filesOf(t *testing.T, c *hadoop.Cluster) dfs.FS {
	t.Helper()
	hc, _, err := hadoopconf.Load(hadoopconf.Source{HadoopConfDir: c.ConfDir()})
	if err != nil {
		t.Fatal(err)
	}
	user, err := ugi.Simple(os.Environ(), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := cluster.Open(hc, user, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	fsys, _, err := opened.Files.For(t.Context(), c.DefaultFS()+"/")
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// upload puts the texts into a new directory of HDFS.
func upload(t *testing.T, c *hadoop.Cluster, fsys dfs.FS, files []corpus.File) string {
	t.Helper()
	dir := scratch(t, c) + "/in"
	began := time.Now()
	if err := fsys.MkdirAll(t.Context(), dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := corpus.Upload(t.Context(), fsys, dir, files); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files uploaded in %v", len(files), time.Since(began).Round(time.Millisecond))
	blocks, err := dfs.BlockLocations(t.Context(), fsys, dir+"/"+corpus.Big, 0, bigFile)
	if err != nil || len(blocks) < 2 {
		t.Errorf("blocks of %s: got %v, %v, want at least 2", corpus.Big, blocks, err)
	}
	return dir
}

// countWords runs WordCount on YARN and compares what it wrote.
func countWords(t *testing.T, c *client, fsys dfs.FS, parallelism int, input string, want corpus.Counts) {
	t.Helper()
	out := fmt.Sprintf("%s/counts-%d", scratch(t, c.cluster), parallelism)
	k := c.job("-p", strconv.Itoa(parallelism), c.bin.wordcount, "--input", input, "--output", out).wait(hardLimit)
	app := k.submitted()
	if k.code != 0 {
		t.Fatalf("%s: got exit code %d, want 0: %s", app, k.code, k.said())
	}
	t.Logf("%s: parallelism %d, %s in %v", app, parallelism, input, k.took.Round(time.Millisecond))
	got, err := corpus.ReadResult(t.Context(), fsys, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Diff(want); err != nil {
		t.Errorf("parallelism %d: %v", parallelism, err)
	}
	nothingLeft(t, c.cluster, app)
}

// keepNodes stops NodeManagers, in order, until n run.
func keepNodes(t *testing.T, c *hadoop.Cluster, n int) {
	t.Helper()
	for _, node := range c.Nodes()[n:] {
		pid, err := c.PID(node.Daemon)
		if err != nil {
			t.Fatal(err)
		}
		if pid != 0 {
			if err := c.Signal(node.Daemon, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	await(t, time.Minute, fmt.Sprintf("%d nodes run", n), func() bool {
		nodes, err := c.RM().Nodes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		running := 0
		for _, i := range nodes {
			if i.State == "RUNNING" {
				running++
			}
		}
		return running == n
	})
}

// TestWordCount counts all inputs at once with (parallelism, NodeManagers) = (4, 3), (3, 2), (1, 1), under YARN's checks of memory.
func TestWordCount(t *testing.T) {
	all, err := texts()
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, breakable(t))
	c.memory = nil
	fsys := filesOf(t, c.cluster)
	dir := upload(t, c.cluster, fsys, all.files)
	for _, n := range []struct{ parallelism, nodes int }{{4, 3}, {3, 2}, {1, 1}} {
		t.Run(fmt.Sprintf("parallelism %d on %d NodeManagers", n.parallelism, n.nodes), func(t *testing.T) {
			c := *c
			c.t = t
			keepNodes(t, c.cluster, n.nodes)
			countWords(t, &c, fsys, n.parallelism, dir, all.words)
		})
	}
}

// TestWordCountLocal counts the same kinds of input without Hadoop: with flott run -t local, in memory and over loopback, and with go run.
func TestWordCountLocal(t *testing.T) {
	t.Parallel()
	files := corpus.Inputs(20<<20, 200)
	want, err := corpus.Words(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	in := t.TempDir()
	if err := corpus.Save(in, files); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nil)
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(moduleRoot)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		env     []string
		program string
		args    []string
	}{
		{"flott run -t local", nil, c.bin.flott, []string{"run", "-t", "local", "-p", "3", c.bin.wordcount}},
		{"flott run -t local over loopback", []string{"FLOTT_LOCAL_TCP=1"}, c.bin.flott, []string{"run", "-t", "local", "-p", "3", c.bin.wordcount}},
		{"the job itself", nil, c.bin.wordcount, nil},
		{"go run", nil, goTool, []string{"run", "-C", root, "./examples/wordcount"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := *c
			c.t, c.env = t, append(c.env, tt.env...)
			out := filepath.Join(t.TempDir(), "counts")
			k := c.startProgram(tt.program, append(tt.args, "--input", in, "--output", out)...).wait(hardLimit)
			if k.code != 0 {
				t.Fatalf("got exit code %d, want 0: %s", k.code, k.err)
			}
			got, err := corpus.ReadResult(t.Context(), dfs.NewLocal(), out)
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Diff(want); err != nil {
				t.Error(err)
			}
			if said := strings.TrimSpace(k.err.String()); strings.Contains(said, "WARN") {
				t.Errorf("a job that finishes warns of nothing: %s", said)
			}
		})
	}
}
