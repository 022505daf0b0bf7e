package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRunOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		in       string
		args     string // job and its arguments, joined by blanks
		settings string
		flags    map[string]string
	}{
		"plain":                  {in: "-t local ./job", args: "./job", flags: map[string]string{"target": "local"}},
		"job arguments stay":     {in: "-d ./job -d -t x --p=3 -Da=b -- -y", args: "./job -d -t x --p=3 -Da=b -- -y", flags: map[string]string{"detached": "true", "target": ""}},
		"after --":               {in: "-d -- -strange --job", args: "-strange --job"},
		"long with =":            {in: "--target=yarn-application --parallelism=4 j", args: "j", flags: map[string]string{"target": "yarn-application", "parallelism": "4"}},
		"long with one dash":     {in: "-target yarn-application -detached j", args: "j", flags: map[string]string{"target": "yarn-application", "detached": "true"}},
		"joined values":          {in: "-p4 -tyarn-application -tlocal j", args: "j", flags: map[string]string{"target": "local", "parallelism": "4"}},
		"short with =":           {in: "-p=4 j", args: "j", flags: map[string]string{"parallelism": "4"}},
		"-D whole":               {in: "-Da=1,2;3 -D b=x=y -Dc j", args: "j", settings: "a=1,2;3 b=x=y c=true"},
		"-D does not split":      {in: "-Dyarn.tags=a,b=c j", args: "j", settings: "yarn.tags=a,b=c"},
		"-yD":                    {in: "-yDa=1 -yD b=2 j", args: "j", settings: "a=1 b=2"},
		"order is kept":          {in: "-Da=1 -yqu q -Da=2 j", args: "j", settings: "a=1 yarn.application.queue=q a=2"},
		"Flink's yarn-cluster":   {in: "-d -m yarn-cluster -yjm 2048 -ytm 2048m -ys 2 j", args: "j", settings: "jobmanager.memory.process.size=2048m taskmanager.memory.process.size=2048m taskmanager.numberOfTaskSlots=2", flags: map[string]string{"jobmanager": "yarn-cluster"}},
		"Flink's yarn names":     {in: "-yqu q -ynm n -ynl l -yat t -yd j", args: "j", settings: "yarn.application.queue=q yarn.application.name=n yarn.application.node-label=l yarn.application.type=t", flags: map[string]string{"detached": "true"}},
		"long yarn names":        {in: "--yarnqueue q --yarnjobManagerMemory 1g j", args: "j", settings: "yarn.application.queue=q jobmanager.memory.process.size=1g"},
		"executor":               {in: "-e local j", args: "j", flags: map[string]string{"target": "local"}},
		"a value like an option": {in: "-ynm -x j", args: "j", settings: "yarn.application.name=-x"},
	} {
		t.Run(name, func(t *testing.T) {
			inv, err := runCommand().parse(strings.Fields(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			var settings []string
			for _, s := range inv.settings {
				settings = append(settings, s.Key+"="+s.Value)
			}
			if diff := cmp.Diff([]string{tc.args, tc.settings}, []string{strings.Join(inv.args, " "), strings.Join(settings, " ")}); diff != "" {
				t.Errorf("arguments and settings (-want +got):\n%s", diff)
			}
			for flag, want := range tc.flags {
				if got := inv.flags.Lookup(flag).Value.String(); got != want {
					t.Errorf("--%s: got %q, want %q", flag, got, want)
				}
			}
		})
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for in, want := range map[string]string{
		"-yqq x j":          "unknown option -yqq",
		"--detach j":        "did you mean --detached?",
		"-yjn 12 j":         "did you mean -yjm?",
		"-t":                "-t needs a value: -t <target>",
		"-x j":              "unknown option -x",
		"-dp j":             "unknown option -dp",
		"--detached=yes j":  "--detached takes no value",
		"-D":                "-D needs a value",
		"-s /savepoint j":   "savepoints are not there yet",
		"-yid app j":        "sessions are not there yet",
		"--parallelsim 3 j": "did you mean --parallelism?",
	} {
		_, err := runCommand().parse(strings.Fields(in))
		if err == nil {
			t.Errorf("%s: got no error, want %q", in, want)
			continue
		}
		contains(t, in, err.Error(), want)
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %q, want one sentence", in, err)
		}
	}
}

func TestIgnoredOptionsWarn(t *testing.T) {
	inv, err := runCommand().parse(strings.Fields("-c org.example.Main -n j"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "warnings", strings.Join(inv.warnings, "|"), "-c, --class <name> is ignored", "-n, --allowNonRestoredState is ignored")
}

func TestOptionsAfterArgumentsWhereNoJobFollows(t *testing.T) {
	inv, err := logsCommand().parse(strings.Fields("application_1_0001 -am container_1 -log_files x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(inv.args, inv.on("am"), inv.text("file")); got != "[application_1_0001 container_1] truex" {
		t.Errorf("got %s", got)
	}
}

func TestVerbs(t *testing.T) {
	for name, tc := range map[string]struct {
		args        string
		code        int
		out, stderr string
	}{
		"nothing":           {"", 1, "", "Usage: flott <command>"},
		"--help":            {"--help", 0, "Usage: flott <command>", ""},
		"help":              {"help", 0, "logs", ""},
		"help of a command": {"help cancel", 0, "Usage: flott cancel [options] <application id> [job id]", ""},
		"-h of a command":   {"kill -h", 0, "Usage: flott kill", ""},
		"help of run":       {"run --help", 0, "-yqu", ""},
		"help of nonsense":  {"help rnu", 1, "", "did you mean `flott run`?"},
		"version":           {"version", 0, "flott 1.2.3, go1.26 linux/amd64", ""},
		"-v":                {"-v", 0, "flott 1.2.3", ""},
		"mistyped":          {"lsit", 1, "", "flott: there is no command \"lsit\"; did you mean `flott list`?"},
		"nothing like it":   {"frobnicate", 1, "", "`flott help` lists them"},
		"not there yet":     {"savepoint x", 1, "", "`flott savepoint` does not exist yet"},
		"run without job":   {"run -t local", 1, "", "which job?"},
		"run without -t":    {"run ./job", 1, "", "not submitted: where should the job run? Say -t local or -t yarn-application, or set execution.target"},
		"target mistyped":   {"run -t yarn-aplication ./job", 1, "", "did you mean -t yarn-application?"},
		"target of Flink":   {"run -t yarn-session ./job", 1, "", "target yarn-session does not exist here"},
		"-m of a cluster":   {"run -m host:8081 ./job", 1, "", "not submitted to running clusters yet"},
		"-p 0":              {"run -t local -p 0 ./job", 1, "", "-p 0: parallelism is a number from 1 to 32768"},
		"unknown key":       {"run -t local -Dparallelism.defualt=3 ./job", 1, "", "did you mean parallelism.default?"},
		"no cluster":        {"list", 1, "", "HADOOP_CONF_DIR"},
		"no such directory": {"run -t local ./nowhere", 1, "", "./nowhere: file does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newConsole()
			if got := c.run(t.Context(), strings.Fields(tc.args)...); got != tc.code {
				t.Errorf("exit code: got %d, want %d", got, tc.code)
			}
			contains(t, "standard output", c.out.String(), tc.out)
			contains(t, "standard error", c.err.String(), tc.stderr)
		})
	}
}

func TestEveryCommandHelps(t *testing.T) {
	for _, cmd := range commands() {
		c := newConsole()
		if code := c.run(t.Context(), "help", cmd.Name); code != 0 || cmd.Short == "" || cmd.Long == "" {
			t.Errorf("%s: got exit code %d", cmd.Name, code)
		}
		contains(t, cmd.Name, c.out.String(), "Usage: flott "+cmd.Name, "--help")
		for i := range cmd.Options {
			o := &cmd.Options[i]
			if !o.hidden && o.help == "" {
				t.Errorf("%s --%s: no help", cmd.Name, o.long)
			}
		}
	}
}

func TestVersionString(t *testing.T) {
	for want, v := range map[string]Version{
		"flott (development), go1.26 linux/amd64":                                      {Go: "go1.26", Platform: "linux/amd64"},
		"flott 1.0 commit 0123456789ab with changes of 2026-01-02, go1.26 linux/arm64": {Release: "1.0", Commit: "0123456789abcdef", Modified: true, Date: "2026-01-02", Go: "go1.26", Platform: "linux/arm64"},
	} {
		if got := v.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"run", "list", "status", "cancel", "kill", "logs"}
	for in, want := range map[string]string{"rnu": "run", "staus": "status", "cansel": "cancel", "log": "logs", "x": "", "frobnicate": "", "lst": "list"} {
		if got := nearest(in, words); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}
