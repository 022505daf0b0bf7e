package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/flott-dev/flott/conf"
)

// Command is one verb.
type Command struct {
	Name  string
	Args  string // of the usage line
	Short string // one line for the list of commands
	Long  string // for the command's own help
	// Options beside -h.
	Options []option
	// JobArgs says that what follows the first word that is no option belongs to the job, options or not.
	JobArgs bool
	Run     func(ctx context.Context, inv *invocation) error
}

// commands is the table of all verbs, in the order of the help.
func commands() []*Command {
	return []*Command{
		runCommand(), runApplicationCommand(), listCommand(), statusCommand(), cancelCommand(), killCommand(), logsCommand(),
		versionCommand(), helpCommand(),
	}
}

// plannedVerbs are Flink's that flott does not have yet.
var plannedVerbs = []string{"info", "stop", "savepoint", "checkpoint"}

func find(name string) (*Command, error) {
	var names []string
	for _, c := range commands() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	for _, v := range plannedVerbs {
		if v == name {
			return nil, fmt.Errorf("`flott %s` does not exist yet (see `flott help`)", name)
		}
	}
	if n := nearest(name, names); n != "" {
		return nil, fmt.Errorf("there is no command %q; did you mean `flott %s`?", name, n)
	}
	return nil, fmt.Errorf("there is no command %q; `flott help` lists them", name)
}

func usage(w io.Writer) {
	fmt.Fprint(w, "flott runs stream and batch jobs written in Go on Hadoop YARN.\n\nUsage: flott <command> [options] [arguments]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-16s %s\n", c.Name, c.Short)
	}
	fmt.Fprint(w, "\n`flott help <command>` explains one. The cluster is the one that HADOOP_CONF_DIR describes; options come from\n"+
		"config.yaml or flink-conf.yaml in FLOTT_CONF_DIR (or FLINK_CONF_DIR) and from -Dkey=value.\n")
}

func (c *Command) help(w io.Writer) {
	fmt.Fprintf(w, "Usage: flott %s [options] %s\n\n%s\n", c.Name, c.Args, strings.TrimSpace(c.Long))
	options := append(c.Options[:len(c.Options):len(c.Options)], helpOption)
	fmt.Fprint(w, "\nOptions:\n")
	for i := range options {
		if o := &options[i]; !o.hidden {
			fmt.Fprintf(w, "  %-34s %s\n", o.shown(), o.help)
		}
	}
	if legacy := c.legacyHelp(); legacy != "" {
		fmt.Fprintf(w, "\nFlink's older spellings work too: %s.\n", legacy)
	}
}

func (c *Command) legacyHelp() string {
	var words []string
	for i := range c.Options {
		for _, l := range c.Options[i].legacy {
			if strings.HasPrefix(l, "y") && len(l) <= 4 {
				words = append(words, "-"+l)
			}
		}
	}
	return strings.Join(words, " ")
}

func helpCommand() *Command {
	return &Command{
		Name: "help", Args: "[command]", Short: "explain a command",
		Long: "Lists the commands, or explains one.",
		Run: func(_ context.Context, inv *invocation) error {
			if len(inv.args) == 0 {
				usage(inv.Stdout)
				return nil
			}
			c, err := find(inv.args[0])
			if err != nil {
				return err
			}
			c.help(inv.Stdout)
			return nil
		},
	}
}

// Version is the stamp of a build. Empty fields are not known.
type Version struct {
	Release, Commit, Date string // Date is the commit's
	Modified              bool   // the tree had changes
	Go, Platform          string
}

// String prints the stamp as one line.
func (v Version) String() string {
	s := "flott " + cmp.Or(v.Release, "(development)")
	if v.Commit != "" {
		s += " commit " + v.Commit[:min(len(v.Commit), 12)]
		if v.Modified {
			s += " with changes"
		}
	}
	if v.Date != "" {
		s += " of " + v.Date
	}
	return fmt.Sprintf("%s, %s %s", s, v.Go, v.Platform)
}

func versionCommand() *Command {
	return &Command{
		Name: "version", Short: "print the version", Long: "Prints release, commit, Go version and platform of this command.",
		Run: func(_ context.Context, inv *invocation) error {
			inv.print("%s", inv.Version)
			return nil
		},
	}
}

// nearest is the candidate that a mistyped word most likely means, or "".
func nearest(word string, candidates []string) string {
	return conf.Nearest(word, max(1, len(word)/2), candidates)
}
