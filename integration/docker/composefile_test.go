package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func noVariables(string) (string, bool) { return "", false }

// The file in the tree is one that the runner on plain docker reads, with what the issue asks for.
func TestComposeFile(t *testing.T) {
	data, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	services, err := readCompose(data, noVariables)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]service{}
	var names []string
	for _, s := range services {
		byName[s.name] = s
		names = append(names, s.name)
		if s.image != officialImage {
			t.Errorf("%s runs %s, want %s unless HADOOP_IMAGE says otherwise", s.name, s.image, officialImage)
		}
		if got := s.environment["CORE-SITE.XML_fs.defaultFS"]; got != "hdfs://namenode:8020" {
			t.Errorf("%s: fs.defaultFS is %q", s.name, got)
		}
		if s.hostname != s.name {
			t.Errorf("%s has the host name %q; the configuration names services", s.name, s.hostname)
		}
	}
	want := []string{"client", "namenode", "resourcemanager", "datanode", "nodemanager1", "nodemanager2", "nodemanager3"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("services in the order of their start (-want +got):\n%s", diff)
	}
	if got := byName["nodemanager2"]; got.environment["WAITFOR"] != "resourcemanager:8031" || !slices.Equal(got.command, []string{"yarn", "nodemanager"}) {
		t.Errorf("nodemanager2 did not get what it shares with nodemanager1: %+v", got)
	}
	if got, want := byName["namenode"].ports, []string{"127.0.0.1:9870:9870"}; !slices.Equal(got, want) {
		t.Errorf("ports of the NameNode: got %v, want %v", got, want)
	}
	d := &demo{image: "mine"}
	set := d.variables()
	services, err = readCompose(data, func(name string) (string, bool) { value, ok := set[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(services, func(s service) bool { return s.name == "resourcemanager" }); services[i].image != "mine" ||
		!slices.Equal(services[i].ports, []string{"127.0.0.1:0:8088"}) {
		t.Errorf("with the demo's variables: got image %s, ports %v", services[i].image, services[i].ports)
	}
}

func TestReadCompose(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       []service
		wantErr    string
	}{
		{
			name: "merged, with the own value ruling",
			text: `
x-base: &base {image: "${IMAGE:-i}", environment: &env {A: "1", B: "${SET}"}}
services:
  b:
    <<: *base
    depends_on: [a]
    environment: {<<: *env, A: "2", C: "a$$b"}
  a: {<<: *base, command: [x, "y z"], ports: ["1:2"], hostname: h}
`,
			want: []service{
				{name: "a", image: "i", hostname: "h", command: []string{"x", "y z"}, environment: map[string]string{"A": "1", "B": "v"}, ports: []string{"1:2"}},
				{name: "b", image: "i", environment: map[string]string{"A": "2", "B": "v", "C": "a$b"}, dependsOn: []string{"a"}},
			},
		},
		{name: "unknown at the top", text: "services: {a: {image: i}}\nvolumes: {}", wantErr: "volumes: the runner on plain docker does not know this key"},
		{name: "unknown in a service", text: "services: {a: {image: i, build: .}}", wantErr: "services.a.build: the runner"},
		{name: "a command as text", text: "services: {a: {image: i, command: sleep 1}}", wantErr: "services.a.command"},
		{name: "an environment as a list", text: "services: {a: {image: i, environment: [A=1]}}", wantErr: "services.a.environment"},
		{name: "no image", text: "services: {a: {hostname: h}}", wantErr: "services.a has no image"},
		{name: "a circle", text: "services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [a]}}", wantErr: "circle"},
		{name: "an absent dependency", text: "services: {a: {image: i, depends_on: [b]}}", wantErr: "not there"},
		{name: "a variable of another form", text: "services:\n  a: {image: \"${IMAGE:?needed}\"}", wantErr: "line 2"},
		{name: "no YAML", text: "services: [", wantErr: "yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := readCompose([]byte(tc.text), func(name string) (string, bool) { return "v", name == "SET" })
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("got %v, want an error with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(service{})); diff != "" {
				t.Errorf("services (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"SET": "v", "EMPTY": ""}[name]
		return value, ok
	}
	for text, want := range map[string]string{
		"plain": "plain", "${SET}": "v", "${UNSET}": "", "a${SET}b${SET}": "avbv",
		"${UNSET:-d:1}": "d:1", "${EMPTY:-d}": "d", "${EMPTY-d}": "", "${UNSET-d}": "d", "${UNSET:-}": "", "$$SET": "$SET", "$${SET}": "${SET}",
	} {
		if got, err := expand(text, lookup); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"$SET", "${SET:+x}", "${SET", "50$", "${1}"} {
		if got, err := expand(text, lookup); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}
