package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flott-dev/flott/integration/hadoop"
)

// leftoverLimit is how long anything of an ended application may still be there.
const leftoverLimit = 30 * time.Second

// Words on the command lines of our processes (design §2).
const (
	masterWord = "YarnApplicationClusterEntryPoint"
	workerWord = "YarnTaskExecutorRunner"
)

// process is one of our processes in a container.
type process struct {
	pid                   int
	container, node, role string
}

// processesOf returns the AM or the workers of an application, by the word on their command lines.
func processesOf(t *testing.T, app, word string) []process {
	t.Helper()
	digits := strings.TrimPrefix(app, "application_")
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []process
	for _, name := range environs {
		env, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(env, []byte(digits)) {
			continue
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		argv := strings.Split(strings.TrimRight(string(args), "\x00"), "\x00")
		// The shells that start a container have the word inside one argument.
		if err != nil || !slices.Contains(argv, word) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			t.Fatal(err)
		}
		vars := map[string]string{}
		for v := range strings.SplitSeq(string(env), "\x00") {
			key, value, _ := strings.Cut(v, "=")
			vars[key] = value
		}
		found = append(found, process{pid: pid, role: word, container: vars["CONTAINER_ID"], node: vars["NM_HOST"] + ":" + vars["NM_PORT"]})
	}
	return found
}

// kill9 ends a process in a container as a machine's owner would.
func kill9(t *testing.T, p process) {
	t.Helper()
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %s of %s: %v", p.role, p.container, err)
	}
}

// appOf asks the YARN RM.
func appOf(t *testing.T, c *hadoop.Cluster, app string) hadoop.App {
	t.Helper()
	a, err := c.RM().App(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// awaitEnd waits until the YARN RM knows how the application ended.
func awaitEnd(t *testing.T, c *hadoop.Cluster, app string) (a hadoop.App) {
	t.Helper()
	await(t, time.Minute, app+" ends", func() bool {
		a = appOf(t, c, app)
		return a.FinalStatus != "UNDEFINED"
	})
	return a
}

// get reads a page.
func get(ctx context.Context, url string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body, err
}

// jobState is what the application's REST server says of its job; "" while it does not answer.
func jobState(t *testing.T, c *hadoop.Cluster, app string) (id, state string) {
	t.Helper()
	code, body, err := getThroughProxy(t.Context(), c, app, "jobs/overview")
	var answer struct{ Jobs []struct{ JID, State string } }
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &answer) != nil || len(answer.Jobs) == 0 {
		return "", ""
	}
	return answer.Jobs[0].JID, answer.Jobs[0].State
}

// awaitRunning waits until the command's job runs, all tasks of it, and returns application and job.
func (k *command) awaitRunning(c *hadoop.Cluster) (app, job string) {
	k.t.Helper()
	app = k.app()
	await(k.t, time.Minute, app+" runs its job", func() bool {
		id, state := jobState(k.t, c, app)
		job = id
		return state == "RUNNING" && allTasksRun(k.t, c, app, id)
	})
	return app, job
}

func allTasksRun(t *testing.T, c *hadoop.Cluster, app, job string) bool {
	code, body, err := getThroughProxy(t.Context(), c, app, "jobs/"+job)
	var answer struct {
		Vertices []struct{ Status string }
	}
	if err != nil || code != http.StatusOK || json.Unmarshal(body, &answer) != nil || len(answer.Vertices) == 0 {
		return false
	}
	for _, v := range answer.Vertices {
		if v.Status != "RUNNING" {
			return false
		}
	}
	return true
}

// nothingLeft fails the test unless, soon, there is no container, no process and no staging file of the application.
func nothingLeft(t *testing.T, c *hadoop.Cluster, app string) {
	t.Helper()
	if err := c.AwaitNoLeftovers(context.WithoutCancel(t.Context()), app, leftoverLimit); err != nil {
		t.Error(err)
	}
}

// noEntries fails the test unless, soon, no file or directory below dir has a name that the pattern matches.
func noEntries(t *testing.T, c *hadoop.Cluster, dir, pattern string) {
	t.Helper()
	var left []string
	over := time.Now().Add(leftoverLimit)
	await(t, 2*leftoverLimit, "look below "+dir, func() bool {
		all, err := c.HDFS().Walk(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		left = nil
		for _, e := range all {
			if ok, err := path.Match(pattern, path.Base(e.Path)); err != nil {
				t.Fatal(err)
			} else if ok {
				left = append(left, e.Path)
			}
		}
		return len(left) == 0 || time.Now().After(over)
	})
	if len(left) > 0 {
		t.Errorf("left below %s: %s", dir, strings.Join(left, ", "))
	}
}

// scratch is a directory of HDFS for one test, which anybody may write.
func scratch(t *testing.T, c *hadoop.Cluster) string {
	t.Helper()
	dir := fmt.Sprintf("/tmp/scenario-%d-%d", os.Getpid(), time.Now().UnixNano())
	if err := c.HDFS().Mkdirs(t.Context(), dir, "777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := c.HDFS().Delete(ctx, dir); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}
