package jobbinary

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/flott-dev/flott/rpc/launchfile"
)

// goBuild builds a program with some environment.
func goBuild(t *testing.T, out, what, dir string, environ ...string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, what)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), environ...)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", what, err, said)
	}
}

// module writes a module that does not use flott.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/stranger\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() { println(1) }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, name, text string, perm fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), perm); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	goBuild(t, at("job"), "../testdata/job", ".", "GOOS=linux", "GOARCH=amd64")
	goBuild(t, at("plain"), "../testdata/plain", ".", "GOOS=linux", "GOARCH=amd64")
	goBuild(t, at("stranger"), ".", module(t), "GOOS=linux", "GOARCH=amd64")
	job, err := os.ReadFile(at("job"))
	if err != nil {
		t.Fatal(err)
	}
	onARM := bytes.Clone(job)
	binary.LittleEndian.PutUint16(onARM[18:], uint16(elf.EM_AARCH64))
	arm := write(t, "job-arm", string(onARM), 0o755)
	other := bytes.ReplaceAll(job, []byte(launchfile.VersionMark+"1;"), []byte(launchfile.VersionMark+"7;"))
	for name, tc := range map[string]struct{ path, arch, want string }{
		"good":               {at("job"), "amd64", ""},
		"good arm":           {arm, "arm64", ""},
		"other platform":     {arm, "amd64", "is a program for arm64, and the nodes are amd64"},
		"nodes are others":   {at("job"), "arm64", "is a program for amd64, and the nodes are arm64"},
		"no job":             {at("plain"), "amd64", "does not call flow.Main"},
		"not flott":          {at("stranger"), "amd64", "the Go program example.org/stranger does not use " + Module},
		"another release":    {write(t, "other", string(other), 0o755), "amd64", "it reads launch version 7, this command writes 1"},
		"not executable":     {write(t, "job", string(job), 0o644), "amd64", "chmod +x"},
		"Windows":            {write(t, "x.exe", "MZ\x90\x00...", 0o755), "amd64", "is not a Linux program but a Windows program"},
		"macOS":              {write(t, "x", "\xcf\xfa\xed\xfe...", 0o755), "amd64", "but a macOS program"},
		"jar":                {write(t, "x.jar", "PK\x03\x04...", 0o755), "amd64", "a zip or jar archive"},
		"script":             {write(t, "x.sh", "#!/bin/sh\n", 0o755), "amd64", "a script"},
		"empty":              {write(t, "x", "", 0o755), "amd64", "some other file"},
		"damaged":            {write(t, "x", string(job[:60]), 0o755), "amd64", "damaged ELF file"},
		"cut":                {write(t, "x", string(job[:len(job)/3]), 0o755), "amd64", "damaged ELF file"},
		"directory":          {dir, "amd64", "is not a regular file"},
		"made with a linker": {"/bin/sh", runtime.GOARCH, "is not static, so it needs libraries that nodes may not have: build the job with CGO_ENABLED=0"},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := Inspect(tc.path, tc.arch)
			if tc.want == "" {
				if err != nil || info.Path != Module+"/bin/cli/testdata/job" || info.LaunchVersion != launchfile.Version || !strings.HasPrefix(info.Go, "go") {
					t.Errorf("got %+v, %v", info, err)
				}
				return
			}
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want a refusal with %q", err, tc.want)
			}
		})
	}
	if _, err := Inspect(at("absent"), "amd64"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrRefused) {
		t.Errorf("absent: got %v, want ErrNotExist", err)
	}
	if _, err := InspectLocal(at("job")); err != nil {
		t.Errorf("locally: got %v", err)
	}
	if _, err := InspectLocal(at("stranger")); !errors.Is(err, ErrRefused) {
		t.Errorf("not flott, locally: got %v, want ErrRefused", err)
	}
}

func TestMarksAreFoundAcrossWindows(t *testing.T) {
	const window = 1 << 20
	for _, at := range []int{0, 1, 100, window - 45, window - 30, window - 22, window - 21, window - 3, window - 1, window, window + 5, 2*window - 10} {
		data := bytes.Repeat([]byte{'x'}, 2*window+100)
		copy(data[at:], launchfile.VersionMark+"12;")
		got, err := findMarks(bytes.NewReader(data))
		if err != nil || len(got) != 1 || got[0] != 12 {
			t.Errorf("mark at %d: got %v, %v, want one 12", at, got, err)
		}
	}
	if got, err := findMarks(strings.NewReader(launchfile.VersionMark + "x;" + launchfile.VersionMark + "3;" + launchfile.VersionMark + "4")); err != nil || len(got) != 1 || got[0] != 3 {
		t.Errorf("marks without a number: got %v, %v, want [3]", got, err)
	}
	if _, err := findMarks(iotest.ErrReader(errors.New("disk"))); err == nil {
		t.Error("a read error: got none")
	}
}

func FuzzFindMarks(f *testing.F) {
	f.Add([]byte(launchfile.VersionMark + "1;"))
	f.Add([]byte("flott-launch-version=99999999999;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := findMarks(bytes.NewReader(b))
		if err != nil || len(got) > bytes.Count(b, []byte(launchfile.VersionMark)) {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestBuild(t *testing.T) {
	broken := module(t)
	if err := os.WriteFile(filepath.Join(broken, "main.go"), []byte("package main\n\nfunc main() { undefinedThing() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	library := module(t)
	if err := os.WriteFile(filepath.Join(library, "main.go"), []byte("package lib\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ path, want string }{
		"directory":  {"../testdata/job", ""},
		"file":       {"../testdata/job/main.go", ""},
		"broken":     {broken, "undefined: undefinedThing"},
		"no command": {library, "it is not a main package"},
	} {
		t.Run(name, func(t *testing.T) {
			if !IsSource(tc.path) {
				t.Fatalf("%s is not taken for source", tc.path)
			}
			out, err := Build(t.Context(), tc.path, t.TempDir(), Target{OS: "linux", Arch: runtime.GOARCH, Environ: os.Environ()})
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want an error with %q", err, tc.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Inspect(out, runtime.GOARCH); err != nil {
				t.Error(err)
			}
		})
	}
	if IsSource(write(t, "binary", "", 0o755)) || IsSource("no/such/thing") {
		t.Error("a file that is no Go source is taken for source")
	}
	if _, err := Build(t.Context(), "../testdata/job", t.TempDir(), Target{Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GOFLAGS=-nonsense"}}); err == nil {
		t.Error("a bad GOFLAGS: got no error")
	}
}
