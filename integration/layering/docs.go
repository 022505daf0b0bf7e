package layering

import (
	"go/ast"
	"go/token"
	"strings"
)

// Docs checks that every package has a comment and every exported name outside programs and tests is documented.
func Docs(t *Tree) []Violation {
	var found []Violation
	for _, p := range t.Packages {
		if v, bad := packageDoc(p); bad {
			found = append(found, v)
		}
		if p.Name == "main" {
			continue
		}
		for _, f := range p.Files {
			if f.Generated || f.Test {
				continue
			}
			for _, d := range f.Syntax.Decls {
				found = append(found, t.undocumented(f, d)...)
			}
		}
	}
	return found
}

func packageDoc(p *Package) (Violation, bool) {
	generatedOnly := true
	for _, f := range p.Files {
		if f.Generated {
			continue
		}
		generatedOnly = generatedOnly && f.Test
		if f.Test || f.Syntax.Doc == nil {
			continue
		}
		text := f.Syntax.Doc.Text()
		if p.Name == "main" && strings.HasPrefix(text, "Command ") || strings.HasPrefix(text, "Package "+p.Name+" ") {
			return Violation{}, false
		}
	}
	if generatedOnly {
		return Violation{}, false // code made from a file that has the comments, or a folder of tests
	}
	want := "Package " + p.Name + " …"
	if p.Name == "main" {
		want = "Command <name> …"
	}
	return Violation{p.Folder, "has no package comment",
		"begin doc.go with \"" + want + "\": what it owns, who calls it, on which goroutine, what always holds, what it does not do"}, true
}

const docHint = "say what it is for, with units, errors and goroutine where they matter"

func (t *Tree) undocumented(f *File, decl ast.Decl) []Violation {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown[d.Name.Name] {
			return []Violation{{t.at(f, d), d.Name.Name + " is exported and not documented", docHint}}
		}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT {
			return nil
		}
		var found []Violation
		for _, s := range d.Specs {
			if name := undocumentedSpec(d, s); name != "" {
				found = append(found, Violation{t.at(f, s), name + " is exported and not documented", docHint})
			}
		}
		return found
	}
	return nil
}

// wellKnown are methods whose meaning is the interface's that they implement.
var wellKnown = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Is": true, "As": true, "Len": true, "Less": true, "Swap": true,
	"LogValue": true, "MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true}

// undocumentedSpec returns the first exported name of a spec that neither its own comment nor the group's explains.
func undocumentedSpec(d *ast.GenDecl, s ast.Spec) string {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() && s.Doc == nil && s.Comment == nil && (d.Doc == nil || d.Lparen.IsValid()) {
			return s.Name.Name
		}
	case *ast.ValueSpec:
		if d.Doc != nil || s.Doc != nil || s.Comment != nil {
			return ""
		}
		for _, n := range s.Names {
			if n.IsExported() {
				return n.Name
			}
		}
	}
	return ""
}

// exportedReceiver is true for functions and for methods of exported types.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	return ast.IsExported(typeName(d.Recv.List[0].Type))
}

// typeName strips pointers and type parameters.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
