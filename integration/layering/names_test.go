package layering

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestMissingNames(t *testing.T) {
	n, err := newNames(loadModule(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"layering.Names":                   "",
		"layering.names.missing":           "",
		"layering.Violation.What":          "",
		"layering.NoSuchName":              "declares no",
		"layering.names.noSuchMethod":      "declares no",
		"integration/layering.Names":       "",
		"integration/layering.NoSuch":      "declares no",
		"context.Context":                  "", // not ours
		"integration/layering":             "",
		"integration/layering/*":           "",
		"integration/layering/names.go":    "",
		"integration/nothing":              "no such file",
		"names.go":                         "",
		"no_such_file.go":                  "no such file",
		"<staging>/.flott/<appId>/":        "",
		"heartbeat.rpc-failure-threshold":  "",
		"heartbeat.no-such-key":            "no such key",
		"task.cancellation.timeout":        "",
		"taskmanager.memory.process.size":  "",
		"yarn.application.no-such-key":     "no such key",
		"flink-conf.yaml":                  "",
		"make test":                        "",
		"make coffee":                      "no such target",
		"flott run -t yarn-application ./": "",
		"flott fly":                        "no such command",
		"FLOTT_ROLE=worker":                "",
		"FLOTT_NO_SUCH_VARIABLE":           "no code has",
		"kill -9":                          "",
	} {
		got := n.missing(name)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	text := "`layering.Gone`\n```\n`layering.Gone`\n```\n`layering.Names`, `layering.Gone`\n"
	var lines []string
	for _, v := range n.check("page", text) {
		lines = append(lines, v.Where)
	}
	if want := []string{"page:1", "page:5"}; !slices.Equal(lines, want) {
		t.Errorf("got violations at %v, want %v", lines, want)
	}
}

// The design names every package of the product, at least once, as its folder or its name.
func TestDesignNamesPackages(t *testing.T) {
	tree := loadModule(t)
	page, err := os.ReadFile(filepath.Join(tree.Root, "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, w := range regexp.MustCompile(`[a-z]+(/[a-z]+)*`).FindAllString(string(page), -1) {
		words[w] = true
	}
	for _, p := range tree.Packages {
		top, name, nested := strings.Cut(p.Folder, "/")
		if !nested || strings.Contains(name, "/") || !withinAny(top, []string{"conf", "rpc", "yarn", "zkha", "appmaster", "taskrunner", "bin"}) {
			continue
		}
		if !words[p.Folder] && !words[name] && name != "gen" {
			t.Errorf("docs/design.md does not name %s: say in §3 what it is for", p.Folder)
		}
	}
}

// The page of dependencies has a row for each module of go.mod, with its version and the importers that the rules allow.
func TestDependenciesPage(t *testing.T) {
	tree := loadModule(t)
	page, err := os.ReadFile(filepath.Join(tree.Root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for l := range strings.Lines(string(page)) {
		if cells := strings.Split(l, "|"); len(cells) > 2 {
			rows[strings.Trim(cells[1], " `")] = l
		}
	}
	for _, r := range tree.Requires {
		row, ok := rows[r.Path]
		if !ok {
			t.Errorf("no row for %s", r.Path)
			continue
		}
		if !strings.Contains(row, "| "+r.Version+" |") {
			t.Errorf("%s: got row %q, want version %s", r.Path, row, r.Version)
		}
		for _, m := range thirdParty {
			if m.module != r.Path {
				continue
			}
			for _, importer := range m.importers {
				if importer != anywhere && !strings.Contains(row, "`"+importer+"`") {
					t.Errorf("%s: got row %q, want importer `%s`", r.Path, row, importer)
				}
			}
		}
	}
}

// The job that the README shows is a program that runs, and does what the page says.
func TestFirstJobOfREADME(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```go\n")
	job, _, ended := strings.Cut(rest, "```")
	if !ok || !ended || !strings.Contains(job, "flow.Main(build)") {
		t.Fatalf("the README's first Go block is not a job:\n%s", job)
	}
	dir := t.TempDir()
	source, input, output := filepath.Join(dir, "main.go"), filepath.Join(dir, "input"), filepath.Join(dir, "output")
	for name, text := range map[string]string{source: job, input: "to be\nor not To be\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "run", source, input, output)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("run the job of the README: %v\n%s", err, out)
	}
	var got []string
	parts, err := filepath.Glob(filepath.Join(output, "part-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Fields(strings.ReplaceAll(string(text), "\t", "="))...)
	}
	slices.Sort(got)
	if want := []string{"be=2", "not=1", "or=1", "to=2"}; !slices.Equal(got, want) {
		t.Errorf("got counts %v, want %v", got, want)
	}
}
