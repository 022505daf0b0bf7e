package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommittedCodeIsCurrent holds the whole repository against the generator.
func TestCommittedCodeIsCurrent(t *testing.T) {
	if err := run(true, nil); err != nil {
		t.Fatal(err)
	}
}

// repository makes an empty repository with the given files and changes into it.
func repository(t *testing.T, files map[string]string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files["go.mod"] = "module " + module + "\n"
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
}

func protoFile(pkg, goPackage, body string) string {
	return "edition = \"2023\";\npackage " + pkg + ";\noption go_package = \"" + goPackage + "\";\n" + body
}

func TestCompileRules(t *testing.T) {
	tests := []struct {
		name, content, want string
	}{
		{"foreign go_package", protoFile("flott.x", "example.com/x", ""), "must be a folder of"},
		{"foreign package", protoFile("hadoop.common", module+"/x", ""), "must begin with \"flott.\""},
		{"bare import", protoFile("flott.x", module+"/x", "import \"y.proto\";"), "imports begin with"},
		{"good", protoFile("flott.x", module+"/x", "message M { string s = 1; }"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			repository(t, map[string]string{"x/x.proto": tt.content})
			root, err := findRoot()
			if err != nil {
				t.Fatal(err)
			}
			_, err = compile(root, []string{"x/x.proto"})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error: got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestCompareNamesEachFault(t *testing.T) {
	repository(t, map[string]string{"a.pb.go": "old", "gone.pb.go": "x", "same.pb.go": "s"})
	want := map[string]string{"a.pb.go": "new", "missing.pb.go": "m", "same.pb.go": "s"}
	err := compare(".", want, []string{"a.pb.go", "gone.pb.go", "same.pb.go"})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, s := range []string{"a.pb.go is stale", "missing.pb.go is stale", "gone.pb.go has no source"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error: got %v, want %q in it", err, s)
		}
	}
	if strings.Contains(err.Error(), "same.pb.go") {
		t.Errorf("error names a current file: %v", err)
	}
}

func TestSelected(t *testing.T) {
	tests := []struct {
		rel   string
		under []string
		want  bool
	}{
		{"rpc/proto/a.proto", nil, true},
		{"rpc/proto/a.proto", []string{"rpc/proto"}, true},
		{"rpc/proto/a.proto", []string{"rpc/proto/"}, true},
		{"rpc/protox/a.proto", []string{"rpc/proto"}, false},
	}
	for _, tt := range tests {
		if got := selected(tt.rel, tt.under); got != tt.want {
			t.Errorf("selected(%q, %q): got %v, want %v", tt.rel, tt.under, got, tt.want)
		}
	}
}
