package conf

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryDeclaredOptionIsListed(t *testing.T) {
	declared := 0
	files, err := filepath.Glob("options_*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		listed, vars := map[string]bool{}, []string{}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				vs := spec.(*ast.ValueSpec)
				name := vs.Names[0].Name
				if strings.HasSuffix(name, "Options") {
					for _, e := range vs.Values[0].(*ast.CompositeLit).Elts {
						listed[e.(*ast.Ident).Name] = true
					}
				} else if !strings.Contains(typeText(vs.Values[0]), "PrefixOption") {
					vars = append(vars, name)
				}
			}
		}
		for _, name := range vars {
			declared++
			if !listed[name] {
				t.Errorf("%s: %s is declared but not in the list of its file", path, name)
			}
		}
	}
	if got := len(allOptions); got != declared || got == 0 {
		t.Errorf("%d options are registered, %d are declared", got, declared)
	}
}

func typeText(e ast.Expr) string {
	if lit, ok := e.(*ast.CompositeLit); ok {
		if id, ok := lit.Type.(*ast.Ident); ok {
			return id.Name
		}
	}
	return ""
}

func TestOptionsAreInOrder(t *testing.T) {
	owner := map[string]string{}
	unit := regexp.MustCompile(`(?i)milliseconds|bytes|per minute|-1 |slots|how often|workers|log files|failures`)
	measured := regexp.MustCompile(`interval|timeout|delay|size|length|duration|period`)
	for _, o := range allOptions {
		d := o.describe()
		for _, key := range append([]string{d.Key}, d.Deprecated...) {
			if other, taken := owner[key]; taken {
				t.Errorf("key %s belongs to %s and %s", key, other, d.Key)
			}
			owner[key] = d.Key
			if key != strings.TrimSpace(key) || strings.ContainsAny(key, ": =#") || key == "" {
				t.Errorf("key %q cannot be written in a file", key)
			}
		}
		if d.Doc == "" || !strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s: the documentation must be sentences, got %q", d.Key, d.Doc)
		}
		if d.Default != "" {
			c, warnings, err := (*Config)(nil).With("test", Setting{d.Key, d.Default})
			if err != nil {
				t.Errorf("%s: the default %q is refused: %v", d.Key, d.Default, err)
			}
			if len(warnings) > 0 {
				t.Errorf("%s: setting the default warns: %v", d.Key, warnings)
			}
			if v, _ := c.parsedValue(d.Key); v == nil {
				t.Errorf("%s: the default is not read back", d.Key)
			}
		}
		plain := d.Type == "integer" || d.Type == "long" || d.Type == "number"
		if plain && measured.MatchString(d.Key) && !unit.MatchString(d.Doc) {
			t.Errorf("%s: a plain number, but the documentation names no unit: %s", d.Key, d.Doc)
		}
		if d.Fallback != "" && optionsByKey[d.Fallback] == nil {
			t.Errorf("%s: fallback %s is no option", d.Key, d.Fallback)
		}
	}
}

func TestIgnoredTable(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range ignoredKeys {
		if seen[row.pattern] {
			t.Errorf("%s stands twice", row.pattern)
		}
		seen[row.pattern] = true
		if _, isOption := optionsByKey[row.pattern]; isOption {
			t.Errorf("%s is an option and ignored", row.pattern)
		}
	}
	for _, tt := range []struct {
		key  string
		want keyKind
	}{
		{"env.java.opts.all", keyIgnored},
		{"pekko.tcp.timeout", keyIgnored},
		{"pekko.ask.timeout", keyKnown},
		{"akka.ask.timeout", keyDeprecated},
		{"state.backend.type", keyIgnored},
		{"jobmanager.rpc.address", keyIgnored},
		{"jobmanager.rpc.bind-port", keyIgnored},
		{"containerized.master.env.TZ", keyKnown},
		{"containerized.master.env.", keyUnknown},
		{"pipeline.global-job-parameters.a.b", keyKnown},
		{"rest.prot", keyUnknown},
		{"web.refresh-intervall", keyUnknown}, // a slip within an ignored family is still a slip
		{"nonsense", keyUnknown},
		{"", keyUnknown},
	} {
		if got := lookupKey(tt.key).kind; got != tt.want {
			t.Errorf("lookupKey(%q) = %d, want %d", tt.key, got, tt.want)
		}
	}
}

func TestNearestKey(t *testing.T) {
	for _, tt := range []struct{ typed, want string }{
		{"parallelism.defualt", "parallelism.default"},
		{"paralellism.default", "parallelism.default"},
		{"taskmanager.numberoftaskslots", "taskmanager.numberOfTaskSlots"},
		{"yarn.aplication.queue", "yarn.application.queue"},
		{"rest.prot", "rest.port"},
		{"parallelism", "parallelism.default"},
		{"queue", "yarn.application.queue"},
		{"completely.unrelated.words", ""},
		{"", ""},
		{strings.Repeat("x", 100_000), ""},
	} {
		if got := nearestKey(tt.typed); got != tt.want {
			t.Errorf("nearestKey(%.40q) = %q, want %q", tt.typed, got, tt.want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "xbc", 1}, {"kitten", "sitting", 3},
	} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	committed, err := os.ReadFile(filepath.Join("..", "docs", "options.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != Reference() {
		t.Error("docs/options.md is not what the options say; run: go generate ./conf")
	}
}

func TestReferenceNamesEverything(t *testing.T) {
	page := Reference()
	for _, d := range Options() {
		if !strings.Contains(page, "| `"+d.Key+"` |") {
			t.Errorf("%s is not on the page", d.Key)
		}
	}
	for _, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		columns := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") - 1
		if !slices.Contains([]int{2, 3, 4}, columns) {
			t.Errorf("a row with %d columns: %s", columns, line)
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, tt := range []struct {
		key  string
		want bool
	}{
		{"security.ssl.internal.key-password", true},
		{"containerized.master.env.AWS_SECRET_ACCESS_KEY", true},
		{"flink.hadoop.fs.azure.account.key.x", true},
		{"my.ApiKey", true},
		{"some.token", true},
		{"high-availability.zookeeper.client.authorization", true}, // by the option, not by its name
		{"rest.port", false},
	} {
		if got := isSecret(tt.key); got != tt.want {
			t.Errorf("isSecret(%q) = %v, want %v", tt.key, got, tt.want)
		}
	}
}
