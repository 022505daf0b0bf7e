package amrm

import (
	"errors"
	"strings"

	"github.com/flott-dev/flott/yarn/ipc"
)

const yarnExceptions = "org.apache.hadoop.yarn.exceptions."

var kindByClass = map[string]failureKind{
	yarnExceptions + "ApplicationMasterNotRegisteredException":  failNotRegistered,
	yarnExceptions + "ApplicationAttemptNotFoundException":      failAttemptGone,
	yarnExceptions + "InvalidResourceRequestException":          failAsk,
	yarnExceptions + "InvalidLabelResourceRequestException":     failAsk,
	yarnExceptions + "SchedulerInvalidResoureRequestException":  failAsk,
	yarnExceptions + "InvalidResourceBlacklistRequestException": failBlacklist,
	yarnExceptions + "InvalidContainerReleaseException":         failRelease,
}

const (
	invalidAMRequestClass = yarnExceptions + "InvalidApplicationMasterRequestException"
	invalidTokenClass     = "org.apache.hadoop.security.token.SecretManager$InvalidToken"
)

// classifyRemote decides by Java class and message what an exception of the YARN RM asks for.
func classifyRemote(class, message string) failureKind {
	if kind, ok := kindByClass[class]; ok {
		return kind
	}
	switch class {
	case invalidAMRequestClass:
		if strings.Contains(message, "already registered") {
			return failAlreadyRegistered
		}
		return failOutOfSync
	case invalidTokenClass:
		if strings.Contains(message, "not found in AMRMTokenSecretManager") {
			return failAttemptGone
		}
		return failToken
	}
	return failRetry
}

// classify turns the error of a call into what the core understands; nil stays nil. An answer that cannot be read
// counts as lost: the call was processed.
func classify(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{kind: failRetry, unknown: !ipc.NotSent(err) && !ipc.Refused(err), message: err.Error(), err: err}
	var remote *ipc.RemoteError
	if errors.As(err, &remote) {
		f.kind, f.message = classifyRemote(remote.Class, remote.Message), remote.Message
	}
	return f
}
