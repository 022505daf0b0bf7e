package yarndriver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/flott-dev/flott/yarn/amrm"
)

// exitMeanings says in words what YARN's exit statuses mean; positive ones are the process's own.
var exitMeanings = map[int]string{
	amrm.ExitInvalid:               "never started",
	amrm.ExitAborted:               "its node was lost or it was aborted by YARN",
	amrm.ExitDisksFailed:           "the node's disks failed",
	amrm.ExitPreempted:             "preempted by YARN",
	amrm.ExitKilledExceededVMem:    "killed by YARN: more virtual memory than allowed",
	amrm.ExitKilledExceededPMem:    "killed by YARN: more memory than the container has",
	amrm.ExitKilledByAM:            "stopped by this application",
	amrm.ExitKilledByRM:            "killed by the YARN ResourceManager",
	amrm.ExitKilledAfterCompletion: "killed after the application ended",
	amrm.ExitKilledByScheduler:     "killed by the NodeManager's scheduler",
	amrm.ExitKilledForExcessLogs:   "killed by YARN: too much log output",
	0:                              "ended by itself",
	137:                            "killed by SIGKILL",
	143:                            "killed by SIGTERM",
}

// maxDiagnostics bounds what is kept of a container's diagnostics, in bytes.
const maxDiagnostics = 4 << 10

// exitCause says how a container ended: container, node, status in words, then what the node reported.
func exitCause(c amrm.Container, s amrm.Status) error {
	meaning, ok := exitMeanings[s.ExitStatus]
	if !ok {
		meaning = "its process failed"
	}
	text := fmt.Sprintf("container %s on %s ended with exit status %d (%s)", c.ID, c.Node, s.ExitStatus, meaning)
	if d := strings.TrimSpace(s.Diagnostics); d != "" {
		if len(d) > maxDiagnostics {
			d = d[:maxDiagnostics/2] + "\n…\n" + d[len(d)-maxDiagnostics/2:]
		}
		text += "\n" + d
	}
	return errors.New(text)
}
