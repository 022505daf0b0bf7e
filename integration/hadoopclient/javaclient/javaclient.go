// Package javaclient runs Hadoop's own clients: FsShell, and a small Java program (HadoopClient.java) that copies files and calls the
// ResourceManager through Hadoop's classes.
//
// Its callers are programs below integration that measure or check this tree's clients beside Hadoop's. New compiles the program once, with
// the JDK that it finds or installs; the methods only make commands, which their callers run. It starts no goroutine. It copies nothing of
// Hadoop: classes come from the jars that integration/hadoop fetched.
package javaclient

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/flott-dev/flott/integration/hadoop"
)

//go:embed HadoopClient.java
var source []byte

// jdks are the Debian packages with a compiler for what runs Hadoop 3.5: Debian 12 and Ubuntu have the first, later Debians only the second.
var jdks = []string{"openjdk-17-jdk-headless", "openjdk-21-jdk-headless"}

// Java makes commands against one cluster.
type Java struct {
	home, classPath string
}

// New compiles HadoopClient.java into dir, which must exist. Where no JDK is found it installs one, or says what is missing (*hadoop.MissingError).
func New(ctx context.Context, c *hadoop.Cluster, dir string) (*Java, error) {
	home, jars := c.Java()
	compiler, err := findCompiler(ctx, home)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "HadoopClient.java")
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return nil, fmt.Errorf("compile the Java client: %w", err)
	}
	if out, err := exec.CommandContext(ctx, compiler, "--release", "17", "-nowarn", "-proc:none", "-cp", jars, "-d", dir, file).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the Java client: %w: %s", err, out)
	}
	// The site files come first, so that no jar's count.
	return &Java{home: home, classPath: c.ConfDir() + ":" + dir + ":" + jars}, nil
}

// findCompiler prefers the one beside the Java that runs the cluster.
func findCompiler(ctx context.Context, home string) (string, error) {
	beside := filepath.Join(home, "bin", "javac")
	found := func() string {
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
		if path, err := exec.LookPath("javac"); err == nil {
			return path
		}
		return ""
	}
	if path := found(); path != "" {
		return path, nil
	}
	progress := func(line string) { fmt.Fprintln(os.Stderr, line) }
	var err error
	for _, jdk := range jdks {
		if err = hadoop.Install(ctx, progress, "javac compiles a client of Hadoop's classes", jdk); err == nil {
			break
		}
	}
	if path := found(); path != "" {
		return path, nil
	}
	if err == nil {
		err = fmt.Errorf("find javac after installing %s", jdks)
	}
	return "", err
}

// Command is the path of java and its arguments for a class, with the JVM's own defaults for everything that does not stop Hadoop from running.
func (j *Java) Command(class string, args ...string) (string, []string) {
	line := []string{"-Djava.net.preferIPv4Stack=true", "--add-opens=java.base/java.lang=ALL-UNNAMED", "-cp", j.classPath, class}
	return filepath.Join(j.home, "bin", "java"), append(line, args...)
}

// FsShell is the command of `hdfs dfs args…`.
func (j *Java) FsShell(args ...string) (string, []string) {
	return j.Command("org.apache.hadoop.fs.FsShell", args...)
}

// Client is the command of HadoopClient.
func (j *Java) Client(args ...string) (string, []string) { return j.Command("HadoopClient", args...) }
