package rest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/flott-dev/flott/rpc/restapi"
)

func TestOwnLogs(t *testing.T) {
	w := newWorld(t)
	outside := filepath.Join(t.TempDir(), "secret")
	inside := func(name string) string { return filepath.Join(w.LogDir, name) }
	if err := errors.Join(
		os.WriteFile(outside, []byte("secret"), 0o600), os.Symlink(outside, inside("link")), os.Symlink("jobmanager.log", inside("inner")),
		os.Mkdir(inside("directory"), 0o700), os.WriteFile(inside(launchScript), []byte("secret"), 0o600), syscall.Mkfifo(inside("pipe"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	h := w.handler(t)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/jobmanager/log", 200, "first line\nlast line\n"},
		{"/jobmanager/stdout", 200, "said\n"},
		{"/jobmanager/logs/jobmanager.log", 200, "first line\nlast line\n"},
		{"/jobmanager/logs/empty.log", 200, ""},
		{"/jobmanager/logs/nosuch", 404, "This file does not exist in JobManager log dir."},
		{"/jobmanager/logs/link", 404, "does not exist"},
		{"/jobmanager/logs/inner", 404, "does not exist"},
		{"/jobmanager/logs/directory", 404, "does not exist"},
		{"/jobmanager/logs/pipe", 404, "does not exist"},
		{"/jobmanager/logs/" + launchScript, 404, "Unable to load"},
		{"/jobmanager/logs/%2e%2e", 404, "Unable to load"},
		{"/jobmanager/logs/..%2f..%2fetc%2fpasswd", 404, "Unable to load"},
		{"/jobmanager/logs/..%252f..%252fetc%252fpasswd", 404, "does not exist"},
		{"/jobmanager/logs/%2fetc%2fpasswd", 404, "Unable to load"},
		{"/jobmanager/logs/a%00b", 404, "Unable to load"},
		{"/jobmanager/logs/" + strings.Repeat("a", 300), 404, "Unable to load"},
	} {
		got := ask(h, "GET", c.path)
		if got.Code != c.status || c.status == 200 && got.Body.String() != c.body || !strings.Contains(got.Body.String(), c.body) {
			t.Errorf("%s: %d %q, want %d %q", c.path, got.Code, got.Body, c.status, c.body)
		}
	}
	var names []string
	for _, f := range get[restapi.LogList](t, w, "/jobmanager/logs").Logs {
		names = append(names, f.Name)
	}
	if want := []string{"empty.log", "jobmanager.log", "jobmanager.out", "rest-jobmanager.log"}; !slices.Equal(names, want) {
		t.Errorf("listed %v, want %v", names, want)
	}
}

func TestNoLogDirectory(t *testing.T) {
	w := newWorld(t)
	w.LogDir = ""
	if got := get[restapi.LogList](t, w, "/jobmanager/logs"); len(got.Logs) != 0 {
		t.Errorf("listed %v", got)
	}
	if got := ask(w.handler(t), "GET", "/jobmanager/log"); got.Code != 404 {
		t.Errorf("status %d", got.Code)
	}
}

func TestWorkerLogs(t *testing.T) {
	var read []string
	w := newWorld(t)
	logs := fakeLogs{files: map[string]string{"taskmanager.log": strings.Repeat("words\n", 20000), launchScript: "secret", "../up": "secret"}, read: &read}
	w.Logs = logs
	h := w.handler(t)
	for _, c := range []struct {
		path   string
		status int
	}{
		{"/taskmanagers/tm-0/log", 200}, {"/taskmanagers/tm-0/logs/taskmanager.log", 200}, {"/taskmanagers/tm-0/stdout", 500},
		{"/taskmanagers/tm-0/logs/" + launchScript, 500}, {"/taskmanagers/tm-0/logs/..%2fup", 500}, {"/taskmanagers/tm-0/logs/%2fetc%2fpasswd", 500},
		{"/taskmanagers/nosuch/log", 404}, {"/taskmanagers/nosuch/logs", 404},
	} {
		if got := ask(h, "GET", c.path); got.Code != c.status || c.status == 200 && got.Body.Len() != 120000 {
			t.Errorf("%s: %d with %d bytes, want %d", c.path, got.Code, got.Body.Len(), c.status)
		}
	}
	if slices.ContainsFunc(read, func(name string) bool { return name != "taskmanager.log" }) {
		t.Errorf("asked the worker for %v", read)
	}
	if got := get[restapi.LogList](t, w, "/taskmanagers/tm-0/logs"); len(got.Logs) != 1 || got.Logs[0].Size != 120000 {
		t.Errorf("listed %v", got)
	}
	logs.fail = errors.New("worker is gone")
	w.Logs = logs
	if got := ask(w.handler(t), "GET", "/taskmanagers/tm-0/log"); got.Code != 500 || !strings.Contains(got.Body.String(), "Failed to transfer file from TaskExecutor tm-0") {
		t.Errorf("lost worker: %d %s", got.Code, got.Body)
	}
}

func TestTooManyLogs(t *testing.T) {
	w := newWorld(t)
	w.MaxLogRequests = 1
	h := w.handler(t)
	h.logs <- struct{}{}
	if got := ask(h, "GET", "/jobmanager/log"); got.Code != 503 {
		t.Errorf("second of one: %d", got.Code)
	}
	<-h.logs
	if got := ask(h, "GET", "/jobmanager/log"); got.Code != 200 {
		t.Errorf("afterwards: %d", got.Code)
	}
}
