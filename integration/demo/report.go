package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/flott-dev/flott/integration/corpus"
)

// result compares what the job wrote with the count of this process, and shows the commonest words.
func (s *show) result(ctx context.Context, want corpus.Counts) error {
	got, err := corpus.ReadResult(ctx, s.files, output)
	if err != nil {
		return err
	}
	if err := got.Diff(want); err != nil {
		return fmt.Errorf("the job's result is not what this process counted: %w", err)
	}
	s.say("\n%d words, %d of them distinct, as counted here too. The %d commonest:", got.Total(), len(got), topWords)
	for _, w := range got.Top(topWords) {
		s.say("%12d  %s", w.Count, w.Text)
	}
	return nil
}

// report says how YARN saw the application, and where it could be watched.
func (s *show) report(ctx context.Context, app, phases string) error {
	a, err := s.hadoop.RM().App(ctx, app)
	if err != nil {
		return err
	}
	s.say("\n%s: YARN final status %s (%s)", app, a.FinalStatus, a.Diagnostics)
	s.say("%s", phases)
	s.say("web page, while it ran: http://%s/ and, through YARN, %s/proxy/%s/", a.AMRPCAddress, s.hadoop.RMWebURL(), app)
	file, err := s.logs(ctx, app)
	if err != nil {
		return err
	}
	s.say("logs: %s (from `flott logs %s`); Hadoop's own: %s", file, app, filepath.Dir(s.hadoop.LogFile("rm")))
	if a.FinalStatus != "SUCCEEDED" {
		return errors.New("the application did not succeed")
	}
	return nil
}

// logs keeps the application's logs: HDFS, where YARN has put them, ends with Hadoop.
func (s *show) logs(ctx context.Context, app string) (string, error) {
	cmd := exec.CommandContext(ctx, s.binary("flott"), "logs", app)
	cmd.Env = s.environ()
	text, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("flott logs %s: %w", app, err)
	}
	name := filepath.Join(s.dir, app+".log")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		return "", fmt.Errorf("keep the logs of %s: %w", app, err)
	}
	return name, nil
}
