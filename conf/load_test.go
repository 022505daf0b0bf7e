package conf

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// dirWith makes a configuration directory of the given files.
func dirWith(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// inDir cuts the directory from messages, so that they can be compared.
func inDir(dir string, warnings []Warning) []string {
	var out []string
	for _, w := range warnings {
		out = append(out, strings.ReplaceAll(w.String(), dir+string(filepath.Separator), ""))
	}
	return out
}

func TestLoadLegacy(t *testing.T) {
	dir := dirWith(t, map[string]string{LegacyFile: strings.Join([]string{
		"# a comment", "", "parallelism.default: 3", "broken line", "yarn.tags: a,b # and a comment", "heartbeat.interval:1 s",
		"parallelism.default: 4", "pipeline.name: a#b", "rest.prot: 1", "a: ", "pipeline.object-reuse: false\r", "url.x: http://h: 1",
	}, "\n")})
	c, warnings, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`flink-conf.yaml:4: not of the form "key: value"; the line is skipped`,
		`flink-conf.yaml:6: not of the form "key: value"; the line is skipped`,
		"flink-conf.yaml:7: parallelism.default: set before at flink-conf.yaml:3; this one wins",
		"flink-conf.yaml:8: pipeline.name: the value ends before #, which starts a comment",
		`flink-conf.yaml:10: not of the form "key: value"; the line is skipped`,
		"flink-conf.yaml:9: rest.prot: unknown key; did you mean rest.port?",
		"flink-conf.yaml:12: url.x: unknown key",
	}
	if got := inDir(dir, warnings); !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := ParallelismDefault.Get(c); got != 4 {
		t.Errorf("parallelism = %d, want the later duplicate", got)
	}
	if got := YarnTags.Get(c); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("yarn.tags = %q", got)
	}
	if got := PipelineName.Get(c); got != "a" {
		t.Errorf("pipeline.name = %q", got)
	}
	if PipelineObjectReuse.Get(c) {
		t.Error("a line that ends with CR LF is not read")
	}
	if got := c.Origin("parallelism.default"); got != Origin(filepath.Join(dir, LegacyFile)+":7") {
		t.Errorf("origin = %s", got)
	}
}

func TestLoadYAML(t *testing.T) {
	dir := dirWith(t, map[string]string{YAMLFile: `
# nested and dotted
parallelism:
  default: 3
yarn.application:
  name: "quoted: name # no comment"
  queue: 010
yarn:
  tags: [a, 'b c']
  ship-files:
    - /x
    - /y;z
taskmanager.memory.process.size: 2g
pipeline:
  object-reuse: False
  global-job-parameters:
    k1: v1
    k2: 2024-01-01
env.hadoop.conf.dir:
env:
  java:
    opts:
      all: --add-exports=a
`})
	c, warnings, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"config.yaml:19: env.hadoop.conf.dir: has no value; the line is ignored",
		"config.yaml:10: yarn.ship-files: has no effect in this version",
		"config.yaml:23: env.java.opts.all: has no meaning without a JVM; ignored",
	}
	if got := inDir(dir, warnings); !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := ParallelismDefault.Get(c); got != 3 {
		t.Errorf("parallelism = %d", got)
	}
	if got := YarnApplicationName.Get(c); got != "quoted: name # no comment" {
		t.Errorf("name = %q", got)
	}
	if got := YarnApplicationQueue.Get(c); got != "010" {
		t.Errorf("queue = %q: a value must stay as it is written", got)
	}
	if got := YarnTags.Get(c); !slices.Equal(got, []string{"a", "b c"}) {
		t.Errorf("tags = %q", got)
	}
	if got := YarnShipFiles.Get(c); !slices.Equal(got, []string{"/x", "/y;z"}) {
		t.Errorf("ship-files = %q", got)
	}
	if PipelineObjectReuse.Get(c) {
		t.Error("object-reuse = true")
	}
	if got := PipelineGlobalJobParameters.Get(c); got["k1"] != "v1" || got["k2"] != "2024-01-01" {
		t.Errorf("parameters = %v", got)
	}
	if got := TaskManagerProcessSize.Get(c); got != 2*GiB {
		t.Errorf("process size = %v", got)
	}
	if EnvHadoopConfDir.IsSet(c) {
		t.Error("a key without a value counts as set")
	}
}

func TestLoadYAMLRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"bad indentation", "a: 1\nrest:\n  port: 1\n bind-port: 2\nb: 2\n", "config.yaml:4: not valid YAML"},
		{"open quote", "a: 1\nb: \"x\nc: 2\nd: 3\n", "config.yaml:2: not valid YAML"},
		{"open list", "a: 1\nb: 2\nc: [1, 2\nd: 3\n", "config.yaml:3: not valid YAML"},
		{"no pair", "a: 1\nnonsense\nb: 2\n", "config.yaml:2: not valid YAML"},
		{"tab", "a:\n\tb: 1\n", "config.yaml:2: not valid YAML"},
		{"only text", "nonsense\n", `config.yaml:1: the file must hold "key: value" pairs`},
		{"a list", "- a\n- b\n", `config.yaml:1: the file must hold "key: value" pairs`},
		{"duplicate", "a: 1\nb: 2\na: 3\n", "config.yaml:3: duplicate key a, set before in line 1"},
		{"duplicate in two spellings", "rest.port: 1\nrest:\n  port: 2\n", "config.yaml:3: duplicate key rest.port, set before in line 1"},
		{"alias", "a: &x 1\nb: *x\n", "config.yaml:2: b: aliases"},
		{"alias as key", "a: &x k\n*x : 1\n", "config.yaml:2: a key must be a plain word"},
		{"merge", "a: &x {b: 1}\n<<: *x\n", "config.yaml:2: a key must be a plain word"},
		{"list as key", "[a, b]: 1\n", "config.yaml:1: a key must be a plain word"},
		{"second document", "a: 1\n---\nb: 2\n", "a second YAML document"},
		{"deep", strings.Repeat("{a: ", 40) + "1" + strings.Repeat("}", 40), "nested deeper than 32"},
		{"deep list", "a: " + strings.Repeat("[", 40) + "1" + strings.Repeat("]", 40), "nesting deeper than 32"},
		{"too large", "a: " + strings.Repeat("x", maxFile), "config.yaml: larger than"},
		{"wrong value", "a: 1\nparallelism:\n  default: many\n", `config.yaml:3: parallelism.default: "many" is no integer`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := dirWith(t, map[string]string{YAMLFile: tt.text})
			_, _, err := Load(dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the message has more than one line: %q", err)
			}
		})
	}
}

func TestLoadChoosesTheFile(t *testing.T) {
	for _, tt := range []struct {
		name     string
		files    map[string]string
		want     int
		warnings []string
	}{
		{"none", nil, 1, nil},
		{"legacy", map[string]string{LegacyFile: "parallelism.default: 2"}, 2, nil},
		{"yaml", map[string]string{YAMLFile: "parallelism.default: 3"}, 3, nil},
		{
			"both", map[string]string{LegacyFile: "parallelism.default: 2", YAMLFile: ": broken ["}, 2,
			[]string{"config.yaml: not read, because flink-conf.yaml is there too"},
		},
		{"empty legacy wins too", map[string]string{LegacyFile: "", YAMLFile: "parallelism.default: 3"}, 1, []string{"config.yaml: not read, because flink-conf.yaml is there too"}},
		{"empty yaml", map[string]string{YAMLFile: "# nothing\n"}, 1, nil},
		{"null yaml", map[string]string{YAMLFile: "---\n~\n"}, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := dirWith(t, tt.files)
			c, warnings, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := ParallelismDefault.Get(c); got != tt.want {
				t.Errorf("parallelism = %d, want %d", got, tt.want)
			}
			if got := inDir(dir, warnings); !slices.Equal(got, tt.warnings) {
				t.Errorf("warnings = %q, want %q", got, tt.warnings)
			}
		})
	}
}

func TestLoadEnv(t *testing.T) {
	flink := dirWith(t, map[string]string{YAMLFile: "parallelism.default: 2"})
	own := dirWith(t, map[string]string{YAMLFile: "parallelism.default: 3"})
	for _, tt := range []struct {
		name string
		env  map[string]string
		want int
	}{
		{"nothing", nil, 1},
		{"flink", map[string]string{EnvFlinkConfDir: flink}, 2},
		{"flott", map[string]string{EnvFlottConfDir: own}, 3},
		{"both", map[string]string{EnvFlinkConfDir: flink, EnvFlottConfDir: own}, 3},
	} {
		c, warnings, err := LoadEnv(func(k string) string { return tt.env[k] })
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", tt.name, warnings, err)
			continue
		}
		if got := ParallelismDefault.Get(c); got != tt.want {
			t.Errorf("%s: parallelism = %d, want %d", tt.name, got, tt.want)
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	_, warnings, err := LoadEnv(func(k string) string { return map[string]string{EnvFlinkConfDir: missing}[k] })
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "no such configuration directory") {
		t.Errorf("missing directory: %v, %v", warnings, err)
	}
	file := filepath.Join(own, YAMLFile)
	if _, _, err := Load(file); err == nil {
		t.Error("a file as directory: want an error")
	}
}

func TestDynamicPropertiesWin(t *testing.T) {
	dir := dirWith(t, map[string]string{YAMLFile: "parallelism.default: 2\nheartbeat.interval: 1 s\n"})
	c, _, err := Load(dir, Setting{"parallelism.default", "5"})
	if err != nil {
		t.Fatal(err)
	}
	if got := ParallelismDefault.Get(c); got != 5 {
		t.Errorf("parallelism = %d", got)
	}
	if got := HeartbeatInterval.Get(c); got != time.Second {
		t.Errorf("heartbeat.interval = %v", got)
	}
	_, _, err = Load(dir, Setting{"paralelism.default", "5"})
	if err == nil || err.Error() != "-D: unknown key paralelism.default; did you mean parallelism.default?" {
		t.Errorf("a slip after -D: %v", err)
	}
	if _, _, err = Load(dir, Setting{"wholly.unknown", "5"}); err == nil || err.Error() != "-D: unknown key wholly.unknown" {
		t.Errorf("an unknown key after -D: %v", err)
	}
}

func TestParseDynamic(t *testing.T) {
	for in, want := range map[string]Setting{
		"a=b": {"a", "b"}, "a": {"a", "true"}, "a=": {"a", ""}, " a = b=c ": {"a", "b=c"},
	} {
		if got, err := ParseDynamic(in); err != nil || got != want {
			t.Errorf("ParseDynamic(%q) = %+v, %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "=hunter2"} {
		if _, err := ParseDynamic(in); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseDynamic(%q): %v", in, err)
		}
	}
}

func FuzzParseLegacy(f *testing.F) {
	for _, s := range []string{"a: b", "a: b\na: c", "# x", "a:b", "a: b # c\r\n", "\ufeffa: b", ": x", "a: b: c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, _ := parseLegacy("f", data)
		seen := map[string]bool{}
		for _, a := range out {
			if a.Key == "" || a.Value == "" || strings.ContainsAny(a.Key+a.Value, "#\n") || seen[a.Key] {
				t.Fatalf("%q gives %+v", data, a)
			}
			seen[a.Key] = true
		}
	})
}

func FuzzParseYAML(f *testing.F) {
	for _, s := range []string{"a: b", "a:\n  b: [1, {c: d}]\n", "a: &x [*x]", "? [a]\n: b", "{a: ", "a: 1\n---\nb: 2", "a: |\n  x\n  y\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		out, _, err := parseYAML("f", data)
		if err != nil {
			if out != nil || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: error %q, %v", data, err, out)
			}
			return
		}
		seen := map[string]bool{}
		for _, a := range out {
			if a.Key == "" || seen[a.Key] {
				t.Fatalf("%q gives the key %q twice or empty", data, a.Key)
			}
			seen[a.Key] = true
		}
	})
}
