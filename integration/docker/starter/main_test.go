package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asStarter makes this test binary the starter: it runs its arguments as supervise does.
const asStarter = "FLOTT_TEST_STARTER"

func TestMain(m *testing.M) {
	if os.Getenv(asStarter) == "" {
		os.Exit(m.Run())
	}
	code, err := supervise(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 99
	}
	os.Exit(code)
}

func TestParsePreparation(t *testing.T) {
	got, err := parsePreparation([]string{"SLEEP_SECONDS=2", "WAITFOR=namenode:8020", "WAITFOR_TIMEOUT=7", "ENSURE_NAMENODE_DIR=/d",
		"ENSURE_NAMENODE_CLUSTERID=c", "OTHER=x"})
	want := preparation{sleep: 2 * time.Second, waitFor: "namenode:8020", waitTimeout: 7 * time.Second, nameDir: "/d", clusterID: "c"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := parsePreparation(nil); err != nil || got.waitTimeout != 300*time.Second {
		t.Errorf("without settings: got %+v, %v, want a timeout of 300 s", got, err)
	}
	for _, bad := range []string{"SLEEP_SECONDS=soon", "WAITFOR=namenode", "WAITFOR_TIMEOUT=-1", "KERBEROS_ENABLED=true", "ENSURE_STANDBY_NAMENODE_DIR=/d"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := parsePreparation([]string{bad}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want an error that names it", bad, err)
		}
	}
}

func TestFormatsOnlyWhatIsAbsent(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct {
		p    preparation
		want []string // the calls of hdfs
	}{
		{preparation{nameDir: filepath.Join(dir, "absent")}, []string{"namenode -format -force -nonInteractive"}},
		{preparation{nameDir: filepath.Join(dir, "absent"), clusterID: "c"}, []string{"namenode -format -force -nonInteractive -clusterId c"}},
		{preparation{nameDir: dir}, nil},
		{preparation{}, nil},
	} {
		var calls []string
		err := tc.p.do(t.Context(), func(_ context.Context, args ...string) error {
			calls = append(calls, strings.Join(args, " "))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, calls); diff != "" {
			t.Errorf("%+v: calls of hdfs (-want +got):\n%s", tc.p, diff)
		}
	}
}

func TestAwaitListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := awaitListener(t.Context(), address, time.Minute); err != nil {
		t.Errorf("with a listener: %v", err)
	}
	listener.Close()
	if err := awaitListener(t.Context(), address, 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("without a listener: got %v, want an error with %s", err, address)
	}
}

func TestSupervise(t *testing.T) {
	for _, tc := range []struct {
		script string
		want   int
	}{
		{"exit 7", 7},
		{"kill -9 $$", 137},
		// An orphan that ends first is not the command's end.
		{"(sh -c 'exit 3' &) ; sleep 0.2; exit 4", 4},
	} {
		cmd := exec.Command(os.Args[0], "sh", "-c", tc.script)
		cmd.Env = append(os.Environ(), asStarter+"=1")
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tc.want {
			t.Errorf("%s: got exit code %d (%s), want %d", tc.script, got, out, tc.want)
		}
	}
}

// docker stop sends SIGTERM to a container's first process; the command gets it.
func TestSuperviseForwardsSignals(t *testing.T) {
	cmd := exec.Command(os.Args[0], "sh", "-c", `trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done`)
	cmd.Env = slices.Concat(os.Environ(), []string{asStarter + "=1"})
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got, want := cmd.ProcessState.ExitCode(), 5; got != want {
		t.Errorf("got exit code %d, want %d", got, want)
	}
}
