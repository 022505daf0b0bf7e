package hadoopconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files are read in this order; a later one wins over an earlier one, except for what the earlier one calls final.
var siteFiles = []string{"core-site.xml", "hdfs-site.xml", "yarn-site.xml"}

const (
	maxFile       = 2 << 20 // bytes of one XML file
	maxProperties = 100_000 // of one file
)

// Source says where to look.
type Source struct {
	// Getenv reads the environment: os.Getenv, or a test's. HADOOP_CONF_DIR and YARN_CONF_DIR name the directories, and files may
	// refer to variables as ${env.NAME}. nil: no environment.
	Getenv func(string) string
	// HadoopConfDir and YarnConfDir stand in for the variables that are not set.
	HadoopConfDir, YarnConfDir string
	// User is what ${user.name} means; "" takes HADOOP_USER_NAME or USER.
	User string
	// Overrides win over the files, whether final or not (flink.hadoop.* and flink.yarn.*).
	Overrides map[string]string
}

// Load reads the three site files. As on a JVM's class path, the first directory that has a file decides its content:
// HADOOP_CONF_DIR, then YARN_CONF_DIR. Nothing configured is no error (see RequireYARN), but a directory that is named and missing is,
// as are files that are not well-formed, too large, or include others, and variables that refer to each other in a circle. The
// texts returned are warnings.
func Load(src Source) (*Config, []string, error) {
	if src.Getenv == nil {
		src.Getenv = func(string) string { return "" }
	}
	dirs, err := src.dirs()
	if err != nil {
		return nil, nil, err
	}
	m := newMerge()
	for _, name := range siteFiles {
		if err := m.readFirst(dirs, name); err != nil {
			return nil, m.warnings, err
		}
	}
	m.override(src.Overrides)
	values, err := expandAll(m.values, src)
	if err != nil {
		return nil, m.warnings, err
	}
	return &Config{values: values, dirs: dirs}, m.warnings, nil
}

// dirs returns the directories to search, each once.
func (src Source) dirs() ([]string, error) {
	var out []string
	for _, d := range []struct{ variable, fallback string }{
		{"HADOOP_CONF_DIR", src.HadoopConfDir}, {"YARN_CONF_DIR", src.YarnConfDir},
	} {
		dir := src.Getenv(d.variable)
		if dir == "" {
			dir = d.fallback
		}
		if dir == "" || slices.Contains(out, filepath.Clean(dir)) {
			continue
		}
		if info, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("read Hadoop configuration: %s: %w", d.variable, err)
		} else if !info.IsDir() {
			return nil, fmt.Errorf("read Hadoop configuration: %s: %s is no directory", d.variable, dir)
		}
		out = append(out, filepath.Clean(dir))
	}
	return out, nil
}

// merge lays properties over each other.
type merge struct {
	values   map[string]property
	final    map[string]bool
	warnings []string
}

func newMerge() *merge { return &merge{values: map[string]property{}, final: map[string]bool{}} }

// readFirst reads the file from the first directory that has it and warns about the others that do.
func (m *merge) readFirst(dirs []string, name string) error {
	used := ""
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read Hadoop configuration: %w", err)
		}
		if used != "" {
			f.Close()
			m.warnings = append(m.warnings, fmt.Sprintf("%s is not read, because %s comes first", path, used))
			continue
		}
		used = path
		err = m.read(f, path)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *merge) read(r io.Reader, path string) error {
	properties, err := parseXML(r, path)
	if err != nil {
		return err
	}
	for _, p := range properties {
		if m.final[p.name] {
			if m.values[p.name].value != p.value {
				m.warnings = append(m.warnings, fmt.Sprintf("%s: %s is ignored, because %s calls it final", path, p.name, m.values[p.name].source))
			}
			continue
		}
		m.values[p.name] = property{value: p.value, source: path}
		m.final[p.name] = p.final
	}
	return nil
}

func (m *merge) override(values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		m.values[name] = property{value: strings.TrimSpace(values[name]), source: "flink.hadoop. or flink.yarn. option"}
	}
}
