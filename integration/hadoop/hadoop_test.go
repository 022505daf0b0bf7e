package hadoop

import (
	"encoding/xml"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testSpec(t *testing.T, o Options) spec {
	t.Helper()
	o.StateDir = t.TempDir()
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return newSpec(o, "/jdk", true, o.PortOffset)
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"no state directory": {},
		"four nodes":         {StateDir: "x", NodeManagers: 4},
		"odd port offset":    {StateDir: "x", PortOffset: 150},
		"negative offset":    {StateDir: "x", PortOffset: -100},
		"offset too high":    {StateDir: "x", PortOffset: maxPortOffset + portStep},
		"node too small":     {StateDir: "x", NodeMemoryMB: 32},
		"heartbeat":          {StateDir: "x", Heartbeat: time.Microsecond},
		"queues":             {StateDir: "x", Queues: []Queue{{Name: "a", Capacity: 50}}},
	} {
		if _, err := o.withDefaults(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// Clusters stay apart because no two ports agree in their last two digits.
func TestPortsOfTwoClustersNeverMeet(t *testing.T) {
	seen := map[int]string{}
	for _, names := range []bool{true, false} {
		o, err := Options{StateDir: "x", NodeManagers: maxNodes}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range newSpec(o, "", names, 0).listeners() {
			_, port, err := net.SplitHostPort(l.address)
			if err != nil {
				t.Fatal(err)
			}
			digits := int(port[len(port)-2]-'0')*10 + int(port[len(port)-1]-'0')
			if other, ok := seen[digits]; ok && other != l.daemon+port {
				t.Errorf("ports of %s and %s end in the same digits %02d", other, l.daemon+port, digits)
			}
			seen[digits] = l.daemon + port
		}
	}
	if len(seen) != 11+3*maxNodes {
		t.Errorf("got %d ports, want %d", len(seen), 11+3*maxNodes)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	s := testSpec(t, Options{NodeManagers: 1})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.Ports = Ports{RMWeb: ln.Addr().(*net.TCPAddr).Port}
	s.Nodes = nil
	_, err = s.takenPort()
	if err == nil || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(err.Error(), "rm") {
		t.Errorf("got %v, want an error that names rm and %s", err, ln.Addr())
	}
}

func TestRenderXML(t *testing.T) {
	want := properties{"b": "x & y", "a": "<1>"}
	text := renderXML(want)
	var file struct {
		Property []struct {
			Name  string `xml:"name"`
			Value string `xml:"value"`
		} `xml:"property"`
	}
	if err := xml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	got := properties{}
	for _, p := range file.Property {
		got[p.Name] = p.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if file.Property[0].Name != "a" {
		t.Errorf("keys are not in order:\n%s", text)
	}
}

func TestConfDirs(t *testing.T) {
	s := testSpec(t, Options{NodeManagers: 2, Heartbeat: 300 * time.Millisecond, VmemCheck: true, PortOffset: 200})
	if err := s.writeConf(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		"conf/core-site.xml":                {"<name>fs.defaultFS</name><value>hdfs://127.0.0.1:8220</value>"},
		"conf/yarn-site.xml":                {"<value>300</value>", "127.0.0.1:8232", "vmem-check-enabled</name><value>true<"},
		"conf/capacity-scheduler.xml":       {"root.queues</name><value>default,small<", "root.small.maximum-capacity</name><value>10<"},
		"conf/webapps/hdfs/WEB-INF/web.xml": {"<web-app"},
		"conf-nm2/yarn-site.xml":            {"yarn.nodemanager.address</name><value>nm2:8252<", "127.0.0.12"},
		"conf-nm2/log4j.properties":         {"rootLogger"},
		"conf/zoo.cfg":                      {"clientPort=2381", "clientPortAddress=127.0.0.1", "admin.enableServer=false"},
	} {
		data, err := os.ReadFile(s.dir(file))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(string(data), w) {
				t.Errorf("%s lacks %q", file, w)
			}
		}
	}
}

func TestRenderPOM(t *testing.T) {
	text := renderPOM("9.9.9", artifacts())
	var pom struct {
		Managed []struct {
			ArtifactID string `xml:"artifactId"`
			Version    string `xml:"version"`
			Scope      string `xml:"scope"`
		} `xml:"dependencyManagement>dependencies>dependency"`
		Deps []struct {
			ArtifactID string `xml:"artifactId"`
			Version    string `xml:"version"`
			Exclusions []struct {
				GroupID    string `xml:"groupId"`
				ArtifactID string `xml:"artifactId"`
			} `xml:"exclusions>exclusion"`
		} `xml:"dependencies>dependency"`
	}
	if err := xml.Unmarshal([]byte(text), &pom); err != nil {
		t.Fatal(err)
	}
	if len(pom.Managed) != 1 || pom.Managed[0].Version != "9.9.9" || pom.Managed[0].Scope != "import" {
		t.Errorf("managed dependencies: got %+v, want hadoop-project 9.9.9 imported", pom.Managed)
	}
	if len(pom.Deps) != len(artifacts()) {
		t.Errorf("got %d dependencies, want %d", len(pom.Deps), len(artifacts()))
	}
	for _, d := range pom.Deps {
		switch d.ArtifactID {
		case "hadoop-common":
			if d.Version != "9.9.9" {
				t.Errorf("hadoop-common: got version %s, want 9.9.9", d.Version)
			}
		case "hadoop-yarn-applications-distributedshell":
			if d.Version != "3.4.2" || len(d.Exclusions) != 1 || d.Exclusions[0].GroupID != "*" || d.Exclusions[0].ArtifactID != "*" {
				t.Errorf("distributed shell: got %+v, want 3.4.2 without dependencies", d)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	nodes := []Node{{Host: "nm1", IP: "127.0.0.11"}, {Host: "nm2", IP: "127.0.0.12"}}
	own := "127.0.0.1 localhost\n# a comment"
	with := addHosts([]byte(own), "/tmp/a", nodes)
	want := "127.0.0.1 localhost\n# a comment\n127.0.0.11 nm1 # flott-hadoop(/tmp/a)\n127.0.0.12 nm2 # flott-hadoop(/tmp/a)\n"
	if string(with) != want {
		t.Errorf("add: got %q, want %q", with, want)
	}
	if again := addHosts(with, "/tmp/a", nodes); string(again) != want {
		t.Errorf("add again: got %q, want the same", again)
	}
	both := addHosts(with, "/tmp/a2", nodes[:1])
	if got, want := string(removeHosts(both, "/tmp/a")), own+"\n127.0.0.11 nm1 # flott-hadoop(/tmp/a2)\n"; got != want {
		t.Errorf("remove: got %q, want %q", got, want)
	}
}

func TestEditHostsInPlace(t *testing.T) {
	name := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(name, []byte("127.0.0.1 localhost\n127.0.0.11 nm1 # flott-hadoop(/x)\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := editHosts(name, func(b []byte) []byte { return removeHosts(b, "/x") }); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := "127.0.0.1 localhost\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestJavaVersion(t *testing.T) {
	for text, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`: 17,
		`openjdk version "21" 2023-09-19`:      21,
		`java version "1.8.0_402"`:             8,
		`command not found`:                    0,
	} {
		if got := javaVersion(text); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

func TestContainerOfApp(t *testing.T) {
	const app = "application_1795262831743_0001"
	for id, want := range map[string]bool{
		"container_1795262831743_0001_01_000001":     true,
		"container_e17_1795262831743_0001_02_000009": true,
		"container_1795262831743_00011_01_000001":    false,
		"container_1795262831743_0002_01_000001":     false,
		"":                                           false,
	} {
		if got := containerOfApp(id, app); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
	if containerOfApp("container_1_0001_01_000001", "") {
		t.Error("an empty application id: got a match, want none")
	}
}

func TestProcessBelongsToCluster(t *testing.T) {
	p := process{args: []string{"java", stateFlag("/tmp/a"), daemonFlag("nm1")}}
	if !p.hasArg(stateFlag("/tmp/a")) || p.hasArg(stateFlag("/tmp/a2")) || p.containerOf("/tmp/a") {
		t.Error("a daemon: want exactly its own state directory to match, and no container")
	}
	c := process{env: []string{"LOG_DIRS_X=/tmp/b/logs", "LOCAL_DIRS=/tmp/a/data/nm1/usercache"}}
	if !c.containerOf("/tmp/a") || c.containerOf("/tmp/b") || c.containerOf("/tmp") != true {
		t.Error("a container: want the directory of its LOCAL_DIRS to match")
	}
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(p process) bool { return p.pid == os.Getpid() && len(p.env) > 0 }) {
		t.Error("this process is not in the list, with its environment")
	}
}

func TestSpecSurvivesItsFile(t *testing.T) {
	s := testSpec(t, Options{NodeManagers: 3, RMRecovery: true})
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	got, err := loadSpec(s.StateDir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestLastLines(t *testing.T) {
	if got, want := lastLines("a\nb\nc\n", 2), "b\nc"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
