package flow

import (
	"context"

	"github.com/flott-dev/flott/bin/roles"
)

// Main runs the job that build declares, and ends the process. A program's main calls it, and does nothing else.
//
// Which part of the job the process is, its environment says: started by a person, it runs the whole job, with all arguments of the command
// line, and exits with 0 when the job has finished; the first Ctrl-C cancels the job. Started by flott or by YARN, it is the
// ApplicationMaster or a worker.
func Main(build func(env *Env, args []string) error) { roles.Main(Program(build)) }

// Run runs the job that build declares within this process, and returns when it has ended: nil when it has finished, else why not. The end
// of ctx cancels the job. It reads no configuration: every option has its default, the parallelism is 1, and paths are on the local disk.
func Run(ctx context.Context, build func(env *Env, args []string) error, args ...string) error {
	return roles.Local{Program: Program(build), Args: args}.Run(ctx)
}
