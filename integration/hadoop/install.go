package hadoop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Hadoop 3.5 is built for Java 17; from 24 on Java lacks the security manager that Hadoop's user switching calls.
const minJava, maxJava = 17, 23

// MissingError names the Debian packages that have to be installed by someone who may.
type MissingError struct {
	Packages []string
	Reason   string
}

// Error is one sentence with the command to run.
func (e *MissingError) Error() string {
	return fmt.Sprintf("missing: %s (%s); install with: sudo apt-get install -y %s",
		strings.Join(e.Packages, ", "), e.Reason, strings.Join(e.Packages, " "))
}

// ensureJava returns the home of a fitting Java, which it installs when it may.
func ensureJava(ctx context.Context, progress func(string)) (string, error) {
	if home := findJava(ctx); home != "" {
		return home, nil
	}
	reason := fmt.Sprintf("no Java %d to %d found", minJava, maxJava)
	var lastErr error
	// Debian 12 and Ubuntu have 17; later Debians only 21.
	for _, pkg := range []string{"openjdk-17-jre-headless", "openjdk-21-jre-headless"} {
		if lastErr = Install(ctx, progress, reason, pkg); lastErr == nil {
			break
		}
	}
	if home := findJava(ctx); home != "" {
		return home, nil
	}
	if lastErr == nil {
		lastErr = fmt.Errorf("find Java after installing it: %s", reason)
	}
	return "", lastErr
}

func ensureMaven(ctx context.Context, progress func(string)) (string, error) {
	if path, err := exec.LookPath("mvn"); err == nil {
		return path, nil
	}
	if err := Install(ctx, progress, "Maven fetches Hadoop's jars", "maven"); err != nil {
		return "", err
	}
	return exec.LookPath("mvn")
}

// Install installs Debian packages when this process may (root, apt-get), otherwise it returns a *MissingError with the
// reason. The package lists are fetched first: a new machine has none.
func Install(ctx context.Context, progress func(string), reason string, packages ...string) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return &MissingError{Packages: packages, Reason: reason}
	}
	progress("installing " + strings.Join(packages, " ") + ": " + reason)
	install := append([]string{"install", "-y", "-qq", "--no-install-recommends"}, packages...)
	for _, args := range [][]string{{"update", "-qq"}, install} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("install %s: apt-get %s: %w: %s", strings.Join(packages, " "), args[0], err, lastLines(string(out), 5))
		}
	}
	return nil
}

// findJava looks at JAVA_HOME, the path and where Debian puts them.
func findJava(ctx context.Context) string {
	candidates := []string{os.Getenv("JAVA_HOME")}
	if path, err := exec.LookPath("java"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(filepath.Dir(real)))
		}
	}
	installed, err := filepath.Glob("/usr/lib/jvm/*")
	if err == nil {
		slices.Sort(installed)
		candidates = append(candidates, installed...)
	}
	for _, home := range candidates {
		if home == "" {
			continue
		}
		out, err := exec.CommandContext(ctx, filepath.Join(home, "bin", "java"), "-version").CombinedOutput()
		if err != nil {
			continue
		}
		if v := javaVersion(string(out)); v >= minJava && v <= maxJava {
			return home
		}
	}
	return ""
}

var javaVersionText = regexp.MustCompile(`version "(\d+)(?:\.(\d+))?`)

// javaVersion reads the major version from what `java -version` prints; 0 when there is none.
func javaVersion(text string) int {
	m := javaVersionText.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	v, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	if v == 1 { // 1.8 and before
		if v, err = strconv.Atoi(m[2]); err != nil {
			return 0
		}
	}
	return v
}
