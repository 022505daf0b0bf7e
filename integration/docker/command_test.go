package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCommandOutput(t *testing.T) {
	out, err := command{name: "sh", args: []string{"-c", "echo $WORD; cat"}, env: []string{"WORD=a"}, stdin: strings.NewReader("b\n\n")}.output(t.Context())
	if err != nil || out != "a\nb" {
		t.Errorf("got %q, %v, want a and b", out, err)
	}
	_, err = command{name: "sh", args: []string{"-c", "echo one >&2; echo two >&2; exit 3"}}.output(t.Context())
	if err == nil || said(err) != "one; two" || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want exit status 3 with what it said", err)
	}
	if _, err := (command{name: "no-such-program"}).output(t.Context()); err == nil || !strings.Contains(said(err), "no-such-program") {
		t.Errorf("an absent program: got %v", err)
	}
}

// A command ends with its context, and so does what it started, even when that does not listen to SIGINT.
func TestCommandEndsWithItsContext(t *testing.T) {
	mark := t.TempDir() + "/mark"
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the cause")
	started := &answer{first: make(chan struct{})}
	go func() { <-started.first; cancel(cause) }()
	_, err := command{name: "sh", args: []string{"-c", "(trap '' INT; exec sh -c 'sleep 60; :' " + mark + ") >/dev/null 2>&1 & echo started; wait"}, stdout: started}.output(ctx)
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	const soon = 10 * time.Second // after that, gone kills them itself
	began := time.Now()
	if err := gone("children", func() ([]int, error) { return withArgument(mark) }, soon); err != nil || time.Since(began) >= soon {
		t.Errorf("a child went on (%v)", err)
	}
}
