package layering

import (
	"fmt"
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Sizes checks the lengths of files and functions, and the names of folders.
func Sizes(t *Tree) []Violation {
	var found []Violation
	for _, p := range t.Packages {
		for part := range strings.SplitSeq(p.Folder, "/") {
			if slices.Contains(bannedFolders, part) {
				found = append(found, Violation{p.Folder, "has a folder named " + part, "name it after what it does"})
			}
		}
	}
	t.files(func(_ *Package, f *File) {
		if f.Lines > maxFileLines {
			found = append(found, Violation{f.Name, fmt.Sprintf("has %d lines, more than %d", f.Lines, maxFileLines), "split it by subject"})
		}
		for _, d := range f.Syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			limit := maxFuncLines
			if isSelectLoop(fn.Body) {
				limit = maxSelectLines
			}
			lines := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1
			if lines > limit {
				found = append(found, Violation{t.at(f, fn), fmt.Sprintf("%s has %d lines, more than %d", fn.Name.Name, lines, limit),
					"give its steps functions and its tables variables of their own"})
			}
		}
	})
	return found
}

// isSelectLoop says whether a body ends in a for loop that is one select statement.
func isSelectLoop(body *ast.BlockStmt) bool {
	for _, s := range body.List {
		loop, ok := s.(*ast.ForStmt)
		if !ok {
			continue
		}
		for _, inner := range loop.Body.List {
			if _, ok := inner.(*ast.SelectStmt); ok {
				return true
			}
		}
	}
	return false
}

// Calls checks for calls and declarations that are banned where they are.
func Calls(t *Tree) []Violation {
	var found []Violation
	panics, inits := newUsage(mayPanic), newUsage(mayInit)
	t.files(func(p *Package, f *File) {
		add := func(n ast.Node, what, hint string) { found = append(found, Violation{t.at(f, n), what, hint}) }
		if _, ok := f.Imports["log"]; ok && f.Imports["log"] == "log" {
			add(f.Syntax, "imports log", "use the *slog.Logger of the Config")
		}
		for _, d := range f.Syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if ok && fn.Recv == nil && fn.Name.Name == "init" && !inits.allows(f.Name) {
				add(fn, "has an init function", "initialise a variable by a function's value, or do it in a constructor")
			}
			ast.Inspect(d, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					checkCall(p, f, d, call, panics, add)
				}
				return true
			})
		}
	})
	return append(append(found, panics.unused("mayPanic")...), inits.unused("mayInit")...)
}

func checkCall(p *Package, f *File, decl ast.Decl, call *ast.CallExpr, panics *usage, add func(ast.Node, string, string)) {
	if id, ok := call.Fun.(*ast.Ident); ok {
		if id.Name == "panic" && !f.Test && !panics.allows(f.Name) {
			add(call, "panics", "return an error; for a programming error use rpc/invariant")
		}
		return
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return
	}
	name := sel.Sel.Name
	switch f.Imports[x.Name] {
	case "time":
		_, bubble := f.Imports["synctest"]
		if name == "Sleep" && f.Test && !bubble {
			add(call, "sleeps in a test", "wait for the condition with a deadline, or run the test under testing/synctest")
		}
	case "fmt":
		if strings.HasPrefix(name, "Print") && !f.Test && !withinAny(f.Name, mayPrint) {
			add(call, "calls fmt."+name, "write to an io.Writer that the caller gives, or log")
		}
	case "os":
		if name == "Exit" && !within(f.Name, "bin") && p.Name != "main" && !isTestMain(decl) {
			add(call, "calls os.Exit", "return an error; only programs and TestMain exit")
		}
	case "":
		// A variable: Skip, Skipf and SkipNow are methods of T, B, F and TB, which tests call t, b, f or tb.
		if f.Test && strings.HasPrefix(name, "Skip") && slices.Contains([]string{"t", "b", "f", "tb"}, x.Name) {
			add(call, "skips a test", "make it run everywhere, or fail and name what is missing")
		}
	}
}

func isTestMain(decl ast.Decl) bool {
	fn, ok := decl.(*ast.FuncDecl)
	return ok && fn.Recv == nil && fn.Name.Name == "TestMain"
}

// Contexts checks that no struct outside the table stores a context.
func Contexts(t *Tree) []Violation {
	var found []Violation
	known := newUsage(mayStoreContext)
	t.files(func(_ *Package, f *File) {
		if f.Test {
			return
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range st.Fields.List {
				sel, ok := field.Type.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Context" {
					continue
				}
				x, ok := sel.X.(*ast.Ident)
				if ok && f.Imports[x.Name] == "context" && !known.allows(f.Name+":"+spec.Name.Name) {
					found = append(found, Violation{t.at(f, field), spec.Name.Name + " stores a context",
						"pass it to the calls that need it; if it is the life of a goroutine, add it with the reason to mayStoreContext"})
				}
			}
			return true
		})
	})
	return append(found, known.unused("mayStoreContext")...)
}

// Words checks that no text of the tree names the machine that it was written on.
func Words(t *Tree) ([]Violation, error) {
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	cmd.Dir = t.Root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	var found []Violation
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(t.Root, name))
		if err != nil || !utf8.Valid(data) {
			continue // removed meanwhile, or no text
		}
		found = append(found, wordsOf(name, string(data))...)
	}
	return found, nil
}

func wordsOf(name, text string) []Violation {
	var found []Violation
	line := 0
	for l := range strings.Lines(text) {
		line++
		for _, w := range machinePaths {
			// Only where a path begins: another folder of that name, say in HDFS, is nobody's machine.
			i := strings.Index(l, w)
			if i < 0 || i > 0 && (l[i-1] == '/' || l[i-1] == '.' || l[i-1] == '_' || l[i-1] >= '0' && l[i-1] <= '9' || l[i-1]|0x20 >= 'a' && l[i-1]|0x20 <= 'z') {
				continue
			}
			found = append(found, Violation{fmt.Sprintf("%s:%d", name, line), "names a path of one machine (" + w + ")", "use a path that the reader chooses"})
		}
	}
	return found
}
