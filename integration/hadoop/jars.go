package hadoop

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// artifact is one dependency of the generated pom. Without a version it has Hadoop's.
type artifact struct {
	group, name, version string
	exclude              []string // group:name
}

const hadoopGroup = "org.apache.hadoop"

var everything = []string{"*:*"}

// artifacts returns what the daemons need. Reasons for what is not plain: the ResourceManager uses commons-lang 2.6,
// which comes only with the excluded jsonschema2pojo; its classes name those of the timeline service; the newest
// distributed shell on Maven Central is 3.4.2 and needs Jersey 1 to be verified and commons-cli 1.9 to parse.
func artifacts() []artifact {
	const driver = "com.microsoft.sqlserver:mssql-jdbc"
	var all []artifact
	for _, name := range []string{"hadoop-common", "hadoop-auth", "hadoop-hdfs-client", "hadoop-hdfs", "hadoop-yarn-api",
		"hadoop-yarn-common", "hadoop-yarn-client", "hadoop-yarn-server-nodemanager", "hadoop-yarn-server-web-proxy"} {
		all = append(all, artifact{group: hadoopGroup, name: name})
	}
	return append(all,
		artifact{group: hadoopGroup, name: "hadoop-yarn-server-common", exclude: []string{driver}},
		artifact{group: hadoopGroup, name: "hadoop-yarn-server-resourcemanager",
			exclude: []string{"org.jsonschema2pojo:jsonschema2pojo-core", driver}},
		artifact{group: hadoopGroup, name: "hadoop-yarn-server-timelineservice", exclude: everything},
		artifact{group: hadoopGroup, name: "hadoop-yarn-applications-distributedshell", version: "3.4.2", exclude: everything},
		artifact{group: "com.sun.jersey", name: "jersey-client", version: "1.19.4", exclude: everything},
		artifact{group: "commons-lang", name: "commons-lang", version: "2.6"},
		artifact{group: "commons-cli", name: "commons-cli", version: "1.9.0"},
	)
}

// renderPOM writes a Maven project whose runtime class path is Hadoop's.
func renderPOM(version string, deps []artifact) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<project xmlns="http://maven.apache.org/POM/4.0.0">`)
	line(`  <modelVersion>4.0.0</modelVersion>`)
	line(`  <groupId>flott</groupId><artifactId>hadoop-classpath</artifactId><version>1</version><packaging>pom</packaging>`)
	line(`  <dependencyManagement><dependencies><dependency>`)
	line(`    <groupId>%s</groupId><artifactId>hadoop-project</artifactId><version>%s</version><type>pom</type><scope>import</scope>`, hadoopGroup, version)
	line(`  </dependency></dependencies></dependencyManagement>`)
	line(`  <dependencies>`)
	for _, d := range deps {
		v := d.version
		setDefault(&v, version)
		line(`    <dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>`, d.group, d.name, v)
		if len(d.exclude) > 0 {
			line(`      <exclusions>`)
			for _, e := range d.exclude {
				group, name, _ := strings.Cut(e, ":")
				line(`        <exclusion><groupId>%s</groupId><artifactId>%s</artifactId></exclusion>`, group, name)
			}
			line(`      </exclusions>`)
		}
		line(`    </dependency>`)
	}
	line(`  </dependencies>`)
	line(`</project>`)
	return b.String()
}

func jarDir(cacheDir string) string { return filepath.Join(cacheDir, "jars") }

// FetchJars returns the directory of Hadoop's jars in the user's cache, where it puts them unless they are there.
func FetchJars(ctx context.Context, progress func(string)) (string, error) {
	o := Options{CacheDir: DefaultCacheDir(), Progress: progress}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return "", fmt.Errorf("fetch Hadoop jars: %w", err)
	}
	unlock, err := lockStart(ctx, o)
	if err != nil {
		return "", err
	}
	defer unlock()
	return jarDir(o.CacheDir), ensureJars(ctx, o.CacheDir, progress)
}

// ensureJars resolves the class path into the cache, once per user. The caller holds the start lock.
func ensureJars(ctx context.Context, cacheDir string, progress func(string)) error {
	if _, err := os.Stat(jarDir(cacheDir)); err == nil {
		return nil
	}
	maven, err := ensureMaven(ctx, progress)
	if err != nil {
		return err
	}
	progress("fetching the jars of Hadoop " + Version + " (about 100 MB, once)")
	work, err := os.MkdirTemp(cacheDir, "resolve-")
	if err != nil {
		return fmt.Errorf("fetch Hadoop jars: %w", err)
	}
	defer os.RemoveAll(work)
	pom := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(pom, []byte(renderPOM(Version, artifacts())), 0o644); err != nil {
		return fmt.Errorf("fetch Hadoop jars: %w", err)
	}
	lib := filepath.Join(work, "jars")
	cmd := exec.CommandContext(ctx, maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+lib)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Hadoop jars: %w: %s", err, lastLines(string(out), 15))
	}
	// The rename makes the directory appear whole or not at all.
	if err := os.Rename(lib, jarDir(cacheDir)); err != nil {
		return fmt.Errorf("fetch Hadoop jars: %w", err)
	}
	return nil
}

// ensureFormatted makes the cached empty name directory and copies it to where s's NameNode looks. Formatting costs a
// JVM of 4 s, the copy nothing.
func ensureFormatted(ctx context.Context, s spec, progress func(string)) error {
	cached := filepath.Join(s.CacheDir, "formatted")
	target := s.dir("data", "nn")
	if _, err := os.Stat(cached); err != nil {
		progress("formatting an empty HDFS (once)")
		cmd := exec.CommandContext(ctx, s.java(), s.javaArgs("format", "-format", "-force", "-nonInteractive")...)
		cmd.Env = s.daemonEnv("nn")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("format HDFS: %w: %s", err, lastLines(string(out), 15))
		}
		tmp := cached + ".new"
		if err := os.RemoveAll(tmp); err != nil {
			return fmt.Errorf("format HDFS: %w", err)
		}
		if err := os.CopyFS(tmp, os.DirFS(target)); err != nil {
			return fmt.Errorf("format HDFS: %w", err)
		}
		return os.Rename(tmp, cached)
	}
	if err := os.CopyFS(target, os.DirFS(cached)); err != nil {
		return fmt.Errorf("copy formatted HDFS: %w", err)
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// tail reads the last lines of a file that may be long.
func tail(name string, n int) string {
	f, err := os.Open(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const window = 16 << 10
	if info, err := f.Stat(); err == nil && info.Size() > window {
		if _, err := f.Seek(-window, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, window))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(data), n)
}
