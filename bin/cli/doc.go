// Package cli is the `flott` command: what a person types, and what a program that drives flott greps.
//
// [Main] is called by bin/flott, once, on the main goroutine; tests call it with an [Env] of their own. It finds the command in one
// table (command.go, a file for each command), parses its options (args.go: Flink's spellings too), runs it, and turns what it returned
// into words and an exit code in one place (exit.go). A command that needs the cluster opens a session (session.go), which also removes, beside the
// command's own work, what ended applications of the user left behind.
//
// What always holds: ids and results go to standard output, progress, warnings and errors to standard error; the exit code is 0 when what
// was asked for happened (a job: finished), 130 after Ctrl-C, 1 otherwise; a submission that fails, or is interrupted, leaves no application, no
// container and no file; nothing here runs a binary before jobbinary has looked at it.
//
// It does not run jobs: the job binary does, in each of its roles (bin/roles). It never imports that code, so that `flott` stays a thin client.
package cli
