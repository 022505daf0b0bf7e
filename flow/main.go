package flow

import "os"

// programName is what the job is called when nobody named it.
func (e *Env) programName() string { return os.Args[0] }
