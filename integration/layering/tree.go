package layering

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Tree is the parsed module.
type Tree struct {
	Root     string // directory of go.mod
	Packages []*Package
	Requires []Require // direct requirements of go.mod
	Replaced []string  // replace and exclude directives
	fset     *token.FileSet
}

// Require is a module that go.mod requires directly.
type Require struct{ Path, Version string }

// Package is a folder with Go files.
type Package struct {
	Folder string // from the module's root, with slashes; "." is the root
	Name   string
	Files  []*File
}

// File is one Go file.
type File struct {
	Name      string // from the module's root, with slashes
	Test      bool
	Generated bool
	Lines     int
	Syntax    *ast.File
	Imports   map[string]string // local name → import path
}

// Load lists and parses the module whose go.mod is in root.
func Load(root string) (*Tree, error) {
	// The tags bring in files that ordinary builds leave out.
	cmd := exec.Command("go", "list", "-e", "-json=Dir", "-tags=nightly,invariants", "./...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	t := &Tree{Root: root, fset: token.NewFileSet()}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var listed struct{ Dir string }
		err := dec.Decode(&listed)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		p, err := t.loadPackage(listed.Dir)
		if err != nil {
			return nil, err
		}
		t.Packages = append(t.Packages, p)
	}
	return t, t.loadMod()
}

func (t *Tree) loadPackage(dir string) (*Package, error) {
	folder, err := filepath.Rel(t.Root, dir)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", dir, err)
	}
	p := &Package{Folder: filepath.ToSlash(folder)}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("load package: %w", err)
		}
		f, err := parse(t.fset, p.Folder+"/"+filepath.Base(name), src)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, f)
		if !f.Test {
			p.Name = f.Syntax.Name.Name
		}
	}
	return p, nil
}

func parse(fset *token.FileSet, name string, src []byte) (*File, error) {
	syntax, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	f := &File{Name: name, Test: strings.HasSuffix(name, "_test.go"), Generated: ast.IsGenerated(syntax),
		Lines: fset.File(syntax.Pos()).LineCount(), Syntax: syntax, Imports: map[string]string{}}
	for _, spec := range syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("parse %s: import %s: %w", name, spec.Path.Value, err)
		}
		local := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			local = spec.Name.Name
		}
		if local == "_" || local == "." {
			local += path
		}
		f.Imports[local] = path
	}
	return f, nil
}

func (t *Tree) loadMod() error {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = t.Root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("read go.mod: %w", err)
	}
	var mod struct {
		Require []struct {
			Path, Version string
			Indirect      bool
		}
		Replace []struct{ Old struct{ Path string } }
		Exclude []struct{ Path string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return fmt.Errorf("read go.mod: %w", err)
	}
	for _, r := range mod.Require {
		if !r.Indirect {
			t.Requires = append(t.Requires, Require{r.Path, r.Version})
		}
	}
	for _, r := range mod.Replace {
		t.Replaced = append(t.Replaced, r.Old.Path)
	}
	for _, e := range mod.Exclude {
		t.Replaced = append(t.Replaced, e.Path)
	}
	return nil
}

// Violation is one thing that is not as the rules want it.
type Violation struct {
	Where string // file:line, file or folder
	What  string
	Hint  string // what to do
}

// String is one line.
func (v Violation) String() string { return v.Where + ": " + v.What + "; " + v.Hint }

func (t *Tree) at(f *File, n ast.Node) string {
	return f.Name + ":" + strconv.Itoa(t.fset.Position(n.Pos()).Line)
}

// files calls visit for every file that a person wrote.
func (t *Tree) files(visit func(*Package, *File)) {
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if !f.Generated {
				visit(p, f)
			}
		}
	}
}

// within says whether a folder, a file or a file:Type is prefix or lies below it.
func within(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return prefix == anywhere || ok && (rest == "" || rest[0] == '/' || rest[0] == ':')
}

func withinAny(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return within(name, p) })
}

// usage notes which exceptions were needed.
type usage struct {
	list []exception
	used map[string]bool
}

func newUsage(list []exception) *usage { return &usage{list: list, used: map[string]bool{}} }

func (u *usage) allows(name string) bool {
	for _, e := range u.list {
		if within(name, e.where) {
			u.used[e.where] = true
			return true
		}
	}
	return false
}

// unused reports the exceptions that nothing needed.
func (u *usage) unused(table string) []Violation {
	var found []Violation
	for _, e := range u.list {
		if !u.used[e.where] {
			found = append(found, Violation{e.where, "has an exception in " + table + " that nothing needs", "remove it from integration/layering/rules.go"})
		}
	}
	return found
}
