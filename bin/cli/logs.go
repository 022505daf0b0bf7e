package cli

func logsCommand() *Command {
	return &Command{Name: "logs"}
}
