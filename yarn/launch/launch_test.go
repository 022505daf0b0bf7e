package launch_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flott-dev/flott/yarn/launch"
	"github.com/flott-dev/flott/yarn/proto/yarnpb"
	"github.com/flott-dev/flott/yarn/token"
	"github.com/flott-dev/flott/yarn/yarntest"
)

// TestMain lets the test binary be the launched program: it writes what it was given, NUL after each string.
func TestMain(m *testing.M) {
	if os.Getenv(launch.RoleVariable) != "" {
		for _, s := range append(slices.Clone(os.Args[1:]), os.Environ()...) {
			fmt.Printf("%s\x00", s)
		}
		fmt.Fprint(os.Stderr, "error output")
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// outcome is what a launched process saw and did.
type outcome struct {
	args           []string
	env            map[string]string
	stderr, logDir string
	exit           int
}

func run(t *testing.T, spec launch.Spec, locale string) outcome {
	t.Helper()
	context, err := spec.Context()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, logs := t.TempDir(), t.TempDir()
	script := yarntest.LaunchScript(context, yarntest.ScriptConfig{
		LogDir:      logs,
		Environment: map[string]string{"CONTAINER_ID": "container_1_0001_01_000002"},
		Resources:   map[string]string{"bin/job": self},
	})
	file := filepath.Join(dir, "launch_container.sh")
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/bash", file)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=" + locale}
	var exit *exec.ExitError
	if out, err := cmd.CombinedOutput(); err != nil && !errors.As(err, &exit) || len(out) > 0 {
		t.Fatalf("launch script: %v\n%s", err, out)
	}
	stdout, err := os.ReadFile(filepath.Join(logs, "taskmanager.out"))
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.ReadFile(filepath.Join(logs, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	o := outcome{env: map[string]string{}, stderr: string(stderr), logDir: logs, exit: exit.ExitCode()}
	given := strings.Split(strings.TrimSuffix(string(stdout), "\x00"), "\x00")
	o.args = given[:len(spec.Args)+1]
	for _, kv := range given[len(spec.Args)+1:] {
		name, value, _ := strings.Cut(kv, "=")
		o.env[name] = value
	}
	return o
}

func spec() launch.Spec {
	return launch.Spec{Role: launch.Worker, Program: "./bin/job", Stdout: "taskmanager.out"}
}

func TestProcessSeesWhatWasSpecified(t *testing.T) {
	s := spec()
	s.Args = []string{"-D", "a.b=c d"}
	s.Environment = map[string]string{"GREETING": "hello"}
	got := run(t, s, "C.UTF-8")
	if want := []string{"YarnTaskExecutorRunner", "-D", "a.b=c d"}; !slices.Equal(got.args, want) {
		t.Errorf("arguments: got %q, want %q", got.args, want)
	}
	for name, want := range map[string]string{
		"GREETING": "hello", "FLOTT_ROLE": "worker", "FLOTT_LOG_DIR": got.logDir, "CONTAINER_ID": "container_1_0001_01_000002",
	} {
		if got.env[name] != want {
			t.Errorf("%s: got %q, want %q", name, got.env[name], want)
		}
	}
	if got.stderr != "error output" || got.exit != 7 {
		t.Errorf("stderr %q, exit %d; want %q, 7", got.stderr, got.exit, "error output")
	}
}

// hostile are strings that quoting mistakes would change.
var hostile = []string{
	"", " ", "a b", "'", `"`, `\`, `\\`, "$", "$HOME", "${HOME}", "$(echo x)", "`echo x`", "!x", "~", "*", "?", "[a]", "#", ";", "&",
	"|", "<", ">", "\n", "a\nb\n", "\t", "\r", "\x01", "\x7f", "\xff\xfe", "\x80", "é", "日本", "\u2028", "<LOG_DIR>", "{{HOME}}",
	"}}", "{{{", "}}}", "<CPS>", "<ADD_OPENS>", "<<LOG_DIR>>", `\"`, `\$`, `$'x'`, `"$'`, "-n", "--", "a=b", "{a,b}", "%s", `\x41`,
	`{"json": "{{nested}}", "k": ["$v", 'x']}`, "\x01\x02\x7f\x01'", "x\\", `\n`, "$$", "trailing \\\n",
}

func TestAnyByteSurvives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []byte("$`\"\\'{}<>LOG_DIR \n\t!a0\x01\x7f\x80\xc3\xa9\xff")
	random := func() string {
		b := make([]byte, rng.IntN(40))
		for i := range b {
			if rng.IntN(3) == 0 {
				b[i] = byte(1 + rng.IntN(255))
			} else {
				b[i] = alphabet[rng.IntN(len(alphabet))]
			}
		}
		return string(b)
	}
	for _, locale := range []string{"C", "C.UTF-8"} {
		t.Run(locale, func(t *testing.T) {
			s := spec()
			s.Args = slices.Clone(hostile)
			var all strings.Builder
			for b := 1; b < 256; b++ {
				all.WriteByte(byte(b))
			}
			s.Args = append(s.Args, all.String())
			for range 700 {
				s.Args = append(s.Args, random())
			}
			s.Environment = map[string]string{}
			for i, v := range s.Args {
				s.Environment[fmt.Sprintf("V%d", i)] = v
			}
			got := run(t, s, locale)
			if diff := cmp.Diff(s.Args, got.args[1:]); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			for name, want := range s.Environment {
				if got.env[name] != want {
					t.Errorf("%s: got %q, want %q", name, got.env[name], want)
				}
			}
		})
	}
}

// TestQuotingIsText: Java reads the strings as UTF-8 and would replace what is not.
func TestQuotingIsText(t *testing.T) {
	s := spec()
	s.Args = hostile
	s.Environment = map[string]string{"V": strings.Join(hostile, "")}
	c, err := s.Context()
	if err != nil {
		t.Fatal(err)
	}
	values := append([]string{}, c.GetCommand()...)
	for _, kv := range c.GetEnvironment() {
		values = append(values, kv.GetValue())
	}
	for _, v := range values {
		if strings.ToValidUTF8(v, "?") != v {
			t.Errorf("not UTF-8: %q", v)
		}
	}
}

func TestCommandLine(t *testing.T) {
	s := spec()
	s.Role, s.Program, s.Stdout, s.Stderr = launch.ApplicationMaster, "./job", "jobmanager.out", "jobmanager.err"
	c, err := s.Context()
	if err != nil {
		t.Fatal(err)
	}
	want := "exec ./job YarnApplicationClusterEntryPoint 1>'<LOG_DIR>/jobmanager.out' 2>'<LOG_DIR>/jobmanager.err'"
	if got := c.GetCommand(); len(got) != 1 || got[0] != want {
		t.Errorf("command: got %q, want %q", got, want)
	}
}

func TestTokensLeaveOutAMRM(t *testing.T) {
	var creds token.Credentials
	creds.Put("", &token.Token{Kind: token.AMRM, Identifier: []byte{1}})
	creds.Put("hdfs", &token.Token{Kind: token.HDFSDelegation, Identifier: []byte{2}})
	s := spec()
	s.Credentials = &creds
	c, err := s.Context()
	if err != nil {
		t.Fatal(err)
	}
	got, err := token.Decode(c.GetTokens())
	if err != nil {
		t.Fatal(err)
	}
	if got.OfKind(token.AMRM) != nil || got.Token("hdfs") == nil {
		t.Errorf("tokens in the context: %v, want the HDFS one only", got.Aliases())
	}
	if creds.OfKind(token.AMRM) == nil {
		t.Error("the caller's credentials were changed")
	}
}

func TestResources(t *testing.T) {
	type wire struct {
		Scheme, User, Host, File string
		Port                     int32
		HasHost                  bool
	}
	for _, tt := range []struct {
		uri  string
		want wire
	}{
		{"hdfs://nn:8020/user/a/job", wire{"hdfs", "", "nn", "/user/a/job", 8020, true}},
		{"hdfs://nameservice/user/a b/100%", wire{"hdfs", "", "nameservice", "/user/a b/100%", -1, true}},
		{"file:///opt/x", wire{"file", "", "", "/opt/x", -1, false}},
		{"s3a://key@bucket/x", wire{"s3a", "key", "bucket", "/x", -1, true}},
	} {
		r := launch.Resource{URI: tt.uri, Size: 3, ModTimeMillis: 1795224700406, Type: launch.File, Visibility: launch.Private}
		p, err := r.Proto()
		if err != nil {
			t.Errorf("%s: %v", tt.uri, err)
			continue
		}
		u := p.GetResource()
		got := wire{u.GetScheme(), u.GetUserInfo(), u.GetHost(), u.GetFile(), u.GetPort(), u.HasHost()}
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.uri, got, tt.want)
		}
		if p.GetSize() != 3 || p.GetTimestamp() != 1795224700406 || p.GetType() != yarnpb.LocalResourceTypeProto_FILE ||
			p.GetVisibility() != yarnpb.LocalResourceVisibilityProto_PRIVATE {
			t.Errorf("%s: size, time, type or visibility differ: %v", tt.uri, p)
		}
	}
}

func TestRefused(t *testing.T) {
	file := launch.Resource{URI: "hdfs://nn/x", Type: launch.File, Visibility: launch.Private}
	for name, change := range map[string]func(*launch.Spec){
		"no program":           func(s *launch.Spec) { s.Program = "" },
		"no role":              func(s *launch.Spec) { s.Role = launch.Role{} },
		"NUL in argument":      func(s *launch.Spec) { s.Args = []string{"a\x00"} },
		"NUL in value":         func(s *launch.Spec) { s.Environment = map[string]string{"A": "\x00"} },
		"bad variable":         func(s *launch.Spec) { s.Environment = map[string]string{"A-B": ""} },
		"reserved variable":    func(s *launch.Spec) { s.Environment = map[string]string{launch.RoleVariable: "x"} },
		"stdout elsewhere":     func(s *launch.Spec) { s.Stdout = "../x" },
		"absolute link":        func(s *launch.Spec) { s.Resources = map[string]launch.Resource{"/x": file} },
		"link outside":         func(s *launch.Spec) { s.Resources = map[string]launch.Resource{"../x": file} },
		"link with quote":      func(s *launch.Spec) { s.Resources = map[string]launch.Resource{`a"b`: file} },
		"resource of no type":  func(s *launch.Spec) { s.Resources = map[string]launch.Resource{"x": {URI: "hdfs://nn/x"}} },
		"resource of no place": func(s *launch.Spec) { f := file; f.URI = "/x"; s.Resources = map[string]launch.Resource{"x": f} },
	} {
		s := spec()
		change(&s)
		if _, err := s.Context(); err == nil || errors.Is(err, launch.ErrTooLarge) {
			t.Errorf("%s: got error %v, want another", name, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	huge := strings.Repeat("x", 128<<10)
	var creds token.Credentials
	creds.PutSecret("s", make([]byte, 1<<20))
	for name, change := range map[string]func(*launch.Spec){
		"one variable": func(s *launch.Spec) { s.Environment = map[string]string{"A": huge} },
		"command":      func(s *launch.Spec) { s.Args = []string{huge} },
		"tokens":       func(s *launch.Spec) { s.Credentials = &creds },
		"all variables": func(s *launch.Spec) {
			s.Environment = map[string]string{}
			for i := range 9 {
				s.Environment[fmt.Sprintf("A%d", i)] = huge[:127<<10]
			}
		},
	} {
		s := spec()
		change(&s)
		if _, err := s.Context(); !errors.Is(err, launch.ErrTooLarge) {
			t.Errorf("%s: got error %v, want ErrTooLarge", name, err)
		}
	}
}
