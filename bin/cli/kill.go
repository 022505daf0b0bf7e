package cli

import (
	"context"
)

func killCommand() *Command {
	return &Command{
		Name: "kill", Args: "<application id>", Short: "end an application by force",
		Long: `
Tells YARN to kill an application, waits until it has, and removes its files. What its job wrote and had not committed is removed as well, unless a
checkpoint may name it. flott cancel is the gentle way.`,
		Options: []option{targetOption(), dynamicOption()},
		Run:     kill,
	}
}

func kill(ctx context.Context, inv *invocation) error {
	s, r, err := inv.openApplication(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	app := r.ID
	ended := r.State.Terminal()
	if !ended {
		if err := s.rm.Kill(ctx, app, "killed by "+s.user.Name+" with flott kill"); err != nil {
			return err
		}
		if r, err = s.report(ctx, app); err != nil {
			return err
		}
	}
	if err := s.tidy(ctx, app); err != nil {
		return err
	}
	if ended {
		s.print("Application %s had ended before (%s, final status %s).", app, r.State, r.Final)
		return nil
	}
	s.print("Killed application %s.", app)
	return nil
}
