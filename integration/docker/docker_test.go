package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/integration/corpus"
	"github.com/flott-dev/flott/integration/hadoop"
)

func TestReadsCompose(t *testing.T) {
	for version, want := range map[string]bool{"1.29.2": true, "1.27.0": true, "1.26.2": false, "2.24.6": true, "v2.3.3": true, "unknown": false, "": false} {
		if got := readsCompose(version); got != want {
			t.Errorf("%q: got %v, want %v", version, got, want)
		}
	}
}

func TestRunArgs(t *testing.T) {
	p := &plain{d: &demo{project: "flott-demo-1"}}
	got := p.runArgs(service{name: "rm", image: "i", hostname: "h", command: []string{"yarn", "x"}, ports: []string{"127.0.0.1:0:8088"},
		environment: map[string]string{"YARN-SITE.XML_b": "2 3", "A": "1"}}, "net")
	want := []string{"run", "-d", "--name", "flott-demo-1-rm-1", "--network", "net", "--network-alias", "rm",
		"--label", "com.docker.compose.project=flott-demo-1", "--label", "com.docker.compose.service=rm", "--hostname", "h",
		"--env", "A=1", "--env", "YARN-SITE.XML_b=2 3", "--publish", "127.0.0.1:0:8088", "i", "yarn", "x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
}

func TestParseRelease(t *testing.T) {
	for _, tc := range []struct {
		text string
		want release
	}{
		{"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\nID_LIKE=x\n", release{"debian", "bookworm"}},
		{"ID=\"ubuntu\"\nVERSION_CODENAME='noble'", release{"ubuntu", "noble"}},
		{"NAME=Fedora", release{}},
	} {
		if got := parseRelease(tc.text); got != tc.want {
			t.Errorf("%q: got %+v, want %+v", tc.text, got, tc.want)
		}
	}
}

func TestMountsBelow(t *testing.T) {
	const mountinfo = `22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:40 / /data/overlay2/a/merged rw - overlay overlay rw
31 22 0:41 / /data/overlay2/a/merged/proc rw - proc proc rw
32 22 0:42 / /database rw - tmpfs tmpfs rw
`
	want := []string{"/data/overlay2/a/merged/proc", "/data/overlay2/a/merged"}
	if got := mountsBelow(mountinfo, "/data"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A pid file may hold the number of a process that has nothing to do with the one that wrote it.
func TestEndProcessLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	x := &daemon{run: dir}
	file := filepath.Join(dir, "pid")
	other, mine := sleeper(t, "60"), sleeper(t, "60", dir+"/x")
	for text, wantErr := range map[string]bool{"1": true, "x": true, strconv.Itoa(other.Process.Pid): false, strconv.Itoa(mine.Process.Pid): false} {
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := x.endProcess(file); (err != nil) != wantErr {
			t.Errorf("process %s: got %v, want an error: %v", text, err, wantErr)
		}
	}
	if err := x.endProcess(filepath.Join(dir, "absent")); err != nil {
		t.Errorf("without a pid file: %v", err)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process: %v", err)
	}
}

// sleeper starts a process that waits, with further words on its command line.
func sleeper(t *testing.T, seconds string, words ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", "sleep " + seconds + " & wait", "sh"}, words...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() { defer close(waited); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-waited
	})
	return cmd
}

func TestGoneKillsAfterItsGrace(t *testing.T) {
	dir := t.TempDir()
	cmd := sleeper(t, "60", dir+"/x")
	list := func() ([]int, error) { return withArgument(dir + "/") }
	if pids, err := list(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Fatalf("with an argument below %s: got %v, %v, want %d", dir, pids, err, cmd.Process.Pid)
	}
	if err := gone("sleepers", list, 100*time.Millisecond); err != nil {
		t.Error(err)
	}
	if pids, err := list(); err != nil || len(pids) > 0 {
		t.Errorf("left: %v, %v", pids, err)
	}
}

// Removing a group removes those below as well.
func TestGroups(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "group")
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"a/cgroup.procs": "7\n3\n", "a/b/cgroup.procs": "7\n12\n", "a/tasks": "99\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := inGroups([]string{dir, filepath.Join(dir, "absent")})
	if want := []int{3, 7, 12}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, name := range []string{"a/cgroup.procs", "a/b/cgroup.procs", "a/tasks"} { // a real group's files do not keep it
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeGroups(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the group is still there: %v", err)
	}
}

func TestPendingYARN(t *testing.T) {
	up := hadoop.NodeInfo{State: "RUNNING"}
	for _, tc := range []struct {
		nodes []hadoop.NodeInfo
		err   error
		want  string
	}{
		{nil, errors.New("refused"), "ResourceManager"},
		{[]hadoop.NodeInfo{up, {State: "UNHEALTHY"}}, nil, "2 of 3 NodeManagers"},
		{[]hadoop.NodeInfo{up, up, up}, nil, ""},
	} {
		if got := strings.Join(pendingYARN(tc.nodes, tc.err), ";"); got != tc.want {
			t.Errorf("%v, %v: got %q, want %q", tc.nodes, tc.err, got, tc.want)
		}
	}
}

// The input's bundles must have the words that the files have, also where a file does not end its last line.
func TestPackKeepsWords(t *testing.T) {
	src := t.TempDir()
	for name, text := range map[string]string{"fmt/a.go": "a b", "fmt/sub/b.go": "c d\n", "os/c.go": "e\n", "d.go": "f"} {
		file := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := corpus.GoSources(src)
	if err != nil {
		t.Fatal(err)
	}
	want, err := corpus.Words(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{dir: t.TempDir()}
	if err := os.MkdirAll(d.bin(""), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"flott", "wordcount"} {
		if err := os.WriteFile(d.bin(name), []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	if err := d.pack(&packed, bundle(files)); err != nil {
		t.Fatal(err)
	}
	got, names := corpus.Counts{}, []string{}
	for r := tar.NewReader(&packed); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if strings.HasPrefix(h.Name, "flott/go-sources/") && h.Typeflag == tar.TypeReg {
			if err := got.Add(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := got.Diff(want); err != nil {
		t.Error(err)
	}
	wantNames := []string{"flott/", "flott/go-sources/", "flott/flott", "flott/wordcount", "flott/go-sources/d.txt", "flott/go-sources/fmt.txt", "flott/go-sources/os.txt"}
	if diff := cmp.Diff(wantNames, names); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestBuildContext(t *testing.T) {
	dir := t.TempDir()
	d := &demo{dir: dir}
	jars := filepath.Join(dir, "jars")
	if err := errors.Join(os.MkdirAll(d.bin(""), 0o755), os.MkdirAll(jars, 0o755)); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rootfs, jar := filepath.Join(dir, "rootfs-x.tar"), filepath.Join(jars, "a.jar")
	if _, err := d.buildContext(materials{rootfs, jars}); err == nil {
		t.Error("without jars: got no error")
	}
	write(rootfs, "root")
	write(jar, "jar")
	write(d.bin("starter"), "starter")
	entries, err := d.buildContext(materials{rootfs, jars})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, e := range entries {
		have[strings.Split(e.name, "/")[0]] = true
	}
	dockerfile, err := imageFiles.ReadFile("image/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(dockerfile)) {
		if f := strings.Fields(line); len(f) == 3 && (f[0] == "COPY" || f[0] == "ADD") && !have[f[1]] {
			t.Errorf("the Dockerfile copies %s, which is not in its context", f[1])
		}
	}
	before, err := digestOf(entries)
	if err != nil {
		t.Fatal(err)
	}
	write(jar, "raj")
	after, err := digestOf(entries)
	if err != nil {
		t.Fatal(err)
	}
	if before == after || len(after) != 12 {
		t.Errorf("digest: got %s and %s for other content, want two of 12 digits", before, after)
	}
}
