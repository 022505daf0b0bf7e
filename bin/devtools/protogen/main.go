package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	module       = "github.com/flott-dev/flott"
	importPrefix = "flott/"
	hadoopPrefix = "flott.hadoop."
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail when a generated file is missing, stale or without source")
	flag.Parse()
	if err := run(*check, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(check bool, under []string) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	sources, existing, err := scan(root, under)
	if err != nil {
		return err
	}
	files, err := compile(root, sources)
	if err != nil {
		return err
	}
	want, err := generate(files)
	if err != nil {
		return err
	}
	if check {
		return compare(root, want, existing)
	}
	return write(root, want, existing)
}

// findRoot walks up from the working directory to the go.mod of the product's module.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(mod, []byte("module "+module+"\n")) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the repository of " + module)
		}
		dir = parent
	}
}

// scan lists the .proto files and the generated files, as slash paths from root, limited to the folders in under.
func scan(root string, under []string) (sources, existing []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !selected(rel, under) {
			return nil
		}
		switch {
		case strings.HasSuffix(rel, ".proto"):
			sources = append(sources, rel)
		case strings.HasSuffix(rel, ".pb.go"):
			existing = append(existing, rel)
		}
		return nil
	})
	return sources, existing, err
}

func selected(rel string, under []string) bool {
	if len(under) == 0 {
		return true
	}
	return slices.ContainsFunc(under, func(u string) bool {
		return strings.HasPrefix(rel, strings.TrimSuffix(filepath.ToSlash(u), "/")+"/")
	})
}

func compile(root string, sources []string) (linker.Files, error) {
	onDisk := protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		rel, ok := strings.CutPrefix(path, importPrefix)
		if !ok {
			return protocompile.SearchResult{}, fmt.Errorf("imports begin with %q and go on from the repository root: %w", importPrefix, fs.ErrNotExist)
		}
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(rel)))
		return protocompile.SearchResult{Source: bytes.NewReader(data)}, err
	})
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(onDisk),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = importPrefix + s
	}
	files, err := c.Compile(context.Background(), names...)
	if err != nil {
		return nil, err
	}
	var bad []error
	for _, f := range files {
		bad = append(bad, checkFile(f))
	}
	return files, errors.Join(bad...)
}

// checkFile enforces the rules of the package comment that a compiler does not know.
func checkFile(f protoreflect.FileDescriptor) error {
	opts, _ := f.Options().(*descriptorpb.FileOptions)
	if !strings.HasPrefix(opts.GetGoPackage(), module+"/") {
		return fmt.Errorf("%s: go_package %q must be a folder of %s", f.Path(), opts.GetGoPackage(), module)
	}
	if !strings.HasPrefix(string(f.Package()), "flott.") {
		return fmt.Errorf("%s: package %q must begin with \"flott.\"", f.Path(), f.Package())
	}
	return nil
}

// generate returns the content of each generated file by its path from the repository root.
func generate(files linker.Files) (map[string]string, error) {
	var all, grpc []string
	for _, f := range files {
		all = append(all, f.Path())
		if f.Services().Len() > 0 && !strings.HasPrefix(string(f.Package()), hadoopPrefix) {
			grpc = append(grpc, f.Path())
		}
	}
	descriptors := closure(files)
	out := map[string]string{}
	if err := plugin(out, "protoc-gen-go", "default_api_level=API_OPAQUE", all, descriptors); err != nil {
		return nil, err
	}
	return out, plugin(out, "protoc-gen-go-grpc", "require_unimplemented_servers=true", grpc, descriptors)
}

// closure lists the descriptors of files and of what they import, imports first, as plugins require.
func closure(files linker.Files) []*descriptorpb.FileDescriptorProto {
	seen := map[string]bool{}
	var out []*descriptorpb.FileDescriptorProto
	var visit func(protoreflect.FileDescriptor)
	visit = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			visit(f.Imports().Get(i).FileDescriptor)
		}
		out = append(out, protoutil.ProtoFromFileDescriptor(f))
	}
	for _, f := range files {
		visit(f)
	}
	return out
}

func plugin(out map[string]string, tool, param string, targets []string, descriptors []*descriptorpb.FileDescriptorProto) error {
	if len(targets) == 0 {
		return nil
	}
	req, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: targets,
		Parameter:      proto.String("module=" + module + "," + param),
		ProtoFile:      descriptors,
	})
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "tool", tool)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(req), os.Stderr
	data, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("run %s: %w", tool, err)
	}
	var resp pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(data, &resp); err != nil {
		return fmt.Errorf("read answer of %s: %w", tool, err)
	}
	if resp.GetError() != "" {
		return fmt.Errorf("%s: %s", tool, resp.GetError())
	}
	for _, f := range resp.File {
		out[f.GetName()] = f.GetContent()
	}
	return nil
}

func compare(root string, want map[string]string, existing []string) error {
	var bad []string
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil || string(got) != content {
			bad = append(bad, name+" is stale")
		}
	}
	for _, name := range orphans(want, existing) {
		bad = append(bad, name+" has no source")
	}
	if len(bad) == 0 {
		return nil
	}
	slices.Sort(bad)
	return errors.New(strings.Join(bad, "; ") + "; run: go run -C bin/devtools ./protogen")
}

func write(root string, want map[string]string, existing []string) error {
	for name, content := range want {
		path := filepath.Join(root, filepath.FromSlash(name))
		if got, err := os.ReadFile(path); err == nil && string(got) == content {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, name := range orphans(want, existing) {
		if err := os.Remove(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

func orphans(want map[string]string, existing []string) []string {
	return slices.DeleteFunc(slices.Clone(existing), func(name string) bool {
		_, ok := want[name]
		return ok
	})
}
