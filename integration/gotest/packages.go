package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	module     = "github.com/flott-dev/flott"
	hadoopTest = module + "/integration/hadoop/hadooptest"
)

// pkg is what `go list -json` says about a package.
type pkg struct {
	ImportPath, Dir                    string
	Imports, TestImports, XTestImports []string
	TestGoFiles, XTestGoFiles          []string
}

// packages returns the packages with tests, those first that need no Hadoop.
func packages(ctx context.Context, o options) (plain, real []string, err error) {
	listed, err := list(ctx, o.tags, o.patterns)
	if err != nil {
		return nil, nil, err
	}
	all, err := list(ctx, o.tags, []string{"./..."})
	if err != nil {
		return nil, nil, err
	}
	plain, real = split(listed, all)
	return plain, real, nil
}

// split puts a package into real when hadooptest can be reached from its tests.
func split(listed, all []pkg) (plain, real []string) {
	imports := map[string][]string{}
	for _, p := range all {
		imports[p.ImportPath] = p.Imports
	}
	reaches := map[string]bool{hadoopTest: true}
	visited := map[string]bool{}
	var visit func(path string) bool
	visit = func(path string) bool {
		if reaches[path] || visited[path] {
			return reaches[path]
		}
		visited[path] = true
		for _, i := range imports[path] {
			if visit(i) {
				reaches[path] = true
			}
		}
		return reaches[path]
	}
	for _, p := range listed {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			continue
		}
		needs := false
		for _, i := range append(append([]string{p.ImportPath}, p.TestImports...), p.XTestImports...) {
			needs = visit(i) || needs
		}
		if needs {
			real = append(real, p.ImportPath)
		} else {
			plain = append(plain, p.ImportPath)
		}
	}
	return plain, real
}

func list(ctx context.Context, tags string, patterns []string) ([]pkg, error) {
	// -e: a package that does not compile is go test's to report.
	args := append([]string{"list", "-e", "-json=ImportPath,Dir,Imports,TestImports,XTestImports,TestGoFiles,XTestGoFiles", "-tags=" + tags, "--"}, patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		all = append(all, p)
	}
}

var fuzzFunc = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// fuzz runs each fuzz test by itself, as go test wants it.
func fuzz(ctx context.Context, o options, r *report) error {
	listed, err := list(ctx, o.tags, o.patterns)
	if err != nil {
		return err
	}
	for _, p := range listed {
		for _, name := range append(p.TestGoFiles, p.XTestGoFiles...) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				return fmt.Errorf("find fuzz tests: %w", err)
			}
			for _, m := range fuzzFunc.FindAllStringSubmatch(string(text), -1) {
				one := o
				one.run = "^$"
				args := []string{"-fuzz=^" + m[1] + "$", "-fuzztime=" + o.fuzzTime.String()}
				if err := goTest(ctx, one, r, nil, args, []string{p.ImportPath}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
