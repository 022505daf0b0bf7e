package conf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Warning is something about the configuration that a user should read once. It never holds a secret.
type Warning struct {
	Origin Origin
	Key    string // "" when the warning is about a whole file or line
	Text   string
}

// String prints the warning as one line.
func (w Warning) String() string {
	parts := make([]string, 0, 3)
	for _, s := range []string{string(w.Origin), w.Key, w.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// The files of a configuration directory and the variables that name it.
const (
	LegacyFile = "flink-conf.yaml" // Flink up to 1.20
	YAMLFile   = "config.yaml"     // Flink from 1.19

	EnvFlinkConfDir = "FLINK_CONF_DIR"
	EnvFlottConfDir = "FLOTT_CONF_DIR"
)

// maxFile bounds a configuration file.
const maxFile = 1 << 20

// ParseDynamic reads what follows -D: key=value, or a key alone, which means key=true.
func ParseDynamic(s string) (Setting, error) {
	key, value, found := strings.Cut(s, "=")
	key = strings.TrimSpace(key)
	if key == "" {
		return Setting{}, errors.New("a -D property has no key: write -Dkey=value")
	}
	if !found {
		value = "true"
	}
	return Setting{Key: key, Value: strings.TrimSpace(value)}, nil
}

// LoadEnv is Load with the directory that FLOTT_CONF_DIR names, else FLINK_CONF_DIR, else none. getenv is os.Getenv or a test's.
func LoadEnv(getenv func(string) string, dynamic ...Setting) (*Config, []Warning, error) {
	dir := getenv(EnvFlottConfDir)
	if dir == "" {
		dir = getenv(EnvFlinkConfDir)
	}
	return Load(dir, dynamic...)
}

// Load reads the configuration directory and lays the dynamic properties over it. It takes flink-conf.yaml when that is there,
// else config.yaml. No directory ("") and a missing file mean defaults; a directory that is named but missing warns.
// Errors: a file that cannot be read or is not valid YAML, a value that its option refuses (all of them are named), a dynamic
// property that nothing knows.
func Load(dir string, dynamic ...Setting) (*Config, []Warning, error) {
	file, warnings, err := readDir(dir)
	if err != nil {
		return nil, warnings, err
	}
	b := newBuilder(nil)
	b.warnings = warnings
	b.add(file, false)
	layer := make([]assignment, len(dynamic))
	for i, s := range dynamic {
		layer[i] = assignment{Setting: s, origin: OriginDynamic}
	}
	b.add(layer, true)
	return b.build()
}

func readDir(dir string) ([]assignment, []Warning, error) {
	if dir == "" {
		return nil, nil, nil
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, []Warning{{Origin: Origin(dir), Text: "no such configuration directory; defaults are used"}}, nil
	}
	legacyPath, yamlPath := filepath.Join(dir, LegacyFile), filepath.Join(dir, YAMLFile)
	legacy, found, err := readFile(legacyPath)
	if err != nil {
		return nil, nil, err
	}
	if found {
		var warnings []Warning
		if _, err := os.Stat(yamlPath); err == nil {
			warnings = []Warning{{Origin: Origin(yamlPath), Text: "not read, because " + LegacyFile + " is there too"}}
		}
		assignments, more := parseLegacy(legacyPath, legacy)
		return assignments, append(warnings, more...), nil
	}
	modern, _, err := readFile(yamlPath)
	if err != nil {
		return nil, nil, err
	}
	return parseYAML(yamlPath, modern)
}

// readFile reads a file of at most maxFile bytes. Links are followed: configuration directories are often made of them
// (alternatives, mounted config maps), and they belong to the person who runs the command.
func readFile(path string) (data []byte, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, false, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, false, fmt.Errorf("read configuration %s: larger than %d bytes", path, maxFile)
	}
	return data, true, nil
}

// parseLegacy reads flink-conf.yaml as Flink 1.20 does: line by line, "key: value", everything after a # dropped. A line it cannot
// read is skipped with a warning that gives its number but not its text, which may hold a secret. The last of equal keys wins.
func parseLegacy(path string, data []byte) ([]assignment, []Warning) {
	var out []assignment
	var warnings []Warning
	index := map[string]int{}
	number := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		number++
		origin := Origin(fmt.Sprintf("%s:%d", path, number))
		text, comment, commented := strings.Cut(line, "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		key, value, found := strings.Cut(strings.TrimSpace(text), ": ")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" || value == "" {
			warnings = append(warnings, Warning{Origin: origin, Text: "not of the form \"key: value\"; the line is skipped"})
			continue
		}
		if commented && comment != "" && text == strings.TrimRight(text, " \t") {
			warnings = append(warnings, Warning{Origin: origin, Key: key, Text: "the value ends before #, which starts a comment"})
		}
		a := assignment{Setting: Setting{key, value}, origin: origin}
		if i, again := index[key]; again {
			warnings = append(warnings, Warning{Origin: origin, Key: key, Text: fmt.Sprintf("set before at %s; this one wins", out[i].origin)})
			out[i] = a
			continue
		}
		index[key] = len(out)
		out = append(out, a)
	}
	return out, warnings
}
