package outside

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/flott-dev/flott/integration/hadoop/hadooptest"
)

const (
	module  = "github.com/flott-dev/flott"
	version = "v0.1.0" // as testdata/job/go.mod requires it
	records = 100
)

// listed is what `go list -json` says about a package.
type listed struct {
	Dir                 string
	Module              *struct{ Path, Dir string }
	GoFiles, EmbedFiles []string
}

// publish makes a module proxy in dir that has one version of this module: what a job needs of it.
func publish(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,Module,GoFiles,EmbedFiles", module+"/flow")
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list what flow needs: %v", err)
	}
	at := filepath.Join(dir, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(at, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(archive)
	root := ""
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		root = p.Module.Dir
		for _, f := range slices.Concat(p.GoFiles, p.EmbedFiles) {
			add(t, w, root, filepath.Join(p.Dir, f))
		}
	}
	add(t, w, root, filepath.Join(root, "go.mod"))
	if err := errors.Join(w.Close(), archive.Close()); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(root, "go.mod"), filepath.Join(at, version+".mod"))
	write(t, filepath.Join(at, "list"), version+"\n")
	write(t, filepath.Join(at, version+".info"), fmt.Sprintf(`{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, version))
}

func add(t *testing.T, w *zip.Writer, root, name string) {
	t.Helper()
	rel, err := filepath.Rel(root, name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.Create(module + "@" + version + "/" + filepath.ToSlash(rel))
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(data))
}

// buildJob builds the module in a directory that knows nothing of this tree, and returns the binary.
func buildJob(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	proxy, job := filepath.Join(dir, "proxy"), filepath.Join(dir, "job")
	publish(t, proxy)
	if err := os.CopyFS(job, os.DirFS(filepath.Join("testdata", "job"))); err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "bin"), ".")
	cmd.Dir = job
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOSUMDB=off", "GOFLAGS=-mod=mod -modcacherw", "GOMODCACHE="+filepath.Join(dir, "modules"),
		"GOPROXY=file://"+proxy+",file://"+filepath.Join(strings.TrimSpace(string(cache)), "cache", "download"))
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	return filepath.Join(dir, "bin")
}

// checkLines compares what the job wrote with what it has to write.
func checkLines(t *testing.T, text string, size int) {
	t.Helper()
	got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var want []string
	for n := 1; n <= records; n++ {
		want = append(want, strconv.Itoa(n)+" SERVING "+strconv.Itoa(size))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the job wrote %d lines %.200q, want %d lines %.200q", len(got), got, len(want), want)
	}
}

// TestOutsideJob builds the module and runs it by itself and on YARN.
func TestOutsideJob(t *testing.T) {
	c := hadooptest.Shared(t)
	binary := buildJob(t)
	t.Run("locally", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		cmd := exec.Command(binary, out)
		cmd.Env = append(os.Environ(), "HADOOP_CONF_DIR=", "YARN_CONF_DIR=", "HADOOP_HOME=", "FLINK_CONF_DIR="+t.TempDir())
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		text, err := os.ReadFile(filepath.Join(out, "part-00000"))
		if err != nil {
			t.Fatal(err)
		}
		checkLines(t, string(text), 0)
	})
	t.Run("on YARN", func(t *testing.T) {
		const content = "read by a client of the job's own"
		dir := fmt.Sprintf("/tmp/outside-%d", os.Getpid())
		hdfs := c.HDFS()
		if err := hdfs.Put(t.Context(), dir+"/file", []byte(content)); err != nil {
			t.Fatal(err)
		}
		flott := filepath.Join(t.TempDir(), "flott")
		if said, err := exec.Command("go", "build", "-o", flott, module+"/bin/flott").CombinedOutput(); err != nil {
			t.Fatalf("build flott: %v\n%s", err, said)
		}
		cmd := exec.Command(flott, "run", "-t", "yarn-application", "-p", "2", binary, dir+"/out", strings.TrimPrefix(c.DefaultFS(), "hdfs://"), dir+"/file")
		cmd.Env = append(os.Environ(), "HADOOP_CONF_DIR="+c.ConfDir(), "FLINK_CONF_DIR="+t.TempDir())
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		t.Logf("%s", said)
		var text string
		for _, part := range []string{"part-00000", "part-00001"} {
			data, err := hdfs.Get(t.Context(), dir+"/out/"+part)
			if err != nil {
				t.Fatal(err)
			}
			text += string(data)
		}
		checkLines(t, text, len(content))
		if err := hdfs.Delete(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	})
}
