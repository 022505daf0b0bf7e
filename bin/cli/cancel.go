package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/yarn/rmclient"
)

func cancelCommand() *Command {
	return &Command{
		Name: "cancel", Args: "<application id> [job id]", Short: "cancel a job and wait for its end",
		Long: `
Asks the ApplicationMaster to cancel the job and waits until the application has ended. An application that does not answer is ended by
flott kill. The exit code is 0 when the job was cancelled, or had finished before.`,
		Options: []option{targetOption(), dynamicOption(),
			{long: "withSavepoint", short: "s", value: "path", hidden: true, refused: "savepoints are not there yet"}},
		Run: cancelJob,
	}
}

func cancelJob(ctx context.Context, inv *invocation) error {
	s, r, err := inv.openApplication(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	app := r.ID
	show := newDisplay(s.Env)
	defer show.clear()
	f := newFollower(s, show, app)
	if !r.State.Terminal() {
		am := newAMClient(r, conf.ClientTimeout.Get(s.conf))
		if am == nil {
			return fmt.Errorf("the ApplicationMaster of %s is not up yet (%s); `flott kill %s` ends it", app, r.State, app)
		}
		defer am.close()
		if f.job, err = s.jobOf(ctx, am); err != nil {
			return err
		}
		// 409: it has ended already, and so will the application.
		if err := am.cancel(ctx, f.job); err != nil && !isStatus(err, http.StatusConflict) {
			return fmt.Errorf("cancel job %s: %w", f.job, err)
		}
		s.print("Cancelling job %s.", f.job)
		if r, err = f.follow(ctx, nil); err != nil {
			return fmt.Errorf("wait for the end of %s: %w", app, err)
		}
		show.clear()
	}
	if err := s.tidy(ctx, app); err != nil {
		s.warn(err.Error())
	}
	end := endOf(r)
	s.print("Application %s %s, YARN final status %s (%s).", app, end.word, r.Final, r.State)
	if end.ok || r.State == rmclient.StateFinished && r.Final == rmclient.FinalKilled {
		return nil
	}
	return end.error(app, r)
}
