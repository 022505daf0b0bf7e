package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/restapi"
	"github.com/flott-dev/flott/yarn/rmclient"
)

func listCommand() *Command {
	return &Command{
		Name: "list", Args: "[application id]", Short: "list my applications, or the jobs of one",
		Long: `
Without an argument: the user's flott applications that have not ended, newest first (with -a also those that have). With an application id:
its jobs, in the lines that Flink prints.`,
		Options: []option{
			{long: "all", short: "a", help: "also what has ended"},
			{long: "running", short: "r", help: "only jobs that run"},
			{long: "scheduled", short: "s", help: "only jobs that wait"},
			targetOption(), dynamicOption(),
		},
		Run: list,
	}
}

// targetOption is accepted by commands that are for YARN anyway.
func targetOption() option {
	return option{long: "target", short: "t", value: "target", legacy: []string{"executor", "e", "m", "jobmanager"}, hidden: true}
}

func list(ctx context.Context, inv *invocation) error {
	s, err := inv.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if len(s.args) > 0 || conf.YarnApplicationID.IsSet(s.conf) {
		return s.listJobs(ctx)
	}
	f := rmclient.Filter{Types: []string{conf.YarnApplicationType.Get(s.conf)}, Users: []string{s.user.Name}}
	if !s.on("all") {
		f.States = []rmclient.State{rmclient.StateNew, rmclient.StateNewSaving, rmclient.StateSubmitted, rmclient.StateAccepted, rmclient.StateRunning}
	}
	apps, err := s.rm.Applications(ctx, f)
	if err != nil {
		return err
	}
	if len(apps) == 0 {
		hint := " (-a shows those that have ended)"
		if s.on("all") {
			hint = ""
		}
		s.print("No flott applications of %s%s.", s.user.Name, hint)
		return nil
	}
	w := tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "APPLICATION\tSTATE\tFINAL STATUS\tCONTAINERS\tQUEUE\tSTARTED\tFOR\tNAME")
	for _, r := range apps {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.State, r.Final, max(0, r.Containers), r.Queue, r.Started.Format(time.DateTime),
			seconds(lasted(r, s.Now())), r.Name)
	}
	return w.Flush()
}

// lasted is how long an application has run, or ran.
func lasted(r rmclient.Report, now time.Time) time.Duration {
	switch {
	case r.Started.IsZero():
		return 0
	case r.State.Terminal() && !r.Finished.IsZero():
		return r.Finished.Sub(r.Started)
	}
	return max(0, now.Sub(r.Started))
}

// listJobs prints an application's jobs as Flink's command does.
func (s *session) listJobs(ctx context.Context) error {
	am, err := s.master(ctx)
	if err != nil {
		return err
	}
	defer am.close()
	jobs, err := am.jobs(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(jobs, func(a, b restapi.JobOverview) int { return int(a.StartTime - b.StartTime) })
	waits := func(j restapi.JobOverview) bool { return j.State == "CREATED" || j.State == "INITIALIZING" }
	ended := func(j restapi.JobOverview) bool { return j.EndTime > 0 }
	none := true
	section := func(title string, in func(restapi.JobOverview) bool) {
		var lines []string
		for _, j := range jobs {
			if in(j) {
				lines = append(lines, fmt.Sprintf("%s : %s : %s (%s)", time.UnixMilli(j.StartTime).Format("02.01.2006 15:04:05"), j.ID, j.Name, j.State))
			}
		}
		if len(lines) > 0 {
			none = false
			s.print("%s\n%s\n%s", ruler(title), strings.Join(lines, "\n"), strings.Repeat("-", rulerWidth))
		}
	}
	if !s.on("scheduled") || s.on("running") {
		section("Running/Restarting Jobs", func(j restapi.JobOverview) bool { return !waits(j) && !ended(j) })
	}
	if !s.on("running") || s.on("scheduled") {
		section("Scheduled/Initializing Jobs", waits)
	}
	if s.on("all") {
		section("Terminated Jobs", ended)
	}
	if none {
		s.print("No running jobs.")
	}
	return nil
}

const rulerWidth = 62

func ruler(title string) string {
	left := (rulerWidth - len(title) - 2) / 2
	return strings.Repeat("-", left) + " " + title + " " + strings.Repeat("-", rulerWidth-len(title)-2-left)
}

// master is a client of the application's ApplicationMaster, or the reason why there is none.
func (s *session) master(ctx context.Context) (*amClient, error) {
	app, err := s.application()
	if err != nil {
		return nil, err
	}
	r, err := s.report(ctx, app)
	if err != nil {
		return nil, err
	}
	am := newAMClient(r, conf.ClientTimeout.Get(s.conf))
	switch {
	case am != nil:
		return am, nil
	case r.State.Terminal():
		return nil, fmt.Errorf("%s has ended (%s, final status %s)", app, r.State, r.Final)
	}
	return nil, fmt.Errorf("the ApplicationMaster of %s is not up yet (%s)", app, r.State)
}
