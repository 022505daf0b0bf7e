// Package transcript shows what `flott run` prints while it runs, and reads from it what came of it.
//
// Its callers are the demos (integration/demo, integration/docker), each with one Transcript for one command, whose two streams are one
// pipe: everything happens on one goroutine at a time. What always holds: nothing that was printed is changed or lost.
package transcript

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Transcript is an io.Writer that shows whole lines behind two spaces, as they come, and keeps everything.
type Transcript struct {
	out  io.Writer
	all  bytes.Buffer
	line []byte
}

// New returns a Transcript that shows on out.
func New(out io.Writer) *Transcript { return &Transcript{out: out} }

// Write implements io.Writer.
func (t *Transcript) Write(p []byte) (int, error) {
	t.all.Write(p)
	t.line = append(t.line, p...)
	for {
		i := bytes.IndexByte(t.line, '\n')
		if i < 0 {
			return len(p), nil
		}
		if _, err := fmt.Fprintf(t.out, "  %s\n", t.line[:i]); err != nil {
			return 0, err
		}
		t.line = t.line[i+1:]
	}
}

// String returns everything that was written.
func (t *Transcript) String() string { return t.all.String() }

var applicationID = regexp.MustCompile(`application_\d+_\d+`)

// Result returns the application's id, empty if there was none, and the line about phases. The error of the command, or that it did not
// name both, is its error.
func (t *Transcript) Result(command error) (app, phases string, err error) {
	app = applicationID.FindString(t.String())
	if command != nil {
		return app, "", fmt.Errorf("flott run (application %q): %w", app, command)
	}
	for line := range strings.Lines(t.String()) {
		if strings.HasPrefix(line, "Phases:") {
			phases = strings.TrimSpace(line)
		}
	}
	if app == "" || phases == "" {
		return app, phases, errors.New("flott run said nothing of application or phases")
	}
	return app, phases, nil
}
