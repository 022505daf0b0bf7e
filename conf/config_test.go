package conf

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustWith(t *testing.T, settings ...Setting) (*Config, []Warning) {
	t.Helper()
	c, warnings, err := (*Config)(nil).With("test", settings...)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

func TestDefaults(t *testing.T) {
	for name, c := range map[string]*Config{"nil": nil, "zero": {}} {
		if got := HeartbeatInterval.Get(c); got != 2*time.Second {
			t.Errorf("%s: heartbeat.interval = %v", name, got)
		}
		if got := HeartbeatTimeout.Get(c); got != 8*time.Second {
			t.Errorf("%s: heartbeat.timeout = %v", name, got)
		}
		if got := PreviousWorkerRecoveryTimeout.Get(c); got != 10*time.Second {
			t.Errorf("%s: previous-worker.recovery.timeout = %v", name, got)
		}
		if got := YarnApplicationType.Get(c); got != "flott" {
			t.Errorf("%s: yarn.application.type = %q", name, got)
		}
		if _, set := RestPort.Lookup(c); set || RestPort.IsSet(c) {
			t.Errorf("%s: rest.port counts as set", name)
		}
		if len(c.Entries()) != 0 || c.Origin("rest.port") != "default" {
			t.Errorf("%s: holds %v", name, c.Entries())
		}
	}
}

func TestSettingsWinByLayer(t *testing.T) {
	base, _ := mustWith(t, ParallelismDefault.Setting(2), Setting{"akka.ask.timeout", "7 s"}, Setting{"yarn.tags", "a,b"})
	c, warnings, err := base.With(OriginDynamic, Setting{"parallelism.default", "3"}, Setting{"parallelism.default", "4"})
	if err != nil || len(warnings) != 0 {
		t.Fatal(err, warnings)
	}
	if got := ParallelismDefault.Get(c); got != 4 {
		t.Errorf("parallelism = %d, want the last one", got)
	}
	if got := ParallelismDefault.Get(base); got != 2 {
		t.Errorf("With changed its receiver: %d", got)
	}
	if got := AskTimeout.Get(c); got != 7*time.Second || !AskTimeout.IsSet(c) {
		t.Errorf("deprecated key: %v", got)
	}
	if got := c.Origin("parallelism.default"); got != OriginDynamic {
		t.Errorf("origin = %s", got)
	}
	tags := YarnTags.Get(c)
	tags[0] = "changed"
	if got := YarnTags.Get(c); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("a caller changed the configuration: %q", got)
	}
}

func TestDeprecatedKeyOfAHigherLayerWins(t *testing.T) {
	base, _ := mustWith(t, Setting{"yarn.heartbeat.interval", "5"})
	c, warnings, err := base.With(OriginDynamic, Setting{"yarn.heartbeat-delay", "3"})
	if err != nil {
		t.Fatal(err)
	}
	if got := YarnHeartbeatInterval.Get(c); got != 3*time.Second {
		t.Errorf("got %v, want the -D value, whatever its spelling", got)
	}
	if len(warnings) != 1 || warnings[0].String() != "-D: yarn.heartbeat-delay: deprecated: use yarn.heartbeat.interval" {
		t.Errorf("warnings = %v", warnings)
	}
	c, warnings = mustWith(t, Setting{"yarn.heartbeat-delay", "3"}, Setting{"yarn.heartbeat.interval", "5"})
	if got := YarnHeartbeatInterval.Get(c); got != 5*time.Second {
		t.Errorf("in one layer: got %v, want the present key's", got)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "ignored") {
		t.Errorf("warnings = %v", warnings)
	}
}

func TestFallback(t *testing.T) {
	c, _ := mustWith(t, Setting{"taskmanager.registration.timeout", "20 s"}, Setting{"rest.port", "8082"})
	if got := TaskManagerRegistrationTimeoutRM.Get(c); got != 20*time.Second {
		t.Errorf("resourcemanager.taskmanager-registration.timeout = %v", got)
	}
	if got := RestBindPort.Get(c); got != Ports(8082) {
		t.Errorf("rest.bind-port = %v, want rest.port", got)
	}
	c, _, err := c.With("test", Setting{"rest.bind-port", "50100-50200"})
	if err != nil {
		t.Fatal(err)
	}
	if got := RestBindPort.Get(c).String(); got != "50100-50200" {
		t.Errorf("rest.bind-port = %v, want its own value", got)
	}
}

func TestWrongValuesAreAllNamed(t *testing.T) {
	_, _, err := (*Config)(nil).With("f.yaml:3", Setting{"heartbeat.interval", "soon"}, Setting{"parallelism.default", "0"},
		Setting{"execution.runtime-mode", "SIDEWAYS"}, Setting{"yarn.view.acls", "alice *"}, Setting{"taskmanager.memory.process.size", "2 q"},
		Setting{"parallelism.defualt", "1"})
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []string{
		`f.yaml:3: heartbeat.interval: "soon" is no duration`, "f.yaml:3: parallelism.default: 0 is not between 1 and 32768",
		`"SIDEWAYS" is not one of AUTOMATIC, STREAMING, BATCH`, "yarn.view.acls: * must stand alone", `unit "q"`,
		"unknown key parallelism.defualt; did you mean parallelism.default?",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestHeartbeatTimeoutMustBeLongerThanInterval(t *testing.T) {
	_, _, err := (*Config)(nil).With("test", Setting{"heartbeat.interval", "10 s"})
	if err == nil || !strings.Contains(err.Error(), "heartbeat.timeout (8 s) must be longer than heartbeat.interval (10 s)") {
		t.Errorf("got %v", err)
	}
	mustWith(t, Setting{"heartbeat.interval", "10 s"}, Setting{"heartbeat.timeout", "50 s"})
}

func TestIgnoredAndPlannedKeysWarnOnce(t *testing.T) {
	c, warnings := mustWith(t, Setting{"env.java.opts.all", "-Xfoo"}, Setting{"env.java.home", "/jdk"}, Setting{"jobmanager.rpc.address", "localhost"},
		Setting{"high-availability.type", "zookeeper"}, Setting{"security.kerberos.login.use-ticket-cache", "TRUE"},
		Setting{"execution.checkpointing.interval", "10 s"})
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	slices.Sort(got)
	want := []string{
		"test: env.java.home, env.java.opts.all: has no meaning without a JVM; ignored",
		"test: execution.checkpointing.interval: is not supported yet; ignored",
		"test: high-availability.type: has no effect in this version",
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if HighAvailabilityType.Get(c) != HighAvailabilityZooKeeper {
		t.Error("a planned option is not read")
	}
}

func TestMapOption(t *testing.T) {
	c, _ := mustWith(t, Setting{"pipeline.global-job-parameters", "a:1,b:2"}, Setting{"pipeline.global-job-parameters.c.d", "3"})
	if got, want := PipelineGlobalJobParameters.Get(c), map[string]string{"a": "1", "b": "2", "c.d": "3"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c, _, err := c.With(OriginDynamic, Setting{"pipeline.global-job-parameters", "e:5"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := PipelineGlobalJobParameters.Get(c), map[string]string{"e": "5"}; !maps.Equal(got, want) {
		t.Errorf("after a whole map from a higher layer: got %v, want %v", got, want)
	}
	c, _ = mustWith(t, Setting{"pipeline.global-job-parameters.x", "1"})
	if got, set := PipelineGlobalJobParameters.Lookup(c); !set || got["x"] != "1" {
		t.Errorf("only a piece: %v, %v", got, set)
	}
}

func TestPrefixesAndHadoopOverrides(t *testing.T) {
	c, warnings := mustWith(t, Setting{"flink.hadoop.dfs.replication", "2"}, Setting{"flink.yarn.resourcemanager.hostname", "rm1"},
		Setting{ContainerizedMasterEnv.Prefix + "TZ", "UTC"}, Setting{ContainerizedTaskManagerEnv.Prefix + "A", "b"})
	if len(warnings) != 0 {
		t.Errorf("warnings = %v", warnings)
	}
	if got, want := c.HadoopOverrides(), map[string]string{"dfs.replication": "2", "yarn.resourcemanager.hostname": "rm1"}; !maps.Equal(got, want) {
		t.Errorf("overrides = %v, want %v", got, want)
	}
	if got := ContainerizedMasterEnv.Get(c); !maps.Equal(got, map[string]string{"TZ": "UTC"}) {
		t.Errorf("master env = %v", got)
	}
	if got := ContainerizedTaskManagerEnv.Get(c); !maps.Equal(got, map[string]string{"A": "b"}) {
		t.Errorf("worker env = %v", got)
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "hunter2"
	c, warnings := mustWith(t, Setting{"security.ssl.internal.key-password", secret}, Setting{"containerized.master.env.MY_TOKEN", secret},
		Setting{"high-availability.zookeeper.client.authorization", "digest:" + secret}, Setting{"yarn.tags", "shown"})
	var shown strings.Builder
	fmt.Fprintf(&shown, "%v %+v %#v %s %v %v", c, c, c, c, c.Entries(), warnings)
	fmt.Fprint(&shown, Setting{"my.secret", secret})
	if strings.Contains(shown.String(), secret) {
		t.Errorf("a secret is shown: %s", shown.String())
	}
	if !strings.Contains(c.String(), "security.ssl.internal.key-password: ******\n") || !strings.Contains(c.String(), "yarn.tags: shown\n") {
		t.Errorf("String = %s", c)
	}
	_, _, err := (*Config)(nil).With("test", Setting{"high-availability.zookeeper.client.authorization", secret})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("error about a secret: %v", err)
	}
	if got := ContainerizedMasterEnv.Get(c)["MY_TOKEN"]; got != secret {
		t.Errorf("the value itself is masked: %q", got)
	}
}

func TestEncodeDecode(t *testing.T) {
	settings := []Setting{
		{"parallelism.default", "4"}, {"yarn.tags", "a,b"}, {"flink.hadoop.x", "y"}, {"pipeline.name", "naïve <job> & \"more\""}, {"env.java.home", "/j"},
		{"rest.bind-port", "50100-50200"},
	}
	c, _ := mustWith(t, settings...)
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(settings)
	other, _ := mustWith(t, settings...)
	if again, err := other.Encode(); err != nil || !bytes.Equal(data, again) {
		t.Errorf("the same settings in another order give other bytes:\n%s\n%s", data, again)
	}
	back, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Entries(), c.Entries()) {
		t.Errorf("decoded %v, want %v", back.Entries(), c.Entries())
	}
	if got := ParallelismDefault.Get(back); got != 4 {
		t.Errorf("parallelism = %d", got)
	}
	if empty, err := (*Config)(nil).Encode(); err != nil || string(empty) != "[]" {
		t.Errorf("empty: %s, %v", empty, err)
	}
	for _, bad := range []string{"", "{", `{"k":1}`, `[{"k":"parallelism.default","v":"many","o":"x"}]`, strings.Repeat(" ", maxEncoded+1)} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("Decode(%.60q): want an error", bad)
		}
	}
	if _, err := Decode([]byte(`[{"k":"from.a.newer.version","v":"1","o":"x"}]`)); err != nil {
		t.Errorf("a key of another version: %v", err)
	}
}

// TestEverySettingReadsBack writes the default of each option as a setting and reads it back through a Config.
func TestEverySettingReadsBack(t *testing.T) {
	for _, d := range Options() {
		if d.Default == "" {
			continue
		}
		c, _ := mustWith(t, Setting{d.Key, d.Default})
		data, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(data)
		if err != nil {
			t.Errorf("%s: %v", d.Key, err)
			continue
		}
		want, _ := c.parsedValue(d.Key)
		got, _ := back.parsedValue(d.Key)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", d.Key, got, want)
		}
	}
}
