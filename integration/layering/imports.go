package layering

import (
	"fmt"
	"slices"
	"strings"
)

// Imports checks who imports whom inside the module.
func Imports(t *Tree) []Violation {
	var found []Violation
	usedFile := map[string]bool{}
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, path := range sortedImports(f) {
				target, ours := strings.CutPrefix(path, Module+"/")
				if !ours {
					continue
				}
				if v, bad := checkImport(p.Folder, f, target, usedFile); bad {
					found = append(found, v)
				}
			}
		}
	}
	for _, x := range fileImports {
		if !usedFile[x.file] {
			found = append(found, Violation{x.file, "may import " + x.imports + " but does not", "remove the entry from fileImports in integration/layering/rules.go"})
		}
	}
	return found
}

func checkImport(folder string, f *File, target string, usedFile map[string]bool) (Violation, bool) {
	for _, x := range fileImports {
		if within(f.Name, x.file) && within(target, x.imports) {
			usedFile[x.file] = true
			return Violation{}, false
		}
	}
	for _, d := range deniedImports {
		if within(folder, d.folder) && within(target, d.imports) {
			return Violation{f.Name, "imports " + target, d.why}, true
		}
	}
	rule, ok := ruleOf(folder)
	if !ok {
		return Violation{f.Name, "is in a folder without a rule", "move it into a folder of docs/design.md, or give " + folder + " a rule in integration/layering/rules.go"}, true
	}
	targetRule, _ := ruleOf(target)
	if target == invariantPackage || targetRule == rule || within(target, rule) && targetRule == rule || withinAny(target, allowedImports[rule]) {
		return Violation{}, false
	}
	hint := "declare the interface where it is used and let bin/roles pass the implementation, or move the code"
	if allowed := allowedImports[rule]; len(allowed) > 0 {
		hint = fmt.Sprintf("%s may import only %s; %s", rule, strings.Join(allowed, ", "), hint)
	}
	return Violation{f.Name, "imports " + target, hint}, true
}

// ruleOf returns the longest folder of allowedImports that holds name.
func ruleOf(name string) (string, bool) {
	best := ""
	for folder := range allowedImports {
		if within(name, folder) && len(folder) > len(best) {
			best = folder
		}
	}
	return best, best != ""
}

// ThirdParty checks that each module is imported only where its entry says, and that go.mod and the table agree.
func ThirdParty(t *Tree) []Violation {
	var found []Violation
	used := map[string]bool{}
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, path := range sortedImports(f) {
				first, _, _ := strings.Cut(path, "/")
				if !strings.Contains(first, ".") || within(path, Module) {
					continue
				}
				if v, bad := checkThirdParty(f, path, used); bad {
					found = append(found, v)
				}
			}
		}
	}
	required := map[string]bool{}
	for _, r := range t.Requires {
		required[r.Path] = true
	}
	for _, m := range thirdParty {
		if !used[m.module] {
			found = append(found, Violation{"go.mod", m.module + " is imported nowhere", "drop it from go.mod and from thirdParty in integration/layering/rules.go"})
		}
		if !required[m.module] {
			found = append(found, Violation{"go.mod", m.module + " is not required directly", "go mod tidy"})
		}
		delete(required, m.module)
	}
	for path := range required {
		found = append(found, Violation{"go.mod", "requires " + path + ", which has no entry", "name its importers and the reason in thirdParty of integration/layering/rules.go"})
	}
	for _, path := range t.Replaced {
		found = append(found, Violation{"go.mod", "replaces or excludes " + path, "that does not reach the modules of our users; require a version that fits"})
	}
	return found
}

func checkThirdParty(f *File, path string, used map[string]bool) (Violation, bool) {
	for _, m := range thirdParty {
		if !within(path, m.module) {
			continue
		}
		used[m.module] = true
		if m.testOnly && !f.Test {
			return Violation{f.Name, "imports " + path + " outside a test", "it is for tests only"}, true
		}
		if !withinAny(f.Name, m.importers) {
			return Violation{f.Name, "imports " + path, "only " + strings.Join(m.importers, ", ") + " may (" + m.why + "); use what they offer"}, true
		}
		return Violation{}, false
	}
	return Violation{f.Name, "imports " + path + ", a module without an entry", "do without it, or name importers and reason in thirdParty of integration/layering/rules.go"}, true
}

func sortedImports(f *File) []string {
	var paths []string
	for _, path := range f.Imports {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
