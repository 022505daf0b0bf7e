package flink

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/flott-dev/flott/integration/hadoop"
)

// Version is the Flink release.
const Version = "1.20.1"

//go:embed java
var java embed.FS

// jdk is the Debian package with javac and jar for the Java that Hadoop 3.5 is built for.
const jdk = "openjdk-17-jdk-headless"

// Dist is Flink and the jobs of the benchmarks.
type Dist struct {
	javaHome string
	lib      string // directory: flink-dist, and log4j beside it
	jobs     string // jar
}

// Ensure returns Flink and the jobs, which it makes when the cache has none. javaHome is that of the cluster; where it has no compiler, or
// Maven is missing, it installs them, or says what is missing (*hadoop.MissingError). progress receives one line per step.
func Ensure(ctx context.Context, javaHome string, progress func(string)) (*Dist, error) {
	d := &Dist{javaHome: javaHome}
	cache := filepath.Dir(hadoop.DefaultCacheDir())
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("set Flink up: %w", err)
	}
	pom, err := java.ReadFile("java/pom.xml")
	if err != nil {
		return nil, err
	}
	dist := "flink-" + Version + "-" + digest(map[string][]byte{"pom.xml": pom})
	if d.lib, err = once(cache, dist, func(dir string) error { return shade(ctx, dir, pom, progress) }); err != nil {
		return nil, fmt.Errorf("set Flink up: %w", err)
	}
	sources, err := jobSources()
	if err != nil {
		return nil, err
	}
	jobs, err := once(cache, dist+"-jobs-"+digest(sources), func(dir string) error { return d.compile(ctx, dir, sources, progress) })
	if err != nil {
		return nil, fmt.Errorf("compile the jobs for Flink: %w", err)
	}
	d.jobs = filepath.Join(jobs, "bench.jar")
	return d, nil
}

// jobSources are the Java files by name.
func jobSources() (map[string][]byte, error) {
	names, err := fs.Glob(java, "java/bench/*.java")
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, n := range names {
		if files[filepath.Base(n)], err = java.ReadFile(n); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// digest names files by their contents.
func digest(files map[string][]byte) string {
	sum := sha256.New()
	for _, name := range sortedKeys(files) {
		fmt.Fprintf(sum, "%s %d\n", name, len(files[name]))
		sum.Write(files[name])
	}
	return hex.EncodeToString(sum.Sum(nil))[:12]
}

// once returns the directory of that name in the cache. When it is absent, fill makes its contents elsewhere; the rename makes it appear
// whole, and the second of two at the same time keeps what the first has made.
func once(cache, name string, fill func(dir string) error) (string, error) {
	target := filepath.Join(cache, name)
	if _, err := os.Stat(target); err == nil {
		return target, nil
	}
	dir, err := os.MkdirTemp(cache, "new-"+name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if err := fill(dir); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(dir, target); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return target, nil
}

// shade lets Maven make flink-dist, and moves what counts to dir.
func shade(ctx context.Context, dir string, pom []byte, progress func(string)) error {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		if err := hadoop.Install(ctx, progress, "Maven fetches Flink's modules", "maven"); err != nil {
			return err
		}
		if maven, err = exec.LookPath("mvn"); err != nil {
			return err
		}
	}
	progress("fetching Flink " + Version + " and making flink-dist of its modules (about 110 MB, once)")
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	if err := run(ctx, work, maven, "-q", "-B", "-f", file, "package"); err != nil {
		return err
	}
	logging, err := filepath.Glob(filepath.Join(work, "target", "logging", "*.jar"))
	if err != nil || len(logging) == 0 {
		return errors.Join(err, errors.New("maven left no log4j"))
	}
	for _, jar := range append(logging, filepath.Join(work, "target", distJar)) {
		if err := os.Rename(jar, filepath.Join(dir, filepath.Base(jar))); err != nil {
			return err
		}
	}
	return os.RemoveAll(work)
}

// distJar is the name by which Flink's YARN client knows the jar that it need not ship twice.
const distJar = "flink-dist-" + Version + ".jar"

// compile makes bench.jar of the Java files.
func (d *Dist) compile(ctx context.Context, dir string, sources map[string][]byte, progress func(string)) error {
	tool := func(name string) string { return filepath.Join(d.javaHome, "bin", name) }
	if _, err := os.Stat(tool("javac")); err != nil {
		if err := hadoop.Install(ctx, progress, "javac compiles the jobs that Flink runs", jdk); err != nil {
			return err
		}
	}
	src, classes := filepath.Join(dir, "bench"), filepath.Join(dir, "classes")
	args := []string{"--release", "17", "-nowarn", "-d", classes, "-cp", filepath.Join(d.lib, "*")}
	if err := errors.Join(os.Mkdir(src, 0o755), os.Mkdir(classes, 0o755)); err != nil {
		return err
	}
	for _, name := range sortedKeys(sources) {
		file := filepath.Join(src, name)
		if err := os.WriteFile(file, sources[name], 0o644); err != nil {
			return err
		}
		args = append(args, file)
	}
	if err := run(ctx, dir, tool("javac"), args...); err != nil {
		return err
	}
	if err := run(ctx, dir, tool("jar"), "--create", "--file", filepath.Join(dir, "bench.jar"), "-C", classes, "."); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(src), os.RemoveAll(classes))
}

// run runs a tool to its end.
func run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		const most = 2000
		return fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(string(out[max(0, len(out)-most):])))
	}
	return nil
}
