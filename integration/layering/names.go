package layering

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// checkedPages are the pages whose names in `code` have to exist.
var checkedPages = []string{"README.md", "CONTRIBUTING.md", "docs/design.md", "docs/dependencies.md", "docs/facts-corrections.md"}

// Names checks that what the pages write as code and what looks like a name of this tree is one: files and folders, package.Name,
// configuration keys, make targets, flott commands, FLOTT_ variables. Indented and fenced blocks are not read.
func Names(t *Tree) ([]Violation, error) {
	known, err := newNames(t)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, page := range checkedPages {
		text, err := os.ReadFile(filepath.Join(t.Root, page))
		if err != nil {
			return nil, fmt.Errorf("check names: %w", err)
		}
		found = append(found, known.check(page, string(text))...)
	}
	return found, nil
}

// names is everything that a page may name.
type names struct {
	root     string
	top      map[string]bool            // folders of the root
	files    map[string]bool            // base names of Go files
	decls    map[string]map[string]bool // by package name and by folder: declarations, Type.Method, Type.field
	literals map[string]bool            // string literals outside tests
	options  string                     // docs/options.md
	targets  string                     // Makefile
}

func newNames(t *Tree) (*names, error) {
	n := &names{root: t.Root, top: map[string]bool{}, files: map[string]bool{}, decls: map[string]map[string]bool{}, literals: map[string]bool{}}
	entries, err := os.ReadDir(t.Root)
	if err != nil {
		return nil, fmt.Errorf("check names: %w", err)
	}
	for _, e := range entries {
		n.top[e.Name()] = e.IsDir() && e.Name() != "dist" // what is built there comes and goes
	}
	for _, p := range t.Packages {
		for _, key := range []string{p.Folder, p.Name} {
			if n.decls[key] == nil {
				n.decls[key] = map[string]bool{}
			}
		}
		for _, f := range p.Files {
			n.files[path.Base(f.Name)] = true
			for _, name := range declared(f.Syntax) {
				n.decls[p.Folder][name] = true
				n.decls[p.Name][name] = true
			}
			ast.Inspect(f.Syntax, func(node ast.Node) bool {
				if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == token.STRING && !f.Test {
					n.literals[strings.Trim(lit.Value, "\"`")] = true
				}
				return true
			})
		}
	}
	for _, page := range []struct {
		name string
		into *string
	}{{"docs/options.md", &n.options}, {"Makefile", &n.targets}} {
		text, err := os.ReadFile(filepath.Join(t.Root, page.name))
		if err != nil {
			return nil, fmt.Errorf("check names: %w", err)
		}
		*page.into = string(text)
	}
	return n, nil
}

// declared lists what a file declares at its top level, with methods and fields as Type.name.
func declared(f *ast.File) []string {
	var out []string
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil && len(d.Recv.List) > 0 {
				name = typeName(d.Recv.List[0].Type) + "." + name
			}
			out = append(out, name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					out = append(append(out, s.Name.Name), members(s)...)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						out = append(out, id.Name)
					}
				}
			}
		}
	}
	return out
}

func members(s *ast.TypeSpec) []string {
	var fields *ast.FieldList
	switch typ := s.Type.(type) {
	case *ast.StructType:
		fields = typ.Fields
	case *ast.InterfaceType:
		fields = typ.Methods
	default:
		return nil
	}
	var out []string
	for _, f := range fields.List {
		for _, id := range f.Names {
			out = append(out, s.Name.Name+"."+id.Name)
		}
	}
	return out
}

var (
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	qualified = regexp.MustCompile(`^([a-z][a-zA-Z0-9_]*(?:/[a-z][a-zA-Z0-9_]*)*)\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(\))?$`)
	optionKey = regexp.MustCompile(`^[a-z][a-z0-9]*(?:[.-][a-zA-Z0-9]+)*\.[a-zA-Z0-9-]+$`)
	command   = regexp.MustCompile(`^(make|flott) ([a-z][a-z-]*)`)
	variable  = regexp.MustCompile(`^(FLOTT_[A-Z_]+)(=.*)?$`)
	fileName  = regexp.MustCompile(`\.(go|mod|sum|md|yaml|xml|proto|sh|log|out)$`)
)

func (n *names) check(page, text string) []Violation {
	var found []Violation
	fenced, line := false, 0
	for l := range strings.Lines(text) {
		line++
		if strings.HasPrefix(strings.TrimSpace(l), "```") {
			fenced = !fenced
			continue
		}
		if fenced {
			continue
		}
		for _, m := range codeSpan.FindAllStringSubmatch(l, -1) {
			if what := n.missing(m[1]); what != "" {
				found = append(found, Violation{fmt.Sprintf("%s:%d", page, line), "names `" + m[1] + "`: " + what, "correct the page, or the name"})
			}
		}
	}
	return found
}

// missing says what is wrong with a name; empty when it exists, or does not look like one of ours.
func (n *names) missing(s string) string {
	if m := command.FindStringSubmatch(s); m != nil {
		return n.missingCommand(m[1], m[2])
	}
	if m := variable.FindStringSubmatch(s); m != nil && !n.literals[m[1]] {
		return "no code has this variable"
	}
	if m := qualified.FindStringSubmatch(s); m != nil && n.decls[m[1]] != nil && !fileName.MatchString(s) {
		if n.decls[m[1]][m[2]] || n.isOption(s) {
			return ""
		}
		return fmt.Sprintf("package %s declares no %s", m[1], m[2])
	}
	if first, _, ok := strings.Cut(s, "/"); ok && n.top[first] {
		if matches, err := filepath.Glob(filepath.Join(n.root, strings.TrimSuffix(s, "/"))); err != nil || len(matches) == 0 {
			return "there is no such file or folder"
		}
		return ""
	}
	switch {
	case strings.HasSuffix(s, ".go") && !strings.ContainsAny(s, "/*<") && !n.files[s]:
		return "there is no such file"
	case !fileName.MatchString(s) && optionKey.MatchString(s) && n.optionFamily(s) && !n.isOption(s):
		return "docs/options.md has no such key"
	}
	return ""
}

func (n *names) missingCommand(program, word string) string {
	switch {
	case program == "make" && !strings.Contains(n.targets, "\n"+word+":"):
		return "the Makefile has no such target"
	case program == "flott" && !n.literals[word]:
		return "flott has no such command"
	}
	return ""
}

func (n *names) isOption(s string) bool { return strings.Contains(n.options, "`"+s+"`") }

// optionFamily tells whether keys begin as s does.
func (n *names) optionFamily(s string) bool {
	first, _, _ := strings.Cut(s, ".")
	return strings.Contains(n.options, "| `"+first+".")
}
