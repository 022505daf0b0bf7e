package transcript

import (
	"errors"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	var out strings.Builder
	w := New(&out)
	for _, piece := range []string{"a", "b\nc", "\n\nrest"} {
		if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("write %q: got %d, %v", piece, n, err)
		}
	}
	if got, want := out.String(), "  ab\n  c\n  \n"; got != want {
		t.Errorf("shown: got %q, want %q", got, want)
	}
	if got, want := w.String(), "ab\nc\n\nrest"; got != want {
		t.Errorf("kept: got %q, want %q", got, want)
	}
}

func TestResult(t *testing.T) {
	broken := errors.New("exit status 1")
	for _, c := range []struct {
		text        string
		command     error
		app, phases string
		failed      string // part of the error; empty: none
	}{
		{"Submitted application application_1_0002\nPhases: command 0.00s\n", nil, "application_1_0002", "Phases: command 0.00s", ""},
		{"Submitted application application_1_0002\n", nil, "application_1_0002", "", "said nothing"},
		{"Phases: command 0.00s\n", nil, "", "Phases: command 0.00s", "said nothing"},
		{"Submitted application application_1_0002\nfailed\n", broken, "application_1_0002", "", "application_1_0002"},
	} {
		w := New(&strings.Builder{})
		if _, err := w.Write([]byte(c.text)); err != nil {
			t.Fatal(err)
		}
		app, phases, err := w.Result(c.command)
		if app != c.app || phases != c.phases || (err == nil) != (c.failed == "") || err != nil && !strings.Contains(err.Error(), c.failed) {
			t.Errorf("%q: got %q, %q, %v, want %q, %q, %q", c.text, app, phases, err, c.app, c.phases, c.failed)
		}
		if c.command != nil && !errors.Is(err, c.command) {
			t.Errorf("%q: got %v, want one that wraps the command's", c.text, err)
		}
	}
}
